import type { QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { RecordKind } from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { ManualClock, seeds } from '@cometmq/shared/testing';

import { MemoryDisk, systemError } from './disk/memory-disk.js';
import type { MessageStore } from './message-store.js';
import { committed, idsOf, openStore, readQueue, refer, send } from './store-harness.js';
import { MemoryCheckpointStore } from './views/memory-checkpoint-store.js';

const hour = 3_600_000;
const day = 24 * hour;
const bounds = (store: MessageStore, topic: number, queue = 0) => store.bounds(topic as TopicId, queue as QueueId);

async function fill(store: MessageStore, topic: number, count: number, startMs: number, stepMs: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    send(store, { topic, queue: 0, id: `${topic}-${i}`, timestampMs: startMs + i * stepMs, bodyBytes: 100 });
  }
  await committed(store);
  await store.idle();
}

describe('retention', () => {
  it('keeps one topic an hour and another a week, and frees only whole dead segments', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk, clock } = await openStore({ checkpoints });
    const t0 = clock.wallMs();
    const policy = (topic: TopicId) => ({ ms: (topic as number) === 1 ? hour : 7 * day });
    await fill(store, 1, 100, t0, 1000); // Its own segments…
    await fill(store, 2, 5, t0 + 100_000, 1000); // …but for these, in the last of them.
    const before = store.sizes;
    await store.retention.run(t0 + hour / 2, policy);
    expect(bounds(store, 1)).toMatchObject({ first: 0, everExpired: false });
    expect(store.sizes.segments).toBe(before.segments);

    await store.retention.run(t0 + hour + 50_000, policy);
    const { first } = bounds(store, 1);
    expect(first).toBeGreaterThanOrEqual(49);
    expect(first).toBeLessThanOrEqual(51);
    expect(bounds(store, 1).everExpired).toBe(true);
    expect(bounds(store, 2)).toMatchObject({ first: 0, next: 5, everExpired: false });
    expect(store.sizes.segments).toBeLessThan(before.segments);
    expect(store.sizes.logBytes).toBeLessThan(before.logBytes);
    expect((await idsOf(store, 1, 0))[0]).toBe(`1-${first}`);
    const low = await store.scan(1 as TopicId, 0 as QueueId, 0 as QueueOffset, 3);
    expect(low.from).toBe(first);

    await store.retention.run(t0 + 2 * hour, policy);
    expect(bounds(store, 1)).toMatchObject({ first: 100, next: 100, committed: 100 });
    expect(await idsOf(store, 2, 0)).toHaveLength(5);
    expect(store.topicSize(1 as TopicId)).toEqual({ messages: 0, bytes: 0 });
    await store.stop();

    const again = await openStore({ checkpoints, disk });
    expect(bounds(again.store, 1)).toMatchObject({ first: 100, next: 100 });
    expect(await idsOf(again.store, 2, 0)).toHaveLength(5);
    send(again.store, { topic: 1, queue: 0, id: 'next', timestampMs: t0 + 2 * hour });
    await committed(again.store);
    expect((await readQueue(again.store, 1, 0)).map((m) => m.queueOffset)).toEqual([100]);
    await again.store.retention.run(t0 + 8 * day, policy);
    expect(again.store.sizes.messages).toBe(0);
    await again.store.stop();
  });

  it('keeps the segment of a message that a living reference names', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk, clock } = await openStore({ checkpoints });
    const t0 = clock.wallMs();
    const target = send(store, { topic: 1, queue: 0, id: 'kept', timestampMs: t0 });
    await fill(store, 1, 100, t0, 1000);
    refer(store, { topic: 5, queue: 0, timestampMs: t0 + 200_000 }, { ...target, topic: 1 });
    await fill(store, 3, 60, t0 + 200_000, 1000); // The reference’s segment is sealed too.
    const policy = (topic: TopicId) => ({ ms: (topic as number) === 5 ? 7 * day : hour });
    await store.retention.run(t0 + day, policy);
    expect(bounds(store, 1)).toMatchObject({ first: 101, next: 101 });
    expect(store.sizes.segments).toBe(3); // The target’s, the reference’s, the active one.
    expect(await idsOf(store, 5, 0)).toEqual(['kept']);
    await store.stop();
    const again = await openStore({ checkpoints, disk });
    await again.store.retention.run(t0 + 2 * day, policy);
    expect(await idsOf(again.store, 5, 0)).toEqual(['kept']);
    expect(again.store.sizes.segments).toBe(3);
    await again.store.retention.run(t0 + 8 * day, policy);
    expect(again.store.sizes.segments).toBe(1);
    expect(() => refer(again.store, { topic: 5, queue: 0, timestampMs: 1 }, { ...target, topic: 1 })).toThrow(
      'MESSAGE_NOT_FOUND',
    );
    await again.store.stop();
  });

  it('keeps a topic within its size, oldest messages of all its queues first', async () => {
    const { store, clock } = await openStore();
    const t0 = clock.wallMs();
    let size = 0;
    for (let i = 0; i < 120; i += 1) {
      ({ size } = send(store, {
        topic: 1,
        queue: i % 3,
        id: `m${String(i).padStart(3, '0')}`,
        timestampMs: t0 + i,
        bodyBytes: 100,
      }));
    }
    send(store, { topic: 2, queue: 0, id: 'other', timestampMs: t0 });
    await committed(store);
    await store.idle();
    await store.retention.run(t0 + 1000, (topic) =>
      (topic as number) === 1 ? { ms: day, bytes: 30 * size } : { ms: day },
    );
    expect(store.topicSize(1 as TopicId)).toEqual({ messages: 30, bytes: 30 * size });
    const left = (await Promise.all([0, 1, 2].map((queue) => idsOf(store, 1, queue)))).flat().sort();
    expect(left).toEqual(Array.from({ length: 30 }, (_, i) => `m${String(90 + i).padStart(3, '0')}`));
    expect(await idsOf(store, 2, 0)).toEqual(['other']);
    await store.stop();
  });

  it('gives the space of a deleted topic back', async () => {
    const { store, clock } = await openStore();
    const t0 = clock.wallMs();
    await fill(store, 1, 100, t0, 1);
    const { segments } = store.sizes;
    expect(segments).toBeGreaterThan(4);
    store.deleteTopic(1 as TopicId, t0);
    await committed(store);
    await store.retention.run(t0, () => undefined);
    expect(store.sizes.segments).toBe(1);
    await store.stop();
  });

  it('keeps for ever what has no policy', async () => {
    const { store, clock } = await openStore();
    await fill(store, 1, 50, clock.wallMs(), 1);
    await store.retention.run(clock.wallMs() + 1000 * day, () => undefined);
    expect(bounds(store, 1).first).toBe(0);
    await store.stop();
  });

  it('never frees a segment whose records are in no checkpoint', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const disk = new MemoryDisk();
    const { store, clock } = await openStore({ checkpoints, disk });
    for (let i = 0; i < 20; i += 1) store.append(RecordKind.ack, clock.wallMs(), Uint8Array.of(1, 1));
    await fill(store, 1, 100, clock.wallMs(), 1);
    await store.retention.run(clock.wallMs() + day, () => ({ ms: hour }));
    expect(store.sizes.segments).toBe(1);
    const again = await openStore({ checkpoints, disk: disk.kill() });
    expect([...again.view.sums]).toEqual([['1', 20]]);
    await again.store.stop();
  });
});

// Goal: what is due goes, what is not stays, sizes stay true. Method: topics of different ages by chance, rounds of
// retention, kills between; after each a model of lists says what may have gone.
it.each(seeds(25))('expires what is due and nothing else (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const checkpoints = new MemoryCheckpointStore();
  let disk = new MemoryDisk();
  const clock = new ManualClock();
  let { store } = await openStore({ disk, checkpoints, clock });
  const keptMs = [0, 20_000, 90_000, 600_000];
  const sent = new Map<string, { id: string; ms: number; size: number }[]>();
  for (let step = 0; step < 10; step += 1) {
    for (let i = chance.below(50); i > 0; i -= 1) {
      clock.advance(chance.below(500));
      const [topic, queue] = [1 + chance.below(3), chance.below(2)];
      const id = `${step}-${i}`;
      const { size } = send(store, {
        topic,
        queue,
        id,
        timestampMs: clock.wallMs(),
        bodyBytes: 20 + chance.below(200),
      });
      sent.set(`${topic}/${queue}`, [...(sent.get(`${topic}/${queue}`) ?? []), { id, ms: clock.wallMs(), size }]);
    }
    if (chance.chance(0.5)) clock.advance(chance.below(60_000));
    await committed(store);
    await store.idle();
    const nowMs = clock.wallMs();
    await store.retention.run(nowMs, (topic) => ({ ms: keptMs[topic as number] ?? 0 }));
    if (chance.chance(0.3)) {
      disk = disk.kill();
      ({ store } = await openStore({ disk, checkpoints, clock }));
    }
    const sizes = new Map<number, { messages: number; bytes: number }>();
    for (const [key, list] of sent) {
      const [topic, queue] = key.split('/').map(Number) as [number, number];
      const cutoff = nowMs - (keptMs[topic] ?? 0);
      const { first, next } = bounds(store, topic, queue);
      expect(next).toBe(list.length);
      expect(list.slice(0, first).every(({ ms }) => ms <= cutoff)).toBe(true);
      expect(list.slice(first).every(({ ms }) => ms > cutoff - 1000)).toBe(true);
      expect(await idsOf(store, topic, queue)).toEqual(list.slice(first).map(({ id }) => id));
      const sum = sizes.get(topic) ?? { messages: 0, bytes: 0 };
      sum.messages += list.length - first;
      for (const { size } of list.slice(first)) sum.bytes += size;
      sizes.set(topic, sum);
    }
    for (const [topic, sum] of sizes) expect(store.topicSize(topic as TopicId)).toEqual(sum);
  }
  expect(store.sizes.segments).toBeLessThan(40);
  await store.stop();
});

it('frees what needs no new checkpoint first, as that may wait for the space', async () => {
  const disk = new MemoryDisk();
  const clock = new ManualClock();
  const { store } = await openStore({ disk, clock, checkpoints: 'on the disk' });
  const t0 = clock.wallMs();
  await fill(store, 1, 60, t0, 100);
  await store.checkpoint();
  await fill(store, 1, 60, t0 + 6_000, 100);
  const { segments } = store.sizes;
  // SegmentSpace for the record that says what expired, and for nothing else.
  disk.watcher = ({ kind, path }) => {
    if (kind === 'make' && path.startsWith('data/state')) throw systemError('ENOSPC', 'no space left on device');
  };
  const round = store.retention.run(t0 + day, () => ({ ms: hour }));
  await until(() => store.sizes.segments < segments);
  const firstRound = store.sizes.segments;
  expect(firstRound).toBeGreaterThan(1);
  disk.watcher = undefined;
  clock.advance(1_000);
  await round;
  expect(store.sizes.segments).toBeLessThan(firstRound);
  await store.stop();
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
