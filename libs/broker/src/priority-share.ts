import { MessageType, type ConsumerGroup, type GroupId, type Topic } from '@cometmq/model';

import { keepOnly, type Forgetful, type Living } from './forgetful.js';

/**
 * Which polls go by priority: of a hundred polls of a group on a PRIORITY topic as many as its priority factor says,
 * evenly spread; the others look at the queues in turn, so that the lowest level is not kept waiting for ever. Orderly
 * groups go by their lanes alone.
 */
export class PriorityShare implements Forgetful {
  private readonly hundredths = new Map<GroupId, number>();

  next(group: ConsumerGroup, topic: Topic): boolean {
    if (topic.type !== MessageType.priority || group.fifo) return false;
    const sum = (this.hundredths.get(group.id) ?? 0) + (group.priorityFactor ?? 100);
    this.hundredths.set(group.id, sum % 100);
    return sum >= 100;
  }

  forgetGone(living: Living): void {
    keepOnly(this.hundredths, (groupId) => living.group(groupId));
  }
}
