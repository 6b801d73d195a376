/** Plain numbers of a store, for metrics and administrators. */
import type { LogPosition, QueueId, TopicId } from '@cometmq/model';

import type { Folding } from './folding.js';
import type { SegmentInfo } from './log/segment.js';
import type { StoreSizes } from './store-types.js';

export interface FiguresGround {
  readonly folding: Folding;
  readonly segments: readonly SegmentInfo[];
  readonly pendingMessageBytesMax: number;
  readonly diskFull: boolean;
  readonly checkpointPosition: LogPosition;
  readonly indexesRebuilt: number;
  readonly lostBytes: number;
  readonly tailCutBytes: number;
}

export function sizesOf({ folding, segments, ...rest }: FiguresGround): StoreSizes {
  const { sizes, directory, pending } = folding;
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
    ...rest,
  };
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
