/**
 * A record of the log. Little-endian; nothing is padded, so a record's size is what it takes.
 *
 *   | magic u16 | version u8 | kind u8 | size u32 | checksum u32 | epoch u32 |
 *   | position u64 | commitKnown u64 | timestampMs u64 |                                    40 bytes: every record
 *   | topicId u32 | queueId u32 | queueOffset u64 | tagHash u32 | groupHash u32 |           24 more: what has a queue
 *   | payload |
 *
 * Messages, references and pending messages have a queue; a pending one has no offset in it yet: 0.
 * `size` is that of the whole record. `checksum` covers all of it, taken with the checksum's own four bytes as zeros; it
 * begins from the log's salt, so that nobody can put into a message what would be taken for a record.
 * `position` is where the record stands, so a misplaced or stale one is never taken for good. `commitKnown` is the
 * commit position when the record was written: proof, for an opening broker, that all below it was once durable.
 * 64-bit numbers stay below 2^53.
 */
import { RecordKind, logPosition, epoch as toEpoch, queueId, queueOffset, topicId } from '@cometmq/model';
import type { Epoch, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';

import { checksum } from './checksum.js';

export const recordMagic = 0x4d43;
export const recordVersion = 1;
export const headerBytes = 40;
export const queueHeaderBytes = 64;

/** What the five queue fields say. */
export interface QueueFields {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly queueOffset: QueueOffset;
  readonly tagHash: number;
  readonly groupHash: number;
}

export interface RecordDraft {
  readonly kind: RecordKind;
  readonly timestampMs: number;
  /** In this order one after another. Copied at the append: may be reused afterwards. */
  readonly payload: readonly Uint8Array[];
  /** Of messages, references and pending messages, and only of them. */
  readonly queue?: QueueFields | undefined;
  /** May use the space kept for when the disk is full: deliveries, acks, expiry. */
  readonly reserved?: boolean | undefined;
}

export interface LogRecord {
  readonly kind: RecordKind;
  readonly position: LogPosition;
  /** Header included; the next record stands at `position + size`. */
  readonly size: number;
  readonly epoch: Epoch;
  readonly timestampMs: number;
  readonly commitKnown: LogPosition;
  /** A view, not a copy. */
  readonly payload: Uint8Array;
  /** The last five are 0 for kinds without a queue header. */
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly queueOffset: QueueOffset;
  readonly tagHash: number;
  readonly groupHash: number;
}

export function hasQueueHeader(kind: number): boolean {
  return isQueued(kind) || isPending(kind);
}

/** Messages with a mark of a transfer that stand in a queue with their body. */
export function isTransferredMessage(kind: number): boolean {
  return kind === RecordKind.transferred || kind === RecordKind.transferredLetter || kind === RecordKind.returnedLetter;
}

/** Messages that no queue shows yet. */
export function isPending(kind: number): boolean {
  return kind === RecordKind.pending || kind === RecordKind.transferredPending;
}

/** Messages with their body, in a queue or not yet in one. */
export function isMessage(kind: number): boolean {
  return kind === RecordKind.message || isPending(kind) || isTransferredMessage(kind);
}

/** Records that are one more entry of their queue. */
export function isQueued(kind: number): boolean {
  return kind === RecordKind.message || kind === RecordKind.reference || isTransferredMessage(kind);
}

export function headerBytesOf(kind: number): number {
  return hasQueueHeader(kind) ? queueHeaderBytes : headerBytes;
}

const offsets = {
  magic: 0,
  version: 2,
  kind: 3,
  size: 4,
  checksum: 8,
  epoch: 12,
  position: 16,
  commitKnown: 24,
  timestampMs: 32,
  topicId: 40,
  queueId: 44,
  queueOffset: 48,
  tagHash: 56,
  groupHash: 60,
} as const;

const two32 = 2 ** 32;

function putU64(into: DataView, at: number, value: number): void {
  into.setUint32(at, value >>> 0, true);
  into.setUint32(at + 4, (value / two32) >>> 0, true);
}

function getU64(from: DataView, at: number): number {
  return from.getUint32(at, true) + from.getUint32(at + 4, true) * two32;
}

/** Bytes looked at as records. Made once for a big block, not once a record. */
export class RecordBlock {
  readonly bytes: Buffer;
  private readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Writes the draft at `at`, all but commit position and checksum: `finish` sets those. */
  put(at: number, draft: RecordDraft, size: number, epochNow: number, position: number): void {
    const view = this.view;
    view.setUint32(at, recordMagic | (recordVersion << 16) | (draft.kind << 24), true);
    view.setUint32(at + offsets.size, size, true);
    view.setUint32(at + offsets.checksum, 0, true);
    view.setUint32(at + offsets.epoch, epochNow, true);
    putU64(view, at + offsets.position, position);
    putU64(view, at + offsets.commitKnown, 0);
    putU64(view, at + offsets.timestampMs, draft.timestampMs);
    let to = at + headerBytes;
    const queue = draft.queue;
    if (queue) {
      view.setUint32(at + offsets.topicId, queue.topicId, true);
      view.setUint32(at + offsets.queueId, queue.queueId, true);
      putU64(view, at + offsets.queueOffset, queue.queueOffset);
      view.setUint32(at + offsets.tagHash, queue.tagHash, true);
      view.setUint32(at + offsets.groupHash, queue.groupHash, true);
      to = at + queueHeaderBytes;
    }
    for (const chunk of draft.payload) {
      this.bytes.set(chunk, to);
      to += chunk.byteLength;
    }
  }

  /** Completes a record that is about to be written. Answers its size. */
  finish(at: number, commitKnown: number, salt: number): number {
    const size = this.sizeAt(at);
    putU64(this.view, at + offsets.commitKnown, commitKnown);
    this.view.setUint32(at + offsets.checksum, checksum(this.bytes.subarray(at, at + size), salt), true);
    return size;
  }

  sizeAt(at: number): number {
    return this.view.getUint32(at + offsets.size, true);
  }

  kindAt(at: number): number {
    return this.view.getUint8(at + offsets.kind);
  }

  versionAt(at: number): number {
    return this.view.getUint8(at + offsets.version);
  }

  epochAt(at: number): number {
    return this.view.getUint32(at + offsets.epoch, true);
  }

  /** The checksum's own bytes. */
  checksumBytesAt(at: number): Buffer {
    return this.bytes.subarray(at + offsets.checksum, at + offsets.checksum + 4);
  }

  commitKnownAt(at: number): number {
    return getU64(this.view, at + offsets.commitKnown);
  }

  timestampMsAt(at: number): number {
    return getU64(this.view, at + offsets.timestampMs);
  }

  positionAt(at: number): number {
    return getU64(this.view, at + offsets.position);
  }

  /** Whether what stands at `at` may be a record's header: magic and a possible size. Needs `headerBytes` bytes. */
  looksLikeHeader(at: number, sizeMax: number): boolean {
    const view = this.view;
    if (view.getUint16(at, true) !== recordMagic) return false;
    const size = this.sizeAt(at);
    return size >= headerBytesOf(view.getUint8(at + offsets.kind)) && size <= sizeMax;
  }

  /** The same, and it says that it stands at `position`. Says nothing of the checksum. */
  hasHeader(at: number, position: number, sizeMax: number): boolean {
    return this.looksLikeHeader(at, sizeMax) && this.positionAt(at) === position;
  }

  /** Whether the checksum of the record at `at` is right. Writes into the block, and puts back what was there. */
  isWhole(at: number, salt: number): boolean {
    const stored = this.view.getUint32(at + offsets.checksum, true);
    this.view.setUint32(at + offsets.checksum, 0, true);
    const found = checksum(this.bytes.subarray(at, at + this.sizeAt(at)), salt);
    this.view.setUint32(at + offsets.checksum, stored, true);
    return found === stored;
  }

  /** The record at `at`, its payload a view of this block. Asks for nothing to be checked: see `isWhole`. */
  record(at: number): LogRecord {
    const view = this.view;
    const kind = view.getUint8(at + offsets.kind) as RecordKind;
    const size = this.sizeAt(at);
    const queued = hasQueueHeader(kind);
    return {
      kind,
      position: logPosition(getU64(view, at + offsets.position)),
      size,
      epoch: toEpoch(view.getUint32(at + offsets.epoch, true)),
      timestampMs: getU64(view, at + offsets.timestampMs),
      commitKnown: logPosition(getU64(view, at + offsets.commitKnown)),
      payload: this.bytes.subarray(at + (queued ? queueHeaderBytes : headerBytes), at + size),
      topicId: topicId(queued ? view.getUint32(at + offsets.topicId, true) : 0),
      queueId: queueId(queued ? view.getUint32(at + offsets.queueId, true) : 0),
      queueOffset: queueOffset(queued ? getU64(view, at + offsets.queueOffset) : 0),
      tagHash: queued ? view.getUint32(at + offsets.tagHash, true) : 0,
      groupHash: queued ? view.getUint32(at + offsets.groupHash, true) : 0,
    };
  }
}

/** The record in bytes that hold exactly one. */
export function decodeRecord(bytes: Uint8Array): LogRecord {
  return new RecordBlock(bytes).record(0);
}
