/**
 * What a record of kind `expiry` says: | count u32 | topicId u32, queueId u32, first u64, messages u64, bytes u64 × count |.
 * `messages` and `bytes` are what the leader found between the old first offset and the new one, so that a fold can
 * keep sizes without looking at an index. A longer payload is a later version.
 */
import { getU64, putU64, viewOf } from '@cometmq/shared';

import type { QueueId, TopicId } from '../units.js';

export interface Expired {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** The oldest offset kept from now on. */
  readonly first: number;
  readonly messages: number;
  readonly bytes: number;
}

const entryBytes = 32;
/** So that an expiry record stays small: 32 KiB, half of the smallest limit of a record. */
export const expiredPerRecordMax = 1024;

export function encodeExpiry(list: readonly Expired[]): Uint8Array {
  const payload = new Uint8Array(4 + list.length * entryBytes);
  const view = viewOf(payload);
  view.setUint32(0, list.length, true);
  let at = 4;
  for (const expired of list) {
    view.setUint32(at, expired.topicId, true);
    view.setUint32(at + 4, expired.queueId, true);
    putU64(view, at + 8, expired.first);
    putU64(view, at + 16, expired.messages);
    putU64(view, at + 24, expired.bytes);
    at += entryBytes;
  }
  return payload;
}

/** Plain numbers, no object an entry: a view folds thousands at once. */
export function eachExpired(
  payload: Uint8Array,
  each: (topicId: TopicId, queueId: QueueId, first: number, messages: number, bytes: number) => void,
): void {
  const view = viewOf(payload);
  for (let left = view.getUint32(0, true), at = 4; left > 0; left -= 1, at += entryBytes) {
    const topicId = view.getUint32(at, true) as TopicId;
    const queueId = view.getUint32(at + 4, true) as QueueId;
    each(topicId, queueId, getU64(view, at + 8), getU64(view, at + 16), getU64(view, at + 24));
  }
}
