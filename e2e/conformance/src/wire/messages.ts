/** Messages as a client puts them on the wire, and as it takes them off. */
import { createHash, randomBytes } from 'node:crypto';

import {
  DigestType,
  Encoding,
  MessageType,
  Permission,
  type Message,
  type MessageQueue,
  type Timestamp,
} from '@cometmq/proto';
import type { SaidMessage, View } from '../calls.js';
import type { Dialect } from './dialects.js';
import type { Loose } from './wire.js';

export const timestampOf = (ms: number): Timestamp => ({
  seconds: Math.floor(ms / 1000),
  nanos: Math.round((ms % 1000) * 1e6),
});
export const durationOf = timestampOf;
const msOf = (moment: Timestamp | undefined): number | undefined =>
  moment === undefined ? undefined : moment.seconds * 1000 + Math.floor(moment.nanos / 1e6);

export const newMessageId = (): string => `01${randomBytes(16).toString('hex').toUpperCase()}`;
export const md5Of = (body: Uint8Array): string => createHash('md5').update(body).digest('hex').toUpperCase();

export function messageOf(said: SaidMessage, dialect: Dialect, inTransaction = false): Loose<Message> {
  const body = Buffer.from(said.body, 'base64');
  const delayed = said.deliverAtMs !== undefined;
  return {
    topic: { name: said.topic },
    userProperties: new Map(Object.entries(said.properties ?? {})),
    systemProperties: {
      messageId: newMessageId(),
      tag: said.tag,
      keys: [...(said.keys ?? [])],
      messageType: typeOf(said, inTransaction),
      bodyEncoding: Encoding.IDENTITY,
      ...(dialect.noDigest !== true && { bodyDigest: { type: DigestType.MD5, checksum: md5Of(body) } }),
      bornTimestamp: timestampOf(Date.now()),
      bornHost: 'conformance',
      messageGroup: said.group,
      deliveryTimestamp: delayed ? timestampOf(said.deliverAtMs) : undefined,
      deliveryAttempt: delayed ? dialect.delayedAttempt : undefined,
      priority: said.priority,
      liteTopic: said.liteTopic,
    },
    body,
  };
}

function typeOf({ group, deliverAtMs, priority, liteTopic }: SaidMessage, inTransaction: boolean): MessageType {
  if (inTransaction) return MessageType.TRANSACTION;
  if (deliverAtMs !== undefined) return MessageType.DELAY;
  if (group !== undefined) return MessageType.FIFO;
  if (priority !== undefined) return MessageType.PRIORITY;
  return liteTopic === undefined ? MessageType.NORMAL : MessageType.LITE;
}

/** What one of these clients can't do without is asserted: it would crash, or take the message for corrupted. */
export function viewOf(message: Message, ref: string): View {
  const { topic, systemProperties: system, body, userProperties } = message;
  if (topic === undefined || system === undefined) throw new Error('a message without topic or system properties');
  const { bornTimestamp, bodyDigest, bodyEncoding, deliveryAttempt } = system;
  if (bornTimestamp === undefined) throw new Error('a message without a born timestamp');
  if (bodyDigest?.type !== DigestType.MD5) throw new Error('a message without an MD5 digest');
  if (bodyDigest.checksum !== md5Of(body)) throw new Error('a digest that is not the body’s');
  if (bodyEncoding !== Encoding.IDENTITY && bodyEncoding !== Encoding.GZIP) throw new Error('no body encoding');
  if (deliveryAttempt === undefined || deliveryAttempt < 1) throw new Error(`delivery attempt ${deliveryAttempt}`);
  return {
    ref,
    messageId: system.messageId,
    topic: topic.name,
    body: Buffer.from(body).toString('base64'),
    tag: system.tag ?? null,
    keys: system.keys,
    properties: Object.fromEntries(userProperties),
    group: system.messageGroup ?? null,
    liteTopic: system.liteTopic ?? null,
    priority: system.priority ?? null,
    deliverAtMs: msOf(system.deliveryTimestamp) ?? null,
    bornAtMs: msOf(bornTimestamp) ?? null,
    attempt: deliveryAttempt,
    atMs: Date.now(),
  };
}

/** The same for queues: the topic that was asked for, a permission, the first broker, one address. */
export function checkQueue(queue: MessageQueue, topic: string): MessageQueue {
  if (queue.topic?.name !== topic) throw new Error(`a queue of "${queue.topic?.name}" instead of "${topic}"`);
  if (queue.permission === Permission.PERMISSION_UNSPECIFIED) throw new Error('a queue without permission');
  if (queue.broker?.id !== 0) throw new Error(`a queue of broker ${queue.broker?.id}`);
  if (queue.broker.endpoints?.addresses.length !== 1) throw new Error('a queue without exactly one address');
  return queue;
}
