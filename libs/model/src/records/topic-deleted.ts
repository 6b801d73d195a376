/** What a record of kind `topicDeleted` says: | topicId u32 |. A longer payload is a later version. */
import { viewOf } from '@cometmq/shared';

import type { TopicId } from '../units.js';

const payloadBytes = 4;

export function encodeTopicDeleted(topicId: TopicId): Uint8Array {
  const payload = new Uint8Array(payloadBytes);
  viewOf(payload).setUint32(0, topicId, true);
  return payload;
}

export function decodeTopicDeleted(payload: Uint8Array): TopicId {
  return viewOf(payload).getUint32(0, true) as TopicId;
}
