import type { Directory, LiteStart } from '@cometmq/client';
import type { GroupsView, QueueSource } from '@cometmq/consumption';
import type { LiteTopicsView } from '@cometmq/lite';
import {
  queueOffset,
  type ConsumerGroup,
  type GroupId,
  type QueueId,
  type QueueOffset,
  type TopicId,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

import { startOffset } from '../backlogs.js';
import type { ColdMessages } from '../cold-messages.js';
import type { LogClock } from '../log-clock.js';
import { StoreSource } from '../store-source.js';

/** What is used of the store. */
type Store = Pick<
  StorePorts,
  'append' | 'bounds' | 'committedOf' | 'firstOf' | 'offsetAtTime' | 'payloadInMemory' | 'scanInMemory'
>;

export interface LiteStartsParts {
  readonly store: Store;
  readonly cold: ColdMessages;
  readonly groups: GroupsView;
  readonly view: LiteTopicsView;
  readonly directory: Directory;
  readonly logClock: LogClock;
  /** The group may have something to read in the queue now. */
  readonly onMoved: (groupId: GroupId, topicId: TopicId, queueId: QueueId) => void;
  readonly onTrouble: (caught: unknown) => void;
}

/**
 * Where a group begins in a lite topic. Its first subscriber gets all that is kept, also what was sent before it subscribed,
 * unless it or the group says otherwise: a client that asks and subscribes a moment late must get its answer. What was
 * decided is recorded at once, so that it holds however late the first poll comes and whoever leads then.
 */
export class LiteStarts {
  private readonly searching = new Set<string>();

  constructor(private readonly parts: LiteStartsParts) {}

  source(topicId: TopicId, queueId: QueueId): QueueSource {
    return new StoreSource(this.parts.store, this.parts.cold, topicId, queueId);
  }

  /** The group begins in a lite topic that was just made, or that nothing says otherwise about. */
  begin(groupId: GroupId, topicId: TopicId, queueId: QueueId, offset: QueueOffset): void {
    this.beginAll(groupId, topicId, [{ queueId, offset }]);
  }

  /** One record for all. Those in which the group has begun before are left alone. */
  beginAll(
    groupId: GroupId,
    topicId: TopicId,
    queues: readonly { readonly queueId: QueueId; readonly offset: QueueOffset }[],
  ): void {
    const { groups, store, logClock } = this.parts;
    const fresh = queues.filter(({ queueId }) => !groups.figures(groupId, topicId, queueId));
    if (fresh.length === 0) return;
    const starts = fresh.map(({ queueId, offset }) => ({ topicId, queueId, offset }));
    const record = groups.decideStarts(groupId, starts);
    store.append(record.kind, logClock.nowMs(), record.payload);
  }

  /**
   * Where a group begins that has not begun in the lite topic, if its subscriber does not say. Wildcard groups, which get all
   * there is, begin as any other group does. Undefined: it is to be looked up by the group's time.
   */
  firstOf({ start, lite }: ConsumerGroup, topicId: TopicId, queueId: QueueId): QueueOffset | undefined {
    const { first, committed, everExpired } = this.parts.store.bounds(topicId, queueId);
    return startOffset(start, first, committed, everExpired && lite?.wildcard === true);
  }

  /** For a poll: only wildcard groups get there, as a subscription is recorded. Undefined: it is being looked up. */
  startOf(group: ConsumerGroup, topicId: TopicId, queueId: QueueId): QueueOffset | undefined {
    const known = this.firstOf(group, topicId, queueId);
    if (known !== undefined || group.start.at !== 'time') return known;
    if (this.parts.groups.figures(group.id, topicId, queueId)) return this.parts.store.bounds(topicId, queueId).first;
    this.find(group.id, topicId, queueId, group.start.timeMs);
    return undefined;
  }

  /** From the first message on, whatever it has done. */
  beginAnew(groupId: GroupId, topicId: TopicId, queueId: QueueId): void {
    this.set(groupId, topicId, queueId, this.parts.store.bounds(topicId, queueId).first);
  }

  /** A subscription says where to begin, or to go on. A promise: it has to be looked up. */
  moveTo(groupId: GroupId, topicId: TopicId, queueId: QueueId, start: LiteStart): Promise<void> | undefined {
    const { store, groups } = this.parts;
    const { first, committed } = store.bounds(topicId, queueId);
    const figures = groups.figures(groupId, topicId, queueId);
    switch (start.at) {
      case 'last': // It stays where it is.
        return undefined;
      case 'first':
        this.beginAnew(groupId, topicId, queueId);
        return undefined;
      case 'end':
        this.set(groupId, topicId, queueId, committed);
        return undefined;
      case 'offset':
        this.set(groupId, topicId, queueId, Math.min(Math.max(start.value, first), committed));
        return undefined;
      case 'tail':
        // For who has not begun these are the last n messages.
        this.set(groupId, topicId, queueId, Math.max((figures?.committed ?? committed) - start.value, first));
        return undefined;
      case 'time':
        return this.search(groupId, topicId, queueId, start.value);
    }
  }

  private set(groupId: GroupId, topicId: TopicId, queueId: QueueId, offset: number): void {
    const { store, groups, logClock, onMoved } = this.parts;
    if (!groups.figures(groupId, topicId, queueId)) this.begin(groupId, topicId, queueId, queueOffset(offset));
    else {
      const record = groups.decideReset(groupId, topicId, queueId, queueOffset(offset));
      store.append(record.kind, logClock.nowMs(), record.payload);
    }
    onMoved(groupId, topicId, queueId);
  }

  /** @throws MqError TOPIC_NOT_FOUND, CONSUMER_GROUP_NOT_FOUND when one of them is not there any more: no record names it then */
  checkThere(groupId: GroupId, topicId: TopicId): void {
    const { directory } = this.parts;
    if (!directory.topicById(topicId)) throw new MqError('TOPIC_NOT_FOUND', 'the topic does not exist any more');
    if (directory.groupById(groupId)) return;
    throw new MqError('CONSUMER_GROUP_NOT_FOUND', 'the consumer group does not exist any more');
  }

  private async search(groupId: GroupId, topicId: TopicId, queueId: QueueId, timeMs: number): Promise<void> {
    const offset = await this.parts.store.offsetAtTime(topicId, queueId, timeMs);
    this.checkThere(groupId, topicId);
    if (this.parts.view.nameOf(topicId, queueId) === undefined) return; // The lite topic has gone meanwhile.
    this.set(groupId, topicId, queueId, offset);
  }

  /** For a poll that found no start: once at a time. */
  private find(groupId: GroupId, topicId: TopicId, queueId: QueueId, timeMs: number): void {
    const key = `${groupId}/${topicId}/${queueId}`;
    if (this.searching.has(key)) return;
    this.searching.add(key);
    this.search(groupId, topicId, queueId, timeMs)
      .catch((caught: unknown) => {
        // Who waited for it has been told that it is not there any more.
        const { code } = MqError.from(caught);
        if (code !== 'TOPIC_NOT_FOUND' && code !== 'CONSUMER_GROUP_NOT_FOUND') this.parts.onTrouble(caught);
      })
      .finally(() => this.searching.delete(key));
  }
}
