// Goal: a token that a user made for a program does what it was made for, as long as it is listed, and never more than its user may.
// Method: the real parts over users that are told as the name service tells them, on a clock by hand.
import type { Action, ApiToken, PolicyEntry } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { IdentityBook } from './identity-book.js';
import { resourceIn } from './policies.js';
import { FakeIdentities } from './testing.js';
import { BearerTokens } from './tokens.js';
import { apiTokensMax } from './users.js';

const day = 24 * 3_600_000;
const may = (resource: string, actions: Action[], over: Partial<PolicyEntry> = {}): PolicyEntry => ({
  ...{ policy: 'custom', resource: resourceIn(resource), actions, sourceIps: [], decision: 'allow' },
  ...over,
});
let clock: ManualClock;
let identities: FakeIdentities;
let tokens: BearerTokens;
let made: number;

beforeEach(async () => {
  clock = new ManualClock();
  identities = new FakeIdentities();
  identities.user('root', 'root-secret', { kind: 'super' });
  identities.user('ann', 'ann-secret');
  identities.allow('ann', may('Topic:orders*', ['get', 'update']));
  const book = new IdentityBook({ source: identities, box: identities.box, clock });
  await book.start();
  await Promise.resolve();
  tokens = new BearerTokens(identities.box, book, clock, identities);
  made = 0;
});

async function make(user: string, over: Partial<ApiToken> = {}): Promise<string> {
  made += 1;
  const createdMs = clock.wallMs();
  const token = { id: `id-${made}`, name: `token ${made}`, createdMs, untilMs: createdMs + day, ...over };
  return tokens.issueApi(await identities.updateUser(user, { token: { kind: 'added', token } }), token);
}
const read = (token: string) => tokens.readBearer(token);
const reasonOf = (token: string): string => {
  try {
    return `good, of ${read(token).principal.name}`;
  } catch (caught) {
    return MqError.from(caught).reason;
  }
};
const refused = (code: string): unknown => expect.objectContaining({ code });

it('without a scope does what its user may, and is known as the one it is', async () => {
  const token = await make('ann', { name: 'ci' });
  expect(read(token)).toMatchObject({ api: { name: 'ci' }, principal: { name: 'ann', isSuper: false } });
  expect(read(await make('root')).principal.isSuper).toBe(true);
  // It is none of the others.
  for (const kind of ['bearer', 'session'] as const)
    expect(() => tokens.read(kind, token)).toThrow('not of this cluster');
});

it('with a scope does what both say, and follows what its user may', async () => {
  const scope = [may('Topic:orders-eu', ['all']), may('Group:*', ['get'])];
  const token = await make('ann', { scope });
  const asks = (action: Action, type: 'topic' | 'group', name: string): boolean =>
    read(token).principal.may([action], type, name, '10.0.0.1:1');
  expect(asks('get', 'topic', 'orders-eu')).toBe(true);
  expect(asks('delete', 'topic', 'orders-eu')).toBe(false); // Its user may not.
  expect(asks('get', 'topic', 'orders-us')).toBe(false); // The token may not.
  expect(asks('get', 'group', 'billing')).toBe(false);
  identities.allow('ann', may('Group:*', ['get']));
  expect(asks('get', 'group', 'billing')).toBe(true);
  expect(asks('get', 'topic', 'orders-eu')).toBe(false);
});

it('with a scope is no super user, whosever it is, also where what was begun goes on', async () => {
  const { principal } = read(await make('root', { scope: [may('*', ['all'], { sourceIps: ['10.0.0.0/8'] })] }));
  for (const one of [principal, tokens.renewed(principal)]) {
    expect(one).toMatchObject({ name: 'root', isSuper: false });
    expect(one.may(['update'], 'topic', 'orders', '10.0.0.1:1')).toBe(true);
    expect(one.may(['update'], 'topic', 'orders', '11.0.0.1:1')).toBe(false);
    expect(() => one.need(['update'], 'topic', 'orders', '11.0.0.1:1')).toThrow('user root may not update');
  }
});

it('ends with its time, when it is revoked, with its user and with the secret', async () => {
  const late = await make('ann');
  clock.advance(day);
  expect(reasonOf(late)).toContain('has ended');
  const [revoked, kept] = [await make('ann', { id: 'one' }), await make('ann', { id: 'other' })];
  await identities.updateUser('ann', { token: { kind: 'removed', id: 'one' } });
  expect([reasonOf(revoked), reasonOf(kept)]).toEqual([expect.stringContaining('has ended'), 'good, of ann']);
  await identities.updateUser('ann', { enabled: false });
  expect(reasonOf(kept)).toContain('has ended with its user');
  await identities.updateUser('ann', { enabled: true });
  expect(reasonOf(kept)).toBe('good, of ann');
  const { secret } = identities.users.get('ann') ?? { secret: { keyId: '', box: '' } };
  await identities.updateUser('ann', { secret, resealed: true, secretWas: secret.box });
  expect(reasonOf(kept)).toBe('good, of ann');
  await identities.updateUser('ann', { secret });
  expect(reasonOf(kept)).toContain('has ended');
  expect(identities.users.get('ann')?.tokens).toBeUndefined();
  // A user of the same name is another one.
  const ofBefore = await make('ann');
  await identities.deleteUser('ann');
  identities.user('ann', 'again');
  expect(reasonOf(ofBefore)).toContain('has ended');
});

it('is made by no one who only says so', async () => {
  const token = await make('ann');
  const [head, payload = '', mac] = token.split('.');
  const said = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
  for (const other of [{ user: 'root' }, { id: 'id-2' }, { kind: 'bearer' }]) {
    const forged = Buffer.from(JSON.stringify({ ...said, ...other })).toString('base64url');
    expect(reasonOf([head, forged, mac].join('.'))).toContain('not of this cluster');
  }
});

it('bad ones are refused, and so are too many', async () => {
  await make('ann', { name: 'ci' });
  const bad: Partial<ApiToken>[] = [
    ...[{ id: 'a b' }, { name: '' }, { name: 'a\nb' }, { name: 'x'.repeat(65) }, { untilMs: 0 }, { untilMs: NaN }],
    { untilMs: clock.wallMs() + 400 * day },
    { scope: [may('*', ['all'], { decision: 'deny' })] },
    { scope: Array.from({ length: 65 }, () => may('*', ['get'])) },
    { scope: [may('*', ['fly' as Action])] },
  ];
  for (const over of bad) await expect(make('ann', over)).rejects.toEqual(refused('BAD_REQUEST'));
  await expect(make('ann', { name: 'ci' })).rejects.toEqual(refused('CONFLICT'));
  for (let i = 1; i < apiTokensMax; i += 1) await make('ann');
  await expect(make('ann')).rejects.toEqual(refused('CONFLICT'));
  const removal = { token: { kind: 'removed', id: 'nobody-s' } } as const;
  await expect(identities.updateUser('ann', removal)).rejects.toEqual(refused('NOT_FOUND'));
  clock.advance(day);
  await make('ann', { name: 'ci' }); // Those that have ended are out of the way.
  expect(identities.users.get('ann')?.tokens).toHaveLength(1);
});
