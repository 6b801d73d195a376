import type { ConsumerGroup, GroupName, Topic } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { ProxyContext } from '../proxy-context.js';

/** How long a group that was just made may take to be known here. */
const knownMsMax = 1_000;

/**
 * The group of a lite consumer, which is bound to the topic. It is never made on first use: only its maker can say what
 * it is bound to.
 * @throws MqError ILLEGAL_CONSUMER_GROUP, ILLEGAL_TOPIC
 */
export async function liteGroup(
  context: ProxyContext,
  name: GroupName,
  topic: string | undefined,
): Promise<ConsumerGroup> {
  const { directory } = context.parts;
  const help = `create it with: comet group create ${name} --lite-topic ${topic ?? '<topic>'}`;
  const group = await directory.until(() => directory.group(name), knownMsMax, 'unknown').catch(() => undefined);
  if (!group) throw new MqError('ILLEGAL_CONSUMER_GROUP', `consumer group "${name}" does not exist; ${help}`);
  if (!group.lite) {
    throw new MqError('ILLEGAL_CONSUMER_GROUP', `consumer group "${name}" is bound to no LITE topic; ${help}`);
  }
  if (topic !== undefined && topic !== group.lite.topic) throw otherTopic(group, topic);
  return group;
}

/** @throws MqError TOPIC_NOT_FOUND, ILLEGAL_TOPIC */
export async function liteParent(
  context: ProxyContext,
  group: ConsumerGroup,
  name: string | undefined,
  peer: string,
): Promise<Topic> {
  const topic = await context.names.topic(name, peer);
  if (topic.name !== group.lite?.topic) throw otherTopic(group, topic.name);
  return topic;
}

function otherTopic(group: ConsumerGroup, topic: string): MqError {
  return new MqError(
    'ILLEGAL_TOPIC',
    `consumer group "${group.name}" is bound to "${group.lite?.topic}", not "${topic}"`,
  );
}
