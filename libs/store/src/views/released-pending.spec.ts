import { encodeDropped, encodeReference, RecordKind, referenceReason } from '@cometmq/model';
import type { Epoch, GroupId, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import type { LogRecord } from '../log/record.js';
import { PendingMessages } from './pending-messages.js';
import { ReleasedPending } from './released-pending.js';

const topicId = 1 as TopicId;

/** Both views over one set of stored pieces, as the store has them. */
class Life {
  readonly pending = new PendingMessages(4096);
  readonly released: ReleasedPending;

  constructor(readonly pieces: Map<string, Uint8Array>) {
    const limits = { releases: 20, pieces: 5, bitmaps: 3 };
    this.released = new ReleasedPending(this.pending, (key) => pieces.get(`~released/${key}`), limits);
    for (const [key, value] of pieces) {
      if (key.startsWith('pending/')) this.pending.load(key.slice(8), value);
      if (key.startsWith('released/')) this.released.load(key.slice(9), value);
    }
  }

  fold(record: LogRecord): void {
    for (const view of [this.pending, this.released]) if (view.kinds.has(record.kind)) view.fold(record);
  }

  checkpoint(): void {
    for (const view of [this.pending, this.released]) {
      for (const { key, value, cold } of view.takeChanges()) {
        const name = `${cold ? '~' : ''}${view.name}/${key}`;
        if (value) this.pieces.set(name, Uint8Array.from(value));
        else this.pieces.delete(name);
      }
    }
  }
}

// Goal: what was released is known, over checkpoints, merges and restarts, with few pieces. Method: pending messages come
// and go by chance, in the order they came or not; a Set beside the view says what must be known.
it.each(seeds(40))('released messages are known wherever others still live (seed %i)', (seed) => {
  const chance = new Prng(seed);
  const pieces = new Map<string, Uint8Array>();
  let life = new Life(pieces);
  let log: LogRecord[] = [];
  let position = 0;
  const all: { position: LogPosition; size: number }[] = [];
  const living: { position: LogPosition; size: number; topicId: TopicId; dueMs: number }[] = [];
  const released = new Set<number>();
  const add = (kind: RecordKind, payload: Uint8Array): LogRecord => {
    const size = 64 + payload.length;
    const fields = { topicId, queueId: 0 as QueueId, queueOffset: 0 as QueueOffset, tagHash: 0, groupHash: 0 };
    const at = position as LogPosition;
    const rest = { size, epoch: 1 as Epoch, timestampMs: 1, commitKnown: at, payload, ...fields };
    const record = { kind, position: at, ...rest };
    position += size;
    log.push(record);
    life.fold(record);
    return record;
  };
  const inOrder = chance.chance(0.3);
  for (let step = 0; step < 800; step += 1) {
    if (chance.chance(0.55) || living.length === 0) {
      const { position: at, size } = add(RecordKind.pending, new Uint8Array(chance.below(60)));
      all.push({ position: at, size });
      living.push({ position: at, size, topicId, dueMs: 0 });
    } else {
      const picked = living.splice(inOrder ? 0 : chance.below(living.length), 1 + chance.below(3));
      for (const one of picked) released.add(one.position);
      if (chance.chance(0.5)) add(RecordKind.dropped, encodeDropped(picked));
      else {
        for (const target of picked) {
          const fields = { reason: referenceReason.timerFired, groupId: 0 as GroupId, originTopicId: topicId };
          add(RecordKind.reference, encodeReference({ target, ...fields }));
        }
      }
    }
    if (chance.chance(0.1)) {
      life.checkpoint();
      log = [];
    }
    if (chance.chance(0.05)) {
      life = new Life(pieces);
      for (const record of log) life.fold(record);
    }
    if (chance.chance(0.05)) {
      const isReleased = life.released.releasedIn(0, position);
      const windowLives = (at: number): boolean => life.pending.livesInWindow(Math.floor(at / 4096));
      for (const { position: at } of all) {
        // Where nothing lives nothing has to be known, as long as no living one is taken for released.
        if (isReleased(at) !== released.has(at) && (windowLives(at) || isReleased(at))) {
          throw new Error(`${at} is ${released.has(at) ? 'released' : 'living'} and taken for the other`);
        }
      }
    }
  }
  add(RecordKind.dropped, encodeDropped(living));
  position += 4096;
  add(RecordKind.dropped, encodeDropped([]));
  for (let i = 0; i < 200; i += 1) {
    add(RecordKind.dropped, encodeDropped([]));
    life.checkpoint();
  }
  expect(life.pending.messages).toBe(0);
  expect([...pieces.keys()].filter((key) => key.startsWith('~') || key.startsWith('released/m'))).toEqual([]);
});
