import type { Directory } from '@cometmq/client';
import { printable, type Topic } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

/** @throws MqError TOPIC_NOT_FOUND */
export function topicNamed(directory: Directory, name: string): Topic {
  const topic = directory.topic(name);
  if (!topic) throw new MqError('TOPIC_NOT_FOUND', `there is no topic "${printable(name)}"`);
  return topic;
}
