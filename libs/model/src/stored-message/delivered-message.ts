/**
 * One delivered message as a field of an answer: what is stored, byte for byte, with what belongs to this
 * delivery joined to its system properties. The body is not copied; its digest is made here, because senders spell
 * theirs differently and consumers throw away a message whose digest doesn't fit.
 */
import { hash } from 'node:crypto';

import { fieldBytes, putLength, putVarint, varintBytes, wideFieldBytes } from '@cometmq/shared';

import { Envelope } from '../envelope.js';
import { MessageType } from '../message-type.js';
import type { Receipt } from '../receipt.js';
import { readResource, StoredParts } from './stored-parts.js';
import { putTime, timeBytesMax } from './wire-time.js';

/** Of what stands before the system properties, so much is copied rather than sent as a chunk of its own. */
const copiedBytesMax = 4096;

/** A stored message on its way to a consumer. */
export interface Delivery {
  readonly receipt: Receipt;
  /** Envelope and encoded message, as stored. */
  readonly payload: Uint8Array;
  readonly storedMs: number;
}

/**
 * @param tag of the field, one byte: of type length-delimited
 * @param deadLetterTopic the topic it is read from, where that is another one than it was sent to
 */
export function deliveredMessage(
  tag: number,
  delivered: Delivery,
  handle: string,
  deadLetterTopic: string | undefined,
): Uint8Array[] {
  const envelope = new Envelope(delivered.payload);
  const message = envelope.message;
  const parts = new StoredParts(message);
  const body = message.subarray(parts.bodyFrom, parts.bodyTo);
  const digest = hash('md5', body, 'hex').toUpperCase();
  const suffix = new Suffix(delivered, envelope, handle, digest);
  let renamed: Buffer = noBytes;
  if (deadLetterTopic !== undefined) {
    const origin = readResource(message, parts.topicFrom, parts.topicTo);
    suffix.origin = deadLetterQueue(origin.name, envelope.id);
    renamed = resourceField(origin.namespace, deadLetterTopic);
  }
  const suffixBytes = suffix.bytes();
  const systemBytes = parts.systemTo - parts.systemFrom + suffixBytes;
  const behind = message.length - parts.systemTo;
  const messageBytes = parts.systemTagAt + fieldBytes(systemBytes) + behind + renamed.length;

  const copied = parts.systemTagAt <= copiedBytesMax ? parts.systemTagAt : 0;
  const middle = Buffer.allocUnsafe(1 + varintBytes(messageBytes) + copied + fieldBytes(systemBytes));
  const headBytes = putLength(middle, 0, tag, messageBytes);
  message.copy(middle, headBytes, 0, copied);
  let at = putLength(middle, headBytes + copied, 0x1a, systemBytes);
  message.copy(middle, at, parts.systemFrom, parts.systemTo);
  at += parts.systemTo - parts.systemFrom;
  suffix.put(middle, at);

  const chunks: Uint8Array[] =
    copied === parts.systemTagAt
      ? [middle]
      : [middle.subarray(0, headBytes), message.subarray(0, parts.systemTagAt), middle.subarray(headBytes)];
  if (behind > 0) chunks.push(message.subarray(parts.systemTo));
  if (renamed.length > 0) chunks.push(renamed);
  return chunks;
}

const noBytes = Buffer.alloc(0);

/** The server's fields of SystemProperties, each written whole so that it replaces what stands before. */
class Suffix {
  /** Encoded DeadLetterQueue. */
  origin: Buffer | undefined;
  private readonly hostBytes: number;

  constructor(
    private readonly delivered: Delivery,
    private readonly envelope: Envelope,
    private readonly handle: string,
    private readonly digest: string,
  ) {
    this.hostBytes = Buffer.byteLength(delivered.receipt.broker);
  }

  bytes(): number {
    const { receipt } = this.delivered;
    return (
      fieldBytes(2 + fieldBytes(this.digest.length)) +
      2 + // message_type
      this.timeBytes() +
      fieldBytes(this.hostBytes) +
      fieldBytes(this.handle.length) +
      1 +
      varintBytes(this.queueId) +
      1 +
      varintBytes(receipt.offset) +
      2 +
      varintBytes(attemptOf(this.delivered)) +
      (this.origin ? wideFieldBytes(this.origin.length) : 0)
    );
  }

  put(out: Buffer, from: number): void {
    const { receipt, storedMs } = this.delivered;
    let at = putLength(out, from, 0x22, 2 + fieldBytes(this.digest.length)); // body_digest = 4
    out[at++] = 0x08;
    out[at++] = 2; // MD5
    at = putLength(out, at, 0x12, this.digest.length);
    at += out.write(this.digest, at, 'latin1');
    out[at++] = 0x30; // message_type = 6
    out[at++] = this.envelope.type;
    at = putTime(out, at, 0x4a, storedMs); // store_timestamp = 9
    at = putLength(out, at, 0x52, this.hostBytes); // store_host = 10
    at += out.write(receipt.broker, at);
    at = putLength(out, at, 0x62, this.handle.length); // receipt_handle = 12
    at += out.write(this.handle, at, 'latin1');
    out[at] = 0x68; // queue_id = 13
    at = putVarint(out, at + 1, this.queueId);
    out[at] = 0x70; // queue_offset = 14
    at = putVarint(out, at + 1, receipt.offset);
    out[at] = 0x80; // delivery_attempt = 16
    out[at + 1] = 0x01;
    at = putVarint(out, at + 2, attemptOf(this.delivered));
    if (!this.origin) return;
    out[at] = 0xa2; // dead_letter_queue = 20
    out[at + 1] = 0x01;
    at = putVarint(out, at + 2, this.origin.length);
    out.set(this.origin, at);
  }

  /** A lite topic has one queue, as far as clients know. */
  private get queueId(): number {
    return this.envelope.type === MessageType.lite ? 0 : this.delivered.receipt.queueId;
  }

  private timeBytes(): number {
    const scratch = scratchTime;
    return putTime(scratch, 0, 0x4a, this.delivered.storedMs);
  }
}

const scratchTime = Buffer.alloc(timeBytesMax);

/** Clients compute with it and fail below 1. */
function attemptOf(delivered: Delivery): number {
  return Math.max(1, delivered.receipt.attempt);
}

function deadLetterQueue(topic: string, messageId: string): Buffer {
  const out = Buffer.allocUnsafe(fieldBytes(Buffer.byteLength(topic)) + fieldBytes(Buffer.byteLength(messageId)));
  let at = putLength(out, 0, 0x0a, Buffer.byteLength(topic));
  at += out.write(topic, at);
  at = putLength(out, at, 0x12, Buffer.byteLength(messageId));
  out.write(messageId, at);
  return out;
}

/** The topic of a Message, again and whole: the last one counts, joined or not. */
function resourceField(namespace: string, name: string): Buffer {
  const spaceBytes = Buffer.byteLength(namespace);
  const inner = (spaceBytes > 0 ? fieldBytes(spaceBytes) : 0) + fieldBytes(Buffer.byteLength(name));
  const out = Buffer.allocUnsafe(fieldBytes(inner));
  let at = putLength(out, 0, 0x0a, inner);
  if (spaceBytes > 0) {
    at = putLength(out, at, 0x0a, spaceBytes);
    at += out.write(namespace, at);
  }
  at = putLength(out, at, 0x12, Buffer.byteLength(name));
  out.write(name, at);
  return out;
}
