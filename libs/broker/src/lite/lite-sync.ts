import type { Directory, LiteSyncCall } from '@cometmq/client';
import type { GroupsView } from '@cometmq/consumption';
import type { LiteSubscriptions, LiteTopicsView } from '@cometmq/lite';
import {
  homeOfGroup,
  homeSets,
  type ConsumerGroup,
  type GroupId,
  type QueueId,
  type QueueOffset,
  type Topic,
  type TopicId,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

import type { ClientCommands } from '../client-commands.js';
import type { LiteReadiness } from './lite-readiness.js';
import type { LiteStarts } from './lite-starts.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'bounds'>;

export interface LiteSyncParts {
  readonly brokerName: string;
  readonly view: LiteTopicsView;
  readonly store: Store;
  readonly groups: GroupsView;
  readonly directory: Directory;
  readonly subscriptions: LiteSubscriptions;
  readonly starts: LiteStarts;
  readonly readiness: LiteReadiness;
  readonly commands: ClientCommands;
}

interface OwedStart {
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  readonly name: string;
}

/** Takes in what clients subscribe to, says where their group begins there, and tells those who lost a lite topic. */
export class LiteSync {
  /** Clients told to forget a lite topic. A plain number for metrics. */
  notified = 0;
  /** Lite topics that groups are to begin anew in, by both: noted before it is written, as the log may not take it now. */
  private readonly owed = new Map<string, OwedStart>();

  constructor(private readonly parts: LiteSyncParts) {}

  /** @throws MqError ILLEGAL_CONSUMER_GROUP, ILLEGAL_TOPIC, BAD_REQUEST, LITE_SUBSCRIPTION_QUOTA_EXCEEDED */
  async sync(call: LiteSyncCall, group: ConsumerGroup, topic: Topic, nowMs: number): Promise<void> {
    const { lite } = group;
    if (!lite) throw new MqError('ILLEGAL_CONSUMER_GROUP', `consumer group "${group.name}" is bound to no LITE topic`);
    if (lite.topic !== topic.name) {
      throw new MqError(
        'ILLEGAL_TOPIC',
        `consumer group "${group.name}" is bound to "${lite.topic}", not "${topic.name}"`,
      );
    }
    const adds = call.action === 'add' || call.action === 'setAll';
    if (lite.wildcard && call.action === 'add') {
      throw new MqError('BAD_REQUEST', `consumer group "${group.name}" gets all lite topics; none can be added`);
    }
    const { exclusive, clientQuota, eventsMax } = lite;
    const { clientId, action } = call;
    const liteTopics = lite.wildcard && adds ? [] : call.liteTopics;
    const { subscriptions } = this.parts;
    const asked = { clientId, groupId: group.id, topicId: topic.id, exclusive, clientQuota, eventsMax };
    const synced = subscriptions.sync({ ...asked, action, liteTopics }, nowMs);
    for (const { client, name } of synced.evicted) this.tell(client.clientId, topic.id, name);
    for (const name of synced.refused) this.tell(clientId, topic.id, name);
    if (lite.resetOnEviction) for (const { name } of synced.evicted) this.owe(group.id, topic.id, name);
    if (lite.resetOnUnsubscribe) for (const name of synced.removed) this.owe(group.id, topic.id, name);
    try {
      this.settle(group.id);
      await this.begin(call, group, topic.id, synced.added);
    } catch (caught) {
      // Else the same call again would find nothing new, and the group never begin there.
      if (subscriptions.client(group.id, clientId) === synced.client) {
        subscriptions.sync({ ...asked, action: 'remove', liteTopics: synced.added }, nowMs);
      }
      throw caught;
    }
  }

  /** Writes down what was left owing, of one group or of all. @throws MqError where the log does not take it now */
  settle(groupId?: GroupId): void {
    const { view, starts, directory } = this.parts;
    for (const [key, owed] of this.owed) {
      if (groupId !== undefined && owed.groupId !== groupId) continue;
      const queueId = view.find(owed.topicId, owed.name);
      const isThere = queueId !== undefined && directory.groupById(owed.groupId) !== undefined;
      if (isThere) starts.beginAnew(owed.groupId, owed.topicId, queueId);
      this.owed.delete(key);
    }
  }

  /** The lite topic is about to go: its subscribers are told, and have it no more. */
  deleting(topicId: TopicId, name: string): void {
    for (const groupId of [...this.parts.subscriptions.groupsOn(topicId)]) {
      for (const { clientId } of this.parts.subscriptions.dropName(groupId, name)) this.tell(clientId, topicId, name);
    }
  }

  /** A lite topic was just made: those who wait for it get it from its first message on. */
  created(topicId: TopicId, name: string, queueId: QueueId): void {
    const { readiness, starts, store } = this.parts;
    for (const groupId of [...readiness.readersOf(topicId)]) {
      if (readiness.reads(groupId, name)) starts.begin(groupId, topicId, queueId, store.bounds(topicId, queueId).next);
    }
  }

  private async begin(
    { clientId, start }: LiteSyncCall,
    group: ConsumerGroup,
    topicId: TopicId,
    names: readonly string[],
  ): Promise<void> {
    const { view, groups, starts, readiness } = this.parts;
    const fresh: { name: string; queueId: QueueId; offset: QueueOffset }[] = [];
    for (const name of names) {
      const queueId = view.find(topicId, name);
      if (queueId === undefined) continue; // Its first message makes it.
      if (start && start.at !== 'last') {
        await starts.moveTo(group.id, topicId, queueId, start);
        continue;
      }
      const offset = starts.firstOf(group, topicId, queueId);
      if (offset !== undefined) fresh.push({ name, queueId, offset });
      else if (group.start.at === 'time' && !groups.figures(group.id, topicId, queueId)) {
        await starts.moveTo(group.id, topicId, queueId, { at: 'time', value: group.start.timeMs });
      }
    }
    // While something was looked up, what this is about may have gone.
    starts.checkThere(group.id, topicId);
    const there = fresh.filter(({ name, queueId }) => view.find(topicId, name) === queueId);
    starts.beginAll(group.id, topicId, there);
    for (const name of names) readiness.subscribed(group.id, topicId, clientId, name);
  }

  private owe(groupId: GroupId, topicId: TopicId, name: string): void {
    this.owed.set(`${groupId}/${topicId}/${name}`, { groupId, topicId, name });
  }

  /** Every leader hears of every subscription; the one at home speaks. */
  private tell(clientId: string, topicId: TopicId, liteTopic: string): void {
    const { view, directory, brokerName, commands } = this.parts;
    const isHome = (homeOfGroup(liteTopic, homeSets(directory.brokerSets())) ?? brokerName) === brokerName;
    if (!isHome && view.find(topicId, liteTopic) === undefined) return;
    if (commands.tell({ clientId, kind: 'unsubscribeLite', topicId, liteTopic })) this.notified += 1;
  }
}
