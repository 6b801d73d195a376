import type { Directory, QueueReset, ResetCall } from '@cometmq/client';
import type { GroupsView, PullOffsets } from '@cometmq/consumption';
import {
  encodeGroupMoved,
  queueId as toQueueId,
  RecordKind,
  type DecidedRecord,
  type LogPosition,
  type QueueId,
  type QueueOffset,
  type Topic,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

import type { LogClock } from './log-clock.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'appendAll' | 'bounds' | 'offsetAtTime' | 'whenCommitted'>;

/** Sets where a group goes on: what an operator resets, skips, or takes over from another group. */
export class ProgressResets {
  constructor(
    private readonly store: Store,
    private readonly groups: GroupsView,
    private readonly pullOffsets: PullOffsets,
    private readonly directory: Directory,
    private readonly logClock: LogClock,
  ) {}

  /** Resolves when it is committed. @throws MqError TOPIC_NOT_FOUND, CONSUMER_GROUP_NOT_FOUND, BAD_REQUEST */
  async reset(call: ResetCall): Promise<QueueReset[]> {
    const { groupId, topicId } = call;
    const topic = this.topicOf(call);
    const count = Math.max(topic.readQueues, topic.writeQueues);
    if (call.queueId !== undefined && call.queueId >= count) {
      throw new MqError(
        'BAD_REQUEST',
        `topic "${topic.name}" has no queue ${call.queueId}; its queues are 0 to ${count - 1}`,
      );
    }
    const all = Array.from({ length: count }, (_, id) => toQueueId(id));
    const targets: { queueId: QueueId; offset: QueueOffset }[] = [];
    for (const queueId of call.queueId === undefined ? all : [call.queueId]) {
      const offset = await this.target(call, queueId);
      if (offset !== undefined) targets.push({ queueId, offset });
    }
    // Everything that had to be looked up is known: from here on in one go, unless there is nothing any more to set.
    this.topicOf(call);
    const before = (queueId: QueueId): QueueOffset | undefined =>
      this.groups.figures(groupId, topicId, queueId)?.committed;
    if (call.preview === true) {
      return targets.map(({ queueId, offset }) => ({ queueId, before: before(queueId), after: offset }));
    }
    const records: DecidedRecord[] = [];
    const resets = targets.map(({ queueId, offset }): QueueReset => {
      records.push(this.groups.decideReset(groupId, topicId, queueId, offset));
      if (this.pullOffsets.get(groupId, topicId, queueId) !== undefined) {
        records.push(this.pullOffsets.decide(groupId, topicId, queueId, offset));
      }
      return { queueId, before: before(queueId), after: offset };
    });
    if (resets.length === 0) return resets;
    if (call.move) {
      const { id: moveId, who, undoes } = call.move;
      const payload = encodeGroupMoved({ moveId, who, undoes, groupId, topicId, queues: resets });
      records.push({ kind: RecordKind.groupMoved, payload });
    }
    // All or none: of a part, who tries again would note as the state before what this has made of it.
    await this.committed(this.store.appendAll(records, this.logClock.nowMs()).end);
    return resets;
  }

  /** @throws MqError TOPIC_NOT_FOUND, CONSUMER_GROUP_NOT_FOUND */
  private topicOf({ groupId, topicId }: ResetCall): Topic {
    const topic = this.directory.topicById(topicId);
    if (!topic) throw new MqError('TOPIC_NOT_FOUND', 'the topic does not exist any more');
    if (this.directory.groupById(groupId)) return topic;
    throw new MqError('CONSUMER_GROUP_NOT_FOUND', 'the consumer group does not exist any more');
  }

  /** Undefined: the queue stays as it is. */
  private async target({ topicId, to }: ResetCall, queueId: QueueId): Promise<QueueOffset | undefined> {
    const { first, committed } = this.store.bounds(topicId, queueId);
    const within = (offset: number): QueueOffset => Math.min(Math.max(offset, first), committed) as QueueOffset;
    switch (to.at) {
      case 'first':
        return first;
      case 'end':
        return committed;
      case 'time':
        return within(await this.store.offsetAtTime(topicId, queueId, to.timeMs));
      case 'offset':
        return within(to.offset);
      case 'group': {
        const figures = this.groups.figures(to.groupId, topicId, queueId);
        return figures && within(figures.committed);
      }
    }
  }

  private committed(end: LogPosition): Promise<void> {
    return new Promise((resolve, reject) => {
      this.store.whenCommitted(end, (error) => (error ? reject(error) : resolve()));
    });
  }
}
