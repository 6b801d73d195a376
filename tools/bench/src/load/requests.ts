/**
 * The requests a load sends, made once and then only written over in the places that change, and the few fields of the
 * answers that it looks at.
 */
import {
  AckMessageRequest,
  Encoding,
  FilterType,
  MessageType,
  QueryRouteRequest,
  ReceiveMessageRequest,
  SendMessageRequest,
} from '@cometmq/proto';

import { createHmac } from 'node:crypto';
import type { Route } from './h2-client.js';

const service = '/apache.rocketmq.v2.MessagingService';
export const codeOk = 20_000;

/** The methods as one client calls them. */
export class Routes {
  readonly queryRoute: Route;
  readonly send: Route;
  readonly receive: Route;
  readonly ack: Route;

  /** @param user whose the client is, signed for as official clients do; left out: nobody's */
  constructor(clientId: string, user?: LoadUser) {
    const headers: Route['headers'] = [
      ['x-mq-client-id', clientId],
      ['x-mq-language', 'GOLANG'],
      ['x-mq-client-version', '5.1.2'],
      ['x-mq-protocol', 'v2'],
    ];
    const authorizationAt = user && authorizationOf(user);
    const route = (method: string): Route => ({ path: `${service}/${method}`, headers, authorizationAt });
    this.queryRoute = route('QueryRoute');
    this.send = route('SendMessage');
    this.receive = route('ReceiveMessage');
    this.ack = route('AckMessage');
  }
}

export interface LoadUser {
  readonly name: string;
  readonly secret: string;
}

/** Each call is signed for its time, as official clients do; the same second has the same signature. */
export function authorizationOf({ name, secret }: LoadUser): (dateTime: string) => string {
  let last = '';
  let said = '';
  return (dateTime) => {
    if (dateTime === last) return said;
    last = dateTime;
    const signature = createHmac('sha1', secret).update(dateTime).digest('hex');
    said = `MQv2-HMAC-SHA1 Credential=${name}, SignedHeaders=x-mq-date-time, Signature=${signature}`;
    return said;
  };
}

/** Behind gRPC's prefix: not compressed, length. */
export function prefixed(message: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(5 + message.length);
  out[0] = 0;
  out.writeUInt32BE(message.length, 1);
  out.set(message, 5);
  return out;
}

export function queryRoute(topic: string): Buffer {
  return prefixed(QueryRouteRequest.encode(QueryRouteRequest.fromPartial({ topic: { name: topic } })).finish());
}

/** What a message may have beyond its body. */
export interface MessageShape {
  readonly topic: string;
  readonly bodyBytes: number;
  readonly tag?: string;
  readonly keys?: readonly string[];
  /** Beside `keys`: one of its own for each message, `keyOf` its number. */
  readonly keyed?: boolean;
  /** Stands in the body, behind the number. */
  readonly text?: string;
  /** In so many message groups, in turn; left out: in none. */
  readonly groups?: number;
}

const keyDigits = 8;

/** Of the message with this number, as `SendTemplate` writes it. */
export function keyOf(number: number): string {
  return `key-${hex(number, keyDigits)}`;
}

const idBytes = 34;
const groupBytes = 8;
const markBytes = 16;

/** A send of one message, with a new id and a new number in each: the number stands at the body's start as text. */
export class SendTemplate {
  private readonly bytes: Buffer;
  private readonly idAt: number;
  private readonly bodyAt: number;
  private readonly groupAt: number;
  private readonly groups: number;
  private readonly keyAt: number;

  constructor(shape: MessageShape, seed: number) {
    const id = `01${'F'.repeat(idBytes - 2)}`;
    const mark = '#'.repeat(markBytes);
    const group = '@'.repeat(groupBytes);
    const body = Buffer.alloc(Math.max(markBytes, shape.bodyBytes));
    // Neither all the same nor compressible to nothing: as text is.
    for (let i = 0; i < body.length; i += 1) body[i] = 97 + ((i * 7 + seed + (i >>> 4)) % 26);
    body.write(mark + (shape.text ?? ''), 0, 'latin1');
    const key = keyOf(0).replace(/0/g, '~');
    const request = SendMessageRequest.fromPartial({
      messages: [
        {
          topic: { name: shape.topic },
          systemProperties: {
            messageId: id,
            messageType: shape.groups === undefined ? MessageType.NORMAL : MessageType.FIFO,
            ...(shape.groups !== undefined && { messageGroup: group }),
            bodyEncoding: Encoding.IDENTITY,
            bornTimestamp: { seconds: Math.floor(Date.now() / 1000), nanos: 1 },
            bornHost: 'localhost',
            ...(shape.tag !== undefined && { tag: shape.tag }),
            keys: [...(shape.keys ?? []), ...(shape.keyed === true ? [key] : [])],
          },
          body,
        },
      ],
    });
    this.bytes = prefixed(SendMessageRequest.encode(request).finish());
    this.idAt = this.bytes.indexOf(id);
    this.bodyAt = this.bytes.indexOf(mark);
    this.groupAt = this.bytes.indexOf(group);
    this.groups = shape.groups ?? 0;
    this.keyAt = shape.keyed === true ? this.bytes.indexOf(key) + key.length - keyDigits : -1;
    this.bytes.write(`01${hex(seed * 0x9e3779b1, 12)}`, this.idAt, 'latin1');
  }

  /** Valid until the next call. */
  next(number: number): Buffer {
    putHex(this.bytes, this.idAt + 14, 20, number);
    putHex(this.bytes, this.bodyAt, markBytes, number);
    if (this.keyAt >= 0) putHex(this.bytes, this.keyAt, keyDigits, number);
    if (this.groups > 0) putHex(this.bytes, this.groupAt, groupBytes, number % this.groups);
    return this.bytes;
  }
}

export interface ReceiveShape {
  readonly topic: string;
  readonly group: string;
  readonly max: number;
  readonly pollMs: number;
  readonly invisibleMs: number;
  /** A SQL expression; left out: everything. */
  readonly sql?: string | undefined;
}

export function receiveRequest(shape: ReceiveShape, queueId: number): Buffer {
  const request = ReceiveMessageRequest.fromPartial({
    group: { name: shape.group },
    messageQueue: { topic: { name: shape.topic }, id: queueId },
    filterExpression:
      shape.sql === undefined
        ? { type: FilterType.TAG, expression: '*' }
        : { type: FilterType.SQL, expression: shape.sql },
    batchSize: shape.max,
    invisibleDuration: { seconds: Math.floor(shape.invisibleMs / 1000), nanos: 0 },
    longPollingTimeout: { seconds: Math.floor(shape.pollMs / 1000), nanos: (shape.pollMs % 1000) * 1e6 },
  });
  return prefixed(ReceiveMessageRequest.encode(request).finish());
}

export interface Receipt {
  readonly messageId: string;
  readonly receiptHandle: string;
}

export function ackRequest(topic: string, group: string, entries: Receipt[]): Buffer {
  const request = AckMessageRequest.fromPartial({ topic: { name: topic }, group: { name: group }, entries });
  return prefixed(AckMessageRequest.encode(request).finish());
}

/** The code of the status that stands first in every answer. */
export function statusCodeOf(answer: Buffer): number {
  const reader = new Fields(answer, 0, answer.length);
  while (reader.next()) {
    if (reader.field !== 1 || reader.wire !== 2) continue;
    const status = new Fields(answer, reader.from, reader.to);
    while (status.next()) if (status.field === 1) return status.value;
  }
  return 0;
}

export interface ReceivedMessage extends Receipt {
  /** What `SendTemplate.next` was given. */
  readonly number: number;
}

/** The message in an item of a receive's answer; undefined where the item holds another thing. */
export function receivedMessageOf(item: Buffer): ReceivedMessage | undefined {
  const reader = new Fields(item, 0, item.length);
  while (reader.next()) {
    if (reader.field !== 2 || reader.wire !== 2) continue;
    let messageId = '';
    let receiptHandle = '';
    let number = -1;
    const message = new Fields(item, reader.from, reader.to);
    while (message.next()) {
      if (message.field === 4) number = parseInt(item.toString('latin1', message.from, message.from + markBytes), 16);
      if (message.field !== 3) continue;
      const system = new Fields(item, message.from, message.to);
      while (system.next()) {
        if (system.field === 3) messageId = item.toString('latin1', system.from, system.to);
        else if (system.field === 12) receiptHandle = item.toString('latin1', system.from, system.to);
      }
    }
    return { messageId, receiptHandle, number };
  }
  return undefined;
}

/** Walks the fields of an encoded message. */
class Fields {
  field = 0;
  wire = 0;
  value = 0;
  from = 0;
  to = 0;

  constructor(
    private readonly bytes: Buffer,
    private at: number,
    private readonly end: number,
  ) {}

  next(): boolean {
    if (this.at >= this.end) return false;
    const key = this.varint();
    this.field = key >>> 3;
    this.wire = key & 7;
    if (this.wire === 0) this.value = this.varint();
    else if (this.wire === 2) {
      const length = this.varint();
      this.from = this.at;
      this.at = this.to = this.at + length;
    } else this.at += this.wire === 1 ? 8 : 4;
    return true;
  }

  private varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }
}

function hex(value: number, digits: number): string {
  return Math.abs(Math.trunc(value)).toString(16).toUpperCase().padStart(digits, '0').slice(-digits);
}

const hexDigits = Buffer.from('0123456789ABCDEF', 'latin1');

function putHex(bytes: Buffer, at: number, digits: number, value: number): void {
  let rest = value;
  for (let i = at + digits - 1; i >= at; i -= 1) {
    bytes[i] = hexDigits[rest % 16] ?? 48;
    rest = Math.floor(rest / 16);
  }
}
