import { Envelope, eachDropped, RecordKind, referenceReason } from '@cometmq/model';
import type { LogPosition, QueueId, TopicId } from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { ManualClock, seeds } from '@cometmq/shared/testing';

import { yieldToLoop } from './yield-to-loop.js';
import { MemoryDisk } from './disk/memory-disk.js';
import type { LogRecord } from './log/record.js';
import { findMessages } from './find-messages.js';
import type { MessageStore } from './message-store.js';
import { committed, hashText, idOf, idsOf, openStore, refer, send, sendPending } from './store-harness.js';
import { MemoryCheckpointStore } from './views/memory-checkpoint-store.js';
import type { StateView } from './views/state-view.js';

const day = 24 * 3_600_000;
const topic = (id: number): TopicId => id as TopicId;

async function foundById(store: MessageStore, topicId: number, id: string): Promise<string[]> {
  const found = await store.findById(topic(topicId), hashText(id), 10);
  return Promise.all(
    found.map(async ({ position, size }) => {
      const message = await store.read(position, size);
      return `${idOf(message)} ${message.kind === RecordKind.pending ? 'pending' : 'visible'}`;
    }),
  );
}

async function fill(store: MessageStore, count: number, nowMs: number): Promise<void> {
  for (let i = 0; i < count; i += 1)
    send(store, { topic: 1, queue: 1, id: `f${i}`, timestampMs: nowMs, bodyBytes: 100 });
  await committed(store);
  await store.idle();
}

/** Notes what it is shown, as a view of timers would. */
class Witness implements StateView {
  readonly name = 'witness';
  readonly kinds = new Set<RecordKind>([RecordKind.pending, RecordKind.dropped]);
  readonly seen: string[] = [];
  fold(record: LogRecord): void {
    if (record.kind === RecordKind.pending) {
      const { id, message } = new Envelope(record.payload);
      this.seen.push(`${record.topicId}/${record.queueId} ${id} ${message.length} ${record.tagHash}`);
    } else {
      eachDropped(record.payload, (position, size, topicId) =>
        this.seen.push(`dropped ${position} ${size} ${topicId}`),
      );
    }
  }
  takeChanges(): [] {
    return [];
  }
  load(): void {
    // Nothing is ever stored.
  }
  clear(): void {
    this.seen.length = 0;
  }
}

describe('a pending message', () => {
  it('is in no queue, is found by id and key, and becomes visible by a reference', async () => {
    const checkpoints = new MemoryCheckpointStore();
    const { store, disk, clock } = await openStore({ checkpoints });
    const nowMs = clock.wallMs();
    const placed = sendPending(store, {
      topic: 1,
      queue: 0,
      id: 'later',
      keys: ['k'],
      timestampMs: nowMs,
      bodyBytes: 200,
    });
    expect(placed.end).toBe(store.appendEnd);
    await fill(store, 60, nowMs);
    const look = async (s: MessageStore): Promise<void> => {
      expect(s.bounds(topic(1), 0 as QueueId)).toEqual({ first: 0, next: 0, committed: 0, everExpired: false });
      expect(await foundById(s, 1, 'later')).toEqual(['later pending']);
      expect(await s.findByKey(topic(1), hashText('k'), 0, 1e15, 10)).toEqual([
        { position: placed.position, size: placed.size },
      ]);
      expect(s.sizes).toMatchObject({ pendingMessages: 1, pendingMessageBytes: placed.size, messages: 60 });
      expect(s.pendingSize(topic(1))).toEqual({ messages: 1, bytes: placed.size });
    };
    await look(store);
    await store.stop();
    const again = await openStore({ checkpoints, disk, clock });
    await look(again.store);
    refer(
      again.store,
      { topic: 1, queue: 0, timestampMs: nowMs + 5 },
      { ...placed, topic: 1 },
      referenceReason.timerFired,
    );
    await committed(again.store);
    expect(await idsOf(again.store, 1, 0)).toEqual(['later']);
    expect(again.store.sizes.pendingMessages).toBe(0);
    expect(again.store.sizes.pendingMessageBytes).toBe(0);
    await again.store.stop();
  });

  it('is shown to the views that ask, at the append and at the start, with payload and queue', async () => {
    const disk = new MemoryDisk();
    const views = [new Witness(), new Witness()] as const;
    const { store } = await openStore({ disk, views: [views[0]] });
    const placed = sendPending(store, { topic: 3, queue: 7, id: 'a', timestampMs: 1, bodyBytes: 33, tagHash: 9 });
    store.appendDropped([{ position: placed.position, size: placed.size, topicId: topic(3), dueMs: 0 }], 2);
    await committed(store);
    expect(views[0].seen).toEqual(['3/7 a 33 9', `dropped 0 ${placed.size} 3`]);
    await openStore({ disk: disk.kill(), views: [views[1]] });
    expect(views[1].seen).toEqual(views[0].seen);
  });

  it('keeps its segment however old it is, until it is dropped', async () => {
    const { store, clock } = await openStore();
    const nowMs = clock.wallMs();
    const placed = sendPending(store, { topic: 1, queue: 0, id: 'later', timestampMs: nowMs });
    await fill(store, 100, nowMs);
    await store.retention.run(nowMs + day, () => ({ ms: 1000 }));
    expect(store.sizes.messages).toBe(0);
    expect(store.sizes.segments).toBe(2); // The pending one's, and the active.
    expect(idOf(await store.read(placed.position, placed.size))).toBe('later');
    store.appendDropped([{ position: placed.position, size: placed.size, topicId: topic(1), dueMs: 0 }], nowMs + day);
    await store.retention.run(nowMs + day, () => ({ ms: 1000 }));
    expect(store.sizes.segments).toBe(1);
    expect(() => refer(store, { topic: 1, queue: 0, timestampMs: 1 }, { ...placed, topic: 1 })).toThrow(
      'MESSAGE_NOT_FOUND',
    );
    await store.stop();
  });

  it('keeps its segment after its release as long as the reference lives', async () => {
    const { store, clock } = await openStore();
    const nowMs = clock.wallMs();
    const placed = sendPending(store, { topic: 1, queue: 0, id: 'later', timestampMs: nowMs });
    await fill(store, 100, nowMs);
    refer(store, { topic: 2, queue: 0, timestampMs: nowMs + day }, { ...placed, topic: 1 }, referenceReason.timerFired);
    await fill(store, 100, nowMs + day);
    await store.retention.run(nowMs + day + 10, () => ({ ms: 1000 }));
    expect(await idsOf(store, 2, 0)).toEqual(['later']);
    await store.retention.run(nowMs + 3 * day, () => ({ ms: 1000 }));
    expect(store.sizes.segments).toBe(1);
    await store.stop();
  });

  it('is refused beyond the quota, which says so and is free again after a release', async () => {
    const { store } = await openStore({ limits: { pendingMessageBytesMax: 1000 } });
    const placed: { position: LogPosition; size: number }[] = [];
    const push = (): void => {
      placed.push(sendPending(store, { topic: 1, queue: 0, id: `p${placed.length}`, timestampMs: 1, bodyBytes: 100 }));
    };
    expect(() => {
      for (let i = 0; i < 100; i += 1) push();
    }).toThrow(/TOO_MANY_REQUESTS.*pendingBytesMax/);
    expect(placed.length).toBeGreaterThan(3);
    send(store, { topic: 1, queue: 0, id: 'n', timestampMs: 1, bodyBytes: 100 });
    const [first] = placed;
    if (!first) throw new Error('one was taken');
    store.appendDropped([{ ...first, topicId: topic(1), dueMs: 0 }], 2);
    push();
    expect(push).toThrow('TOO_MANY_REQUESTS');
    await store.stop();
  });

  it('is released once: a second release is a fault of ours, unless its topic is gone', async () => {
    const { store, failures } = await openStore();
    const one = sendPending(store, { topic: 1, queue: 0, id: 'a', timestampMs: 1 });
    const dropped = [{ position: one.position, size: one.size, topicId: topic(1), dueMs: 0 }];
    store.appendDropped(dropped, 2);
    const two = sendPending(store, { topic: 2, queue: 0, id: 'b', timestampMs: 1 });
    store.deleteTopic(topic(2), 3);
    expect(store.sizes.pendingMessages).toBe(0);
    store.appendDropped([{ position: two.position, size: two.size, topicId: topic(2), dueMs: 0 }], 4);
    expect(() => sendPending(store, { topic: 2, queue: 0, id: 'c', timestampMs: 1 })).toThrow('TOPIC_NOT_FOUND');
    expect(store.sizes.pendingMessages).toBe(0);
    expect(failures).toEqual([]);
    // From then on memory is not what the log says: nothing is taken, and nothing is stored of it.
    expect(() => store.appendDropped(dropped, 5)).toThrow('released once');
    expect(failures.map(({ code }) => code)).toEqual(['INTERNAL']);
    expect(() => sendPending(store, { topic: 1, queue: 0, id: 'd', timestampMs: 6 })).toThrow('released once');
    const before = store.sizes.checkpointPosition;
    await store.checkpoint();
    expect(store.sizes.checkpointPosition).toBe(before);
  });
});

// Goal: figures and lives are right after any crash. Method: a model beside the store; pending messages come, are
// released or dropped by chance, time passes, retention runs, the power is cut.
it.each(seeds(20))('pending messages are counted and kept through crashes (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const checkpoints = new MemoryCheckpointStore();
  let disk = new MemoryDisk();
  const clock = new ManualClock();
  let { store } = await openStore({ disk, checkpoints, clock });
  interface One {
    readonly id: string;
    readonly topic: number;
    readonly position: LogPosition;
    readonly size: number;
    readonly end: number;
    /** Behind the record that released or dropped it. */
    over: number;
    visible: boolean;
  }
  let all: One[] = [];
  for (let step = 0; step < 12; step += 1) {
    for (let i = chance.below(40); i > 0; i -= 1) {
      clock.advance(chance.below(200));
      const nowMs = clock.wallMs();
      const living = all.filter(({ over }) => over === Infinity);
      const roll = living.length === 0 ? 0 : chance.below(4);
      if (roll < 2) {
        const [id, topicId] = [`${step}-${i}`, 1 + chance.below(2)];
        const placed = sendPending(store, {
          topic: topicId,
          queue: 0,
          id,
          timestampMs: nowMs,
          bodyBytes: chance.below(300),
        });
        all.push({ id, topic: topicId, ...placed, over: Infinity, visible: false });
      } else if (roll === 2) {
        send(store, { topic: 3, queue: 0, id: 'x', timestampMs: nowMs, bodyBytes: 200 });
      } else {
        const one = chance.pick(living);
        one.visible = chance.chance(0.5);
        if (one.visible) {
          const to = { topic: 10 + one.topic, queue: 0, timestampMs: nowMs };
          one.over = refer(store, to, one, referenceReason.committed).end;
        } else {
          one.over = store.appendDropped([{ ...one, topicId: topic(one.topic), dueMs: 0 }], nowMs).end;
        }
      }
      if (chance.chance(0.05)) await committed(store);
    }
    if (chance.chance(0.5)) {
      await committed(store);
      await store.idle();
      if (chance.chance(0.5)) clock.advance(chance.below(120_000));
      await store.retention.run(clock.wallMs(), () => ({ ms: 60_000 }));
    }
    if (chance.chance(0.4)) {
      checkpoints.auto = chance.chance(0.5);
      if (chance.chance(0.6)) void store.checkpoint();
      await yieldToLoop(); // It has begun, so the dead process will not begin it later.
      disk = chance.chance(0.3) ? disk.kill() : disk.crash(chance);
      if (chance.chance(0.5)) checkpoints.settle();
      checkpoints.crash();
      checkpoints.auto = true;
      ({ store } = await openStore({ disk, checkpoints, clock }));
      const end = store.appendEnd;
      all = all.filter((one) => one.end <= end);
      for (const one of all) if (one.over > end) [one.over, one.visible] = [Infinity, false];
    }
    await committed(store);
    const living = all.filter(({ over }) => over === Infinity);
    let bytes = 0;
    for (const one of living) {
      bytes += one.size;
      expect(await foundById(store, one.topic, one.id)).toEqual([`${one.id} pending`]);
    }
    expect([store.sizes.pendingMessages, store.sizes.pendingMessageBytes]).toEqual([living.length, bytes]);
    const shown = [...(await idsOf(store, 11, 0)), ...(await idsOf(store, 12, 0))];
    const released = new Set(all.filter(({ visible }) => visible).map(({ id }) => id));
    expect(shown.filter((id) => !released.has(id))).toEqual([]);
  }
  await store.stop();
});

// Goal: an operator who looks for a message by its id is told where it is. Method: the same message while it waits, after
// its release, after it became a dead letter, from memory, from index files, and from ones that were made again.
it('is found by its id where it became visible', async () => {
  const disk = new MemoryDisk();
  const checkpoints = new MemoryCheckpointStore();
  let { store } = await openStore({ disk, checkpoints });
  const whereIs = async (id: string): Promise<string[]> =>
    (await findMessages(store, topic(1), id, 10)).map(
      ({ kind, topicId, queueId, queueOffset }) =>
        `${kind === RecordKind.pending ? 'waits' : `${topicId}/${queueId}/${queueOffset}`}`,
    );
  send(store, { topic: 1, queue: 3, id: 'before', timestampMs: 1 });
  const waiting = sendPending(store, { topic: 1, queue: 3, id: 'late', timestampMs: 1 });
  const other = sendPending(store, { topic: 1, queue: 3, id: 'other', timestampMs: 1 });
  await committed(store);
  expect(await whereIs('late')).toEqual(['waits']);
  refer(store, { topic: 9, queue: 0, timestampMs: 2 }, { ...other, topic: 1 }, referenceReason.deadLetter);
  refer(store, { topic: 1, queue: 3, timestampMs: 2 }, { ...waiting, topic: 1 }, referenceReason.timerFired);
  refer(store, { topic: 9, queue: 0, timestampMs: 3 }, { ...waiting, topic: 1 }, referenceReason.deadLetter);
  await committed(store);
  const all = async (): Promise<string[][]> => Promise.all(['late', 'other', 'before', 'never'].map(whereIs));
  const wanted = [['1/3/1'], ['waits'], ['1/3/0'], []];
  expect(await all()).toEqual(wanted);
  await fill(store, 60, 4);
  expect(await all()).toEqual(wanted);
  await store.stop();
  for (const name of await disk.list('data/index')) await disk.unlink(`data/index/${name}`);
  ({ store } = await openStore({ disk, checkpoints }));
  expect(await all()).toEqual(wanted);
  await store.stop();
});
