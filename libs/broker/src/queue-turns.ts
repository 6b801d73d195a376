import type { GroupId, QueueId, TopicId } from '@cometmq/model';

import { keepOnly, type Forgetful, type Living } from './forgetful.js';

/**
 * Which queue of a topic is looked at first: for each group the one behind that which served it last. A client's word for a
 * queue is no more than a hint, and some only ever say one: under a lasting backlog the others would never have their turn.
 */
export class QueueTurns implements Forgetful {
  private readonly turns = new Map<TopicId, Map<GroupId, number>>();

  first(groupId: GroupId, topicId: TopicId, queues: number): number {
    const next = this.turns.get(topicId)?.get(groupId) ?? 0;
    return next < queues ? next : 0;
  }

  served(groupId: GroupId, topicId: TopicId, queueId: QueueId): void {
    let groups = this.turns.get(topicId);
    if (!groups) this.turns.set(topicId, (groups = new Map<GroupId, number>()));
    groups.set(groupId, queueId + 1);
  }

  forgetGone(living: Living): void {
    keepOnly(this.turns, (topicId) => living.topic(topicId));
    for (const groups of this.turns.values()) keepOnly(groups, (groupId) => living.group(groupId));
  }
}
