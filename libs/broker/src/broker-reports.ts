import type {
  BrokerAdmin,
  BrokerState,
  ClientQuestion,
  CommandAnswer,
  Directory,
  GroupState,
  ListLiteTopicsCall,
  LiteTopicPage,
  LiteTopicState,
  LogDamage,
  QueueReset,
  ResetCall,
  TopicState,
} from '@cometmq/client';
import { MessageType, queueId, type GroupId, type QueueId, type TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { BrokerService } from './broker-service.js';
import { WaitingReports } from './waiting-reports.js';

/** What an operator may ask of this broker: `BrokerAdmin` for the one set it leads. */
export class BrokerReports implements BrokerAdmin {
  readonly waiting: WaitingReports;

  constructor(
    private readonly broker: BrokerService,
    private readonly directory: Directory,
    private readonly brokerName: string,
    private readonly version: string,
  ) {
    this.waiting = new WaitingReports(broker, (brokerSet) => this.check(brokerSet));
  }

  async describe(brokerSet: string): Promise<BrokerState> {
    this.check(brokerSet);
    const { store } = this.broker;
    const { logBytes, oldestTimestampMs, lostBytes } = store.sizes;
    return {
      name: this.brokerName,
      incarnation: store.incarnation,
      epoch: store.epoch,
      appendEnd: store.appendEnd,
      commitEnd: store.commitEnd,
      diskBytes: logBytes,
      lostBytes,
      freeBytes: await store.freeBytes(),
      oldestMs: oldestTimestampMs,
      writable: this.broker.writable,
      version: this.version,
      waitingPolls: this.broker.waitingPolls,
      sessions: this.broker.sessions.count,
    };
  }

  damage(brokerSet: string): Promise<readonly LogDamage[]> {
    this.check(brokerSet);
    return Promise.resolve(this.broker.store.damage.all);
  }

  giveUpLost(brokerSet: string): Promise<readonly LogDamage[]> {
    this.check(brokerSet);
    return this.broker.giveUpLost();
  }

  async describeGroup(brokerSet: string, groupId: GroupId): Promise<GroupState> {
    this.check(brokerSet);
    const { backlogs, sessions } = this.broker;
    await backlogs.load(groupId);
    return { queues: backlogs.of(groupId), members: sessions.of(groupId) };
  }

  describeTopic(brokerSet: string, topicId: TopicId): Promise<TopicState> {
    this.check(brokerSet);
    const { store } = this.broker;
    const topic = this.directory.topicById(topicId);
    // Those of lite topics are told of one by one.
    const filled = topic?.type === MessageType.lite ? [] : store.queueIds(topicId);
    const count = filled.reduce(
      (most, id) => Math.max(most, id + 1),
      Math.max(topic?.readQueues ?? 0, topic?.writeQueues ?? 0),
    );
    const groups = this.groupsOf(topicId, filled);
    const queues = Array.from({ length: count }, (_, id) => {
      const { first, committed } = store.bounds(topicId, queueId(id));
      const doneTo = groups.map((groupId) => this.broker.groups.figures(groupId, topicId, queueId(id))?.committed ?? 0);
      const unread = committed - Math.min(committed, Math.max(first, groups.length > 0 ? Math.min(...doneTo) : 0));
      return { queueId: queueId(id), first, next: committed, unread };
    });
    return Promise.resolve({ queues, bytes: store.topicSize(topicId).bytes });
  }

  async resetProgress(brokerSet: string, call: ResetCall): Promise<readonly QueueReset[]> {
    this.check(brokerSet);
    return this.broker.resetProgress(call);
  }

  async askClient(brokerSet: string, question: ClientQuestion): Promise<CommandAnswer> {
    this.check(brokerSet);
    return this.broker.questions.ask(question);
  }

  async listLiteTopics(brokerSet: string, call: ListLiteTopicsCall): Promise<LiteTopicPage> {
    this.check(brokerSet);
    return this.broker.lite().reports.list(call);
  }

  async describeLiteTopic(brokerSet: string, topicId: TopicId, liteTopic: string): Promise<LiteTopicState | undefined> {
    this.check(brokerSet);
    return this.broker.lite().reports.describe(topicId, liteTopic);
  }

  async deleteLiteTopic(brokerSet: string, topicId: TopicId, liteTopic: string): Promise<boolean> {
    this.check(brokerSet);
    return this.broker.lite().delete(topicId, liteTopic);
  }

  /** Consumer groups that have begun to consume the topic here. */
  private groupsOf(topicId: TopicId, filled: readonly QueueId[]): GroupId[] {
    const { groups } = this.broker;
    return [...groups.groups()].filter((groupId) => filled.some((id) => groups.figures(groupId, topicId, id)));
  }

  private check(brokerSet: string): void {
    if (brokerSet !== this.brokerName) {
      throw new MqError('NOT_FOUND', `this is broker set "${this.brokerName}", not "${brokerSet}"`);
    }
  }
}
