import type { GroupsView, OrderlyRequest } from '@cometmq/consumption';
import { retryDelayMs, type ConsumerGroup, type GroupId, type QueueId, type TopicId } from '@cometmq/model';

/** What is decided for an orderly group beside what is decided for any other. */
export class Orderly {
  private readonly requests = new WeakMap<ConsumerGroup, OrderlyRequest>();

  constructor(private readonly groups: GroupsView) {}

  /** Undefined: the group is not orderly. */
  request(group: ConsumerGroup): OrderlyRequest | undefined {
    return group.fifo ? this.of(group) : undefined;
  }

  of(group: ConsumerGroup): OrderlyRequest {
    let request = this.requests.get(group);
    if (!request) {
      request = { backoffMs: (attempt) => retryDelayMs(group.retryPolicy, attempt) };
      this.requests.set(group, request);
    }
    return request;
  }

  /** Calls `serve` for every group and topic in whose queues lanes came free since the last call. */
  whereFreed(serve: (groupId: GroupId, topicId: TopicId, queues: ReadonlySet<QueueId>) => void): void {
    const freed = this.groups.takeFreed();
    if (freed.length === 0) return;
    const topics = new Map<string, { groupId: GroupId; topicId: TopicId; queues: Set<QueueId> }>();
    for (const { groupId, topicId, queueId } of freed) {
      const key = `${groupId}/${topicId}`;
      const known = topics.get(key);
      if (known) known.queues.add(queueId);
      else topics.set(key, { groupId, topicId, queues: new Set([queueId]) });
    }
    for (const { groupId, topicId, queues } of topics.values()) serve(groupId, topicId, queues);
  }
}
