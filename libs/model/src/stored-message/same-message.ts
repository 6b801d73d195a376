/**
 * When a message that comes again is the same one. A producer that got no answer sends its message once more, and encodes
 * it anew for that: when and where it was born may differ then, and some languages write the properties in any order. All
 * else that the sender says must be the same byte for byte: body, properties, tag, keys, encoding. What differs is another
 * message, though it may have the same id.
 */
import { crc32 } from 'node:zlib';

import { Malformed, WireReader, wireType } from '@cometmq/shared';

import { Envelope, sentEnvelope } from '../envelope.js';

/** Fields of the encoded message. */
const field = { topic: 1, userProperty: 2, system: 3 } as const;
/**
 * Fields of the system properties that say nothing of the message: digest (made from the body), time and host of birth
 * and of storing, receipt handle, queue, offset, attempt, trace context.
 */
const ofTheAttempt: ReadonlySet<number> = new Set([4, 7, 8, 9, 10, 12, 13, 14, 16, 18]);

const reader = new WireReader(Buffer.alloc(0), 0, 0);

/** 32 bits of what the encoded message says, the same for all encodings of one message. */
export function contentHash(message: Uint8Array): number {
  let inOrder = 0;
  let inAnyOrder = 0;
  walk(message, (bytes, isProperty) => {
    if (isProperty) inAnyOrder = (inAnyOrder + crc32(bytes)) | 0;
    else inOrder = crc32(bytes, inOrder);
  });
  return (inOrder ^ Math.imul(inAnyOrder, 0x9e3779b1)) >>> 0;
}

/** Whether the stored message is the one that comes now, cut into its envelope and the encoded message. */
export function isSameMessage(stored: Uint8Array, envelope: Uint8Array, message: Uint8Array): boolean {
  const { size } = new Envelope(stored);
  if (Buffer.compare(sentEnvelope(stored), envelope) !== 0) return false;
  const one = contentOf(stored.subarray(size));
  const other = contentOf(message);
  return one.length === other.length && one.every((bytes, i) => bytes.equals(other[i] as Buffer));
}

function contentOf(message: Uint8Array): Buffer[] {
  const inOrder: Buffer[] = [];
  const properties: Buffer[] = [];
  walk(message, (bytes, isProperty) => (isProperty ? properties : inOrder).push(bytes));
  return [...inOrder, ...properties.sort((one, other) => Buffer.compare(one, other))];
}

/** Each field that is part of the message, whole, with its tag. What is no protobuf is one field. */
function walk(message: Uint8Array, each: (bytes: Buffer, isProperty: boolean) => void): void {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  reader.reset(bytes, 0, bytes.length);
  let from = 0;
  try {
    for (; reader.next(); from = reader.at) {
      if (reader.field === field.system && reader.type === wireType.bytes) walkSystem(bytes, each);
      else {
        const { field: found } = reader;
        reader.skip();
        if (found !== field.topic) each(bytes.subarray(from, reader.at), found === field.userProperty);
      }
    }
  } catch (caught) {
    if (!(caught instanceof Malformed)) throw caught;
    each(bytes.subarray(from), false);
  }
}

function walkSystem(bytes: Buffer, each: (bytes: Buffer, isProperty: boolean) => void): void {
  const { end } = reader;
  reader.end = reader.lengthEnd();
  for (let from = reader.at; reader.next(); from = reader.at) {
    const { field: found } = reader;
    reader.skip();
    if (!ofTheAttempt.has(found)) each(bytes.subarray(from, reader.at), false);
  }
  reader.end = end;
}
