/**
 * Goal: behind a trusted proxy each caller is known by its own address, and nobody else can say another one. Method: the real REST API
 * over HTTP from 127.0.0.1, which is the proxy where it is trusted; what headers say, by example.
 */
import { FakeIdentities } from '@cometmq/auth/testing';

import { startAdminFixture, type AdminFixture } from './testing/admin-fixture.js';
import { TrustedProxies, trustedProxiesRule } from './trusted-proxies.js';

let fixture: AdminFixture | undefined;
let lines: { readonly from: string }[];
afterEach(() => fixture?.stop());

async function start(trustedProxies: readonly string[]): Promise<void> {
  lines = [];
  const identities = new FakeIdentities();
  identities.user('ann', 'ann-secret');
  const audit = (line: string): Promise<void> => {
    lines.push(JSON.parse(line) as { readonly from: string });
    return Promise.resolve();
  };
  fixture = await startAdminFixture({ identities, audit, trustedProxies });
}
async function login(secret: string, forwarded: string): Promise<number> {
  const headers = { 'content-type': 'application/json', 'x-forwarded-for': forwarded };
  const body = JSON.stringify({ user: 'ann', secret });
  return (await fetch(`${fixture?.url}/api/v1/login`, { method: 'POST', headers, body })).status;
}
async function failFive(forwarded: (i: number) => string): Promise<void> {
  for (let i = 0; i < 5; i += 1) expect(await login('wrong', forwarded(i))).toBe(401);
}

it('who guesses behind a trusted proxy waits, and others behind it do not', async () => {
  await start(['127.0.0.0/8', '10.1.0.0/16']);
  await failFive((i) => `192.0.2.${i}, 198.51.100.7, 10.1.2.3`); // What the caller itself has written changes nothing.
  expect(await login('ann-secret', '198.51.100.7')).toBe(429);
  expect(await login('ann-secret', '198.51.100.8')).toBe(200);
  expect(new Set(lines.map(({ from }) => from))).toEqual(new Set(['198.51.100.7', '198.51.100.8']));
});

it.each([[[]], [['10.0.0.0/8']]])('where %j are trusted, others say no address but their own', async (trusted) => {
  await start(trusted);
  await failFive((i) => `198.51.100.${i}`);
  expect(await login('ann-secret', '198.51.100.77')).toBe(429);
  expect(new Set(lines.map(({ from }) => from))).toEqual(new Set(['127.0.0.1']));
});

function believed(said: string): string | undefined {
  const headers: Record<string, string> = { 'x-forwarded-for': said };
  const socket = { remoteAddress: '::ffff:10.0.0.1' };
  new TrustedProxies(['10.0.0.0/8']).clean({ headers, socket } as never);
  return headers['x-forwarded-for'];
}

it.each([
  ['198.51.100.7', '198.51.100.7'],
  ['198.51.100.7:4711', '198.51.100.7'],
  ['[2001:db8::1]:4711', '2001:db8::1'],
  ['2001:db8::1', '2001:db8::1'],
  ['::ffff:198.51.100.7', '::ffff:198.51.100.7'],
  ['198.51.100.7, ::ffff:10.0.0.2', '198.51.100.7'],
  ['192.0.2.1,198.51.100.7,10.0.0.2', '198.51.100.7'],
  ['10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['garbage', undefined],
  ['garbage, 10.0.0.2', '10.0.0.2'],
  ['198.51.100.7, <script>', undefined],
  ['fe80::1%eth0', undefined],
  ['1.2.3.4:5:6', undefined],
  ['999.1.1.1', undefined],
  ['', undefined],
  [',,,', undefined],
])('of "%s" it believes %s', (said, address) => expect(believed(said)).toBe(address));

it('of what is long it reads the end', () => {
  expect(believed('a'.repeat(16_000))).toBeUndefined();
  expect(believed(`198.51.100.7,${'10.0.0.9,'.repeat(31)}10.0.0.8`)).toBe('10.0.0.9');
});

it.each([
  [['nginx'], '"nginx": an IP address or a block'],
  [['10.0.0.0/33'], '"10.0.0.0/33": an IP address or a block'],
  [['0.0.0.0/0'], 'everybody'],
  [['10.0.0.1', '::/0'], 'everybody'],
])('the setting %j is refused at the start', (trustedProxies, why) => {
  expect(trustedProxiesRule({ trustedProxies })).toContain(why);
  expect(trustedProxiesRule({ trustedProxies: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.1'] })).toBe(true);
});
