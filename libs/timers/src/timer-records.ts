import type { LogPosition, QueueId, TopicId } from '@cometmq/model';
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import type { Timer } from './ports.js';

const layout = 1;
const out = new ByteWriter();

/** A timer that is due at another time from now on. `timer` says when it was due so far. */
export interface TimerMove {
  readonly timer: Timer;
  readonly dueMs: number;
}

/** | 1 | count | (position | size | due so far | due from now on | topic | queue | tag u32 | group u32) × count | */
export function encodeMoves(moves: readonly TimerMove[]): Uint8Array {
  out.begin();
  out.u8(layout);
  out.whole(moves.length);
  for (const { timer, dueMs } of moves) {
    out.whole(timer.position);
    out.whole(timer.size);
    out.whole(timer.dueMs);
    out.whole(dueMs);
    out.whole(timer.topicId);
    out.whole(timer.queueId);
    out.u32(timer.tagHash);
    out.u32(timer.groupHash);
  }
  return out.taken();
}

export function decodeMoves(payload: Uint8Array): TimerMove[] {
  const from = new ByteReader(payload);
  assert(from.u8() === layout, 'a record of moved timers has a layout this version knows: new meaning is a new kind');
  const moves: TimerMove[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    const position = from.whole() as LogPosition;
    const size = from.whole();
    const beforeMs = from.whole();
    const dueMs = from.whole();
    const topicId = from.whole() as TopicId;
    const queueId = from.whole() as QueueId;
    const tagHash = from.u32();
    const groupHash = from.u32();
    moves.push({ timer: { position, size, dueMs: beforeMs, topicId, queueId, tagHash, groupHash }, dueMs });
  }
  return moves;
}
