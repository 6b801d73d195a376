import type {
  DeletionCall,
  DirectoryUpdate,
  GroupDraft,
  NameService,
  Retired,
  RetiredKind,
  RetiredList,
  TopicDraft,
} from '@cometmq/client';
import {
  defaultAttemptsMax,
  defaultRetryPolicy,
  liteGroupDefaults,
  type LiteGroup,
  groupId,
  groupName,
  MessageType,
  topicId,
  topicName,
  type BrokerSet,
  type ConsumerGroup,
  type Topic,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';

/** A name service in memory, with the truth's manners: ids are never used twice, watchers hear of everything later. */
export class FakeNameService implements NameService {
  readonly topics = new Map<string, Topic>();
  readonly groups = new Map<string, ConsumerGroup>();
  /** Set: every change fails with it. */
  failure: unknown;
  /** Set: a change is never answered. */
  silent = false;
  readonly sets = new Map<string, BrokerSet>();
  private readonly listeners = new Set<(update: DirectoryUpdate) => void>();
  private revision = 1;
  private ids = 0;
  /** Which cluster it is: nothing of an older one is told any more. */
  private cluster = 0;

  constructor(private readonly createdMs = 1_700_000_000_000) {}

  watch(listener: (update: DirectoryUpdate) => void): () => void {
    queueMicrotask(() => {
      this.listeners.add(listener);
      listener(this.whole());
    });
    return () => this.listeners.delete(listener);
  }

  /** A new cluster with these broker sets and nothing else; all watchers know at once. */
  reset(brokers: readonly BrokerSet[]): void {
    this.failure = undefined;
    this.silent = false;
    this.topics.clear();
    this.groups.clear();
    this.sets.clear();
    this.cluster += 1;
    for (const broker of brokers) this.sets.set(broker.name, broker);
    for (const listener of [...this.listeners]) listener(this.whole());
  }

  putBroker(broker: BrokerSet): void {
    this.sets.set(broker.name, broker);
    this.tell((revision) => ({ kind: 'broker', revision, broker }));
  }

  async createTopic(draft: TopicDraft): Promise<Topic> {
    await this.faults();
    const name = topicName(draft.name);
    if (this.topics.has(name)) throw new MqError('ALREADY_EXISTS', `topic "${name}" exists already`);
    const writeQueues = draft.writeQueues ?? 8;
    return this.putTopic({
      name,
      id: topicId((this.ids += 1)),
      type: draft.type ?? MessageType.normal,
      writeQueues,
      readQueues: draft.readQueues ?? writeQueues,
      permission: draft.permission ?? 'readWrite',
      retentionMs: draft.retentionMs,
      retentionBytes: draft.retentionBytes,
      liteExpirationMs: draft.liteExpirationMs,
      typeFixed: true,
      layout: 1,
      createdMs: this.createdMs,
    });
  }

  ensureTopic(name: string): Promise<Topic> {
    return this.createTopic({ name });
  }

  async fixTopicType(name: string): Promise<Topic> {
    return this.topicOf(name);
  }

  async updateTopic(name: string, change: Partial<Topic>): Promise<Topic> {
    await this.faults();
    const topic = this.topicOf(name);
    // As namesrv does: 0 takes a setting back.
    const { retentionMs, retentionBytes, liteExpirationMs, ...rest } = { ...topic, ...change };
    const kept = {
      ...(retentionMs && { retentionMs }),
      ...(retentionBytes && { retentionBytes }),
      ...(liteExpirationMs && { liteExpirationMs }),
    };
    return this.putTopic({ ...rest, ...kept, layout: topic.layout + 1 });
  }

  async deleteTopic(name: string, how: DeletionCall = {}): Promise<void> {
    await this.faults();
    this.deletions.push(how);
    const topic = this.topicOf(name);
    this.topics.delete(name);
    this.tell((revision) => ({ kind: 'topicDeleted', revision, topic, recorded: true }));
  }

  /** What it is told was deleted and can be brought back, and what was. */
  readonly retirements: Retired[] = [];
  readonly deletions: DeletionCall[] = [];
  readonly restored: string[] = [];
  async retired(): Promise<RetiredList> {
    await this.faults();
    return { retired: this.retirements, graceMs: 3_600_000 };
  }
  async restore(kind: RetiredKind, id: number): Promise<void> {
    await this.faults();
    this.restored.push(`${kind} ${id}`);
  }

  async createGroup(draft: GroupDraft): Promise<ConsumerGroup> {
    await this.faults();
    const name = groupName(draft.name);
    if (this.groups.has(name)) throw new MqError('ALREADY_EXISTS', `consumer group "${name}" exists already`);
    return this.putGroup({
      name,
      id: groupId((this.ids += 1)),
      fifo: draft.fifo ?? false,
      attemptsMax: draft.attemptsMax ?? defaultAttemptsMax,
      retryPolicy: draft.retryPolicy ?? defaultRetryPolicy,
      start: draft.start ?? { at: 'auto' },
      ...(draft.priorityFactor !== undefined && { priorityFactor: draft.priorityFactor }),
      ...(draft.lite && { lite: { ...liteGroupDefaults, ...draft.lite } as LiteGroup }),
      createdMs: this.createdMs,
    });
  }

  ensureGroup(name: string): Promise<ConsumerGroup> {
    return this.createGroup({ name });
  }

  async updateGroup(name: string, change: Partial<ConsumerGroup>): Promise<ConsumerGroup> {
    await this.faults();
    return this.putGroup({ ...this.groupOf(name), ...change });
  }

  async deleteGroup(name: string): Promise<void> {
    await this.faults();
    const group = this.groupOf(name);
    this.groups.delete(name);
    this.tell((revision) => ({ kind: 'groupDeleted', revision, group, recorded: true }));
  }

  /** The system's own topics pass the check of names. */
  async ensureInnerTopic(name: string): Promise<Topic> {
    return this.topics.get(name) ?? this.createTopic({ name });
  }

  async forgetMembers(name: string): Promise<BrokerSet> {
    await this.faults();
    const set = this.sets.get(name);
    if (!set) throw new MqError('NOT_FOUND', `there is no broker set "${name}"`);
    if (set.leader !== undefined) throw new MqError('CONFLICT', `${set.leaderMember} leads broker set ${name}`);
    const empty = { ...set, inSync: [] };
    this.putBroker(empty);
    return empty;
  }

  async allowAdoption(): Promise<number> {
    await this.faults();
    return this.createdMs + 3_600_000;
  }
  adoptMetadata(): Promise<void> {
    return Promise.reject(new MqError('UNSUPPORTED', 'nobody leads here'));
  }

  private whole(): DirectoryUpdate {
    return {
      kind: 'snapshot',
      revision: this.revision,
      clusterId: 'cluster-1',
      secret: new Uint8Array(32),
      topics: [...this.topics.values()],
      groups: [...this.groups.values()],
      brokers: [...this.sets.values()],
      generation: 1,
      replaced: [],
      deletedTopics: [],
      deletedGroups: [],
    };
  }

  private async faults(): Promise<void> {
    if (this.silent) await new Promise(() => undefined);
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- a test says what breaks, unknownMembers too
    if (this.failure !== undefined) throw this.failure;
  }

  private topicOf(name: string): Topic {
    const topic = this.topics.get(name);
    if (!topic) throw new MqError('TOPIC_NOT_FOUND', `there is no topic "${name}"`);
    return topic;
  }

  private groupOf(name: string): ConsumerGroup {
    const group = this.groups.get(name);
    if (!group) throw new MqError('CONSUMER_GROUP_NOT_FOUND', `there is no consumer group "${name}"`);
    return group;
  }

  private putTopic(topic: Topic): Topic {
    this.topics.set(topic.name, topic);
    this.tell((revision) => ({ kind: 'topic', revision, topic }));
    return topic;
  }

  private putGroup(group: ConsumerGroup): ConsumerGroup {
    this.groups.set(group.name, group);
    this.tell((revision) => ({ kind: 'group', revision, group }));
    return group;
  }

  /** Later, as over a network: an answer may come before the watch has told of it. */
  private tell(update: (revision: number) => DirectoryUpdate): void {
    const change = update((this.revision += 1));
    const cluster = this.cluster;
    setImmediate(() => {
      if (cluster !== this.cluster) return;
      for (const listener of [...this.listeners]) listener(change);
    });
  }
}
