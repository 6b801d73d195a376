import { RecordKind, referenceReason } from '@cometmq/model';
import type { Epoch, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { MemoryDisk } from './disk/memory-disk.js';
import { committed, hashText, idOf, idsOf, openStore, readQueue, refer, send } from './store-harness.js';
import { MemoryCheckpointStore } from './views/memory-checkpoint-store.js';

const topic = (id: number): TopicId => id as TopicId;
const queue = (id: number): QueueId => id as QueueId;
const offset = (value: number): QueueOffset => value as QueueOffset;

describe('MessageStore', () => {
  it('shows a message when it is committed and not before', async () => {
    const { store } = await openStore();
    const { offset: at, end } = send(store, { topic: 1, queue: 2, id: 'm0', timestampMs: 1 });
    expect(at).toBe(0);
    expect(store.bounds(topic(1), queue(2))).toEqual({ first: 0, next: 1, committed: 0, everExpired: false });
    expect((await store.scan(topic(1), queue(2), offset(0), 10)).count).toBe(0);
    await committed(store, end);
    expect(store.bounds(topic(1), queue(2)).committed).toBe(1);
    expect(await idsOf(store, 1, 2)).toEqual(['m0']);
    expect(store.bounds(topic(1), queue(3))).toEqual({ first: 0, next: 0, committed: 0, everExpired: false });
    await store.stop();
  });

  it('tells of each queue once a commit', async () => {
    const { store } = await openStore();
    const told: string[] = [];
    store.onArrival((topicId, queueId) => told.push(`${topicId}/${queueId}`));
    for (let i = 0; i < 6; i += 1) send(store, { topic: 1, queue: i % 2, id: `a${i}`, timestampMs: 1 });
    await committed(store);
    expect(told.sort()).toEqual(['1/0', '1/1']);
    send(store, { topic: 1, queue: 1, id: 'b', timestampMs: 1 });
    await committed(store);
    expect(told).toEqual(['1/0', '1/1', '1/1']);
    await store.stop();
  });

  it('follows a reference to its message, over segments and a restart', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const first = await openStore({ checkpoints });
    const target = send(first.store, { topic: 1, queue: 0, id: 'late', timestampMs: 1 });
    for (let i = 0; i < 60; i += 1)
      send(first.store, { topic: 1, queue: 1, id: `m${i}`, timestampMs: 2, bodyBytes: 100 });
    refer(first.store, { topic: 7, queue: 3, timestampMs: 5 }, { ...target, topic: 1 });
    await committed(first.store);
    const look = async (store: typeof first.store): Promise<void> => {
      const [message, ...rest] = await readQueue(store, 7, 3);
      expect(rest).toEqual([]);
      expect(message && idOf(message)).toBe('late');
      expect(message).toMatchObject({ originTopicId: 1, topicId: 7, queueId: 3, queueOffset: 0, timestampMs: 5 });
    };
    await look(first.store);
    const { incarnation } = first.store;
    await first.store.stop();
    const again = await openStore({ checkpoints, disk: first.disk });
    await look(again.store);
    expect(again.store.incarnation).toBe(incarnation);
    await again.store.stop();
  });

  it.each([
    ['both', 10, 'something waits'],
    ['both', 2_000, 'nothing waits'],
    ['neither', 2_000, 'something waits'],
  ])('takes of a reference and the record behind it %s, as there is room (%s bytes, %s)', async (taken, bytes, now) => {
    const { store } = await openStore({ limits: { pendingBytesMax: 512 } });
    const target = { ...send(store, { topic: 1, queue: 0, id: 'late', timestampMs: 1 }), topic: 1 };
    await committed(store);
    if (now === 'something waits') send(store, { topic: 1, queue: 0, id: 'waits', timestampMs: 1 });
    const end = store.appendEnd;
    const following = { kind: RecordKind.ack, payload: Buffer.alloc(bytes) };
    const both = (): unknown =>
      refer(store, { topic: 7, queue: 3, timestampMs: 5 }, target, referenceReason.deadLetter, undefined, following);
    if (taken === 'both') {
      both();
      await committed(store);
      expect(await idsOf(store, 7, 3)).toEqual(['late']);
      expect(store.appendEnd).toBeGreaterThan(end + bytes);
    } else {
      expect(both).toThrow('are waiting for the disk');
      expect([store.appendEnd, store.bounds(topic(7), queue(3)).next]).toEqual([end, 0]);
    }
    await store.stop();
  });

  it('refuses to refer to what is gone', async () => {
    const { store } = await openStore();
    await store.stop();
    const gone = { position: 999_999 as never, size: 10, topic: 1 };
    expect(() => refer(store, { topic: 7, queue: 0, timestampMs: 1 }, gone)).toThrow(MqError);
  });

  it('finds messages by id and key over all segments, and never another topic’s', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const disk = new MemoryDisk();
    let { store } = await openStore({ checkpoints, disk });
    for (let i = 0; i < 200; i += 1) {
      send(store, { topic: 1 + (i % 2), queue: i % 3, id: `id${i}`, keys: [`k${i % 50}`, 'all'], timestampMs: i });
    }
    await committed(store);
    await store.idle();
    const look = async (): Promise<void> => {
      for (const i of [0, 1, 77, 100, 198, 199]) {
        const found = await store.findById(topic(1 + (i % 2)), hashText(`id${i}`), 10);
        const ids = await Promise.all(found.map(async (c) => idOf(await store.read(c.position, c.size))));
        expect(ids).toEqual([`id${i}`]);
        expect(await store.findById(topic(2 - (i % 2)), hashText(`id${i}`), 10)).toEqual([]);
        expect(await store.findByKey(topic(1 + (i % 2)), hashText(`id${i}`), 0, 1e9, 10)).toEqual([]);
      }
      const byKey = await store.findByKey(topic(1), hashText('k10'), 0, 1e9, 10);
      const ids = await Promise.all(byKey.map(async (c) => idOf(await store.read(c.position, c.size))));
      expect(ids.sort()).toEqual(['id10', 'id110', 'id160', 'id60']);
      // However many are asked for, they are the newest.
      const all = await store.findByKey(topic(2), hashText('all'), 0, 1e9, 1000);
      const positions = all.map(({ position }) => position);
      expect(positions).toHaveLength(100);
      expect(positions).toEqual([...positions].sort((a, b) => b - a));
      expect(await store.findByKey(topic(2), hashText('all'), 0, 1e9, 3)).toEqual(all.slice(0, 3));
      expect(await store.findByKey(topic(2), hashText('all'), 0, 1e9, 1000, positions[60])).toEqual(all.slice(61));
    };
    await look();
    await store.stop();
    ({ store } = await openStore({ checkpoints, disk }));
    await look();
    await store.stop();
  });

  it('finds the first offset at or after a time', async () => {
    const { store } = await openStore();
    for (let i = 0; i < 100; i += 1)
      send(store, { topic: 1, queue: 0, id: `m${i}`, timestampMs: 1000 + 10 * i, bodyBytes: 90 });
    await committed(store);
    for (const [time, wanted] of [
      [0, 0],
      [1000, 0],
      [1001, 1],
      [1500, 50],
      [1505, 51],
      [1990, 99],
      [1991, 100],
    ] as const) {
      expect(await store.offsetAtTime(topic(1), queue(0), time)).toBe(wanted);
    }
    expect(await store.offsetAtTime(topic(1), queue(9), 5)).toBe(0);
    await store.stop();
  });

  it('begins a term with a record, and knows the epoch again', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk } = await openStore({ checkpoints });
    await store.beginEpoch(5 as Epoch);
    send(store, { topic: 1, queue: 0, id: 'm', timestampMs: 1 });
    await committed(store);
    await store.stop();
    const again = await openStore({ checkpoints, disk });
    expect(again.store.epoch).toBe(5);
    const entries = await again.store.scan(topic(1), queue(0), offset(0), 1);
    expect((await again.store.read(entries.position(0), entries.size(0))).epoch).toBe(5);
    await again.store.stop();
  });

  it('takes nothing for a topic that was deleted, and shows nothing of it', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk } = await openStore({ checkpoints });
    send(store, { topic: 1, queue: 0, id: 'm', timestampMs: 1 });
    send(store, { topic: 2, queue: 0, id: 'n', timestampMs: 1 });
    store.deleteTopic(topic(1), 2);
    expect(() => send(store, { topic: 1, queue: 0, id: 'x', timestampMs: 1 })).toThrow('TOPIC_NOT_FOUND');
    await committed(store);
    expect(await idsOf(store, 1, 0)).toEqual([]);
    expect(await idsOf(store, 2, 0)).toEqual(['n']);
    expect(store.sizes.messages).toBe(1);
    await store.stop();
    const again = await openStore({ checkpoints, disk });
    expect(await idsOf(again.store, 1, 0)).toEqual([]);
    expect(again.store.topicSize(topic(1))).toEqual({ messages: 0, bytes: 0 });
    expect(await idsOf(again.store, 2, 0)).toEqual(['n']);
    await again.store.stop();
  });

  it('refuses to start when the log’s head and the checkpoint are gone', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk, clock } = await openStore({ checkpoints });
    for (let i = 0; i < 100; i += 1) send(store, { topic: 1, queue: 0, id: `m${i}`, timestampMs: 1, bodyBytes: 100 });
    await committed(store);
    await store.idle();
    await store.retention.run(clock.wallMs(), () => ({ ms: 1000 }));
    expect(store.sizes.segments).toBe(1);
    await store.stop();
    await expect(openStore({ disk, checkpoints: new MemoryCheckpointStore() })).rejects.toThrow('DATA_FOLDER');
  });
});

// Goal: whatever happens, each queue shows what a list would. Method: two topics' queues grow by chance, by messages and
// references, with commits, checkpoints, restarts, kills and power cuts between; the log says which of them survived.
describe('MessageStore against a model', () => {
  interface Done {
    readonly end: number;
    apply(model: Model): void;
  }
  interface Model {
    readonly queues: Map<string, string[]>;
    readonly tally: Map<string, number>;
  }
  const replay = (done: readonly Done[]): Model => {
    const model: Model = { queues: new Map(), tally: new Map() };
    for (const one of done) one.apply(model);
    return model;
  };

  it.each(seeds(20))('keeps its queues through crashes (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const checkpoints = new MemoryCheckpointStore();
    const disk0 = new MemoryDisk();
    let opened = await openStore({ disk: disk0, checkpoints });
    let disk = disk0;
    let done: Done[] = [];
    const targets: { position: never; size: number; topic: number; id: string }[] = [];
    let nowMs = 1000;
    const check = async (): Promise<void> => {
      const { store, view } = opened;
      await committed(store);
      const model = replay(done);
      for (let t = 1; t <= 3; t += 1) {
        for (let q = 0; q < 3; q += 1) {
          const wanted = model.queues.get(`${t}/${q}`) ?? [];
          expect(await idsOf(store, t, q)).toEqual(wanted);
          const { next, committed: visible } = store.bounds(topic(t), queue(q));
          expect([next, visible]).toEqual([wanted.length, wanted.length]);
          for (let i = 0; i < 3 && wanted.length > 0; i += 1) {
            const from = chance.below(wanted.length);
            const entries = await store.scan(topic(t), queue(q), offset(from), 5);
            expect([entries.from, entries.count >= 1]).toEqual([from, true]);
            expect(idOf(await store.read(entries.position(0), entries.size(0)))).toBe(wanted[from]);
          }
        }
      }
      expect([...view.sums].sort()).toEqual([...model.tally].sort());
      expect(opened.failures).toEqual([]);
      expect(opened.troubles).toEqual([]);
    };
    for (let step = 0; step < 12; step += 1) {
      const { store } = opened;
      for (let i = chance.below(60); i > 0; i -= 1) {
        const [t, q] = [1 + chance.below(2), chance.below(3)];
        nowMs += chance.below(50);
        const roll = chance.below(10);
        if (roll < 7 || targets.length === 0) {
          const id = `${seed}-${step}-${i}`;
          const placed = send(store, {
            topic: t,
            queue: q,
            id,
            keys: ['k'],
            timestampMs: nowMs,
            bodyBytes: 20 + chance.below(300),
            tagHash: i,
            groupHash: q,
          });
          targets.push({ position: placed.position as never, size: placed.size, topic: t, id });
          done.push({
            end: placed.end,
            apply: (m) => void m.queues.set(`${t}/${q}`, [...(m.queues.get(`${t}/${q}`) ?? []), id]),
          });
        } else if (roll === 7) {
          const target = chance.pick(targets);
          const placed = refer(store, { topic: 3, queue: q, timestampMs: nowMs }, target);
          done.push({
            end: placed.end,
            apply: (m) => void m.queues.set(`3/${q}`, [...(m.queues.get(`3/${q}`) ?? []), target.id]),
          });
        } else {
          const [slot, amount] = [chance.below(4), chance.below(100)];
          const { end } = store.append(RecordKind.ack, nowMs, Uint8Array.of(slot, amount));
          done.push({ end, apply: (m) => void m.tally.set(String(slot), (m.tally.get(String(slot)) ?? 0) + amount) });
        }
        if (chance.chance(0.05)) await committed(store);
      }
      const roll = chance.below(6);
      if (roll === 0) await check();
      if (roll === 1) await store.checkpoint();
      if (roll === 2) {
        await store.stop();
        opened = await openStore({ disk, checkpoints });
      }
      if (roll >= 3) {
        // The checkpoint under way may be lost, or be the last thing that happened.
        checkpoints.auto = chance.chance(0.5);
        if (chance.chance(0.7)) void store.checkpoint();
        if (chance.chance(0.5)) await committed(store);
        const promised = store.commitEnd;
        disk = roll === 3 ? disk.kill() : disk.crash(chance);
        if (chance.chance(0.5)) checkpoints.settle();
        checkpoints.crash();
        checkpoints.auto = true;
        opened = await openStore({ disk, checkpoints });
        expect(opened.store.appendEnd).toBeGreaterThanOrEqual(promised);
        done = done.filter(({ end }) => end <= opened.store.appendEnd);
        for (let i = targets.length - 1; i >= 0; i -= 1) {
          if ((targets[i]?.position ?? 0) >= opened.store.appendEnd) targets.splice(i, 1);
        }
        await check();
      }
    }
    await check();
    await opened.store.stop();
  });
});
