// Goal: what a topic's mask hides is seen by who may consume the topic, and nobody else finds out what it is.
// Method: the real REST API over logs that say what they were told to, asked by users of each kind.
import type { FoundMessage, MessageContent } from '@cometmq/client';
import { resourceIn } from '@cometmq/auth';
import { FakeIdentities } from '@cometmq/auth/testing';
import type { Action, PolicyEntry, Topic } from '@cometmq/model';

import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

const identities = new FakeIdentities();
let fixture: AdminFixture;
const topics = new Map<string, Topic>();
const cleanup: (() => Promise<void>)[] = [];

const allow = (resource: string, ...actions: Action[]): PolicyEntry => ({
  ...{ policy: 'custom', resource: resourceIn(resource), actions, sourceIps: [], decision: 'allow' },
});
const looks = [allow('Topic:*', 'get', 'list'), allow('Cluster:*', 'get', 'update'), allow('Group:*', 'get')];
const plain = '{"card":{"number":"4111","kind":"visa"}}';

function put(position: number, topic: string, origin: string, body = plain): string {
  const topicId = topics.get(topic)?.id ?? (999 as never);
  const message: FoundMessage = {
    ...{ topicId, originTopicId: topics.get(origin)?.id ?? (998 as never), queueId: 0 as never },
    ...{
      offset: position as never,
      position: position as never,
      size: 100,
      storedMs: position,
      messageId: `m${position}`,
    },
    ...{ tag: '', messageGroup: '', keys: [], type: 1, bodyBytes: body.length, dueMs: 0, liteTopic: '' },
    ...{ cause: 0, attempts: 0 },
  };
  const { inspect } = fixture.brokers;
  inspect.messages.set('broker-0', [...(inspect.messages.get('broker-0') ?? []), message]);
  const content: MessageContent = {
    ...{ message, properties: new Map(), body: Buffer.from(body), cut: false, bodyBytes: body.length },
    ...{ encoding: 'identity', bornHost: '', bornMs: 0, traceContext: '' },
  };
  inspect.contents.set(position, content);
  return `broker-0~${position}~100`;
}

beforeAll(async () => {
  fixture = await startAdminFixture({ identities });
  cleanup.push(() => fixture.stop());
  const { nameService, directory } = fixture;
  for (const [name, bodyMask] of [
    ['open', undefined],
    ['closed', '*'],
    ['cards', 'card.number'],
    ['%DLQ%billing', undefined],
  ] as const) {
    const made = name.startsWith('%')
      ? nameService.ensureInnerTopic(name)
      : nameService.createTopic({ name, bodyMask });
    topics.set(name, await made);
  }
  await nameService.createGroup({ name: 'billing' });
  await directory.until(() => directory.group('billing'), 10_000, 'the group');
  identities.user('root', 'root-secret', { kind: 'super' });
  identities.user('viewer', 'viewer-secret');
  identities.allow('viewer', ...looks, allow('Topic:*', 'update'));
  identities.user('reader', 'reader-secret');
  identities.allow('reader', ...looks, allow('Topic:closed', 'sub'), allow('Topic:cards', 'sub', 'update'));
  identities.user('letters', 'letters-secret');
  identities.allow('letters', ...looks, allow('Topic:%DLQ%billing', 'sub'));
});
afterAll(async () => {
  for (const end of cleanup) await end();
});
beforeEach(() => fixture.brokers.inspect.reset());

async function ask(user: string, path: string, method = 'GET', body?: object) {
  const login = await fetch(`${fixture.url}/api/v1/login`, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
    body: JSON.stringify({ user, secret: `${user}-secret` }),
  });
  const { token } = (await login.json()) as { token: string };
  const answer = await fetch(`${fixture.url}/api/v1${path}`, {
    ...{ method, headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) } },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  const lines = text.split('\n').filter((line) => line !== '');
  return { status: answer.status, text, lines, body: (text.startsWith('{') ? JSON.parse(lines[0] ?? '') : {}) as Body };
}
interface Body {
  readonly text?: string;
  readonly base64?: string;
  readonly masked?: string;
  readonly items?: readonly { readonly given?: number; readonly masked?: number }[];
}

const seen = async (user: string, id: string, query = ''): Promise<string> => {
  const { status, body } = await ask(user, `/messages/${id}${query}`);
  expect({ user, id, status }).toEqual({ user, id, status: 200 });
  return `${body.text ?? body.base64 ?? 'nothing'}${body.masked === undefined ? '' : ` but ${body.masked}`}`;
};

const left = '{"card":{"number":"***","kind":"visa"}}';

it('a body is shown as the mask says, and whole to who may consume the topic', async () => {
  const ids = {
    open: put(100, 'open', 'open'),
    closed: put(200, 'closed', 'closed'),
    cards: put(300, 'cards', 'cards'),
  };
  for (const user of ['viewer', 'letters']) {
    expect(await seen(user, ids.open)).toBe(plain);
    expect(await seen(user, ids.closed)).toBe('nothing but *');
    expect(await seen(user, ids.cards)).toBe(`${left} but card.number`);
  }
  for (const user of ['root', 'reader']) {
    for (const id of Object.values(ids)) expect(await seen(user, id)).toBe(plain);
  }
  const noted = await ask('root', '/audit?operation=describeMessage&user=viewer');
  expect(noted.body.items).toMatchObject([{ given: 1, masked: 1 }, { given: 1, masked: 1 }, { given: 1 }]);
});

it('a part of a body is a part of what the mask leaves', async () => {
  const id = put(100, 'cards', 'cards');
  const { inspect } = fixture.brokers;
  const whole = inspect.contents.get(100) as MessageContent;
  const read = inspect.readMessage.bind(inspect);
  inspect.readMessage = async (_set, _place, bytes = 0) => {
    const body = whole.body.subarray(0, bytes);
    return { ...whole, body, cut: body.length < whole.body.length };
  };
  try {
    expect(await seen('viewer', id, '?bytes=20')).toBe(`${left.slice(0, 20)} but card.number`);
    expect(await seen('viewer', id, '?bytes=0')).toBe(' but card.number');
  } finally {
    inspect.readMessage = read;
  }
});

it('of a dead letter, who may consume where it came from or where it is sees the whole', async () => {
  const id = put(100, '%DLQ%billing', 'closed');
  expect(await seen('viewer', id)).toBe('nothing but *');
  for (const user of ['reader', 'letters', 'root']) expect(await seen(user, id)).toBe(plain);
  const exported = await ask('viewer', '/dead-letters/billing/export');
  expect(exported.text).not.toContain('4111');
  expect(exported.lines.map((line) => JSON.parse(line) as Body)).toMatchObject([{ masked: '*' }]);
  expect((await ask('letters', '/dead-letters/billing/export')).text).toContain('4111');
});

it('what was deleted is hidden: nobody knows what its mask was', async () => {
  const letter = put(100, '%DLQ%billing', 'gone');
  const message = put(200, 'gone', 'gone');
  expect(await seen('viewer', letter)).toBe('nothing but *');
  expect(await seen('viewer', message)).toBe('nothing but *');
  expect(await seen('letters', letter)).toBe(plain);
  expect(await seen('root', message)).toBe(plain);
});

it('nobody searches for a text in what is hidden', async () => {
  for (const [i, topic] of ['open', 'closed', 'cards'].entries()) put(100 + i, topic, topic);
  put(200, '%DLQ%billing', 'closed');
  for (const search of ['/messages', '/messages/search']) {
    const asked = async (user: string, topic: string): Promise<number> =>
      (await ask(user, `${search}?${new URLSearchParams({ topic, text: '4111' }).toString()}`)).status;
    for (const topic of ['closed', 'cards', '%DLQ%billing']) {
      expect([search, topic, await asked('viewer', topic)]).toEqual([search, topic, 403]);
      expect([search, topic, await asked('root', topic)]).toEqual([search, topic, 200]);
    }
    expect([
      await asked('viewer', 'open'),
      await asked('reader', 'cards'),
      await asked('letters', '%DLQ%billing'),
    ]).toEqual([200, 200, 200]);
    fixture.brokers.inspect.queries.length = 0;
    expect((await ask('viewer', `${search}?id=m1&text=4111`)).status).toBe(200);
    const looked = fixture.brokers.inspect.queries.map(({ topicId }) => topicId);
    expect(new Set(looked)).toEqual(new Set([topics.get('open')?.id]));
  }
});

it('a mask is changed by those alone who may see what it hides', async () => {
  for (const bodyMask of ['', 'card', undefined, null]) {
    const { status } = await ask('viewer', '/topics/cards', 'PATCH', { bodyMask, writeQueues: 8 });
    expect({ bodyMask, status }).toEqual({ bodyMask, status: bodyMask === undefined ? 200 : 403 });
  }
  expect(await ask('reader', '/topics/cards', 'PATCH', { bodyMask: 'card.' })).toMatchObject({ status: 400 });
  expect(await ask('reader', '/topics/cards', 'PATCH', { bodyMask: 'card' })).toMatchObject({ status: 200 });
  expect(await seen('viewer', put(100, 'cards', 'cards'))).toBe('{"card":"***"} but card');
  expect(await ask('reader', '/topics/cards', 'PATCH', { bodyMask: '' })).toMatchObject({ status: 200 });
  expect(await seen('viewer', put(200, 'cards', 'cards'))).toBe(plain);
});
