import { RecordKind, referenceReason } from '@cometmq/model';
import type { LogPosition, QueueId, TopicId } from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { ManualClock, seeds } from '@cometmq/shared/testing';

import { yieldToLoop } from './yield-to-loop.js';
import { MemoryDisk } from './disk/memory-disk.js';
import type { MessageStore } from './message-store.js';
import { committed, hashText, idOf, idsOf, openStore, readQueue, refer, send, sendPending } from './store-harness.js';
import { MemoryCheckpointStore } from './views/memory-checkpoint-store.js';

const second = 1000;
const day = 86_400 * second;
const topic = (id: number): TopicId => id as TopicId;
/** What is sent to topic 1 is soon gone, all else is kept for long. */
const policy = (topicId: TopicId) => ({ ms: (topicId as number) === 1 ? 10 * second : 30 * day });

async function fill(store: MessageStore, count: number, nowMs: number): Promise<void> {
  for (let i = 0; i < count; i += 1)
    send(store, { topic: 1, queue: 0, id: `f${i}`, timestampMs: nowMs, bodyBytes: 60 });
  await committed(store);
  await store.idle();
}

async function foundIds(store: MessageStore, topicId: number, id: string): Promise<string[]> {
  const ids: string[] = [];
  for (const { position, size } of await store.findById(topic(topicId), hashText(id), 10)) {
    const message = await Promise.resolve(store.read(position, size)).catch(() => undefined);
    if (message) ids.push(idOf(message));
  }
  return ids;
}

describe('compaction', () => {
  it('leaves a message that waits for long its own bytes and nothing else', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk, clock } = await openStore({ checkpoints });
    const t0 = clock.wallMs();
    const waiting: { id: string; position: LogPosition; size: number }[] = [];
    for (let i = 0; i < 12; i += 1) {
      waiting.push({
        id: `w${i}`,
        ...sendPending(store, { topic: 1, queue: 0, id: `w${i}`, keys: ['k'], timestampMs: t0 }),
      });
      await fill(store, 40, t0);
    }
    for (let i = 0; i < 6; i += 1) await store.retention.run(t0 + day, policy);
    const { segments, segmentsCompacted, logBytes, pendingMessageBytes } = store.sizes;
    expect(segmentsCompacted).toBeGreaterThan(8);
    expect(segmentsCompacted).toBe(segments - 1);
    const active = 4096 + 4096; // With zeros ahead.
    expect(logBytes).toBeLessThan(pendingMessageBytes + segmentsCompacted * (64 + 8 * 3) + active);
    const indexes = await disk.list('data/index');
    expect(indexes).toHaveLength(segmentsCompacted);
    const look = async (now: MessageStore): Promise<void> => {
      for (const { id, position, size } of waiting) {
        expect(idOf(await now.read(position, size))).toBe(id);
        expect(await foundIds(now, 1, id)).toEqual([id]);
      }
      expect(await now.findByKey(topic(1), hashText('k'), 0, 1e15, 100)).toHaveLength(12);
    };
    await look(store);
    await store.stop();
    const again = await openStore({ checkpoints, disk, clock });
    await look(again.store);
    for (const target of waiting) {
      refer(
        again.store,
        { topic: 2, queue: 0, timestampMs: t0 + day },
        { ...target, topic: 1 },
        referenceReason.timerFired,
      );
    }
    await committed(again.store);
    expect(await idsOf(again.store, 2, 0)).toEqual(waiting.map(({ id }) => id));
    await again.store.retention.run(t0 + 60 * day, policy);
    expect(again.store.sizes.messages).toBe(0);
    await fill(again.store, 40, t0 + 60 * day); // What referred to them is sealed, and goes with them.
    await again.store.retention.run(t0 + 61 * day, policy);
    expect(again.store.sizes.segments).toBe(1);
    await again.store.stop();
  });

  it('makes an index again from what was kept, when its file is gone', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk, clock } = await openStore({ checkpoints });
    const t0 = clock.wallMs();
    const target = send(store, { topic: 1, queue: 0, id: 'target', timestampMs: t0 });
    await fill(store, 10, t0);
    const late = sendPending(store, { topic: 2, queue: 0, id: 'late', timestampMs: t0 });
    send(store, { topic: 2, queue: 1, id: 'long', timestampMs: t0 });
    await fill(store, 40, t0);
    refer(store, { topic: 3, queue: 0, timestampMs: t0 + 60 * second }, { ...target, topic: 1 });
    await fill(store, 40, t0 + 60 * second);
    await store.checkpoint();
    await store.retention.run(t0 + 30 * second, policy);
    expect(store.sizes.segmentsCompacted).toBeGreaterThan(0);
    await store.stop();
    for (const name of await disk.list('data/index')) await disk.unlink(`data/index/${name}`);
    const again = await openStore({ checkpoints, disk, clock });
    await again.store.idle();
    expect(await idsOf(again.store, 3, 0)).toEqual(['target']);
    expect(await idsOf(again.store, 2, 1)).toEqual(['long']);
    // Expired in its queue, but there for the reference's sake.
    expect(await foundIds(again.store, 1, 'target')).toEqual(['target']);
    expect(await foundIds(again.store, 2, 'late')).toEqual(['late']);
    expect(idOf(await again.store.read(late.position, late.size))).toBe('late');
    expect(again.troubles).toEqual([]);
    await again.store.stop();
  });

  it('refuses a reference to what was left out', async () => {
    const { store, clock } = await openStore();
    const t0 = clock.wallMs();
    sendPending(store, { topic: 2, queue: 0, id: 'late', timestampMs: t0 });
    const target = send(store, { topic: 1, queue: 0, id: 'gone', timestampMs: t0 });
    await fill(store, 80, t0);
    await store.retention.run(t0 + 30 * second, policy);
    expect(store.sizes.segmentsCompacted).toBe(1);
    await expect(Promise.resolve(store.read(target.position, target.size))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(() => refer(store, { topic: 3, queue: 0, timestampMs: 1 }, { ...target, topic: 1 })).toThrow(
      'MESSAGE_NOT_FOUND',
    );
    await store.stop();
  });

  it('keeps what was referred to while the copy was under way', async () => {
    const disk = new MemoryDisk();
    const { store, clock } = await openStore({ disk });
    const t0 = clock.wallMs();
    sendPending(store, { topic: 2, queue: 0, id: 'late', timestampMs: t0 });
    const target = send(store, { topic: 1, queue: 0, id: 'just so', timestampMs: t0 });
    await fill(store, 80, t0);
    let referred = false;
    disk.watcher = ({ kind, path }) => {
      if (kind !== 'make' || !path.includes('compacted') || referred) return;
      referred = true;
      refer(store, { topic: 3, queue: 0, timestampMs: t0 }, { ...target, topic: 1 });
    };
    await store.retention.run(t0 + 30 * second, policy);
    expect(referred).toBe(true);
    expect(store.sizes.segmentsCompacted).toBe(0);
    expect(await idsOf(store, 3, 0)).toEqual(['just so']);
    disk.watcher = undefined;
    await store.retention.run(t0 + 31 * second, policy);
    expect(store.sizes.segmentsCompacted).toBe(1);
    expect(await idsOf(store, 3, 0)).toEqual(['just so']);
    await store.stop();
  });

  it('empties a full disk, though something lives in every segment', async () => {
    const disk = new MemoryDisk({ capacityBytes: 80 * 1024 });
    const { store, clock, failures } = await openStore({ disk });
    const t0 = clock.wallMs();
    const waiting: { id: string; position: LogPosition; size: number }[] = [];
    let sent = 0;
    const sendOne = (): boolean => {
      try {
        const id = `m${(sent += 1)}`;
        if (sent % 20 === 0) waiting.push({ id, ...sendPending(store, { topic: 2, queue: 0, id, timestampMs: t0 }) });
        else send(store, { topic: 1, queue: 0, id, timestampMs: t0, bodyBytes: 60 });
        return true;
      } catch {
        return false;
      }
    };
    while (sent < 5000 && sendOne()) await yieldToLoop();
    expect(store.sizes.diskFull).toBe(true);
    expect(sendOne()).toBe(false);
    await store.checkpoint();
    await store.idle();
    const before = store.sizes.logBytes;
    for (let i = 0; i < 8; i += 1) await store.retention.run(t0 + day, policy);
    expect(store.sizes.logBytes).toBeLessThan(before / 2);
    expect(store.sizes.segmentsCompacted).toBeGreaterThan(5);
    for (let i = 0; i < 200 && store.sizes.diskFull; i += 1) {
      clock.advance(500);
      await yieldToLoop();
    }
    expect(sendOne()).toBe(true);
    await committed(store);
    for (const { id, position, size } of waiting) expect(idOf(await store.read(position, size))).toBe(id);
    expect(failures).toEqual([]);
    await store.stop();
  });

  it('is over before the store has stopped', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk, clock } = await openStore({ checkpoints });
    const t0 = clock.wallMs();
    sendPending(store, { topic: 2, queue: 0, id: 'late', timestampMs: t0 });
    await fill(store, 200, t0);
    const running = store.retention.run(t0 + 30 * second, policy);
    for (let i = 0; i < 40; i += 1) await Promise.resolve();
    await store.stop();
    await running;
    const names = await disk.list('data/log');
    await store.retention.run(t0 + day, policy); // Nothing any more.
    expect(await disk.list('data/log')).toEqual(names);
    const again = await openStore({ checkpoints, disk, clock });
    expect(await foundIds(again.store, 2, 'late')).toEqual(['late']);
    await again.store.stop();
  });

  it('refuses to start from a checkpoint that is older than what was left out', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk, clock } = await openStore({ checkpoints });
    const t0 = clock.wallMs();
    sendPending(store, { topic: 2, queue: 0, id: 'late', timestampMs: t0 });
    await store.checkpoint();
    const old = checkpoints.copy();
    await fill(store, 80, t0);
    await store.retention.run(t0 + 30 * second, policy);
    expect(store.sizes.segmentsCompacted).toBe(1);
    await store.stop();
    await expect(openStore({ disk: (disk as MemoryDisk).kill(), checkpoints: old })).rejects.toThrow('DATA_FOLDER');
    await expect(
      openStore({ disk: (disk as MemoryDisk).settled(), checkpoints: new MemoryCheckpointStore() }),
    ).rejects.toThrow('DATA_FOLDER');
  });
});

interface Sent {
  readonly id: string;
  readonly position: LogPosition;
  readonly size: number;
  readonly topic: number;
}

/** What must be found: by queue and offset, and what waits. */
interface Model {
  readonly queues: Map<string, { at: Sent; body: Sent }[]>;
  readonly waiting: Sent[];
}

async function check(store: MessageStore, model: Model): Promise<void> {
  for (const [key, list] of model.queues) {
    const [topicId = 0, queueId = 0] = key.split('/').map(Number);
    const { first, next } = store.bounds(topic(topicId), queueId as QueueId);
    expect(next).toBe(list.length);
    const found = await readQueue(store, topicId, queueId, 5);
    const wanted = list.slice(first);
    expect(found.map((message) => [idOf(message), message.position, message.origin.position])).toEqual(
      wanted.map(({ at, body }) => [body.id, at.position, body.position]),
    );
    // Of a dead letter too, by the id under which it was sent.
    for (const { body } of wanted) expect(await foundIds(store, body.topic, body.id)).toEqual([body.id]);
  }
  for (const { id, topic: topicId, position, size } of model.waiting) {
    const message = await store.read(position, size);
    expect([idOf(message), message.kind]).toEqual([id, RecordKind.pending]);
    expect(await foundIds(store, topicId, id)).toEqual([id]);
  }
}

// Goal: whatever is left out was dead, and all that lives is found by offset, id and position, whenever the power goes.
// Method: short- and long-lived messages, dead letters and waiting messages by chance; while retention runs the power is
// cut before any operation of the disk, and what is left is opened and compared with a model.
it.each(seeds(8))('compaction loses nothing that lives, whenever the power goes (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  let checkpoints = new MemoryCheckpointStore();
  let disk = new MemoryDisk();
  let clock = new ManualClock();
  let { store } = await openStore({ disk, checkpoints, clock });
  let model: Model = { queues: new Map(), waiting: [] };
  const put = (key: string, at: Sent, body = at): void => {
    model.queues.set(key, [...(model.queues.get(key) ?? []), { at, body }]);
  };
  let compacted = 0;
  let cuts = 0;
  for (let step = 0; step < 8; step += 1) {
    for (let i = 20 + chance.below(80); i > 0; i -= 1) {
      clock.advance(chance.below(400));
      const timestampMs = clock.wallMs();
      const [id, queue] = [`${step}-${i}`, chance.below(2)];
      const bodyBytes = chance.below(300);
      const roll = chance.below(20);
      if (roll < 12) {
        const placed = send(store, { topic: 1, queue, id, timestampMs, bodyBytes });
        put(`1/${queue}`, { id, topic: 1, ...placed });
      } else if (roll < 14) {
        const placed = send(store, { topic: 2, queue, id, timestampMs, bodyBytes });
        put(`2/${queue}`, { id, topic: 2, ...placed });
      } else if (roll < 16) {
        model.waiting.push({ id, topic: 1, ...sendPending(store, { topic: 1, queue, id, timestampMs, bodyBytes }) });
      } else if (roll === 16 && model.waiting.length > 0) {
        const [one] = model.waiting.splice(chance.below(model.waiting.length), 1);
        if (one) store.appendDropped([{ ...one, topicId: topic(one.topic), dueMs: 0 }], timestampMs);
      } else if (roll === 17 && model.waiting.length > 0) {
        const [one] = model.waiting.splice(chance.below(model.waiting.length), 1);
        const to = chance.pick([1, 2]);
        if (!one) continue;
        const placed = refer(store, { topic: to, queue, timestampMs }, one, referenceReason.timerFired);
        put(`${to}/${queue}`, { id: 'reference', topic: to, ...placed }, one);
      } else if (roll === 18) {
        const { first } = store.bounds(topic(1), queue as QueueId);
        const one = model.queues.get(`1/${queue}`)?.[first];
        if (!one) continue;
        const placed = refer(store, { topic: 9, queue: 0, timestampMs }, one.body);
        put('9/0', { id: 'reference', topic: 9, ...placed }, one.body);
      } else store.append(RecordKind.ack, timestampMs, Uint8Array.of(1, 1));
    }
    await committed(store);
    await store.idle();
    const left: { disk: MemoryDisk; checkpoints: MemoryCheckpointStore }[] = [];
    disk.watcher = () => {
      if (chance.chance(0.15)) left.push({ disk: disk.crash(chance, {}, true), checkpoints: checkpoints.copy() });
    };
    await store.retention.run(clock.wallMs(), policy);
    disk.watcher = undefined;
    await check(store, model);
    compacted += store.sizes.segmentsCompacted;
    for (const after of left.slice(0, 6)) {
      cuts += 1;
      const opened = await openStore({ ...after, clock: new ManualClock() });
      await check(opened.store, model);
      expect([opened.failures, opened.troubles]).toEqual([[], []]);
      // The next round finishes what was begun.
      await opened.store.retention.run(clock.wallMs(), policy);
      await check(opened.store, model);
      await opened.store.stop();
    }
    const next = chance.chance(0.4) ? left[0] : undefined;
    if (next) {
      clock = new ManualClock(clock.wallMs());
      disk = next.disk.settled();
      ({ checkpoints } = next);
      model = { queues: new Map(model.queues), waiting: [...model.waiting] };
      ({ store } = await openStore({ disk, checkpoints, clock }));
      await check(store, model);
    }
  }
  expect(compacted).toBeGreaterThan(3);
  expect(cuts).toBeGreaterThan(10);
});
