// Goal: dead letters are listed and counted by reason, age and topic, replayed one, many and at a rate, edited and exported;
// what was replayed is known and not replayed again by an order. Method: the real API over brokers that say what they are told.
import type { FoundMessage } from '@cometmq/client';
import { deadLetterCause, type ConsumerGroup, type Topic } from '@cometmq/model';

import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

let fixture: AdminFixture;
let letters: Topic;
let orders: Topic;
let group: ConsumerGroup;
const hourMs = 3_600_000;

beforeAll(async () => (fixture = await startAdminFixture()));
afterAll(() => fixture.stop());
beforeEach(async () => {
  const { nameService, brokers, directory } = fixture;
  brokers.reset();
  const set = { epoch: 1, leader: 'a:1', leaderMember: 'a/1', inSync: ['a/1'], writable: true, registeredMs: 1 };
  nameService.reset(['broker-0', 'broker-1'].map((name) => ({ ...set, name })) as never);
  for (const name of ['broker-0', 'broker-1']) brokers.states.set(name, {});
  orders = await nameService.createTopic({ name: 'orders' });
  group = await nameService.createGroup({ name: 'billing' });
  letters = await nameService.ensureInnerTopic('%DLQ%billing');
  await directory.until(() => directory.topic('%DLQ%billing'), 60_000, 'the topic');
});

function letter(position: number, storedMs: number, more: Partial<FoundMessage> = {}): FoundMessage {
  return {
    ...{ topicId: letters.id, originTopicId: orders.id, queueId: 0 as never, offset: position as never },
    ...{ position: position as never, size: 100, storedMs, messageId: `m${position}`, tag: 't', messageGroup: '' },
    ...{ keys: [], type: 1, bodyBytes: 3, dueMs: 0, liteTopic: '', cause: deadLetterCause.attemptsUsed, attempts: 16 },
    ...more,
  };
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
  const answer = await fetch(`${fixture.url}/api/v1/dead-letters${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await answer.text();
  const isJson = answer.headers.get('content-type')?.includes('json') === true && !path.endsWith('/export');
  return { status: answer.status, body: (isJson ? JSON.parse(text) : text) as T };
}
interface Part {
  readonly items: readonly { readonly id: string; readonly messageId: string; readonly replayed?: object }[];
  readonly next?: string;
}

function someLetters(): void {
  const nowMs = Date.now();
  const { givenUp } = deadLetterCause;
  fixture.brokers.inspect.messages.set('broker-0', [
    letter(10, nowMs - 3 * hourMs),
    letter(20, nowMs - 60_000, { cause: givenUp, attempts: 2 }),
  ]);
  fixture.brokers.inspect.messages.set('broker-1', [letter(10, nowMs - 30 * hourMs)]);
}

it('are listed by reason, with what was done about them', async () => {
  someLetters();
  fixture.brokers.deadLetters.done.set('broker-0', [
    { atMs: 5, replayId: 'r', who: 'ada', mode: 'toGroup', letters: [20 as never] },
  ]);
  const all = await ask<Part>('GET', '/billing');
  expect(all.body.items).toMatchObject([
    { messageId: 'm20', cause: 'givenUp', attempts: 2, originTopic: 'orders', replayed: { who: 'ada', atMs: 5 } },
    { messageId: 'm10', brokerSet: 'broker-0', cause: 'attemptsUsed', attempts: 16 },
    { messageId: 'm10', brokerSet: 'broker-1' },
  ]);
  expect(all.body.items[1]).not.toHaveProperty('replayed');
  const ids = async (query: string): Promise<string[]> =>
    (await ask<Part>('GET', `/billing?${query}`)).body.items.map(({ messageId }) => messageId);
  expect(await ids('cause=givenUp')).toEqual(['m20']);
  expect(await ids('replayed=false')).toEqual(['m10', 'm10']);
  expect(await ids('originTopic=others')).toEqual([]);
  expect((await ask('GET', '/billing?cause=bored')).status).toBe(400);
  expect((await ask('GET', '/nobody')).status).toBe(404);
});

it('are counted by reason, age and topic', async () => {
  someLetters();
  expect((await ask('GET', '/billing/counts')).body).toMatchObject({
    ...{ counted: 3, complete: true, replayed: 0 },
    byCause: [
      { cause: 'attemptsUsed', messages: 2 },
      { cause: 'givenUp', messages: 1 },
    ],
    byAge: [
      { ageMs: hourMs, messages: 1 },
      { ageMs: 24 * hourMs, messages: 1 },
      { ageMs: 7 * 24 * hourMs, messages: 1 },
      { ageMs: 0, messages: 0 },
    ],
    byTopic: [{ topic: 'orders', messages: 3 }],
  });
});

it('that are chosen are replayed, and each is answered for', async () => {
  someLetters();
  const { deadLetters } = fixture.brokers;
  deadLetters.outcomes.set(20, 'gone');
  const { items } = (await ask<Part>('GET', '/billing')).body;
  const ids = items.map(({ id }) => id);
  const answer = await ask<{ items: { id: string; outcome: string }[] }>('POST', '/billing/replay', { ids });
  expect(answer.body.items).toEqual(ids.map((id, i) => ({ id, outcome: i === 0 ? 'gone' : 'replayed' })));
  expect(
    deadLetters.asked.map(({ brokerSet, places, groupId, who }) => [brokerSet, places.length, groupId, who]),
  ).toEqual([
    ['broker-0', 2, group.id, '127.0.0.1'],
    ['broker-1', 1, group.id, '127.0.0.1'],
  ]);
  expect((await ask('POST', '/billing/replay', { ids: [] })).status).toBe(400);
  expect((await ask('POST', '/billing/replay', { ids: ['strange'] })).status).toBe(400);
});

it('is sent again with what was edited, and nothing else', async () => {
  someLetters();
  const { items } = (await ask<Part>('GET', '/billing')).body;
  const id = items[0]!.id;
  const sent = await ask('POST', '/billing/resend', { id, text: 'ü', tag: '', properties: { a: 'b' } });
  expect(sent).toMatchObject({ status: 200, body: { messageId: 'NEW', offset: 7 } });
  const { resent } = fixture.brokers.deadLetters;
  expect(resent).toEqual([
    {
      ...{ groupId: group.id, replayId: expect.any(String), who: '127.0.0.1', place: { position: 20, size: 100 } },
      ...{ body: Buffer.from('ü'), tag: '', properties: new Map([['a', 'b']]) },
    },
  ]);
  expect((await ask('POST', '/billing/resend', { id, text: 'a', base64: 'YQ==' })).status).toBe(400);
  expect((await ask('POST', '/billing/resend', { id, base64: 'Y!' })).status).toBe(400);
  expect(resent).toHaveLength(1);
});

it.each([
  ['an empty body', { text: '' }, 'MESSAGE_BODY_EMPTY', 400],
  ['a body of more bytes than a message may have', { text: '€'.repeat(2 ** 21) }, 'MESSAGE_TOO_LARGE', 413],
  ['a tag that joins tags', { tag: 'a|b' }, 'ILLEGAL_MESSAGE_TAG', 400],
  ['a tag of white space', { tag: ' ' }, 'ILLEGAL_MESSAGE_TAG', 400],
  ['a key with a control character', { keys: ['a\nb'] }, 'ILLEGAL_MESSAGE_KEY', 400],
  ['a key of half a character', { keys: ['\ud800'] }, 'ILLEGAL_MESSAGE_KEY', 400],
  ['a reserved property', { properties: { KEYS: 'x' } }, 'ILLEGAL_MESSAGE_PROPERTY_KEY', 400],
  ['a property with a control character', { properties: { a: '\u0000' } }, 'ILLEGAL_MESSAGE_PROPERTY_KEY', 400],
  [
    'too many properties',
    { properties: Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`p${i}`, 'v'])) },
    'MESSAGE_PROPERTIES_TOO_LARGE',
    413,
  ],
  ['properties that are too large', { properties: { a: 'x'.repeat(20_000) } }, 'MESSAGE_PROPERTIES_TOO_LARGE', 413],
])('is not sent again with %s', async (_what, edited, code, status) => {
  someLetters();
  const { items } = (await ask<Part>('GET', '/billing')).body;
  const answer = await ask('POST', '/billing/resend', { id: items[0]!.id, ...edited });
  expect(answer).toMatchObject({ status, body: { code } });
  expect(fixture.brokers.deadLetters.resent).toEqual([]);
});

describe('an order to replay', () => {
  interface Replay {
    readonly id: string;
    readonly state: string;
    readonly replayed: number;
    readonly resent: number;
    readonly left: Readonly<Record<string, number>>;
  }
  async function over(): Promise<Replay> {
    for (;;) {
      const [newest] = (await ask<{ items: Replay[] }>('GET', '/billing/replays')).body.items;
      if (newest && newest.state !== 'running') return newest;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  it('takes what matches and was not replayed, and says what is left and why', async () => {
    const { inspect, deadLetters } = fixture.brokers;
    const many = Array.from({ length: 500 }, (_, i) => letter(10 + i, 1_000 + i));
    inspect.messages.set('broker-0', many);
    deadLetters.done.set('broker-0', [
      { atMs: 5, replayId: 'r', who: 'ada', mode: 'toGroup', letters: [10, 11, 12].map((offset) => offset as never) },
    ]);
    deadLetters.outcomes.set(100, 'gone').set(101, 'open');
    const started = await ask<Replay>('POST', '/billing/replays', { perSecond: 10_000 });
    expect(started).toMatchObject({ status: 202, body: { state: 'running', who: '127.0.0.1' } });
    expect(await over()).toMatchObject({ state: 'done', replayed: 495, resent: 0, left: { gone: 1, open: 1 } });
    const asked = deadLetters.asked.flatMap(({ places }) => places.map(({ position }) => position));
    expect([...asked].sort((a, b) => a - b)).toEqual(many.slice(3).map(({ position }) => position));
    expect(new Set(deadLetters.asked.map(({ replayId }) => replayId))).toEqual(new Set([started.body.id]));
  });

  it('sends to the topic what its group alone can not get, where it is told to', async () => {
    const { inspect, deadLetters } = fixture.brokers;
    inspect.messages.set('broker-0', [letter(10, 1), letter(11, 2), letter(12, 3)]);
    deadLetters.outcomes.set(10, 'gone').set(11, 'orderly');
    await ask('POST', '/billing/replays', { perSecond: 1_000, toTopic: true });
    expect(await over()).toMatchObject({ state: 'done', replayed: 1, resent: 2, left: {} });
  });

  it('is one at a time, keeps to its rate, and can be stopped', async () => {
    const { inspect, deadLetters } = fixture.brokers;
    inspect.messages.set(
      'broker-0',
      Array.from({ length: 50 }, (_, i) => letter(10 + i, 1_000 + i)),
    );
    const { id } = (await ask<Replay>('POST', '/billing/replays', { perSecond: 1 })).body;
    expect((await ask('POST', '/billing/replays', { perSecond: 1 })).status).toBe(409);
    expect((await ask('DELETE', '/billing/replays/other')).status).toBe(404);
    expect((await ask('DELETE', `/billing/replays/${id}`)).status).toBe(204);
    expect((await over()).state).toBe('stopped');
    expect(deadLetters.asked.length).toBeLessThan(50);
  });

  it('is refused while a broker does not say what was replayed, and fails when it goes away', async () => {
    someLetters();
    fixture.brokers.states.delete('broker-1');
    const refused = await ask<{ detail: string }>('POST', '/billing/replays', { perSecond: 1 });
    expect(refused).toMatchObject({ status: 503, body: { detail: expect.stringContaining('broker-1') } });
    expect(fixture.brokers.deadLetters.asked).toEqual([]);
    fixture.brokers.states.set('broker-1', {});
    await ask('POST', '/billing/replays', { perSecond: 1 });
    fixture.brokers.states.delete('broker-1');
    expect(await over()).toMatchObject({ state: 'failed', detail: expect.stringContaining('broker-1') });
  });

  it('does not wait for a broker set that was removed and stopped', async () => {
    someLetters();
    fixture.brokers.states.delete('broker-1');
    fixture.nameService.putSet({ name: 'broker-1', stage: 'gone', leader: 'b:1' }); // As its last leader is known still.
    expect((await ask('POST', '/billing/replays', { perSecond: 50 })).status).toBe(202);
    expect(await over()).toMatchObject({ state: 'done', replayed: 2 });
  });
});

it('are exported, a line each, with their bodies', async () => {
  someLetters();
  for (const found of fixture.brokers.inspect.messages.get('broker-0') ?? []) {
    fixture.brokers.inspect.contents.set(found.position, {
      ...{ message: found, properties: new Map([['p', 'v']]), body: Buffer.from([0xff, 0]), cut: false, bodyBytes: 2 },
      ...{ encoding: 'identity', bornHost: 'h', bornMs: 1, traceContext: '' },
    });
  }
  const { body } = await ask<string>('GET', '/billing/export');
  const found = body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { messageId: string; base64: string });
  expect(found.map(({ messageId, base64 }) => [messageId, base64])).toEqual([
    ['m20', '/wA='],
    ['m10', '/wA='],
    ['m10', '/wA='], // The other set's, which stands at the same position.
  ]);
});
