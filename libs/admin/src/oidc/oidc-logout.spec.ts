/**
 * Goal: who logs out at the identity provider is logged out here, in every process, and nobody else is; nothing but the provider's own
 * word does that. Method: a real provider that tells two dashboard APIs' console of logouts, by way of a server that keeps its tokens.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import { FakeIdentities } from '@cometmq/auth/testing';

import { type AdminFixture, startAdminFixture } from '../testing/admin-fixture.js';
import { Browser, consoleUrl, RealOidcProvider } from '../testing/real-oidc-provider.js';

let relay: Server;
let provider: RealOidcProvider;
let fixtures: AdminFixture[];
let told: { readonly token: string; readonly status: number }[];
const begin = `${consoleUrl}/api/v1/session/oidc`;

async function startWith(env: Readonly<Record<string, string>> = {}): Promise<void> {
  told = [];
  relay = createServer((request, response) => {
    void (async () => {
      const form = await text(request);
      const status = await tell(form);
      told.push({ token: new URLSearchParams(form).get('logout_token') ?? '', status });
      response.writeHead(status).end();
    })();
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const { port } = relay.address() as AddressInfo;
  provider = new RealOidcProvider({ LOGOUT_URL: `http://127.0.0.1:${port}/logout`, ...env });
  await provider.start();
  const identities = new FakeIdentities();
  identities.user('root', 'root-secret', { kind: 'super' });
  fixtures = [];
  for (let i = 0; i < 2; i += 1) fixtures.push(await startAdminFixture({ identities, oidc: provider.known() }));
}
afterEach(async () => {
  for (const fixture of fixtures) await fixture.stop();
  await provider.stop();
  relay.close();
});

/** What is no form is sent as it is, to the first process. */
async function tell(body: string, type = 'application/x-www-form-urlencoded'): Promise<number> {
  const url = `${fixtures[0]?.url}/api/v1/session/oidc/logout`;
  return (await fetch(url, { method: 'POST', headers: { 'content-type': type }, body })).status;
}
const tellToken = (token: string): Promise<number> => tell(new URLSearchParams({ logout_token: token }).toString());

const newBrowser = (): Browser => new Browser(new Map([[consoleUrl, fixtures[0]?.url ?? '']]));

async function logIn(login: string): Promise<{ readonly browser: Browser; readonly cookie: string }> {
  const browser = newBrowser();
  const asked = await browser.follow(begin);
  const back = await browser.follow(await browser.logIn(asked.url, login), `${begin}/callback`);
  await browser.visit(back.url);
  return { browser, cookie: `cometmq-session=${browser.cookieOf(consoleUrl, 'cometmq-session') ?? ''}` };
}

const claimsOf = (token: string): Readonly<Record<string, unknown>> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

/** Who each process takes the browser for. */
async function seenAs(cookie: string): Promise<unknown[]> {
  const asked = fixtures.map(async ({ url }) => {
    const { user } = (await (await fetch(`${url}/api/v1/session`, { headers: { cookie } })).json()) as {
      user?: string;
    };
    return user;
  });
  return Promise.all(asked);
}

it.each([{}, { LOGOUT_BY_SUBJECT: 'true' }])(
  'ends the session in every process, and no other (%j)',
  async (env) => {
    await startWith(env);
    const ada = await logIn('ada.ops');
    const bob = await logIn('bob.dev');
    expect(await seenAs(ada.cookie)).toEqual(['oidc:ada', 'oidc:ada']);
    await ada.browser.logOut(provider.issuer);
    expect(told.map(({ status }) => status)).toEqual([200]);
    expect(await seenAs(ada.cookie)).toEqual([undefined, undefined]);
    expect(await seenAs(bob.cookie)).toEqual(['oidc:bob', 'oidc:bob']);
    // Who logs in again is let in, and the provider's word of before ends nothing of that, though it be said again.
    const { iat } = claimsOf(told[0]?.token ?? '');
    // Tokens count in seconds.
    while (Date.now() < (Number(iat) + 1) * 1_000) await new Promise((resolve) => setTimeout(resolve, 20));
    const again = await logIn('ada.ops');
    expect(await tellToken(told[0]?.token ?? '')).toBe(400);
    expect(await seenAs(again.cookie)).toEqual(['oidc:ada', 'oidc:ada']);
  },
  180_000,
);

it('takes nobody’s word but the provider’s, and none that is about something else', async () => {
  await startWith();
  const ada = await logIn('ada.ops');
  await ada.browser.logOut(provider.issuer);
  const bob = await logIn('bob.dev');
  const [{ token } = { token: '' }] = told;
  const [head = '', body = '', mac = ''] = token.split('.');
  const claims = claimsOf(token);
  const of = (changed: object): string => Buffer.from(JSON.stringify({ ...claims, ...changed })).toString('base64url');
  const none = Buffer.from('{"alg":"none"}').toString('base64url');
  const wrong = [
    ...['', 'x', 'a.b.c', token.slice(0, -4), `${head}.${of({ sub: 'bob.dev', sid: undefined })}.${mac}`],
    ...[`${none}.${body}.`, `${none}.${body}.${mac}`, 'x'.repeat(16_385)],
  ];
  for (const one of wrong) expect([one.slice(0, 20), await tellToken(one)]).toEqual([one.slice(0, 20), 400]);
  expect(await tell('nothing=1')).toBe(400);
  expect(await tell(`logout_token=${token}&logout_token=x`)).toBe(400);
  expect(await tell(JSON.stringify({ logout_token: token }), 'application/json')).toBe(400);
  expect(await tell('x', 'text/plain')).toBe(415);
  expect(await tell(`a=${'x'.repeat(100_000)}`)).toBe(413);
  expect(await seenAs(bob.cookie)).toEqual(['oidc:bob', 'oidc:bob']);
}, 180_000);
