/** From what a sender sent to what the log keeps. */
import { putLength, varintBytes, WireReader, wireType } from '@cometmq/shared';

import { putTime } from './wire-time.js';

const systemTag = 0x1a;
const latestSeconds = 253_402_300_799; // The end of the year 9999, where protobuf's Timestamp ends.

/** What is known of a message that was sent: ranges in the request's bytes, and what it says of itself. */
export interface SentMessage {
  readonly from: number;
  readonly to: number;
  /** Where the tag of the system properties stands, and what they hold. */
  readonly systemTagAt: number;
  readonly systemFrom: number;
  readonly systemTo: number;
  /** 0: it does not say. */
  readonly encoding: number;
  readonly bornSeconds: number;
  readonly bornNanos: number;
  readonly bornHostFrom: number;
  readonly bornHostTo: number;
  /** Holds what only the server may say and a later field can't undo, or a field twice. */
  readonly rewrite: boolean;
}

/**
 * The message of a send as it goes into the log: as it came, unless the sender left out what every delivery must have
 * (encoding, time and host of birth) or said what only the server may say.
 */
export function messageToStore(found: SentMessage, bytes: Buffer, peer: string, nowMs: number): readonly Uint8Array[] {
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
