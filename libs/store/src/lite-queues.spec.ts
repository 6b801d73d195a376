import { encodeLiteQueuesGone, RecordKind, type LogPosition, type QueueId, type TopicId } from '@cometmq/model';

import { committed, idsOf, openStore, send } from './store-harness.js';
import { MemoryCheckpointStore } from './views/memory-checkpoint-store.js';

const topicId = 1 as TopicId;
const queueId = (id: number): QueueId => id as QueueId;

function goneOf(store: Awaited<ReturnType<typeof openStore>>['store'], ...queues: number[]) {
  const gone = queues.map((queue) => {
    const { messages, bytes } = store.queueSize(topicId, queueId(queue)) ?? { messages: 0, bytes: 0 };
    return { topicId, queueId: queueId(queue), messages, bytes };
  });
  return { kind: RecordKind.liteTopicsDeleted, payload: encodeLiteQueuesGone(gone) };
}

describe('queues of lite topics', () => {
  it('go one by one, with all they held, and stay gone', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk } = await openStore({ checkpoints });
    for (let i = 0; i < 30; i += 1) send(store, { topic: 1, queue: 100 + (i % 3), id: `m${10 + i}`, timestampMs: 1 });
    await committed(store);
    const before = store.topicSize(topicId);
    expect(store.queueSize(topicId, queueId(101))).toMatchObject({ messages: 10, bytes: before.bytes / 3 });
    store.deleteLiteQueues(goneOf(store, 100, 102), 2);
    await committed(store);
    const check = async (now: typeof store): Promise<void> => {
      expect(now.queueSize(topicId, queueId(100))).toBeUndefined();
      expect([await idsOf(now, 1, 100), await idsOf(now, 1, 102)]).toEqual([[], []]);
      expect((await idsOf(now, 1, 101)).length).toBe(10);
      expect(now.topicSize(topicId)).toEqual({ messages: 10, bytes: before.bytes / 3 });
      expect(now.sizes.queues).toBe(1);
    };
    await check(store);
    await store.stop();
    const again = await openStore({ checkpoints, disk });
    await check(again.store);
    await again.store.stop();
  });

  it('that go before their messages are committed show nothing to whoever gets their place', async () => {
    const { store } = await openStore();
    const told: string[] = [];
    store.onArrival((topic, queue) => told.push(`${topic}/${queue}`));
    send(store, { topic: 1, queue: 100, id: 'gone', timestampMs: 1 });
    store.deleteLiteQueues(goneOf(store, 100), 1);
    send(store, { topic: 2, queue: 7, id: 'new', timestampMs: 1 });
    await committed(store);
    expect(told).toEqual(['2/7']);
    expect(store.bounds(2 as TopicId, queueId(7)).committed).toBe(1);
    await store.stop();
  });

  it('give their segments back', async () => {
    const { store } = await openStore();
    for (let i = 0; i < 200; i += 1)
      send(store, { topic: 1, queue: 100 + (i % 5), id: `m${i}`, timestampMs: 1, bodyBytes: 200 });
    await committed(store);
    await store.idle();
    const policy = () => ({ ms: 1_000_000 });
    await store.retention.run(10, policy);
    const segments = store.sizes.segments;
    expect(segments).toBeGreaterThan(2);
    store.deleteLiteQueues(goneOf(store, 100, 101, 102, 103, 104), 20);
    await committed(store);
    await store.retention.run(30, policy);
    expect(store.sizes.segments).toBeLessThan(segments);
    expect(store.topicSize(topicId)).toEqual({ messages: 0, bytes: 0 });
    await store.stop();
  });
});

it('finds the position before which everything is older than a time, to a second', async () => {
  const { store } = await openStore();
  const sent: { position: LogPosition; timestampMs: number }[] = [];
  for (let i = 0; i < 300; i += 1) {
    const timestampMs = 10_000 + i * 400;
    sent.push({ ...send(store, { topic: 1, queue: 0, id: `m${i}`, timestampMs, bodyBytes: 60 }), timestampMs });
    if (i % 20 === 0) await committed(store);
  }
  await committed(store);
  await store.idle();
  for (let timeMs = 0; timeMs < 150_000; timeMs += 700) {
    const position = await store.positionAtTime(timeMs);
    for (const message of sent) {
      if (message.position < position) expect(message.timestampMs).toBeLessThan(timeMs);
      else expect(message.timestampMs).toBeGreaterThan(timeMs - 2_000);
    }
  }
  await store.stop();
});
