/** What of a stored message people look at. */
import { promisify } from 'node:util';
import { gunzip, inflate, zstdDecompress } from 'node:zlib';

import type { FoundMessage, MessageContent } from '@cometmq/client';
import { Envelope, MiB } from '@cometmq/model';
import { Encoding, Message, type Timestamp } from '@cometmq/proto';
import { isPending, type StoredMessage } from '@cometmq/store';

const gunzipped = promisify(gunzip);
const inflated = promisify(inflate);
const unZstd = promisify(zstdDecompress);

/** A small body may unpack to any size: no more of it is ever looked at. */
const unpackedBytesMax = 8 * MiB;

/** The message as its sender encoded it; its body is a view. One that can't be decoded is all body. */
export function decoded(stored: StoredMessage): Message {
  const encoded = new Envelope(stored.payload).message;
  try {
    return Message.decode(encoded);
  } catch {
    return Message.fromPartial({ body: encoded });
  }
}

export function foundMessage(stored: StoredMessage, message = decoded(stored)): FoundMessage {
  const envelope = new Envelope(stored.payload);
  return {
    topicId: stored.topicId,
    queueId: stored.queueId,
    offset: isPending(stored.kind) ? undefined : stored.queueOffset,
    position: stored.position,
    size: stored.size,
    storedMs: stored.timestampMs,
    messageId: envelope.id,
    tag: envelope.tag.toString('utf8'),
    messageGroup: envelope.group,
    keys: message.systemProperties?.keys ?? [],
    type: envelope.type,
    bodyBytes: message.body.length,
    originTopicId: stored.originTopicId,
    dueMs: envelope.dueMs ?? 0,
    liteTopic: envelope.liteTopic ?? '',
    cause: stored.cause ?? 0,
    attempts: stored.attempts ?? 0,
  };
}

export async function messageContent(stored: StoredMessage, bodyBytesMax: number): Promise<MessageContent> {
  const message = decoded(stored);
  const { systemProperties } = message;
  const { bytes, encoding } = await plainBody(message);
  return {
    message: foundMessage(stored, message),
    properties: message.userProperties,
    body: bytes.subarray(0, bodyBytesMax),
    cut: bytes.length > bodyBytesMax,
    bodyBytes: bytes.length,
    encoding,
    bornHost: systemProperties?.bornHost ?? '',
    bornMs: msOf(systemProperties?.bornTimestamp),
    traceContext: systemProperties?.traceContext ?? '',
  };
}

/** The body decompressed; as it is where it is not what its sender called it, or would be too large. */
export async function plainBody({ body, systemProperties }: Message): Promise<{ bytes: Uint8Array; encoding: string }> {
  if (systemProperties?.bodyEncoding !== Encoding.GZIP) return { bytes: body, encoding: 'identity' };
  const limits = { maxOutputLength: unpackedBytesMax };
  // Clients call all of them "gzip"; the first bytes tell.
  const start = Buffer.from(body.subarray(0, 4)).toString('hex');
  try {
    if (start.startsWith('1f8b')) return { bytes: await gunzipped(body, limits), encoding: 'gzip' };
    if (start === '28b52ffd') return { bytes: await unZstd(body, limits), encoding: 'zstd' };
    if (/^78(01|5e|9c|da)/.test(start)) return { bytes: await inflated(body, limits), encoding: 'zlib' };
  } catch {
    return { bytes: body, encoding: 'unreadable' };
  }
  return { bytes: body, encoding: start === '04224d18' ? 'lz4' : 'other' };
}

function msOf(time: Timestamp | undefined): number {
  return time ? Math.max(0, time.seconds * 1000 + Math.floor(time.nanos / 1e6)) : 0;
}
