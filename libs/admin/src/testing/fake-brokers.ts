import {
  checkSeen,
  type AppendAuditCall,
  type BrokerAdmin,
  type BrokerState,
  type ClientQuestion,
  type CommandAnswer,
  type GroupState,
  type ListLiteTopicsCall,
  type LiteTopicPage,
  type LiteTopicState,
  type LogDamage,
  type QueueReset,
  type ResetCall,
  type TopicState,
} from '@cometmq/client';
import { queueId, queueOffset, type GroupId, type TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { FakeBackups } from './fake-backups.js';
import { FakeDeadLetters } from './fake-dead-letters.js';
import { FakeInspect } from './fake-inspect.js';
import { FakeWaiting } from './fake-waiting.js';

/** Brokers that say what they were told to; a set that was told nothing does not answer. */
export class FakeBrokers implements BrokerAdmin {
  readonly states = new Map<string, Partial<BrokerState>>();
  readonly groups = new Map<GroupId, GroupState>();
  readonly topics = new Map<TopicId, TopicState>();
  readonly holds: { readonly brokerSet: string; readonly holdMs: number; readonly groupsOnly?: true }[] = [];
  readonly audits: AppendAuditCall[] = [];
  readonly waiting = new FakeWaiting((brokerSet) => this.known(brokerSet));
  readonly inspect = new FakeInspect((brokerSet) => this.known(brokerSet));
  readonly deadLetters = new FakeDeadLetters((brokerSet) => this.known(brokerSet));
  readonly backups = new FakeBackups((brokerSet) => this.known(brokerSet));

  readonly resets: (ResetCall & { readonly brokerSet: string })[] = [];
  /** Set: what a leader answers to a reset. */
  refusal: MqError | undefined;
  readonly questions: ClientQuestion[] = [];
  /** What clients say; those that are not here have no stream. */
  readonly clients = new Map<string, CommandAnswer>();

  readonly liteTopics = new Map<string, LiteTopicState>();

  /** Sets whose message groups have begun to go. */
  readonly leavingGroups = new Set<string>();
  readonly damages: LogDamage[] = [];

  reset(): void {
    this.damages.length = 0;
    this.liteTopics.clear();
    this.resets.length = 0;
    this.refusal = undefined;
    this.questions.length = 0;
    this.clients.clear();
    this.states.clear();
    this.groups.clear();
    this.topics.clear();
    this.holds.length = 0;
    this.audits.length = 0;
    this.waiting.reset();
    this.inspect.reset();
    this.deadLetters.reset();
    this.backups.reset();
  }

  async describe(brokerSet: string): Promise<BrokerState> {
    return {
      name: brokerSet,
      incarnation: 'volume-1',
      epoch: 1,
      appendEnd: 4096,
      commitEnd: 4096,
      diskBytes: 268_435_456,
      freeBytes: 1_000_000_000,
      lostBytes: 0,
      oldestMs: 0,
      writable: true,
      version: '0.1.0',
      waitingPolls: 0,
      sessions: 0,
      ...{ handedOver: 0, onTheirWay: 0, groupsLeave: this.leavingGroups.has(brokerSet) },
      ...this.known(brokerSet),
    };
  }

  damage(brokerSet: string): Promise<readonly LogDamage[]> {
    this.known(brokerSet);
    return Promise.resolve([...this.damages]);
  }

  async giveUpLost(brokerSet: string, seen?: string): Promise<readonly LogDamage[]> {
    this.known(brokerSet);
    checkSeen(this.damages, seen);
    return Promise.resolve(this.damages.splice(0));
  }

  async describeGroup(brokerSet: string, groupId: GroupId): Promise<GroupState> {
    this.known(brokerSet);
    return { queues: [], sums: [], members: [], ...this.groups.get(groupId) };
  }

  async listLiteTopics(brokerSet: string, { prefix, from, max }: ListLiteTopicsCall): Promise<LiteTopicPage> {
    this.known(brokerSet);
    const names = [...this.liteTopics.keys()].filter((name) => name.startsWith(prefix));
    const liteTopics = names.slice(from, from + max).map((name) => ({ name, messages: 1, bytes: 100 }));
    const next = from + max < names.length ? from + max : undefined;
    return { liteTopics, next, total: this.liteTopics.size };
  }

  async describeLiteTopic(brokerSet: string, _topicId: TopicId, name: string): Promise<LiteTopicState | undefined> {
    this.known(brokerSet);
    return this.liteTopics.get(name);
  }

  async deleteLiteTopic(brokerSet: string, _topicId: TopicId, name: string): Promise<boolean> {
    this.known(brokerSet);
    return this.liteTopics.delete(name);
  }

  async holdSends(brokerSet: string, holdMs: number, _owner: string, groupsOnly = false): Promise<void> {
    this.known(brokerSet);
    this.holds.push({ brokerSet, holdMs, ...(groupsOnly && { groupsOnly: true as const }) });
  }

  async appendAudit(brokerSet: string, call: AppendAuditCall): Promise<void> {
    this.known(brokerSet);
    this.audits.push(call);
  }

  async describeTopic(brokerSet: string, topicId: TopicId): Promise<TopicState> {
    this.known(brokerSet);
    return this.topics.get(topicId) ?? { queues: [], bytes: 0 };
  }

  async resetProgress(brokerSet: string, call: ResetCall): Promise<readonly QueueReset[]> {
    this.known(brokerSet);
    if (this.refusal) throw this.refusal;
    this.resets.push({ ...call, brokerSet });
    return [{ queueId: call.queueId ?? queueId(0), before: queueOffset(3), after: queueOffset(7) }];
  }

  async askClient(brokerSet: string, question: ClientQuestion): Promise<CommandAnswer> {
    this.known(brokerSet);
    this.questions.push(question);
    const answer = this.clients.get(question.clientId);
    if (!answer) throw new MqError('NOT_FOUND', `no proxy holds an open stream of client "${question.clientId}"`);
    return answer;
  }

  private known(brokerSet: string): Partial<BrokerState> {
    const state = this.states.get(brokerSet);
    if (!state) throw new MqError('UNAVAILABLE', `the leader of ${brokerSet} can't be reached`);
    return state;
  }
}
