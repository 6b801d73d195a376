import {
  bodyMask,
  defaultAttemptsMax,
  defaultRetryPolicy,
  groupId,
  groupName,
  isInnerTopic,
  liteGroupDefaults,
  MessageType,
  topicId,
  topicName,
  type BrokerSet,
  type ConsumerGroup,
  type LiteGroup,
  type Topic,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type {
  Deleted,
  DeletionCall,
  DirectoryUpdate,
  GroupChange,
  GroupDraft,
  MetadataKnowledge,
  NameService,
  RestoreCall,
  RetiredKind,
  RetiredList,
  TopicChange,
  TopicDraft,
} from '../name-service.js';

export interface FakeNameServiceOptions {
  /** Of a topic whose maker names no queues. */
  readonly queues?: number;
  /** What the wall clock shows, always. */
  readonly wallMs?: number;
  /** How long a deletion can be taken back; 0: it is for good at once. */
  readonly graceMs?: number;
  /** Watchers hear of a change only after its answer, as where a watch is slow. */
  readonly tellsLate?: boolean;
}

interface Retirement {
  readonly kind: RetiredKind;
  readonly record: Topic | ConsumerGroup;
  readonly who: string;
}

/**
 * A name service in memory. Keeps the contract of `nameServiceContract`; beyond it, what it holds is seen and put directly,
 * and it can fail, be silent, and lose what it held.
 */
export class FakeNameService implements NameService {
  readonly topics = new Map<string, Topic>();
  readonly groups = new Map<string, ConsumerGroup>();
  readonly sets = new Map<string, BrokerSet>();
  /** Whether topics, and groups, are made on first use. */
  createsTopics = true;
  createsGroups = true;
  /** Set: every change fails with it. */
  failure: unknown;
  /** Set: a change is never answered. */
  silent = false;
  /** Why the broker that asks may not lead: the metadata is not its own, or its log is an older copy; undefined: it may. */
  mismatch: MqError | undefined;
  /** What was asked about first uses, in order. */
  readonly asked: string[] = [];
  readonly deletions: DeletionCall[] = [];
  readonly forgotten: string[] = [];
  readonly adopted: MetadataKnowledge[] = [];
  private readonly queues: number;
  private readonly wallMs: number;
  /** How long a deletion can be taken back from now on. */
  graceMs: number;
  private readonly tellsLate: boolean;
  private readonly watchers = new Set<(update: DirectoryUpdate) => void>();
  private readonly deleted: Record<RetiredKind, Deleted[]> = { topic: [], group: [] };
  private readonly retirements: Retirement[] = [];
  private adoptionAllowed = false;
  private revision = 1;
  private ids = 0;
  /** Which cluster it is: nothing of an older one is told any more. */
  private cluster = 0;

  constructor({ queues = 8, wallMs = 1_700_000_000_000, graceMs = 0, tellsLate = false }: FakeNameServiceOptions = {}) {
    [this.queues, this.wallMs, this.graceMs, this.tellsLate] = [queues, wallMs, graceMs, tellsLate];
  }

  watch(listener: (update: DirectoryUpdate) => void): () => void {
    // One watch of its own, though the same listener may watch twice.
    const watcher = (update: DirectoryUpdate): void => listener(update);
    let stopped = false;
    queueMicrotask(() => {
      if (stopped) return;
      this.watchers.add(watcher);
      watcher(this.whole());
    });
    return () => {
      stopped = true;
      this.watchers.delete(watcher);
    };
  }

  /** A new cluster with these broker sets and nothing else; all watchers know at once. */
  reset(sets: readonly BrokerSet[]): void {
    this.failure = undefined;
    this.silent = false;
    for (const held of [this.topics, this.groups, this.sets]) held.clear();
    this.cluster += 1;
    for (const set of sets) this.sets.set(set.name, set);
    this.tellWhole();
  }

  /** All of it is told again, at once. */
  tellWhole(): void {
    this.revision += 1;
    for (const watcher of [...this.watchers]) watcher(this.whole());
  }

  /** Topics and groups are not there any more, though nobody deleted them: one by one, or all at once. */
  lose(how: 'one by one' | 'all at once'): void {
    const [topics, groups] = [[...this.topics.values()], [...this.groups.values()]];
    this.topics.clear();
    this.groups.clear();
    if (how === 'all at once') return this.tellWhole();
    for (const topic of topics) this.tell((revision) => ({ kind: 'topicDeleted', revision, topic, recorded: false }));
    for (const group of groups) this.tell((revision) => ({ kind: 'groupDeleted', revision, group, recorded: false }));
  }

  /** The topic as it was, or a new one, with this change, whatever may be changed. */
  putTopic(name: string, change: Partial<Topic> = {}): Topic {
    const topic: Topic = {
      name: topicName(name),
      id: topicId((this.ids += 1)),
      type: MessageType.normal,
      writeQueues: this.queues,
      readQueues: this.queues,
      permission: 'readWrite',
      typeFixed: true,
      layout: 1,
      createdMs: this.wallMs,
      ...this.topics.get(name),
      ...change,
    };
    this.topics.set(name, topic);
    this.tell((revision) => ({ kind: 'topic', revision, topic }));
    return topic;
  }

  /** As `putTopic`. */
  putGroup(name: string, change: Partial<ConsumerGroup> = {}): ConsumerGroup {
    const group: ConsumerGroup = {
      name: groupName(name),
      id: groupId((this.ids += 1)),
      fifo: false,
      attemptsMax: defaultAttemptsMax,
      retryPolicy: defaultRetryPolicy,
      start: { at: 'auto' },
      createdMs: this.wallMs,
      ...this.groups.get(name),
      ...change,
    };
    this.groups.set(name, group);
    this.tell((revision) => ({ kind: 'group', revision, group }));
    return group;
  }

  /** A broker set, led from this process where nothing else is said. */
  putSet(given: Pick<BrokerSet, 'name'> & Partial<BrokerSet>): BrokerSet {
    const broker: BrokerSet = {
      ...{ epoch: 1, leader: '', members: [], quorum: 1, stage: 'serving', inSync: [] },
      ...{ writable: true, registeredMs: 0 },
      ...given,
    };
    this.sets.set(broker.name, broker);
    this.tell((revision) => ({ kind: 'broker', revision, broker }));
    return broker;
  }

  createTopic({ name, ...draft }: TopicDraft): Promise<Topic> {
    return this.change(() => {
      if (isInnerTopic(topicName(name))) throw new MqError('ILLEGAL_TOPIC', `topic "${name}" is an inner topic`);
      if (this.topics.has(name)) throw new MqError('ALREADY_EXISTS', `topic "${name}" exists already`);
      const writeQueues = Math.min(this.queues, draft.readQueues ?? this.queues);
      return this.putTopic(name, topicParts(draft, { writeQueues, readQueues: 0 }));
    });
  }

  ensureTopic(name: string): Promise<Topic> {
    this.asked.push(`ensureTopic ${name}`);
    return this.change(() => {
      if (!this.topics.has(name)) this.checkNameFree('topic', name);
      const made = this.createsTopics && !isInnerTopic(name);
      return this.topics.get(name) ?? (made ? this.putTopic(name, { typeFixed: false }) : this.topicOf(name));
    });
  }

  ensureInnerTopic(name: string): Promise<Topic> {
    return this.change(() => {
      if (!isInnerTopic(name)) throw new MqError('ILLEGAL_TOPIC', `topic "${name}" is not an inner topic`);
      return this.topics.get(name) ?? this.putTopic(name, { writeQueues: 1, readQueues: 1 });
    });
  }

  fixTopicType(name: string, type: MessageType): Promise<Topic> {
    this.asked.push(`fixTopicType ${name} ${type}`);
    return this.change(() => {
      const topic = this.topicOf(name);
      return topic.typeFixed ? topic : this.putTopic(name, { type, typeFixed: true });
    });
  }

  updateTopic(name: string, change: TopicChange): Promise<Topic> {
    return this.change(() => {
      const topic = this.topicOf(name);
      const next = { ...topic, ...topicParts(change, topic) };
      const moved = (['writeQueues', 'readQueues', 'permission'] as const).some((key) => next[key] !== topic[key]);
      return this.putTopic(name, { ...next, layout: topic.layout + (moved ? 1 : 0) });
    });
  }

  deleteTopic(name: string, how: DeletionCall = {}): Promise<void> {
    return this.change(() => {
      const topic = this.topicOf(name);
      this.topics.delete(name);
      const recorded = this.retire('topic', topic, how);
      this.tell((revision) => ({ kind: 'topicDeleted', revision, topic, recorded }));
    });
  }

  createGroup({ name, ...draft }: GroupDraft): Promise<ConsumerGroup> {
    return this.change(() => {
      if (this.groups.has(name)) throw new MqError('ALREADY_EXISTS', `consumer group "${name}" exists already`);
      return this.putGroup(name, groupParts(draft));
    });
  }

  ensureGroup(name: string): Promise<ConsumerGroup> {
    this.asked.push(`ensureGroup ${name}`);
    return this.change(() => {
      if (!this.groups.has(name)) this.checkNameFree('group', name);
      return this.groups.get(name) ?? (this.createsGroups ? this.putGroup(name) : this.groupOf(name));
    });
  }

  updateGroup(name: string, change: GroupChange): Promise<ConsumerGroup> {
    return this.change(() => this.putGroup(name, groupParts(change, this.groupOf(name))));
  }

  deleteGroup(name: string, how: DeletionCall = {}): Promise<void> {
    return this.change(() => {
      const group = this.groupOf(name);
      this.groups.delete(name);
      const recorded = this.retire('group', group, how);
      this.tell((revision) => ({ kind: 'groupDeleted', revision, group, recorded }));
    });
  }

  retired(): Promise<RetiredList> {
    const [deletedMs, goneMs] = [this.wallMs, this.wallMs + this.graceMs];
    return this.change(() => ({
      retired: this.retirements.map(({ kind, record: { name, id }, who }) => ({
        ...{ kind, name, id, who, deletedMs, goneMs },
      })),
      graceMs: this.graceMs,
    }));
  }

  restore(kind: RetiredKind, id: number, { replace = false, who = '' }: RestoreCall = {}): Promise<void> {
    return this.change(() => {
      const at = this.retirements.findIndex((one) => one.kind === kind && one.record.id === id);
      const record = this.retirements[at]?.record;
      if (!record) throw new MqError('NOT_FOUND', `no deletion of this ${kind} can be taken back any more`);
      const newer = (kind === 'topic' ? this.topics : this.groups).get(record.name);
      if (newer && !replace) throw new MqError('ALREADY_EXISTS', `there is another ${kind} "${record.name}" now`);
      this.retirements.splice(at, 1);
      if (newer) {
        this.retire(kind, newer, { who });
        if ('layout' in newer)
          this.tell((revision) => ({ kind: 'topicDeleted', revision, topic: newer, recorded: false }));
        else this.tell((revision) => ({ kind: 'groupDeleted', revision, group: newer, recorded: false }));
      }
      if ('layout' in record) this.putTopic(record.name, { ...record, layout: record.layout + 1 });
      else this.putGroup(record.name, record);
    });
  }

  forgetMembers(name: string): Promise<BrokerSet> {
    return this.change(() => {
      const set = this.sets.get(name);
      if (!set) throw new MqError('NOT_FOUND', `there is no broker set "${name}"`);
      if (set.leader !== undefined) throw new MqError('CONFLICT', `${set.leaderMember} leads broker set ${name}`);
      this.forgotten.push(name);
      this.mismatch = undefined;
      return this.putSet({ ...set, inSync: [] });
    });
  }

  allowAdoption(): Promise<number> {
    return this.change(() => {
      this.adoptionAllowed = true;
      return this.wallMs + 3_600_000;
    });
  }

  adoptMetadata(part: MetadataKnowledge): Promise<void> {
    return this.change(() => {
      if (!part.insist && !this.adoptionAllowed) throw new MqError('METADATA_MISMATCH', 'no operator has allowed it');
      this.adopted.push(part);
      this.mismatch = undefined;
    });
  }

  private whole(): DirectoryUpdate {
    return {
      kind: 'snapshot',
      revision: this.revision,
      clusterId: 'cluster-1',
      secret: Buffer.alloc(32, 7),
      topics: [...this.topics.values()],
      groups: [...this.groups.values()],
      brokers: [...this.sets.values()],
      generation: 1,
      replaced: [],
      deletedTopics: [...this.deleted.topic],
      deletedGroups: [...this.deleted.group],
    };
  }

  /** Acts before it returns, and answers later. */
  private change<T>(act: () => T): Promise<T> {
    if (this.silent) return new Promise(() => undefined);
    return new Promise((resolve) => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- a test says what breaks, and how
      if (this.failure !== undefined) throw this.failure;
      resolve(act());
    });
  }

  /** @returns whether it is for good */
  private retire(kind: RetiredKind, record: Topic | ConsumerGroup, how: DeletionCall): boolean {
    this.deletions.push(how);
    const isFinal = how.now === true || this.graceMs === 0;
    if (isFinal) this.deleted[kind].push({ id: record.id, createdMs: record.createdMs });
    else this.retirements.unshift({ kind, record, who: how.who ?? '' });
    return isFinal;
  }

  /** What was deleted is not made again by its use. */
  private checkNameFree(kind: RetiredKind, name: string): void {
    if (!this.retirements.some((one) => one.kind === kind && one.record.name === name)) return;
    const code = kind === 'topic' ? 'TOPIC_NOT_FOUND' : 'CONSUMER_GROUP_NOT_FOUND';
    throw new MqError(code, `${kind} "${name}" was deleted`);
  }

  private topicOf(name: string): Topic {
    const topic = this.topics.get(topicName(name));
    if (!topic) throw new MqError('TOPIC_NOT_FOUND', `topic "${name}" does not exist`);
    return topic;
  }

  private groupOf(name: string): ConsumerGroup {
    const group = this.groups.get(groupName(name));
    if (!group) throw new MqError('CONSUMER_GROUP_NOT_FOUND', `consumer group "${name}" does not exist`);
    return group;
  }

  private tell(update: (revision: number) => DirectoryUpdate): void {
    const told = update((this.revision += 1));
    const { cluster } = this;
    const act = (): void => {
      if (cluster !== this.cluster) return;
      for (const watcher of [...this.watchers]) watcher(told);
    };
    if (this.tellsLate) setImmediate(act);
    else act();
  }
}

type QueueCounts = Pick<Topic, 'writeQueues' | 'readQueues'>;

/** What a draft or a change makes of a topic. 0 takes a setting back. */
function topicParts(change: Omit<TopicDraft, 'name'>, was: Partial<Topic> & QueueCounts): Partial<Topic> {
  const { writeQueues = was.writeQueues } = change;
  if (change.bodyMask !== undefined) bodyMask(change.bodyMask);
  return {
    ...defined(change),
    writeQueues,
    readQueues: change.readQueues ?? Math.max(was.readQueues, writeQueues),
    retentionMs: (change.retentionMs ?? was.retentionMs) || undefined,
    retentionBytes: (change.retentionBytes ?? was.retentionBytes) || undefined,
    liteExpirationMs: (change.liteExpirationMs ?? was.liteExpirationMs) || undefined,
    bodyMask: (change.bodyMask ?? was.bodyMask) || undefined,
  };
}

/** As `topicParts`. */
function groupParts(change: GroupChange, was?: ConsumerGroup): Partial<ConsumerGroup> {
  const { lite = was?.lite } = change;
  if (lite && was?.lite && lite.topic !== was.lite.topic)
    throw new MqError('BAD_REQUEST', `the group is bound to topic ${was.lite.topic}`);
  return {
    ...defined(change),
    pausedUntilMs: (change.pausedUntilMs ?? was?.pausedUntilMs) || undefined,
    lite: lite && ({ ...liteGroupDefaults, ...was?.lite, ...defined(lite) } as LiteGroup),
  };
}

/** Without what is left out. */
function defined<T extends object>(given: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]: Exclude<T[Key], undefined> };
}
