import {
  lagOf,
  type AppendAuditCall,
  type BackupAdmin,
  type BrokerAdmin,
  type BrokerState,
  type ClientQuestion,
  type CommandAnswer,
  type DeadLetterAdmin,
  type Directory,
  type GroupState,
  type ListLiteTopicsCall,
  type LiteTopicPage,
  type LiteTopicState,
  type LogDamage,
  type QueueReset,
  type ResetCall,
  type TopicState,
} from '@cometmq/client';
import { MessageType, queueId, type GroupId, type QueueId, type TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { BrokerService } from './broker-service.js';
import type { InspectReports } from './inspect/inspect-reports.js';
import { WaitingReports } from './waiting-reports.js';

/** What an operator may ask of this broker: `BrokerAdmin` for the one set it leads. */
export class BrokerReports implements BrokerAdmin {
  readonly waiting: WaitingReports;

  constructor(
    private readonly broker: BrokerService,
    private readonly directory: Directory,
    private readonly brokerName: string,
    private readonly version: string,
    private readonly inspection?: InspectReports,
    private readonly ownBackups?: BackupAdmin,
  ) {
    if (inspection) inspection.check = (brokerSet) => this.check(brokerSet);
    this.waiting = new WaitingReports(broker, (brokerSet) => this.check(brokerSet));
  }

  /** What operators do with dead letters, and what they did. */
  get deadLetters(): DeadLetterAdmin {
    return {
      replay: async (brokerSet, call) => {
        this.check(brokerSet);
        return this.broker.replays.replay(call);
      },
      resend: async (brokerSet, call) => {
        this.check(brokerSet);
        return this.broker.replays.resend(call, (asked) => this.inspect.replays(brokerSet, asked));
      },
      replays: async (...asked) => this.inspect.replays(...asked),
    };
  }

  get backups(): BackupAdmin {
    if (!this.ownBackups) throw new MqError('UNSUPPORTED', 'this broker makes no backups');
    return this.ownBackups;
  }

  get inspect(): InspectReports {
    if (!this.inspection) throw new MqError('UNSUPPORTED', 'this broker has no index of what was decided');
    return this.inspection;
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
      metadataProblem: this.broker.metadataProblem,
      ...this.broker.handingOver,
    };
  }

  damage(brokerSet: string): Promise<readonly LogDamage[]> {
    this.check(brokerSet);
    return Promise.resolve(this.broker.store.damage.all);
  }

  giveUpLost(brokerSet: string, seen?: string): Promise<readonly LogDamage[]> {
    this.check(brokerSet);
    return this.broker.giveUpLost(seen);
  }

  async describeGroup(brokerSet: string, groupId: GroupId): Promise<GroupState> {
    this.check(brokerSet);
    const { backlogs, sessions } = this.broker;
    await backlogs.load(groupId);
    return { queues: backlogs.of(groupId), sums: backlogs.sumsOf(groupId), members: sessions.of(groupId) };
  }

  async describeTopic(brokerSet: string, topicId: TopicId): Promise<TopicState> {
    this.check(brokerSet);
    const { store } = this.broker;
    const topic = this.directory.topicById(topicId);
    // Those of lite topics are told of one by one.
    const filled = topic?.type === MessageType.lite ? [] : store.queueIds(topicId);
    const count = filled.reduce(
      (most, id) => Math.max(most, id + 1),
      Math.max(topic?.readQueues ?? 0, topic?.writeQueues ?? 0),
    );
    const unread = await this.unread(topicId, filled);
    const queues = Array.from({ length: count }, (_, id) => {
      const { first, committed } = store.bounds(topicId, queueId(id));
      return {
        queueId: queueId(id),
        first,
        next: committed,
        unread: unread?.get(id) ?? (unread ? 0 : committed - first - this.away(topicId, id, first, committed)),
      };
    });
    return { queues, bytes: store.topicSize(topicId).bytes };
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

  async holdSends(brokerSet: string, holdMs: number, owner: string, groupsOnly = false): Promise<void> {
    this.check(brokerSet);
    await this.broker.holdSends(holdMs, groupsOnly, owner);
  }

  async appendAudit(brokerSet: string, call: AppendAuditCall): Promise<void> {
    this.check(brokerSet);
    await this.broker.appendAudit(call);
  }

  /** Messages of a queue that are on their way to another broker set. */
  private away(topicId: TopicId, id: number, first: number, next: number): number {
    return this.broker.views.transfers.of(topicId, queueId(id))?.countAway(first, next) ?? 0;
  }

  /** What the slowest of the topic's groups has still to do, by queue; undefined: the topic has no group. */
  private async unread(topicId: TopicId, filled: readonly QueueId[]): Promise<Map<number, number> | undefined> {
    const { groups, sessions, backlogs } = this.broker;
    const consumes = (groupId: GroupId): boolean =>
      filled.some((id) => groups.figures(groupId, topicId, id)) || sessions.topicsOf(groupId).includes(topicId);
    const consuming = [...backlogs.groupIds()].filter(consumes);
    if (consuming.length === 0) return undefined;
    const most = new Map<number, number>();
    for (const groupId of consuming) {
      await backlogs.load(groupId);
      for (const queue of backlogs.of(groupId)) {
        if (queue.topicId === topicId) most.set(queue.queueId, Math.max(most.get(queue.queueId) ?? 0, lagOf(queue)));
      }
    }
    return most;
  }

  private check(brokerSet: string): void {
    if (brokerSet !== this.brokerName) {
      throw new MqError('NOT_FOUND', `this is broker set "${this.brokerName}", not "${brokerSet}"`);
    }
    if (!this.broker.isOpen) throw new MqError('UNAVAILABLE', 'this broker is starting: its log is not open yet');
  }
}
