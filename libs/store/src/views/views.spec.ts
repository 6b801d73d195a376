import {
  encodeDropped,
  encodeExpiry,
  encodeLiteQueuesGone,
  encodeReference,
  encodeTopicDeleted,
  type Dropped,
  RecordKind,
  referenceReason,
  type StateChange,
} from '@cometmq/model';
import type { Epoch, GroupId, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { EpochTable } from '../log/epoch-table.js';
import type { LogRecord } from '../log/record.js';
import { TallyView } from '../store-harness.js';
import { QueueDirectory } from './queue-directory.js';
import { Epochs } from './epochs.js';
import { PendingMessages } from './pending-messages.js';
import { Sizes } from './sizes.js';
import type { StateView } from './state-view.js';

/** A log that could be: queues grow by one, expiry raises, pending messages end once, topics go and never come back. */
function randomLog(chance: Prng, length: number): LogRecord[] {
  const log: LogRecord[] = [];
  let position = 0;
  let epoch = 0;
  const queues = new Map<string, { topic: number; queue: number; first: number; next: number }>();
  const pending: Dropped[] = [];
  let topics = [1, 2, 3, 4, 5];
  const add = (
    kind: RecordKind,
    payload: Uint8Array,
    entry?: { topic: number; queue: number; offset: number },
  ): void => {
    const size = 40 + payload.length + (entry ? 24 : 0);
    log.push({
      kind,
      position: position as LogPosition,
      size,
      epoch: epoch as Epoch,
      timestampMs: log.length,
      commitKnown: 0 as LogPosition,
      payload,
      topicId: (entry?.topic ?? 0) as TopicId,
      queueId: (entry?.queue ?? 0) as QueueId,
      queueOffset: (entry?.offset ?? 0) as QueueOffset,
      tagHash: 0,
      groupHash: 0,
    });
    position += size;
  };
  const addReference = (target: { position: LogPosition; size: number }, reason: number, origin: number): void => {
    const [topic, queue] = [chance.pick(topics), chance.below(3)];
    const state = queues.get(`${topic}/${queue}`) ?? { topic, queue, first: 0, next: 0 };
    queues.set(`${topic}/${queue}`, state);
    const reference = { target, reason, groupId: 0 as GroupId, originTopicId: origin as TopicId };
    add(RecordKind.reference, encodeReference(reference), { topic, queue, offset: state.next });
    state.next += 1;
  };
  while (log.length < length) {
    if (epoch === 0 || chance.chance(0.02)) {
      epoch += 1 + chance.below(2);
      add(RecordKind.epochStart, new Uint8Array(0));
    }
    const roll = chance.below(25);
    if (roll >= 22) {
      const topic = chance.pick(topics);
      add(RecordKind.pending, new Uint8Array(chance.below(90)), { topic, queue: 0, offset: 0 });
      const { position: at, size } = log[log.length - 1] as LogRecord;
      pending.push({ position: at, size, topicId: topic as TopicId, dueMs: 0 });
      continue;
    }
    if (roll >= 20 && pending.length > 0) {
      // Also those of topics that are gone: they are void.
      const picked = pending.splice(chance.below(pending.length), 1 + chance.below(2));
      const reason = chance.pick([referenceReason.timerFired, referenceReason.committed, referenceReason.recovered]);
      if (chance.chance(0.5)) add(RecordKind.dropped, encodeDropped(picked));
      else for (const { position: at, size, topicId } of picked) addReference({ position: at, size }, reason, topicId);
      continue;
    }
    if (roll < 14) {
      const [topic, queue] = [chance.pick(topics), chance.below(chance.chance(0.1) ? 1000 : 3)];
      const key = `${topic}/${queue}`;
      const state = queues.get(key) ?? { topic, queue, first: 0, next: 0 };
      queues.set(key, state);
      if (roll === 0) {
        addReference({ position: 0 as LogPosition, size: 1 }, referenceReason.deadLetter, 1);
        continue;
      }
      add(RecordKind.message, new Uint8Array(chance.below(50)), { topic, queue, offset: state.next });
      state.next += 1;
    } else if (roll < 17 && queues.size > 0) {
      const picked = [chance.pick([...queues.values()]), chance.pick([...queues.values()])].slice(
        0,
        1 + chance.below(2),
      );
      const list = picked.map((state) => {
        const first = state.first + chance.below(state.next - state.first + 1);
        const messages = first - state.first;
        state.first = first;
        return {
          topicId: state.topic as TopicId,
          queueId: state.queue as QueueId,
          first,
          messages,
          bytes: messages * 3,
        };
      });
      add(RecordKind.expiry, encodeExpiry(list));
    } else if (roll === 17 && queues.size > 0) {
      const [key, { topic, queue, first, next }] = chance.pick([...queues]);
      queues.delete(key);
      const gone = { topicId: topic as TopicId, queueId: queue as QueueId, messages: next - first, bytes: 7 };
      add(RecordKind.liteTopicsDeleted, encodeLiteQueuesGone([gone]));
    } else if (roll < 19) {
      add(RecordKind.ack, Uint8Array.of(chance.below(6), chance.below(100)));
    } else if (topics.length > 2 && chance.chance(0.2)) {
      const gone = chance.pick(topics);
      topics = topics.filter((topic) => topic !== gone);
      for (const [key, { topic }] of queues) if (topic === gone) queues.delete(key);
      add(RecordKind.topicDeleted, encodeTopicDeleted(gone as TopicId));
    }
  }
  return log;
}

function fold(view: StateView, records: readonly LogRecord[]): void {
  for (const record of records) if (view.kinds.has(record.kind)) view.fold(record);
}

function takeInto(pieces: Map<string, Uint8Array>, view: StateView): void {
  for (const { key, value } of view.takeChanges()) {
    if (value) pieces.set(key, Uint8Array.from(value));
    else pieces.delete(key);
  }
}

// Goal: "stored pieces + fold of the rest = state", for every view. Method: fold a random log once through with
// checkpoints by chance, and once with a restart at each of them; in the end both have stored the same.
describe.each([
  ['directory', () => new QueueDirectory()],
  ['sizes', () => new Sizes()],
  ['pending messages', () => new PendingMessages(2048)],
  ['epochs', () => new Epochs(new EpochTable())],
  ['tally (the specs’ own)', () => new TallyView()],
])('%s', (_name, make: () => StateView) => {
  it.each(seeds(40))('is its snapshot and the fold of the rest (seed %i)', (seed) => {
    const chance = new Prng(seed);
    const log = randomLog(chance, 400);
    const whole = make();
    const wholePieces = new Map<string, Uint8Array>();
    fold(whole, log);
    takeInto(wholePieces, whole);

    const pieces = new Map<string, Uint8Array>();
    let view = make();
    for (let from = 0; from < log.length;) {
      const to = Math.min(log.length, from + chance.below(80));
      fold(view, log.slice(from, to));
      takeInto(pieces, view);
      if (chance.chance(0.5)) {
        // What was folded after the checkpoint is lost with the process, or thrown away by a deposed leader.
        fold(view, log.slice(to, to + 10));
        if (chance.chance(0.5)) view = make();
        else view.clear();
        for (const [key, value] of [...pieces].reverse()) view.load(key, value);
      }
      from = to;
    }
    expect([...view.takeChanges()]).toEqual([]);
    expect([...pieces].sort()).toEqual([...wholePieces].sort());
    expect(pieces.size).toBeGreaterThan(0);
  });
});

// Goal: what a directory gives while it goes on is what was when it was asked. Method: a twin is read at once.
it.each(seeds(40))('a directory that is read while it changes gives what was (seed %i)', (seed) => {
  const chance = new Prng(seed);
  const log = randomLog(chance, 600);
  const [slow, twin] = [new QueueDirectory(), new QueueDirectory()];
  const said = (changes: Iterable<StateChange>): string[] =>
    Array.from(changes, ({ key, value }) => `${key} ${value ? Buffer.from(value).toString('hex') : 'gone'}`);
  for (let from = 0; from < log.length;) {
    const to = Math.min(log.length, from + 1 + chance.below(60));
    fold(slow, log.slice(from, to));
    fold(twin, log.slice(from, to));
    const wanted = said(twin.takeChanges());
    const reading = slow.takeChanges()[Symbol.iterator]();
    const found: StateChange[] = [];
    from = to;
    for (let step = reading.next(); !step.done; step = reading.next()) {
      found.push(step.value);
      if (from === log.length || !chance.chance(0.3)) continue;
      const next = Math.min(log.length, from + chance.below(10));
      fold(slow, log.slice(from, next));
      fold(twin, log.slice(from, next));
      from = next;
    }
    expect(said(found)).toEqual(wanted);
  }
  expect(said(slow.takeChanges())).toEqual(said(twin.takeChanges()));
});
