import type { QueueId, Topic } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

/** Why nothing can come of what somebody waits for. */

export function topicIsGone(): MqError {
  return new MqError('TOPIC_NOT_FOUND', 'the topic does not exist any more');
}

export function groupIsGone(): MqError {
  return new MqError('CONSUMER_GROUP_NOT_FOUND', 'the consumer group does not exist any more');
}

/** Undefined: it may be read. */
export function notReadable({ name, permission }: Topic): MqError | undefined {
  if (permission !== 'none' && permission !== 'write') return undefined;
  return new MqError('FORBIDDEN', `topic "${name}" may not be read`);
}

/** Undefined: the topic has the queue. */
export function noSuchQueue({ name, readQueues, writeQueues }: Topic, queueId: QueueId): MqError | undefined {
  const queues = Math.max(readQueues, writeQueues);
  if (queueId >= 0 && queueId < queues) return undefined;
  return new MqError('BAD_REQUEST', `topic "${name}" has no queue ${queueId}; its queues are 0 to ${queues - 1}`);
}
