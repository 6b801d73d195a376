import type {
  Deleted,
  DirectoryUpdate,
  GroupChange,
  GroupDraft,
  KeptLead,
  MemberClaim,
  MetadataKnowledge,
  NameService,
  RetiredList,
  SetReading,
  SetRegistry,
  TopicChange,
  TopicDraft,
  WantedLead,
  WantedMembers,
} from '@cometmq/client';
import { MemorySetRegistry } from '@cometmq/client/testing';
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
  type Epoch,
  type LiteGroup,
  type SetState,
  type Topic,
  type TopicName,
} from '@cometmq/model';
import { type Clock, MqError } from '@cometmq/shared';

/** A name service in memory: enough of it for a broker to lead and to be told of topics and groups. */
export class FakeNameService implements NameService {
  /** Why the broker that asks may not lead: the metadata is not its own, or its log is an older copy; undefined: it may. */
  mismatch: MqError | undefined;
  readonly adopted: MetadataKnowledge[] = [];
  readonly forgotten: string[] = [];
  private readonly topics = new Map<string, Topic>();
  private readonly groups = new Map<string, ConsumerGroup>();
  private readonly watchers = new Set<(update: DirectoryUpdate) => void>();
  private readonly deletedTopics: Deleted[] = [];
  private readonly deletedGroups: Deleted[] = [];
  private ids = 0;

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

  /** A broker set has another place in the routes. */
  putStage(name: string, stage: BrokerSet['stage']): void {
    const broker: BrokerSet = {
      ...{ name, epoch: 1, members: [], quorum: 1, inSync: [], writable: true, registeredMs: 1, stage },
    };
    this.tell({ kind: 'broker', revision: (this.ids += 1), broker });
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

  retired(): Promise<RetiredList> {
    return Promise.resolve({ retired: [], graceMs: 0 });
  }
  restore(): Promise<void> {
    return Promise.reject(new MqError('NOT_FOUND', 'deletions are for good here'));
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

  forgetMembers(name: string): Promise<BrokerSet> {
    this.forgotten.push(name);
    this.mismatch = undefined;
    return Promise.resolve({
      name,
      epoch: 0,
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

/** The registry of sets beside it: refuses whoever asks for as long as the name service has another's metadata. */
export class FakeSetRegistry extends MemorySetRegistry {
  readonly claims: MemberClaim[] = [];

  constructor(
    clock: Clock,
    private readonly nameService: FakeNameService,
  ) {
    super(clock);
  }

  override announceMember(claim: MemberClaim): Promise<SetReading> {
    return this.checked(claim, (own) => super.announceMember(own));
  }
  override acquireLeadership(claim: MemberClaim, wanted: WantedLead): Promise<SetState | undefined> {
    return this.checked(claim, (own) => super.acquireLeadership(own, wanted));
  }
  override renewLeadership(claim: MemberClaim, kept: KeptLead): Promise<SetReading> {
    return this.checked(claim, (own) => super.renewLeadership(own, kept));
  }

  override changeMembers(claim: MemberClaim, wanted: WantedMembers): Promise<SetState | undefined> {
    return this.checked(claim, (own) => super.changeMembers(own, wanted));
  }
  override resignLeadership(claim: MemberClaim, epoch: Epoch): Promise<void> {
    return this.checked(claim, (own) => super.resignLeadership(own, epoch));
  }

  private checked<T>(claim: MemberClaim, act: (own: MemberClaim) => Promise<T>): Promise<T> {
    this.claims.push(claim);
    const { mismatch } = this.nameService;
    if (mismatch) return Promise.reject(mismatch);
    // Which metadata it is, is what the name service is told to say.
    return act({ ...claim, ...(claim.log && { log: { ...claim.log, metadata: undefined } }) });
  }
}

/** Of a set of one that is asked for by nobody else: whatever its log says is so. For a folder that has no name service. */
export class LoneSetRegistry implements SetRegistry {
  private state: SetState | undefined;

  readSet(): Promise<SetReading> {
    const { state } = this;
    return Promise.resolve({ storeId: 'none', generation: 1, state, present: [], former: [] });
  }
  announceMember({ member, log }: MemberClaim): Promise<SetReading> {
    if (log) this.state ??= { members: [member], quorum: 1, epoch: log.epoch, leader: member, revision: log.epoch };
    return this.readSet();
  }
  acquireLeadership({ member }: MemberClaim, { epoch, rule }: WantedLead): Promise<SetState | undefined> {
    this.state = { ...rule, epoch, leader: member, revision: epoch };
    return Promise.resolve(this.state);
  }
  renewLeadership(): Promise<SetReading> {
    return this.readSet();
  }
  resignLeadership(): Promise<void> {
    return Promise.resolve();
  }
  changeMembers(): Promise<SetState | undefined> {
    return Promise.resolve(undefined);
  }
  withdrawMember(): Promise<void> {
    return Promise.resolve();
  }
}
