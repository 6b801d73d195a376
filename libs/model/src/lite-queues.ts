import { assert } from '@cometmq/shared';

import type { QueueId, TopicId } from './units.js';

/**
 * The queue of a lite topic that is gone, and what it still held. Several views fold a `liteTopicsDeleted` record, so its
 * payload is written down here:
 *
 *   | layout 1 u8 | count u32 | (topic u32 | queue u32 | messages u64 | bytes u64) × count |   little-endian
 */
export interface LiteQueueGone {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** What the topic loses by it, as retention counts. */
  readonly messages: number;
  readonly bytes: number;
}

/** Lite topics' queues are numbered from here; below stand the topic's ordinary queues. No number is given twice. */
export const firstLiteQueue = 65_536;

const headBytes = 5;
const entryBytes = 24;
const two32 = 2 ** 32;

export function encodeLiteQueuesGone(gone: readonly LiteQueueGone[]): Uint8Array {
  const out = Buffer.alloc(headBytes + entryBytes * gone.length);
  out[0] = 1;
  out.writeUInt32LE(gone.length, 1);
  let at = headBytes;
  for (const { topicId, queueId, messages, bytes } of gone) {
    out.writeUInt32LE(topicId, at);
    out.writeUInt32LE(queueId, at + 4);
    putU53(out, messages, at + 8);
    putU53(out, bytes, at + 16);
    at += entryBytes;
  }
  return out;
}

export function eachLiteQueueGone(payload: Uint8Array, each: (gone: LiteQueueGone) => void): void {
  const from = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  assert(from[0] === 1, 'a record of deleted lite topics has a layout this version knows');
  for (let left = from.readUInt32LE(1), at = headBytes; left > 0; left -= 1, at += entryBytes) {
    each({
      topicId: from.readUInt32LE(at) as TopicId,
      queueId: from.readUInt32LE(at + 4) as QueueId,
      messages: getU53(from, at + 8),
      bytes: getU53(from, at + 16),
    });
  }
}

function putU53(out: Buffer, value: number, at: number): void {
  out.writeUInt32LE(value % two32, at);
  out.writeUInt32LE(Math.floor(value / two32), at + 4);
}

function getU53(from: Buffer, at: number): number {
  return from.readUInt32LE(at) + from.readUInt32LE(at + 4) * two32;
}
