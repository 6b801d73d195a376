/**
 * What a record of kind `dropped` says: pending messages that will never be visible.
 * | count u32 | position u64, size u32, topic id u32, due u64 × count |; a longer payload is a later version.
 */
import { getU64, putU64, viewOf } from '@cometmq/shared';

import type { LogPosition, TopicId } from '../units.js';

export interface Dropped {
  readonly position: LogPosition;
  /** Of the whole record. */
  readonly size: number;
  /** The topic the message was sent to. */
  readonly topicId: TopicId;
  /** When a delayed message would have been due; 0: half of a transaction. */
  readonly dueMs: number;
}

const entryBytes = 24;
/** So that the record stays small: 24 KiB. */
export const droppedPerRecordMax = 1024;

export function encodeDropped(list: readonly Dropped[]): Uint8Array {
  const payload = new Uint8Array(4 + list.length * entryBytes);
  const view = viewOf(payload);
  view.setUint32(0, list.length, true);
  let at = 4;
  for (const { position, size, topicId, dueMs } of list) {
    putU64(view, at, position);
    view.setUint32(at + 8, size, true);
    view.setUint32(at + 12, topicId, true);
    putU64(view, at + 16, dueMs);
    at += entryBytes;
  }
  return payload;
}

/** Plain numbers, no object an entry: a view folds thousands at once. */
export function eachDropped(
  payload: Uint8Array,
  each: (position: LogPosition, size: number, topicId: TopicId, dueMs: number) => void,
): void {
  const view = viewOf(payload);
  for (let left = view.getUint32(0, true), at = 4; left > 0; left -= 1, at += entryBytes) {
    const topicId = view.getUint32(at + 12, true) as TopicId;
    each(getU64(view, at) as LogPosition, view.getUint32(at + 8, true), topicId, getU64(view, at + 16));
  }
}
