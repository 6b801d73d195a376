// Goal: a replay that goes on by itself ends when its user may order it no more, and not before; the audit log tells how it
// ended. Method: the real API over brokers that say what they are told, and an order that would take minutes.
import { resourceIn } from '@cometmq/auth';
import { FakeIdentities } from '@cometmq/auth/testing';

import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

let identities: FakeIdentities;
let fixture: AdminFixture;

beforeEach(async () => {
  identities = new FakeIdentities();
  fixture = await startAdminFixture({ identities });
  const { nameService, brokers, directory } = fixture;
  identities.user('root', 'root-secret', { kind: 'super' });
  identities.user('ann', 'ann-secret');
  mayReplay();
  await nameService.createTopic({ name: 'orders' });
  await nameService.createGroup({ name: 'billing' });
  const letters = await nameService.ensureInnerTopic('%DLQ%billing');
  await directory.until(() => directory.topic('%DLQ%billing'), 60_000, 'the topic');
  const many = Array.from({ length: 100 }, (_, i) => ({
    ...{ topicId: letters.id, originTopicId: letters.id, queueId: 0 as never, offset: i as never },
    ...{
      position: i as never,
      size: 100,
      storedMs: 1_000 + i,
      messageId: `m${i}`,
      tag: '',
      messageGroup: '',
      keys: [],
    },
    ...{ type: 1, bodyBytes: 3, dueMs: 0, liteTopic: '', cause: 1, attempts: 16 },
  }));
  brokers.inspect.messages.set('broker-0', many);
});
afterEach(() => fixture.stop());

function mayReplay(): void {
  identities.allow('ann', {
    ...{ policy: 'custom', resource: resourceIn('Group:billing'), actions: ['update'], sourceIps: [] },
    decision: 'allow',
  });
}

async function ask<T>(method: string, path: string, headers: Record<string, string>, body?: object): Promise<T> {
  const response = await fetch(`${fixture.url}/api/v1${path}`, {
    method,
    headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return (text === '' ? {} : JSON.parse(text)) as T;
}

async function bearer(user: string): Promise<Record<string, string>> {
  const { token } = await ask<{ token: string }>('POST', '/login', {}, { user, secret: `${user}-secret` });
  return { authorization: `Bearer ${token}` };
}

interface Replay {
  readonly state: string;
  readonly replayed: number;
  readonly detail?: string;
}

async function until(root: Record<string, string>, holds: (replay: Replay) => boolean): Promise<Replay> {
  for (;;) {
    const [newest] = (await ask<{ items: Replay[] }>('GET', '/dead-letters/billing/replays', root)).items;
    if (newest && holds(newest)) return newest;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const ends: [string, () => unknown][] = [
  ['is disabled', () => identities.user('ann', 'ann-secret', { enabled: false })],
  ['is deleted', () => identities.deleteUser('ann')],
  ['gets another secret', () => identities.user('ann', 'another-secret', { secretVersion: 2 })],
  ['may do it no more', () => identities.allow('ann')],
];

it.each(ends)('a replay ends when its user %s, and the audit log says so', async (_, end) => {
  const root = await bearer('root');
  await ask('POST', '/dead-letters/billing/replays', await bearer('ann'), { perSecond: 5 });
  await until(root, ({ replayed }) => replayed > 0);
  await end();
  const ended = await until(root, ({ state }) => state !== 'running');
  expect(ended).toMatchObject({ state: 'failed', detail: expect.any(String) });
  expect(ended.replayed).toBeLessThan(100);
  const { items } = await ask<{ items: object[] }>('GET', '/audit?operation=startReplay', root);
  expect(items).toMatchObject([
    { user: 'ann', how: 'order', decision: 'failed', reason: ended.detail, after: { replayed: ended.replayed } },
    { user: 'ann', how: 'token', decision: 'done', status: 202 },
  ]);
});

describe('a replay that a program ordered', () => {
  const ordered = async (): Promise<{ readonly root: Record<string, string>; readonly id: string }> => {
    const root = await bearer('root');
    const draft = { name: 'ci', policies: [{ resource: 'Group:billing', actions: ['update'] }] };
    const { id, token } = await ask<{ id: string; token: string }>('POST', '/users/ann/tokens', root, draft);
    const program = { authorization: `Bearer ${token}` };
    await ask('POST', '/dead-letters/billing/replays', program, { perSecond: 50 });
    await until(root, ({ replayed }) => replayed > 0);
    return { root, id };
  };

  it('ends when its token is revoked', async () => {
    const { root, id } = await ordered();
    await ask('DELETE', `/users/ann/tokens/${id}`, root);
    const ended = await until(root, ({ state }) => state !== 'running');
    expect(ended).toMatchObject({ state: 'failed', detail: expect.stringContaining('ci was revoked') });
    expect(ended.replayed).toBeLessThan(100);
  });

  it('goes on when another token is', async () => {
    const root = await bearer('root');
    const other = await ask<{ id: string }>('POST', '/users/ann/tokens', root, { name: 'other' });
    await ordered();
    await ask('DELETE', `/users/ann/tokens/${other.id}`, root);
    expect(await until(root, ({ state }) => state !== 'running')).toMatchObject({ state: 'done', replayed: 100 });
  });
});

it('a replay outlives the session it was ordered in, and a change of policies that leaves it', async () => {
  const root = await bearer('root');
  const begun = await fetch(`${fixture.url}/api/v1/session`, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
    body: JSON.stringify({ user: 'ann', secret: 'ann-secret' }),
  });
  const { csrfToken } = (await begun.json()) as { csrfToken: string };
  const session = { cookie: begun.headers.getSetCookie()[0]?.split(';')[0] ?? '', 'x-csrf-token': csrfToken };
  await ask('POST', '/dead-letters/billing/replays', session, { perSecond: 50 });
  await until(root, ({ replayed }) => replayed > 0);
  await ask('DELETE', '/session', session);
  mayReplay();
  expect(await until(root, ({ state }) => state !== 'running')).toMatchObject({ state: 'done', replayed: 100 });
});
