import { assert } from '@cometmq/shared';

import type { MessageType } from './message-type.js';

/**
 * What stands before the encoded message in a message record, so that the house can filter, index and deliver it
 * without reading the clients' protocol. Little-endian:
 *
 *   | size u16 | type u8 | flags u8 | idHash u32 | tagLength u16 | idLength u16 | groupLength u16 | keyCount u16 |
 *   | keyHash u32 × keyCount | tag | id | group |  then, to the record's end, the encoded message as the client sent it
 *
 * `size` counts everything before the encoded message; a reader skips what it does not know.
 */
export interface EnvelopeDraft {
  readonly type: MessageType;
  /** UTF-8. Empty: no tag. */
  readonly tag: Uint8Array;
  readonly id: Uint8Array;
  /** The message group, UTF-8. Empty: none. */
  readonly group: Uint8Array;
  readonly keys: readonly Uint8Array[];
}

const fixedBytes = 16;
export const envelopeBytesMax = 65_535;

export function encodeEnvelope(draft: EnvelopeDraft): Buffer {
  const { tag, id, group, keys } = draft;
  const size = fixedBytes + 4 * keys.length + tag.length + id.length + group.length;
  assert(size <= envelopeBytesMax, 'an envelope fits 16 bits: the door limits properties to 16 KiB');
  const out = Buffer.allocUnsafe(size);
  out.writeUInt16LE(size, 0);
  out[2] = draft.type;
  out[3] = 0;
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
  return out;
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
  /** The encoded message, as the client sent it. A view of the payload. */
  get message(): Buffer {
    return this.view.subarray(this.size);
  }
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
