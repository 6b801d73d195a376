import type {
  Deleted,
  DirectoryUpdate,
  GroupChange,
  GroupDraft,
  LeadershipClaim,
  MetadataKnowledge,
  NameService,
  TopicChange,
  TopicDraft,
} from '@cometmq/client';
import {
  defaultAttemptsMax,
  defaultRetryPolicy,
  groupId,
  groupName,
  liteGroupDefaults,
  MessageType,
  topicId,
  topicName,
  type BrokerSet,
  type ConsumerGroup,
  type LiteGroup,
  type Topic,
  type TopicName,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';

/** A name service in memory: enough of it for a broker to lead and to be told of topics and groups. */
export class FakeNameService implements NameService {
  deposed = false;
  /** Why the broker that asks may not lead: the metadata is not its own, or its log is an older copy; undefined: it may. */
  mismatch: MqError | undefined;
  readonly claims: LeadershipClaim[] = [];
  readonly adopted: MetadataKnowledge[] = [];
  readonly forgotten: string[] = [];
  private readonly topics = new Map<string, Topic>();
  private readonly groups = new Map<string, ConsumerGroup>();
  private readonly watchers = new Set<(update: DirectoryUpdate) => void>();
  private readonly deletedTopics: Deleted[] = [];
  private readonly deletedGroups: Deleted[] = [];
  private ids = 0;
  private terms = 0;

  watch(listener: (update: DirectoryUpdate) => void): () => void {
    queueMicrotask(() => {
      listener(this.whole());
      this.watchers.add(listener);
    });
    return () => this.watchers.delete(listener);
  }

  /** They are not there any more, though nobody deleted them: one by one, or all at once. */
  lose(how: 'one by one' | 'all at once'): void {
    const topics = [...this.topics.values()];
    const groups = [...this.groups.values()];
    this.topics.clear();
    this.groups.clear();
    if (how === 'all at once') return this.tell(this.whole());
    for (const topic of topics) this.tell({ kind: 'topicDeleted', revision: this.ids, topic, recorded: false });
    for (const group of groups) this.tell({ kind: 'groupDeleted', revision: this.ids, group, recorded: false });
  }

  /** All of it is told again. */
  tellAll(): void {
    this.tell(this.whole());
  }

  createTopic(draft: TopicDraft): Promise<Topic> {
    const topic: Topic = {
      name: draft.name as TopicName,
      id: topicId((this.ids += 1)),
      type: draft.type ?? MessageType.normal,
      writeQueues: draft.writeQueues ?? 1,
      readQueues: draft.readQueues ?? 1,
      permission: draft.permission ?? 'readWrite',
      retentionMs: draft.retentionMs,
      liteExpirationMs: draft.liteExpirationMs,
      typeFixed: true,
      layout: 1,
      createdMs: 0,
    };
    this.topics.set(topic.name, topic);
    this.tell({ kind: 'topic', revision: this.ids, topic });
    return Promise.resolve(topic);
  }

  createGroup(draft: GroupDraft): Promise<ConsumerGroup> {
    const group: ConsumerGroup = {
      name: groupName(draft.name),
      id: groupId((this.ids += 1)),
      fifo: draft.fifo ?? false,
      attemptsMax: draft.attemptsMax ?? defaultAttemptsMax,
      retryPolicy: draft.retryPolicy ?? defaultRetryPolicy,
      start: draft.start ?? { at: 'auto' },
      ...(draft.priorityFactor !== undefined && { priorityFactor: draft.priorityFactor }),
      ...(draft.lite && {
        lite: { ...liteGroupDefaults, ...draft.lite, topic: topicName(draft.lite.topic) } as LiteGroup,
      }),
      createdMs: 0,
    };
    this.groups.set(group.name, group);
    this.tell({ kind: 'group', revision: this.ids, group });
    return Promise.resolve(group);
  }

  deleteTopic(name: string): Promise<void> {
    const topic = this.topics.get(name);
    this.topics.delete(name);
    if (!topic) return Promise.resolve();
    this.deletedTopics.push({ id: topic.id, createdMs: topic.createdMs });
    this.tell({ kind: 'topicDeleted', revision: (this.ids += 1), topic, recorded: true });
    return Promise.resolve();
  }

  deleteGroup(name: string): Promise<void> {
    const group = this.groups.get(name);
    this.groups.delete(name);
    if (!group) return Promise.resolve();
    this.deletedGroups.push({ id: group.id, createdMs: group.createdMs });
    this.tell({ kind: 'groupDeleted', revision: (this.ids += 1), group, recorded: true });
    return Promise.resolve();
  }

  ensureTopic(name: string): Promise<Topic> {
    return this.ensureInnerTopic(name);
  }
  async ensureInnerTopic(name: string): Promise<Topic> {
    return this.topics.get(name) ?? this.createTopic({ name });
  }
  async ensureGroup(name: string): Promise<ConsumerGroup> {
    return this.groups.get(name) ?? this.createGroup({ name });
  }
  fixTopicType(name: string): Promise<Topic> {
    return this.ensureInnerTopic(name);
  }
  async updateTopic(name: string, change: TopicChange): Promise<Topic> {
    const known = await this.ensureInnerTopic(name);
    const topic = { ...known, ...change } as Topic;
    this.topics.set(known.name, topic);
    this.tell({ kind: 'topic', revision: (this.ids += 1), topic });
    return topic;
  }
  async updateGroup(name: string, change: GroupChange): Promise<ConsumerGroup> {
    const known = await this.ensureGroup(name);
    const group = { ...known, ...change } as ConsumerGroup;
    this.groups.set(name, group);
    this.tell({ kind: 'group', revision: (this.ids += 1), group });
    return group;
  }

  acquireLeadership(claim: LeadershipClaim): Promise<BrokerSet> {
    this.claims.push(claim);
    if (this.mismatch) return Promise.reject(this.mismatch);
    return Promise.resolve({
      name: claim.name,
      epoch: (this.terms += 1),
      leader: claim.address,
      leaderMember: claim.member,
      members: [{ member: claim.member, address: '' }],
      quorum: 1,
      stage: 'serving',
      inSync: [claim.member],
      writable: true,
      registeredMs: 0,
    });
  }
  renewLeadership(claim: LeadershipClaim): Promise<void> {
    this.claims.push(claim);
    if (this.mismatch) return Promise.reject(this.mismatch);
    return this.deposed ? Promise.reject(new MqError('NOT_LEADER', 'another member leads')) : Promise.resolve();
  }
  resignLeadership(): Promise<void> {
    return Promise.resolve();
  }
  forgetMembers(name: string): Promise<BrokerSet> {
    this.forgotten.push(name);
    this.mismatch = undefined;
    return Promise.resolve({
      name,
      epoch: this.terms,
      members: [],
      quorum: 1,
      stage: 'serving',
      inSync: [],
      writable: true,
      registeredMs: 0,
    });
  }

  allowAdoption(): Promise<number> {
    return Promise.reject(new MqError('UNSUPPORTED', 'the fake name service does not do this'));
  }
  adoptMetadata(part: MetadataKnowledge): Promise<void> {
    if (!part.insist) return Promise.reject(new MqError('METADATA_MISMATCH', 'no operator has allowed it'));
    this.adopted.push(part);
    this.mismatch = undefined;
    return Promise.resolve();
  }

  private whole(): DirectoryUpdate {
    return {
      kind: 'snapshot',
      revision: this.ids,
      clusterId: 'test',
      secret: new Uint8Array(32),
      topics: [...this.topics.values()],
      groups: [...this.groups.values()],
      brokers: [],
      generation: 1,
      replaced: [],
      deletedTopics: [...this.deletedTopics],
      deletedGroups: [...this.deletedGroups],
    };
  }

  private tell(update: DirectoryUpdate): void {
    for (const listener of this.watchers) listener(update);
  }
}
