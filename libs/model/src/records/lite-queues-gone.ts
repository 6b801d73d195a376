/**
 * What a record of kind `liteTopicsDeleted` says: queues of lite topics that are gone, and what each still held.
 *
 *   | layout 1 u8 | count u32 | (topic u32 | queue u32 | messages u64 | bytes u64) × count |   little-endian
 */
import { assert, getU64, putU64, viewOf } from '@cometmq/shared';

import type { QueueId, TopicId } from '../units.js';

export interface LiteQueueGone {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** What the topic loses by it, as retention counts. */
  readonly messages: number;
  readonly bytes: number;
}

const layout = 1;
const headBytes = 5;
const entryBytes = 24;

export function encodeLiteQueuesGone(gone: readonly LiteQueueGone[]): Uint8Array {
  const payload = new Uint8Array(headBytes + entryBytes * gone.length);
  const view = viewOf(payload);
  payload[0] = layout;
  view.setUint32(1, gone.length, true);
  let at = headBytes;
  for (const { topicId, queueId, messages, bytes } of gone) {
    view.setUint32(at, topicId, true);
    view.setUint32(at + 4, queueId, true);
    putU64(view, at + 8, messages);
    putU64(view, at + 16, bytes);
    at += entryBytes;
  }
  return payload;
}

export function eachLiteQueueGone(payload: Uint8Array, each: (gone: LiteQueueGone) => void): void {
  const view = viewOf(payload);
  assert(payload[0] === layout, 'a record of deleted lite topics has a layout this version knows');
  for (let left = view.getUint32(1, true), at = headBytes; left > 0; left -= 1, at += entryBytes) {
    each({
      topicId: view.getUint32(at, true) as TopicId,
      queueId: view.getUint32(at + 4, true) as QueueId,
      messages: getU64(view, at + 8),
      bytes: getU64(view, at + 16),
    });
  }
}
