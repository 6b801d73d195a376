// Goal: messages are found over all broker sets, page by page and as a stream, and the chain names its broken link.
// Method: the real REST API over logs that say what they were told to.
import type { FoundMessage, LifeEvent, MessageContent } from '@cometmq/client';
import { someTraits } from '@cometmq/client/testing';
import { everything, type ConsumerGroup, type Topic } from '@cometmq/model';
import { systemClock, type Clock } from '@cometmq/shared';

import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

let fixture: AdminFixture;
let topic: Topic;
let group: ConsumerGroup;

beforeAll(async () => {
  fixture = await startAdminFixture();
});
afterAll(() => fixture.stop());
beforeEach(async () => {
  const { nameService, brokers, directory } = fixture;
  brokers.reset();
  const set = { epoch: 1, leader: 'a:1', leaderMember: 'a/1', inSync: ['a/1'], writable: true, registeredMs: 1 };
  nameService.reset(['broker-0', 'broker-1'].map((name) => ({ ...set, name })) as never);
  for (const name of ['broker-0', 'broker-1']) brokers.states.set(name, {});
  topic = await nameService.createTopic({ name: 'orders' });
  group = await nameService.createGroup({ name: 'billing' });
  await directory.until(() => directory.group('billing'), 60_000, 'the group');
});

function message(position: number, storedMs: number, more: Partial<FoundMessage> = {}): FoundMessage {
  return {
    ...{ topicId: topic.id, originTopicId: topic.id, queueId: 0 as never, offset: position as never },
    ...{ position: position as never, size: 100, storedMs, messageId: `m${storedMs}`, tag: 't', messageGroup: '' },
    ...{ keys: [], type: 1, bodyBytes: 3, dueMs: 0, liteTopic: '', cause: 0, attempts: 0 },
    ...more,
  };
}

interface Part {
  readonly items: readonly { readonly id: string; readonly messageId: string }[];
  readonly next?: string;
  readonly left: number;
  readonly missing: readonly unknown[];
}

async function get<T>(path: string): Promise<T> {
  const answer = await fetch(`${fixture.url}/api/v1/${path}`);
  return (await answer.json()) as T;
}

async function pages(query: string): Promise<string[]> {
  const found: string[] = [];
  for (let after = ''; ;) {
    const part = await get<Part>(`messages?${query}${after && `&after=${encodeURIComponent(after)}`}`);
    found.push(...part.items.map(({ messageId }) => messageId));
    if (part.next === undefined) return found;
    after = part.next;
  }
}

it('come newest first from all broker sets, each once, whatever the size of a page', async () => {
  const { inspect } = fixture.brokers;
  inspect.messages.set(
    'broker-0',
    [1, 2, 3, 4, 5].map((i) => message(i * 100, i * 2)),
  );
  inspect.messages.set(
    'broker-1',
    [1, 2, 3].map((i) => message(i * 50, i * 2 + 1)),
  );
  const expected = ['m10', 'm8', 'm7', 'm6', 'm5', 'm4', 'm3', 'm2'];
  for (const limit of [1, 2, 3, 100])
    expect([limit, await pages(`topic=orders&limit=${limit}`)]).toEqual([limit, expected]);
});

it('stream in, with how far the search is, and the stream says where it would go on', async () => {
  const { inspect } = fixture.brokers;
  inspect.partMax = 2;
  inspect.messages.set(
    'broker-0',
    [1, 2, 3, 4, 5].map((i) => message(i * 100, i, { tag: i === 2 ? 'rare' : 'common' })),
  );
  const answer = await fetch(`${fixture.url}/api/v1/messages/search?topic=orders&tag=rare`);
  expect(answer.headers.get('content-type')).toBe('text/event-stream');
  const events = [...(await answer.text()).matchAll(/^event: (\w+)\ndata: (.*)$/gm)].map(
    ([, event, data]) => [event, JSON.parse(data ?? '') as unknown] as const,
  );
  expect(events.map(([event]) => event)).toEqual(['progress', 'found', 'progress', 'progress', 'end']);
  expect(events[0]?.[1]).toMatchObject({ looked: 2, left: 3 });
  expect(events[3]?.[1]).toMatchObject({ looked: 5, left: 0 });
  expect(events[4]?.[1]).toEqual({});
  // Who breaks it off goes on from what it was told last.
  const { next } = events[0]?.[1] as { next: string };
  expect((await get<Part>(`messages?topic=orders&after=${next}`)).items.map(({ messageId }) => messageId)).toEqual([
    'm3',
    'm2',
  ]);
  expect(events[3]?.[1]).not.toHaveProperty('next');
});

it('one silent broker set hides nothing of the others, and is gone on with later', async () => {
  const { inspect, states } = fixture.brokers;
  inspect.messages.set('broker-0', [message(100, 1)]);
  inspect.messages.set('broker-1', [message(100, 2)]);
  states.delete('broker-1');
  const part = await get<Part>('messages?topic=orders');
  expect(part.items.map(({ messageId }) => messageId)).toEqual(['m1']);
  expect(part.missing).toHaveLength(1);
});

it.each([
  ['messages', 'BAD_REQUEST'],
  ['messages?topic=nothing', 'TOPIC_NOT_FOUND'],
  ['messages?topic=orders&value=x', 'BAD_REQUEST'],
  ['messages?topic=orders&after=%21', 'BAD_REQUEST'],
  ['messages?topic=orders&limit=100000', 'BAD_REQUEST'],
  ['messages/search?topic=nothing', 'TOPIC_NOT_FOUND'],
  ['messages/nonsense', 'BAD_REQUEST'],
  ['messages/broker-9~1~1', 'NOT_FOUND'],
  ['messages/broker-0~1~1', 'MESSAGE_NOT_FOUND'],
  ['messages/broker-0~1~1/why?group=nobody', 'CONSUMER_GROUP_NOT_FOUND'],
])('%s is answered %s', async (path, code) => {
  expect(await get(path)).toMatchObject({ code });
});

describe('a body', () => {
  const content = (body: Uint8Array, cut = false): MessageContent => ({
    ...{ message: message(100, 1), properties: new Map([['__proto__', '<script>']]), body, cut },
    ...{ bodyBytes: body.length, encoding: 'identity', bornHost: '', bornMs: 0, traceContext: '' },
  });
  it.each([
    ['text', Buffer.from('é<b>'), { text: 'é<b>' }],
    ['no UTF-8', Uint8Array.of(0xff, 0xfe), { base64: '//4=' }],
    ['control characters', Uint8Array.of(0x61, 0), { base64: 'YQA=' }],
  ])('that is %s is told so', async (_, body, expected) => {
    fixture.brokers.inspect.contents.set(100, content(body));
    expect(await get('messages/broker-0~100~100')).toMatchObject(expected);
  });
  it('that is cut within a character is still text', async () => {
    fixture.brokers.inspect.contents.set(100, content(Buffer.from('aé').subarray(0, 2), true));
    expect(await get('messages/broker-0~100~100')).toMatchObject({ text: 'a', cut: true });
  });
});

describe('why a message is not consumed', () => {
  const event = (kind: LifeEvent['kind'], more: Partial<LifeEvent> = {}): LifeEvent => ({
    ...{ atMs: 1, kind, position: 100 as never, groupId: 0 as never, clientId: '', attempt: 0, untilMs: 0, who: '' },
    ...{ topicId: topic.id, queueId: 0 as never, offset: 5 as never },
    ...more,
  });
  const far = 8e12;
  const member = (expression = '*') => ({
    ...{ clientId: 'c1', groupId: group.id, clientType: 3, language: 'JAVA', version: '5', streaming: true },
    subscriptions: [{ topicId: topic.id, filter: { ...everything, expression } }],
  });
  const stories: readonly (readonly [string, string, () => { events: LifeEvent[]; members?: unknown[] }])[] = [
    ['nobody consumes', 'subscription', () => ({ events: [event('stored')], members: [] })],
    ['no member wants it', 'filter', () => ({ events: [event('stored')], members: [member('other')] })],
    [
      'it is held',
      'inFlight',
      () => ({ events: [event('stored'), mine('delivered', { untilMs: far, clientId: 'c1' })] }),
    ],
    ['it failed and waits', 'inFlight', () => ({ events: [event('stored'), mine('timeChanged', { untilMs: far })] })],
    ['its turn has not come', 'delivered', () => ({ events: [event('stored')] })],
    ['it is a dead letter', 'alive', () => ({ events: [event('stored'), mine('deadLettered')] })],
    ['it was recalled', 'visible', () => ({ events: [event('pending'), event('dropped')] })],
    ['it has expired', 'visible', () => ({ events: [event('stored'), event('expired')] })],
    ['the group was moved', 'position', () => ({ events: [event('stored'), mine('moved', { offset: 9 as never })] })],
    ['it was consumed', 'consumed', () => ({ events: [event('stored'), mine('delivered'), mine('acknowledged')] })],
  ];
  const mine = (kind: LifeEvent['kind'], more: Partial<LifeEvent> = {}): LifeEvent =>
    event(kind, { groupId: group.id, position: 200 as never, ...more });

  it.each(stories)('%s', async (_, verdict, story) => {
    const { inspect, groups } = fixture.brokers;
    const { events, members = [member()] } = story();
    inspect.contents.set(100, {
      ...{ message: message(100, 1), properties: new Map(), body: new Uint8Array(0), cut: false, bodyBytes: 0 },
      ...{ encoding: 'identity', bornHost: '', bornMs: 0, traceContext: '' },
    });
    inspect.lives.set(100, { events, indexedTo: 1, cut: false });
    groups.set(group.id, { queues: [], sums: [], members: members as never });
    expect(await get('messages/broker-0~100~100/why?group=billing')).toMatchObject({ verdict });
  });
});

it('clients are told once, however many broker sets know them', async () => {
  const { inspect } = fixture.brokers;
  const traits = { language: 'JAVA', version: '5.0.7', streaming: true };
  const members = [{ ...traits, clientId: 'c1', groupId: group.id, clientType: 3, subscriptions: [] }];
  const producers = [{ ...traits, clientId: 'p1', topicIds: [topic.id] }];
  for (const set of ['broker-0', 'broker-1']) inspect.connected.set(set, { members, producers });
  expect(await get('clients')).toMatchObject({
    total: 2,
    items: [
      { clientId: 'c1', groups: [{ group: 'billing' }], brokerSets: ['broker-0', 'broker-1'] },
      { clientId: 'p1', producesTo: ['orders'] },
    ],
  });
});

it('clients that need a look are marked, and are listed alone where that is asked for', async () => {
  const { inspect } = fixture.brokers;
  const some = { ...someTraits, groupId: group.id };
  const wants = (expression: string) => [{ topicId: topic.id, filter: { type: 'tag' as const, expression } }];
  const refusal = { method: 'AckMessage', code: 'INVALID_RECEIPT_HANDLE', count: 7, agoMs: 5_000 };
  const older = { method: 'SendMessage', code: 'FORBIDDEN', count: 1, agoMs: 90_000 };
  const active = (idleMs: number, ...refusals: (typeof refusal)[]) => ({ activity: { idleMs, refusals } });
  const idler = { ...someTraits, clientId: 'idler', topicIds: [topic.id] };
  const ofFirst = [
    { ...some, clientId: 'a', ...active(5), subscriptions: wants('*') },
    { ...some, clientId: 'b', ...active(9, older, refusal), subscriptions: wants('paid') },
    { ...some, clientId: 'old', subscriptions: [] },
  ];
  inspect.connected.set('broker-0', { members: ofFirst, producers: [{ ...idler, ...active(600_000) }] });
  // It was told a moment earlier, when there had been fewer.
  const earlier = { ...some, clientId: 'b', ...active(7, { ...refusal, count: 3 }), subscriptions: wants('paid') };
  inspect.connected.set('broker-1', { members: [earlier], producers: [{ ...idler, ...active(599_999) }] });
  const { items } = await get<{ items: { clientId: string; idleMs?: number }[] }>('clients');
  expect(items).toMatchObject([
    { clientId: 'a', marks: ['otherFilter'], idleMs: 5, refusals: [] },
    { clientId: 'b', marks: ['refused', 'otherFilter'], idleMs: 7, refusals: [refusal, older] },
    { clientId: 'idler', marks: [], idleMs: 599_999, refusals: [] }, // One set has heard of it since.
    { clientId: 'old', marks: [], refusals: [] },
  ]);
  expect(items.at(-1)).not.toHaveProperty('idleMs');
  inspect.connected.delete('broker-1');
  const listed = async (mark: string): Promise<unknown> => {
    const page = await get<{ items: { clientId: string }[]; total: number }>(`clients?mark=${mark}`);
    return [page.total, ...page.items.map(({ clientId }) => clientId)];
  };
  expect(await listed('idle')).toEqual([1, 'idler']);
  expect(await listed('refused')).toEqual([1, 'b']);
  expect(await listed('otherFilter')).toEqual([2, 'a', 'b']);
  expect((await fetch(`${fixture.url}/api/v1/clients?mark=odd`)).status).toBe(400);
});

it('an id in any of many topics is looked for a part at a time, and what has no end in time says where it goes on', async () => {
  let aheadMs = 0;
  const clock = Object.assign(Object.create(systemClock) as Clock, {
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
  });
  const slow = await startAdminFixture({ clock });
  try {
    const { nameService, brokers, directory } = slow;
    for (let n = 0; n < 40; n += 1) topic = await nameService.createTopic({ name: `topic-${n}` });
    await directory.until(() => directory.topic('topic-39'), 60_000, 'the topics');
    const [{ name: set } = { name: '' }] = [...directory.brokerSets()];
    brokers.inspect.messages.set(set, [message(1, 1)]);
    brokers.inspect.before = async () => void (aheadMs += 100);
    const asked: number[] = [];
    const found: string[] = [];
    for (let after = ''; ;) {
      const before = brokers.inspect.queries.length;
      const answer = await fetch(`${slow.url}/api/v1/messages?id=m1${after && `&after=${encodeURIComponent(after)}`}`);
      const part = (await answer.json()) as Part;
      asked.push(brokers.inspect.queries.length - before);
      found.push(...part.items.map(({ messageId }) => messageId));
      if (part.next === undefined) break;
      after = part.next;
    }
    expect([found, asked.reduce((sum, n) => sum + n, 0)]).toEqual([['m1'], 40]);
    expect(asked.length).toBeGreaterThan(1);
    expect((await fetch(`${slow.url}/api/v1/messages?id=m1&after=broker-0~5`)).status).toBe(400);
  } finally {
    await slow.stop();
  }
}, 60_000);
