/**
 * What a record of kind `dropped` says: pending messages that will never be visible.
 * | count u32 | position u64, size u32, topic id u32 × count |; a longer payload is a later version.
 */
import { getU64, putU64, viewOf } from '@cometmq/shared';

import type { LogPosition, TopicId } from './units.js';

export interface Dropped {
  readonly position: LogPosition;
  /** Of the whole record. */
  readonly size: number;
  /** The topic the message was sent to. */
  readonly topicId: TopicId;
}

const entryBytes = 16;
/** So that the record stays small: 32 KiB, half of the smallest limit of a record. */
export const droppedPerRecordMax = 2048;

export function encodeDropped(list: readonly Dropped[]): Uint8Array {
  const payload = new Uint8Array(4 + list.length * entryBytes);
  const view = viewOf(payload);
  view.setUint32(0, list.length, true);
  let at = 4;
  for (const { position, size, topicId } of list) {
    putU64(view, at, position);
    view.setUint32(at + 8, size, true);
    view.setUint32(at + 12, topicId, true);
    at += entryBytes;
  }
  return payload;
}

/** Plain numbers, no object an entry: a view folds thousands at once. */
export function eachDropped(
  payload: Uint8Array,
  each: (position: LogPosition, size: number, topicId: TopicId) => void,
): void {
  const view = viewOf(payload);
  for (let left = view.getUint32(0, true), at = 4; left > 0; left -= 1, at += entryBytes) {
    each(getU64(view, at) as LogPosition, view.getUint32(at + 8, true), view.getUint32(at + 12, true) as TopicId);
  }
}
