import type { GroupsView, QueuedMessage } from '@cometmq/consumption';
import {
  queueId as toQueueId,
  type ConsumerGroup,
  type GroupId,
  type QueueId,
  type QueueOffset,
  type Topic,
  type TopicId,
} from '@cometmq/model';
import { failureFacts } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import { startOffset } from './backlogs.js';
import { keepOnly, type Forgetful, type Living } from './forgetful.js';
import type { LogClock } from './log-clock.js';
import type { StoreSource } from './store-source.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'append' | 'offsetAtTime'>;

export interface GroupStartsParts {
  readonly store: Store;
  readonly groups: GroupsView;
  readonly logClock: LogClock;
  readonly log: Logger;
  readonly onFound: (groupId: GroupId, topicId: TopicId) => void;
}

/** Where groups begin in queues that they have never looked at. */
export class GroupStarts implements Forgetful {
  /** Found by their time: by group, topic and queue. */
  private readonly byTime = new Map<string, QueueOffset>();
  private readonly searching = new Set<string>();
  /** In how many queues of a topic a group has begun. */
  private readonly begun = new Map<TopicId, Map<GroupId, number>>();

  constructor(private readonly parts: GroupStartsParts) {}

  /**
   * With its first poll a group begins in all queues of a topic, not in each when it happens to be served from it: else what
   * comes to the others meanwhile would lie before the start of a group that begins at the end.
   */
  begin(group: ConsumerGroup, topic: Topic, sourceOf: (topicId: TopicId, queueId: QueueId) => StoreSource): void {
    if (this.begun.get(topic.id)?.get(group.id) === topic.readQueues) return;
    if (topic.permission === 'none' || topic.permission === 'write') return;
    const { store, groups, logClock, log } = this.parts;
    const starts: QueuedMessage[] = [];
    let unknown = false;
    for (let queue = 0; queue < topic.readQueues; queue += 1) {
      const queueId = toQueueId(queue);
      if (groups.figures(group.id, topic.id, queueId)) continue;
      const offset = this.of(group, topic.id, queueId, sourceOf(topic.id, queueId));
      if (offset === undefined) unknown = true;
      else starts.push({ topicId: topic.id, queueId, offset });
    }
    if (starts.length > 0) {
      const { kind, payload } = groups.decideStarts(group.id, starts);
      try {
        store.append(kind, logClock.nowMs(), payload);
      } catch (caught) {
        log.debug(failureFacts(caught), 'the start of a group had to wait');
        return;
      }
    }
    if (unknown) return;
    const counts = this.begun.get(topic.id) ?? new Map<GroupId, number>();
    this.begun.set(topic.id, counts.set(group.id, topic.readQueues));
  }

  /** Undefined: it has to be looked up first. */
  of(group: ConsumerGroup, topicId: TopicId, queueId: QueueId, source: StoreSource): QueueOffset | undefined {
    const { start } = group;
    if (start.at !== 'time') return startOffset(start, source.first, source.next, source.everExpired);
    const key = `${group.id}/${topicId}/${queueId}`;
    if (this.parts.groups.figures(group.id, topicId, queueId)) {
      this.byTime.delete(key);
      return source.first; // It has begun already.
    }
    const known = this.byTime.get(key);
    if (known === undefined) this.find(key, group.id, topicId, queueId, start.timeMs);
    return known;
  }

  forgetGone(living: Living): void {
    keepOnly(this.begun, (topicId) => living.topic(topicId));
    for (const groups of this.begun.values()) keepOnly(groups, (groupId) => living.group(groupId));
    keepOnly(this.byTime, (key) => {
      const [groupId, topicId] = key.split('/').map(Number);
      return living.group(groupId as GroupId) && living.topic(topicId as TopicId);
    });
  }

  private find(key: string, groupId: GroupId, topicId: TopicId, queueId: QueueId, timeMs: number): void {
    if (this.searching.has(key)) return;
    this.searching.add(key);
    const { store, log, onFound } = this.parts;
    store
      .offsetAtTime(topicId, queueId, timeMs)
      .then(
        (offset) => {
          this.byTime.set(key, offset);
          onFound(groupId, topicId);
        },
        (caught: unknown) => log.error(failureFacts(caught), 'no start could be found'),
      )
      .finally(() => this.searching.delete(key));
  }
}
