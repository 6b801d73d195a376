import { assert, MqError } from '@cometmq/shared';

import type { MessageType } from './message-type.js';
import { decodeTransferMark, encodeTransferMark, type TransferMark } from './records/transfer.js';

/**
 * What stands before the encoded message in a message record, so that the system can filter, index and deliver it
 * without reading the clients' protocol. Little-endian:
 *
 *   | size u16 | type u8 | flags u8 | idHash u32 | tagLength u16 | idLength u16 | groupLength u16 | keyCount u16 |
 *   | keyHash u32 × keyCount | tag | id | group | extras |  then, to the record's end, the encoded message as it was sent
 *
 * `size` counts everything before the encoded message; a reader skips what it does not know. Extras stand in this order,
 * each only if its flag is set:
 *
 *   1 dueMs u64 | 2 checkAfterMs u32 | 4 priority i32 | 8 liteTopic: length u16, UTF-8 | 16 transferred: length u16, bytes
 *
 * The last one is not the sender's: a broker set that gets the message from another one adds it (records/transfer.ts).
 */
export interface EnvelopeDraft {
  readonly type: MessageType;
  /** UTF-8. Empty: no tag. */
  readonly tag: Uint8Array;
  readonly id: Uint8Array;
  /** The message group, UTF-8. Empty: none. */
  readonly group: Uint8Array;
  readonly keys: readonly Uint8Array[];
  /** When a delayed message is due, since 1970. */
  readonly dueMs?: number | undefined;
  /** How long after its arrival a half message is first asked for; left out: the broker's default. */
  readonly checkAfterMs?: number | undefined;
  readonly priority?: number | undefined;
  /** The lite topic's name, UTF-8. */
  readonly liteTopic?: Uint8Array | undefined;
}

const extra = { dueMs: 1, checkAfterMs: 2, priority: 4, liteTopic: 8, transferred: 16 } as const;
const two32 = 2 ** 32;

const fixedBytes = 16;
export const envelopeBytesMax = 65_535;

export function encodeEnvelope(draft: EnvelopeDraft): Buffer {
  const { tag, id, group, keys } = draft;
  const extras = extrasOf(draft);
  const plainBytes = fixedBytes + 4 * keys.length + tag.length + id.length + group.length;
  const size = extras === 0 ? plainBytes : plainBytes + extrasBytes(extras, draft);
  assert(size <= envelopeBytesMax, 'an envelope fits 16 bits: the door limits properties to 16 KiB');
  const out = Buffer.allocUnsafe(size);
  out.writeUInt16LE(size, 0);
  out[2] = draft.type;
  out[3] = extras;
  out.writeUInt32LE(hashBytes(id), 4);
  out.writeUInt16LE(tag.length, 8);
  out.writeUInt16LE(id.length, 10);
  out.writeUInt16LE(group.length, 12);
  out.writeUInt16LE(keys.length, 14);
  let at = fixedBytes;
  for (const key of keys) {
    out.writeUInt32LE(hashBytes(key), at);
    at += 4;
  }
  out.set(tag, at);
  out.set(id, at + tag.length);
  out.set(group, at + tag.length + id.length);
  if (extras !== 0) putExtras(out, plainBytes, draft);
  return out;
}

function extrasOf({ dueMs, checkAfterMs, priority, liteTopic }: EnvelopeDraft): number {
  return (
    (dueMs === undefined ? 0 : extra.dueMs) |
    (checkAfterMs === undefined ? 0 : extra.checkAfterMs) |
    (priority === undefined ? 0 : extra.priority) |
    (liteTopic === undefined ? 0 : extra.liteTopic)
  );
}

function extrasBytes(extras: number, draft: EnvelopeDraft): number {
  let bytes = 0;
  if (extras & extra.dueMs) bytes += 8;
  if (extras & extra.checkAfterMs) bytes += 4;
  if (extras & extra.priority) bytes += 4;
  if (extras & extra.liteTopic) bytes += 2 + (draft.liteTopic?.length ?? 0);
  return bytes;
}

function putExtras(out: Buffer, from: number, { dueMs, checkAfterMs, priority, liteTopic }: EnvelopeDraft): void {
  let at = from;
  if (dueMs !== undefined) {
    out.writeUInt32LE(dueMs % two32, at);
    out.writeUInt32LE(Math.floor(dueMs / two32), at + 4);
    at += 8;
  }
  if (checkAfterMs !== undefined) at = out.writeUInt32LE(checkAfterMs, at);
  if (priority !== undefined) at = out.writeInt32LE(priority, at);
  if (liteTopic !== undefined) out.set(liteTopic, out.writeUInt16LE(liteTopic.length, at));
}

/** The envelope of a stored message with a mark in place of any that it has. */
export function markedEnvelope(payload: Uint8Array, mark: TransferMark): Buffer {
  const sent = sentEnvelope(payload);
  const bytes = encodeTransferMark(mark);
  const size = sent.length + 2 + bytes.length;
  if (size > envelopeBytesMax) throw new MqError('MESSAGE_TOO_LARGE', 'so many groups fit no envelope');
  const out = Buffer.allocUnsafe(size);
  out.set(sent);
  out.writeUInt16LE(size, 0);
  out[3] = (sent[3] as number) | extra.transferred;
  out.set(bytes, out.writeUInt16LE(bytes.length, sent.length));
  return out;
}

/** The envelope as it came with the message: without a mark. */
export function sentEnvelope(payload: Uint8Array): Buffer {
  const view = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const size = view.readUInt16LE(0);
  const flags = view.readUInt8(3);
  if ((flags & extra.transferred) === 0) return view.subarray(0, size);
  const sent = Buffer.from(view.subarray(0, new Envelope(payload).sentSize));
  sent.writeUInt16LE(sent.length, 0);
  sent[3] = flags & ~extra.transferred;
  return sent;
}

/** Whether the message came from another broker set: one look at one byte. */
export function isTransferred(payload: Uint8Array): boolean {
  return ((payload[3] as number) & extra.transferred) !== 0;
}

/** Without a look at the rest: for those who see every message. */
export function envelopeType(payload: Uint8Array): MessageType {
  return payload[2] as MessageType;
}

/** A look into a message record's payload. Made for one read; holds no copy. */
export class Envelope {
  private readonly view: Buffer;

  constructor(payload: Uint8Array) {
    this.view = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    assert(payload.byteLength >= fixedBytes && this.size <= payload.byteLength, 'a stored message has its envelope');
  }
  get size(): number {
    return this.view.readUInt16LE(0);
  }
  /** Without a mark of a transfer. */
  get sentSize(): number {
    const at = this.extraAt(extra.transferred);
    return at < 0 ? this.size : at;
  }
  get type(): MessageType {
    return this.view.readUInt8(2) as MessageType;
  }
  get idHash(): number {
    return this.view.readUInt32LE(4);
  }
  get keyCount(): number {
    return this.view.readUInt16LE(14);
  }
  keyHash(index: number): number {
    return this.view.readUInt32LE(fixedBytes + 4 * index);
  }
  get tag(): Buffer {
    const from = fixedBytes + 4 * this.keyCount;
    return this.view.subarray(from, from + this.view.readUInt16LE(8));
  }
  get id(): string {
    const from = fixedBytes + 4 * this.keyCount + this.view.readUInt16LE(8);
    return this.view.toString('utf8', from, from + this.view.readUInt16LE(10));
  }
  get group(): string {
    const from = fixedBytes + 4 * this.keyCount + this.view.readUInt16LE(8) + this.view.readUInt16LE(10);
    return this.view.toString('utf8', from, from + this.view.readUInt16LE(12));
  }
  get dueMs(): number | undefined {
    const at = this.extraAt(extra.dueMs);
    return at < 0 ? undefined : this.view.readUInt32LE(at) + this.view.readUInt32LE(at + 4) * two32;
  }
  get checkAfterMs(): number | undefined {
    const at = this.extraAt(extra.checkAfterMs);
    return at < 0 ? undefined : this.view.readUInt32LE(at);
  }
  get priority(): number | undefined {
    const at = this.extraAt(extra.priority);
    return at < 0 ? undefined : this.view.readInt32LE(at);
  }
  get liteTopic(): string | undefined {
    const at = this.extraAt(extra.liteTopic);
    return at < 0 ? undefined : this.view.toString('utf8', at + 2, at + 2 + this.view.readUInt16LE(at));
  }
  /** What the broker set that got the message from another one noted. */
  get transferMark(): TransferMark | undefined {
    const at = this.extraAt(extra.transferred);
    return at < 0 ? undefined : decodeTransferMark(this.view.subarray(at + 2, at + 2 + this.view.readUInt16LE(at)));
  }
  /** Where an extra stands; below 0: it is not there. */
  private extraAt(flag: number): number {
    const flags = this.view.readUInt8(3);
    if ((flags & flag) === 0) return -1;
    const { view } = this;
    let at = fixedBytes + 4 * this.keyCount + view.readUInt16LE(8) + view.readUInt16LE(10) + view.readUInt16LE(12);
    if (flag > extra.dueMs && flags & extra.dueMs) at += 8;
    if (flag > extra.checkAfterMs && flags & extra.checkAfterMs) at += 4;
    if (flag > extra.priority && flags & extra.priority) at += 4;
    if (flag > extra.liteTopic && flags & extra.liteTopic) at += 2 + view.readUInt16LE(at);
    return at;
  }
  /** The encoded message, as the client sent it. A view of the payload. */
  get message(): Buffer {
    return this.view.subarray(this.size);
  }
}

/** Where in a message record's payload, or in an envelope alone, the message id stands. Makes nothing. */
export function envelopeIdFrom(bytes: Uint8Array): number {
  return fixedBytes + 4 * u16(bytes, 14) + u16(bytes, 8);
}
export function envelopeIdBytes(bytes: Uint8Array): number {
  return u16(bytes, 10);
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}

/** FNV-1a, 32 bits, never 0: how tags, message groups, ids and keys are hashed in headers and indexes. 0 says "none". */
export function hashBytes(bytes: Uint8Array): number {
  if (bytes.length === 0) return 0;
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i += 1) {
    hash ^= bytes[i] as number;
    hash = Math.imul(hash, 0x01000193);
  }
  return hash >>> 0 || 1;
}

export function hashText(text: string): number {
  return hashBytes(Buffer.from(text, 'utf8'));
}
