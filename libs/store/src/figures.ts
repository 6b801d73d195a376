/** Plain numbers of a store, for metrics and administrators. */
import type { QueueId, TopicId } from '@cometmq/model';

import type { Folding } from './folding.js';
import type { StoreParts } from './store-parts.js';
import type { StoreSizes, TopicSize } from './store-types.js';

export function sizesOf(parts: StoreParts): StoreSizes {
  const { sizes, directory, pending } = parts.folding;
  const segments = parts.log.segments();
  let logBytes = 0;
  let segmentsCompacted = 0;
  for (const { fileBytes, generation } of segments) {
    logBytes += fileBytes;
    if (generation > 0) segmentsCompacted += 1;
  }
  return {
    messages: sizes.messages,
    messageBytes: sizes.bytes,
    queues: directory.queueCount,
    segments: segments.length,
    segmentsCompacted,
    logBytes,
    oldestTimestampMs: segments[0]?.firstTimestampMs ?? 0,
    pendingMessages: pending.messages,
    pendingMessageBytes: pending.bytes,
    pendingMessageBytesMax: parts.writer.pendingBytesMax,
    diskFull: parts.log.full,
    checkpointPosition: parts.checkpoints.position,
    indexesRebuilt: parts.indexes.rebuilt,
    lostBytes: parts.damage.bytes,
    tailCutBytes: parts.tailCutBytes,
    checksumFailures: parts.damagesFound + parts.log.receivedDamaged,
    openingMs: parts.openingMs,
  };
}

/** Of messages that have not expired. */
export function topicSizeOf({ sizes }: Folding, topicId: TopicId): TopicSize {
  const { messages, bytes } = sizes.topic(topicId) ?? { messages: 0, bytes: 0 };
  return { messages, bytes };
}

export function pendingSizeOf({ pending }: Folding, topicId: TopicId): TopicSize {
  const { messages, bytes } = pending.topic(topicId);
  return { messages, bytes };
}

/** Every topic of which something is kept. */
export function topicIdsOf({ directory, pending }: Folding): TopicId[] {
  const ids = new Set<TopicId>();
  directory.eachTopic((topicId) => ids.add(topicId as TopicId));
  pending.eachTopic((topicId) => ids.add(topicId as TopicId));
  return [...ids];
}

export function queueIdsOf({ directory }: Folding, topicId: TopicId): QueueId[] {
  const ids: QueueId[] = [];
  directory.eachQueue(topicId, (queue) => ids.push(directory.queueOf(queue) as QueueId));
  return ids.sort((a, b) => a - b);
}
