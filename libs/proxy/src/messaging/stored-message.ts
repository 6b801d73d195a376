/**
 * The encoded message as the log keeps it, and as a consumer gets it.
 *
 * A stored message is what its sender sent, byte for byte, in a plain form: at most one topic, exactly one system
 * properties, at most one body. What the server has to say is joined to the system properties, which get a new length:
 *
 *   | … | 1a, length | system properties as sent + what the server says | … |
 *
 * Inside them the last of two copies of a field counts in every decoder. A second system properties field would do by
 * the letter of protobuf, but the decoder of the official Node.js client keeps only the last one it sees.
 */
import { assert, putLength, putVarint, varintBytes, WireReader, wireType } from '@cometmq/shared';

import type { WalkedMessage } from './send-walker.js';

const systemTag = 0x1a;
const latestSeconds = 253_402_300_799; // The end of the year 9999, where protobuf's Timestamp ends.

/**
 * The message of a send as it goes into the log: as it came, unless the sender left out what every delivery must have
 * (encoding, time and host of birth) or said what only the server may say.
 */
export function messageToStore(
  found: WalkedMessage,
  bytes: Buffer,
  peer: string,
  nowMs: number,
): readonly Uint8Array[] {
  const bornValid =
    found.bornSeconds > 0 && found.bornSeconds <= latestSeconds && found.bornNanos >= 0 && found.bornNanos < 1e9;
  const hostBlank = found.bornHostTo === found.bornHostFrom;
  if (bornValid && !hostBlank && found.encoding !== 0 && !found.rewrite) {
    return [bytes.subarray(found.from, found.to)];
  }
  const added = senderSuffix(found.encoding === 0, bornValid ? undefined : nowMs, hostBlank ? hostOf(peer) : '');
  if (found.rewrite) return [plainForm(bytes.subarray(found.from, found.to), added)];
  const length = found.systemTo - found.systemFrom + added.length;
  const tag = Buffer.allocUnsafe(1 + varintBytes(length));
  putLength(tag, 0, systemTag, length);
  const chunks: Uint8Array[] = [];
  if (found.systemTagAt > found.from) chunks.push(bytes.subarray(found.from, found.systemTagAt));
  chunks.push(tag, bytes.subarray(found.systemFrom, found.systemTo));
  chunks.push(added);
  if (found.to > found.systemTo) chunks.push(bytes.subarray(found.systemTo, found.to));
  return chunks;
}

function senderSuffix(plain: boolean, bornMs: number | undefined, host: string): Buffer {
  const hostBytes = host === '' ? 0 : 2 + Buffer.byteLength(host);
  const out = Buffer.allocUnsafe(2 + 2 + 20 + hostBytes);
  let at = 0;
  if (plain) {
    out[at++] = 0x28;
    out[at++] = 1;
  }
  if (bornMs !== undefined) at = putTime(out, at, 0x3a, bornMs);
  if (hostBytes > 0) {
    at = putLength(out, at, 0x42, hostBytes - 2);
    at += out.write(host, at);
  }
  return out.subarray(0, at);
}

/** A Timestamp with both its fields, so that it replaces another one whole. Tag of one byte. */
export function putTime(out: Buffer, at: number, tag: number, timeMs: number): number {
  const seconds = Math.floor(timeMs / 1000);
  const nanos = Math.floor(timeMs - seconds * 1000) * 1e6;
  const length = 2 + varintBytes(seconds) + varintBytes(nanos);
  let to = putLength(out, at, tag, length);
  out[to] = 0x08;
  to = putVarint(out, to + 1, seconds);
  out[to] = 0x10;
  return putVarint(out, to + 1, nanos);
}

/** The most that `putTime` writes. */
export const timeBytesMax = 18;

/** `ip` of `ip:port`; at most 100 characters. */
function hostOf(peer: string): string {
  const colon = peer.lastIndexOf(':');
  return (colon > 0 ? peer.slice(0, colon) : peer || 'unknown').slice(0, 100);
}

/** What a sender can't say: store time and host, receipt handle, queue, offset, lease, attempt, dead letter's origin. */
const serverFields = new Set([9, 10, 12, 13, 14, 15, 16, 20]);

/** Joins what came in pieces, keeps the last of what may be there once, and leaves out what only the server may say. */
export function plainForm(message: Buffer, added: Uint8Array): Buffer {
  const reader = new WireReader(message, 0, message.length);
  const topics: Buffer[] = [];
  const others: Buffer[] = [];
  const system: Uint8Array[] = [];
  let body: Buffer | undefined;
  for (let from = reader.at; reader.next(); from = reader.at) {
    const { field, type } = reader;
    if (type === wireType.bytes && (field === 1 || field === 3)) {
      const end = reader.lengthEnd();
      if (field === 1) topics.push(message.subarray(reader.at, end));
      else keepSenderFields(message, reader.at, end, system);
      reader.at = end;
      continue;
    }
    reader.skip();
    const whole = message.subarray(from, reader.at);
    if (field === 4 && type === wireType.bytes) body = whole;
    else others.push(whole);
  }
  system.push(added);
  const out: Uint8Array[] = [];
  if (topics.length > 0) pushJoined(out, 0x0a, topics);
  out.push(...others);
  pushJoined(out, systemTag, system);
  if (body) out.push(body);
  return Buffer.concat(out);
}

function keepSenderFields(message: Buffer, from: number, to: number, kept: Uint8Array[]): void {
  const reader = new WireReader(message, from, to);
  for (let at = reader.at; reader.next(); at = reader.at) {
    const { field } = reader;
    reader.skip();
    if (!serverFields.has(field)) kept.push(message.subarray(at, reader.at));
  }
}

function pushJoined(out: Uint8Array[], tag: number, pieces: readonly Uint8Array[]): void {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const head = Buffer.allocUnsafe(1 + varintBytes(length));
  putLength(head, 0, tag, length);
  out.push(head, ...pieces);
}

/** Where the parts of a stored message lie. */
export class StoredParts {
  systemTagAt = -1;
  systemFrom = 0;
  systemTo = 0;
  bodyFrom = 0;
  bodyTo = 0;
  topicFrom = 0;
  topicTo = 0;

  /** One walk over the top level; bodies and properties are jumped over. */
  constructor(message: Buffer) {
    const reader = new WireReader(message, 0, message.length);
    for (let tagAt = 0; reader.next(); tagAt = reader.at) {
      if (reader.type !== wireType.bytes) {
        reader.skip();
        continue;
      }
      const end = reader.lengthEnd();
      if (reader.field === 1) {
        this.topicFrom = reader.at;
        this.topicTo = end;
      } else if (reader.field === 3) {
        this.systemTagAt = tagAt;
        this.systemFrom = reader.at;
        this.systemTo = end;
      } else if (reader.field === 4) {
        this.bodyFrom = reader.at;
        this.bodyTo = end;
      }
      reader.at = end;
    }
    assert(this.systemTagAt >= 0, 'a stored message has its system properties');
  }
}

/** Name and namespace of an encoded Resource. */
export function readResource(bytes: Buffer, from: number, to: number): { namespace: string; name: string } {
  const reader = new WireReader(bytes, from, to);
  let namespace = '';
  let name = '';
  while (reader.next()) {
    if (reader.type === wireType.bytes && reader.field === 1) namespace = reader.text();
    else if (reader.type === wireType.bytes && reader.field === 2) name = reader.text();
    else reader.skip();
  }
  return { namespace, name };
}
