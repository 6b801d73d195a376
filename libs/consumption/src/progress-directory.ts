import type { GroupId, QueueId, TopicId } from '@cometmq/model';
import { assert } from '@cometmq/shared';

import { QueueProgress } from './queue-progress.js';
import type { Tables } from './tables.js';

type Topics = Map<TopicId, Map<QueueId, QueueProgress>>;

/** Which group has what progress in which queue. */
export class ProgressDirectory {
  private readonly groups = new Map<GroupId, Topics>();
  private readonly readers = new Map<TopicId, Set<GroupId>>();
  private readonly list: (QueueProgress | undefined)[] = [];
  private readonly freeIndexes: number[] = [];
  /** Gone since the last checkpoint, with a saved piece. */
  removed: QueueProgress[] = [];
  /** Batches ask for the same queue again and again. */
  private last: QueueProgress | undefined;

  constructor(private readonly tables: Tables<QueueProgress>) {}

  find(groupId: GroupId, topicId: TopicId, queueId: QueueId): QueueProgress | undefined {
    const last = this.last;
    if (last?.queueId === queueId && last.topicId === topicId && last.groupId === groupId) return last;
    const found = this.groups.get(groupId)?.get(topicId)?.get(queueId);
    if (found) this.last = found;
    return found;
  }

  create(groupId: GroupId, topicId: TopicId, queueId: QueueId, start: number): QueueProgress {
    const index = this.freeIndexes.pop() ?? this.list.length;
    const progress = new QueueProgress(this.tables, index, groupId, topicId, queueId, start);
    this.list[index] = progress;
    let topics = this.groups.get(groupId);
    if (!topics) this.groups.set(groupId, (topics = new Map() as Topics));
    let queues = topics.get(topicId);
    if (!queues) topics.set(topicId, (queues = new Map<QueueId, QueueProgress>()));
    queues.set(queueId, progress);
    let readers = this.readers.get(topicId);
    if (!readers) this.readers.set(topicId, (readers = new Set<GroupId>()));
    readers.add(groupId);
    progress.touchHead();
    return progress;
  }

  byIndex(index: number): QueueProgress {
    const progress = this.list[index];
    assert(progress !== undefined, 'a lease or block belongs to a progress that is');
    return progress;
  }

  /** Undefined: it is gone. */
  at(index: number): QueueProgress | undefined {
    return this.list[index];
  }

  isCurrent(progress: QueueProgress): boolean {
    return this.list[progress.index] === progress;
  }

  dropGroup(groupId: GroupId): void {
    for (const topicId of [...(this.groups.get(groupId)?.keys() ?? [])]) this.drop(groupId, topicId);
    this.groups.delete(groupId);
  }

  dropTopic(topicId: TopicId): void {
    for (const groupId of [...this.groupsOf(topicId)]) this.drop(groupId, topicId);
  }

  /** One queue of the topic is gone. */
  dropQueue(topicId: TopicId, queueId: QueueId): void {
    for (const groupId of [...this.groupsOf(topicId)]) {
      const queues = this.groups.get(groupId)?.get(topicId);
      const progress = queues?.get(queueId);
      if (!queues || !progress) continue;
      if (queues.size === 1) {
        this.drop(groupId, topicId);
        continue;
      }
      this.dropOne(progress);
      queues.delete(queueId);
    }
  }

  groupIds(): Iterable<GroupId> {
    return this.groups.keys();
  }

  groupsOf(topicId: TopicId): Iterable<GroupId> {
    return this.readers.get(topicId) ?? [];
  }

  queuesOf(groupId: GroupId, topicId: TopicId): Iterable<QueueProgress> {
    return this.groups.get(groupId)?.get(topicId)?.values() ?? [];
  }

  *all(groupId: GroupId): Iterable<QueueProgress> {
    for (const queues of this.groups.get(groupId)?.values() ?? []) yield* queues.values();
  }

  private drop(groupId: GroupId, topicId: TopicId): void {
    const topics = this.groups.get(groupId);
    for (const progress of topics?.get(topicId)?.values() ?? []) this.dropOne(progress);
    topics?.delete(topicId);
    if (topics?.size === 0) this.groups.delete(groupId);
    const readers = this.readers.get(topicId);
    readers?.delete(groupId);
    if (readers?.size === 0) this.readers.delete(topicId);
  }

  private dropOne(progress: QueueProgress): void {
    progress.dropAll();
    this.tables.lanes.freed.delete(progress); // Nobody asks a follower where lanes came free.
    if (progress.headSaved) this.removed.push(progress);
    this.list[progress.index] = undefined;
    this.freeIndexes.push(progress.index);
    if (this.last === progress) this.last = undefined;
  }
}
