import type { Directory } from '@cometmq/client';
import type { GroupsView } from '@cometmq/consumption';
import { ReadyQueues, type LiteSubscriptions, type LiteTopicsView } from '@cometmq/lite';
import { firstLiteQueue, type ConsumerGroup, type GroupId, type QueueId, type TopicId } from '@cometmq/model';
import type { Clock } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

import type { Forgetful, Living } from '../forgetful.js';
import type { LogClock } from '../log-clock.js';
import { LiteAlarms } from './lite-alarms.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'bounds'>;

export interface LiteReadinessParts {
  readonly view: LiteTopicsView;
  readonly store: Store;
  readonly groups: GroupsView;
  readonly directory: Directory;
  readonly subscriptions: LiteSubscriptions;
  readonly clock: Clock;
  readonly logClock: LogClock;
  /** There may be something for a client; undefined: for any member of the group. Not from inside a look. */
  readonly wake: (groupId: GroupId, clientId: string | undefined) => void;
}

/** What a wildcard group has ready, and how far the search for more has come; undefined: nothing is left to search. */
interface Wildcard {
  readonly topicId: TopicId;
  readonly ready: ReadyQueues;
  searchFrom: number | undefined;
  /** It goes on in a moment. */
  goesOn: boolean;
}

/** Lite topics with something ready that are remembered for a wildcard group; beyond it they are searched for. */
const wildcardReadyMax = 65_536;
/** Lite topics looked at in one turn. */
const searchMax = 4_096;

/**
 * Which lite topics have something for whom. What happens (an arrival, an acknowledgement, a lease that ends) puts the
 * lite topic into the ready set of each of its subscribers; a poll takes from there. So nobody looks through what a
 * client is subscribed to, but when more became ready at once than is remembered.
 */
export class LiteReadiness implements Forgetful {
  private readonly wildcards = new Map<GroupId, Wildcard>();
  private readonly alarms: LiteAlarms;

  constructor(private readonly parts: LiteReadinessParts) {
    this.alarms = new LiteAlarms(parts.clock, parts.logClock, (groupId, queueId) => {
      const topicId = this.topicOf(groupId);
      if (topicId !== undefined) this.changed(groupId, topicId, queueId);
    });
  }

  stop(): void {
    this.alarms.stop();
  }

  forgetGone(living: Living): void {
    for (const [groupId, { topicId }] of this.wildcards) {
      if (!living.group(groupId) || !living.topic(topicId)) this.dropGroup(groupId);
    }
  }

  dropGroup(groupId: GroupId): void {
    this.wildcards.delete(groupId);
    this.alarms.drop(groupId);
  }

  /** Messages became visible in a queue. */
  arrived(topicId: TopicId, queueId: QueueId): void {
    if (queueId < firstLiteQueue) return;
    for (const groupId of this.readersOf(topicId)) this.changed(groupId, topicId, queueId);
  }

  /** Something of the queue is done, was given back, or its time has come. */
  changed(groupId: GroupId, topicId: TopicId, queueId: QueueId): void {
    if (!this.isReady(groupId, topicId, queueId)) return;
    const wildcard = this.wildcards.get(groupId);
    if (wildcard) {
      wildcard.ready.add(queueId);
      this.parts.wake(groupId, undefined);
      return;
    }
    const name = this.parts.view.nameOf(topicId, queueId);
    if (name === undefined) return;
    for (const client of this.parts.subscriptions.subscribersOf(groupId, name)) {
      client.ready.add(queueId);
      this.parts.wake(groupId, client.clientId);
    }
  }

  /** Groups that read lite topics of the parent here. */
  *readersOf(topicId: TopicId): Iterable<GroupId> {
    for (const [groupId, wildcard] of this.wildcards) if (wildcard.topicId === topicId) yield groupId;
    for (const groupId of this.parts.subscriptions.groupsOn(topicId)) if (!this.wildcards.has(groupId)) yield groupId;
  }

  /** Whether the group gets a lite topic of the parent, by name or by wildcard. */
  reads(groupId: GroupId, name: string): boolean {
    return this.wildcards.has(groupId) || this.parts.subscriptions.subscribersOf(groupId, name).length > 0;
  }

  /** Up to `max` queues that may have something for the client, the longest ready first. */
  queuesFor(group: ConsumerGroup, topicId: TopicId, clientId: string, max: number): QueueId[] {
    if (group.lite?.wildcard) {
      const wildcard = this.wildcardOf(group.id, topicId);
      if (wildcard.ready.size === 0) this.search(group.id, wildcard);
      return wildcard.ready.first(max);
    }
    this.wildcards.delete(group.id); // It was one before.
    const client = this.parts.subscriptions.client(group.id, clientId);
    if (!client) return [];
    if (client.ready.size === 0 && client.ready.overflowed) {
      client.ready.overflowed = false;
      for (const name of client.names) this.offer(client.ready, group.id, topicId, name);
    }
    return client.ready.first(max);
  }

  /** After a look: those with nothing more leave the client's ready set, and are looked at again in their time. */
  looked(group: ConsumerGroup, topicId: TopicId, clientId: string, queues: readonly QueueId[]): void {
    const ready = group.lite?.wildcard
      ? this.wildcards.get(group.id)?.ready
      : this.parts.subscriptions.client(group.id, clientId)?.ready;
    for (const queueId of queues) if (!this.isReady(group.id, topicId, queueId)) ready?.remove(queueId);
  }

  /** The client has just subscribed to it. */
  subscribed(groupId: GroupId, topicId: TopicId, clientId: string, name: string): void {
    const client = this.parts.subscriptions.client(groupId, clientId);
    if (client && this.offer(client.ready, groupId, topicId, name)) this.parts.wake(groupId, clientId);
  }

  /** It has something new and nobody holds it, or what was handed out is due; else it is looked at when that is so. */
  private isReady(groupId: GroupId, topicId: TopicId, queueId: QueueId): boolean {
    const nowMs = this.parts.logClock.nowMs();
    const dueMs = this.dueMs(groupId, topicId, queueId, nowMs);
    if (dueMs <= nowMs) return true;
    if (dueMs < Infinity) this.alarms.set(groupId, queueId, dueMs);
    return false;
  }

  private dueMs(groupId: GroupId, topicId: TopicId, queueId: QueueId, nowMs: number): number {
    const { store, groups } = this.parts;
    const { first, committed } = store.bounds(topicId, queueId);
    const figures = groups.figures(groupId, topicId, queueId, nowMs);
    if (!figures) return committed > first ? 0 : Infinity;
    // Whoever looked first: of what was found due already, no time is to come.
    if (figures.due > 0) return 0;
    if (figures.inFlight > 0) return figures.nextDueMs ?? Infinity;
    if (figures.blocked > 0) return figures.nextDueMs ?? 0;
    return committed > Math.max(figures.frontier, first) ? 0 : Infinity;
  }

  private offer(ready: ReadyQueues, groupId: GroupId, topicId: TopicId, name: string): boolean {
    const queueId = this.parts.view.find(topicId, name);
    return queueId !== undefined && this.isReady(groupId, topicId, queueId) && ready.add(queueId);
  }

  private topicOf(groupId: GroupId): TopicId | undefined {
    const { directory } = this.parts;
    const parent = directory.groupById(groupId)?.lite?.topic;
    return parent === undefined ? undefined : directory.topic(parent)?.id;
  }

  private wildcardOf(groupId: GroupId, topicId: TopicId): Wildcard {
    let wildcard = this.wildcards.get(groupId);
    if (wildcard?.topicId !== topicId) {
      wildcard = { topicId, ready: new ReadyQueues(wildcardReadyMax), searchFrom: 0, goesOn: false };
      this.wildcards.set(groupId, wildcard);
    }
    return wildcard;
  }

  /** Looks at some more of all there is; what is left is for a later turn. */
  private search(groupId: GroupId, wildcard: Wildcard): void {
    const { ready, topicId } = wildcard;
    if (wildcard.searchFrom === undefined && ready.overflowed) {
      ready.overflowed = false;
      wildcard.searchFrom = 0;
    }
    if (wildcard.searchFrom === undefined) return;
    wildcard.searchFrom = this.parts.view.walk(wildcard.searchFrom, searchMax, (of, queueId) => {
      if (of === topicId && this.isReady(groupId, topicId, queueId)) ready.add(queueId);
    });
    if (wildcard.searchFrom === undefined || ready.size > 0 || wildcard.goesOn) return;
    wildcard.goesOn = true;
    this.parts.clock.after(0, () => {
      wildcard.goesOn = false;
      this.parts.wake(groupId, undefined);
    });
  }
}
