import { randomBytes, randomUUID } from 'node:crypto';

import {
  auditTopic,
  GiB,
  groupName,
  isInnerTopic,
  MessageType,
  topicId,
  topicName,
  type BrokerSet,
  type ConsumerGroup,
  type GroupName,
  type Topic,
  type TopicName,
} from '@cometmq/model';
import type {
  Asker,
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
} from '@cometmq/client';
import type { Committed, MetadataStore } from '@cometmq/metadata';
import { MqError, sleep, type Clock, type Component } from '@cometmq/shared';
import { silentLogger, type Logger } from '@cometmq/telemetry';

import { Adoption } from './adoption.js';
import { BrokerSets } from './broker-sets.js';
import { checkGroup, checkMessageType, checkTopic, queueCounts } from './checks.js';
import { ClusterStore } from './cluster.js';
import { CreationMeter, type Creation } from './creation-meter.js';
import { CreationRounds, type Round } from './creation-rounds.js';
import { DirectoryCopy } from './directory-copy.js';
import { changedGroupRecord, newGroupRecord } from './group-record.js';
import { nobodyWaits, type Decision } from './decision.js';
import { keys, recordOf, type GroupRecord, type TopicRecord } from './keys.js';
import { Retirements, type RetirementsParts } from './retirements.js';

export interface NamesrvOptions {
  readonly store: MetadataStore;
  readonly clock: Clock;
  /** Whether a topic is made when it is first used. */
  readonly autoCreateTopics: boolean;
  /** Whether a consumer group is made when it first consumes. */
  readonly autoCreateGroups: boolean;
  /** Write and read queues of a topic, on each broker set, where its maker names none. Default: 8. */
  readonly defaultQueues?: number | undefined;
  /** How long a deletion can be taken back; left out: it is for good at once. */
  readonly deletionGraceMs?: number | undefined;
  /** Topics and consumer groups there may be, dead letters aside; no more are made. Default: 20,000. */
  readonly topicsMax?: number | undefined;
  readonly groupsMax?: number | undefined;
  readonly log?: Logger | undefined;
  /**
   * The store was emptied, replaced or set back to a backup under this instance, which holds nothing of its own: it must
   * end, and begin again with what the store holds now. Left out: it goes on with what it knew.
   */
  readonly onReplaced?: ((error: MqError) => void) | undefined;
  /** Where the cluster's id and secret come from, once in its life; the simulation gives its own. */
  readonly newIdentity?: (() => { readonly clusterId: string; readonly secret: Uint8Array }) | undefined;
}

/** How long an operation waits for its own change to come back by the watch. */
const settleMsMax = 10_000;
/** How often a change is decided anew because another came first. Each time somebody has got further. */
const conflictsMax = 200;
const retryMs = 200;
const countMax = 20_000;
const noQueues = { writeQueues: 0, readQueues: 0 } as const;

/** Types a topic may be made with, and those that a first message can have. */
const topicTypes: readonly MessageType[] = Object.values(MessageType);
const messageTypes: readonly MessageType[] = topicTypes.filter((type) => type !== MessageType.mixed);

/**
 * The name service. The store is the truth and any number of instances may stand before it: each decides on what it reads
 * there, writes by comparing just that, and decides anew when another came first. Watchers are served from a copy that
 * follows the store, so they hear of everybody's changes in one order. An operation returns when this instance's copy,
 * and all who watch it, know of its change.
 *
 * While the store is away the copy goes on serving, and changes fail with UNAVAILABLE.
 */
export class NamesrvService implements NameService, Component {
  readonly name = 'namesrv';
  /** Who belongs to which broker set and who leads it. */
  readonly sets: BrokerSets;
  readonly creations = new CreationMeter();
  private readonly store: MetadataStore;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly copy: DirectoryCopy;
  private readonly changes: ClusterStore;
  private readonly adoption: Adoption;
  private readonly retirements: Retirements;
  private readonly rounds: CreationRounds;
  private readonly queues: number;
  private readonly ensuring = new Map<string, Promise<unknown>>();
  private unwatch: (() => void) | undefined;
  private stopped = false;

  constructor(private readonly options: NamesrvOptions) {
    this.store = options.store;
    this.clock = options.clock;
    this.log = options.log ?? silentLogger;
    this.queues = options.defaultQueues ?? 8;
    this.copy = new DirectoryCopy(
      this.clock,
      (key) =>
        this.log.error({ key }, 'a metadata key holds something else than it should; what was there before counts'),
      (error) => {
        this.log.error({ reason: error.reason }, 'the metadata store is not what it was');
        options.onReplaced?.(error);
      },
    );
    this.changes = new ClusterStore(this.store, () => this.copy.ours());
    this.sets = new BrokerSets(this.changes, this.clock, this.log);
    this.adoption = new Adoption(this.store, this.copy, this.clock, this.log);
    const parts = { store: this.store, copy: this.copy, clock: this.clock, log: this.log };
    const change: RetirementsParts['change'] = (decide, asker) => this.change(decide, asker);
    this.retirements = new Retirements({ ...parts, change, graceMs: options.deletionGraceMs ?? 0 });
    const settle = (revision: number): Promise<void> => this.settle(revision);
    this.rounds = new CreationRounds({ ...parts, change, settle, meter: this.creations });
  }

  /** Resolves once there is a directory to serve; waits for the store as long as it takes. */
  async start(): Promise<void> {
    this.unwatch = this.store.watch('', (update) => this.copy.apply(update));
    for (;;) {
      try {
        await this.identify();
        this.retirements.start();
        return;
      } catch (caught) {
        const error = MqError.from(caught);
        if (!error.retry || this.stopped) throw error;
        await sleep(this.clock, retryMs);
      }
    }
  }

  stop(): Promise<void> {
    this.stopped = true;
    this.retirements.stop();
    this.unwatch?.();
    return Promise.resolve();
  }

  /** True once it has a directory to serve. */
  get ready(): boolean {
    return this.copy.ready;
  }

  /** Whose metadata it is. @throws MqError UNAVAILABLE while nothing may be changed in it */
  get clusterId(): string {
    return this.copy.ours();
  }

  /** As of this instance's copy. */
  brokerSets(): Iterable<BrokerSet> {
    return this.copy.brokerSets();
  }

  watch(listener: (update: DirectoryUpdate) => void): () => void {
    return this.copy.listen(listener);
  }

  async createTopic(draft: TopicDraft, asker?: Asker): Promise<Topic> {
    const name = topicName(draft.name);
    if (isInnerTopic(name))
      throw new MqError('ILLEGAL_TOPIC', `topic ${name} is an inner topic: it is created when it is needed`);
    checkTopic(draft);
    checkMessageType(draft.type, topicTypes);
    return this.rounds.make(
      'topic',
      keys.topic(name),
      (round, found) => {
        if (found) throw new MqError('ALREADY_EXISTS', `topic ${name} exists already`);
        this.checkRoom('topics', round);
        return this.newTopic(name, round, { ...draft, typeFixed: true });
      },
      asker,
    );
  }

  async ensureTopic(given: string): Promise<Topic> {
    const name = topicName(given);
    return this.ensure(
      'topic',
      keys.topic(name),
      () => this.copy.topic(name),
      (round) => {
        if (!this.options.autoCreateTopics || isInnerTopic(name)) throw noTopic(name, this.options.autoCreateTopics);
        this.checkRoom('topics', round);
        return this.newTopic(name, round, { typeFixed: false });
      },
      ({ id, writeQueues }) => this.log.info({ topic: name, id, writeQueues }, 'a topic was made by its first use'),
    );
  }

  async ensureInnerTopic(given: string): Promise<Topic> {
    const name = topicName(given);
    if (!isInnerTopic(name)) throw new MqError('ILLEGAL_TOPIC', `topic ${name} is not an inner topic`);
    return this.ensure(
      'innerTopic',
      keys.topic(name),
      () => this.copy.topic(name),
      (round) => this.newTopic(name, round, innerTopicDraft(name)),
      ({ id }) => this.log.info({ topic: name, id }, 'an inner topic was made'),
    );
  }

  async fixTopicType(given: string, type: MessageType): Promise<Topic> {
    const name = topicName(given);
    checkMessageType(type, messageTypes);
    const known = this.copy.topic(name);
    if (known?.typeFixed) return known;
    return this.alter<TopicRecord>(keys.topic(name), noTopic(name, false), (topic) =>
      topic.typeFixed ? topic : { ...topic, type, typeFixed: true },
    );
  }

  async updateTopic(given: string, change: TopicChange, asker?: Asker): Promise<Topic> {
    const name = topicName(given);
    checkTopic(change);
    return this.alter<TopicRecord>(
      keys.topic(name),
      noTopic(name, false),
      (topic) => changedTopic(topic, change),
      asker,
    );
  }

  async deleteTopic(given: string, how: DeletionCall = {}, asker?: Asker): Promise<void> {
    const name = topicName(given);
    if (name === auditTopic)
      throw new MqError('ILLEGAL_TOPIC', `topic ${name} holds the audit log, and is never deleted`);
    await this.retirements.delete('topic', keys.topic(name), noTopic(name, false), how, asker);
  }

  async createGroup(draft: GroupDraft, asker?: Asker): Promise<ConsumerGroup> {
    const name = groupName(draft.name);
    checkGroup(draft);
    return this.rounds.make(
      'group',
      keys.group(name),
      (round, found) => {
        if (found) throw new MqError('ALREADY_EXISTS', `consumer group ${name} exists already`);
        this.checkRoom('groups', round);
        return this.newGroup(name, round, draft);
      },
      asker,
    );
  }

  async ensureGroup(given: string): Promise<ConsumerGroup> {
    const name = groupName(given);
    return this.ensure(
      'group',
      keys.group(name),
      () => this.copy.group(name),
      (round) => {
        if (!this.options.autoCreateGroups) throw noGroup(name);
        this.checkRoom('groups', round);
        return this.newGroup(name, round, {});
      },
      ({ id }) => this.log.info({ group: name, id }, 'a consumer group was made by its first use'),
    );
  }

  async updateGroup(given: string, change: GroupChange, asker?: Asker): Promise<ConsumerGroup> {
    const name = groupName(given);
    checkGroup(change);
    return this.alter<GroupRecord>(
      keys.group(name),
      noGroup(name),
      (group) => changedGroupRecord(group, change),
      asker,
    );
  }

  async deleteGroup(given: string, how: DeletionCall = {}, asker?: Asker): Promise<void> {
    const name = groupName(given);
    await this.retirements.delete('group', keys.group(name), noGroup(name), how, asker);
  }

  retired(): Promise<RetiredList> {
    return Promise.resolve(this.retirements.list());
  }

  async restore(kind: RetiredKind, id: number, how: RestoreCall = {}, asker?: Asker): Promise<void> {
    await this.retirements.restore(kind, id, how, asker);
  }

  async forgetMembers(brokerSet: string): Promise<BrokerSet> {
    const { set, revision } = await this.sets.forget(brokerSet);
    await this.settle(revision);
    this.log.warn(
      { set: brokerSet, epoch: set.epoch },
      'the members of a broker set were forgotten, with its messages',
    );
    return set;
  }

  async allowAdoption(): Promise<number> {
    const { untilMs, revision } = await this.adoption.allow();
    await this.settle(revision);
    this.log.warn({ untilMs }, 'brokers may bring the metadata that their logs know');
    return untilMs;
  }

  async adoptMetadata(part: MetadataKnowledge): Promise<void> {
    await this.settle(await this.adoption.take(part));
  }

  /**
   * The cluster gets its id and secret from whichever instance comes first. A store that holds anything but lacks them has
   * lost a part of itself: that is no new cluster.
   */
  private async identify(): Promise<void> {
    const { clusterId, secret } = (this.options.newIdentity ?? randomIdentity)();
    const wanted = { [keys.clusterId]: clusterId, [keys.secret]: Buffer.from(secret).toString('base64') };
    const found = await Promise.all([this.store.get(keys.clusterId), this.store.get(keys.secret)]);
    if (!found.every(Boolean)) {
      const { pairs } = await this.store.range('');
      const lacks = [keys.clusterId, keys.secret].filter((key) => !pairs.some((pair) => pair.key === key));
      if (lacks.length > 0 && pairs.length > 0) {
        throw new MqError(
          'METADATA_MISMATCH',
          `the metadata store holds ${pairs.length} keys but lacks ${lacks.join(' and ')}: a part of it was lost. Bring ` +
            'its newest backup back, or empty it and let brokers bring what their logs know: comet cluster adopt',
        );
      }
      await this.store.commit({
        compare: lacks.map((key) => ({ key, modRevision: 0 })),
        puts: lacks.map((key) => ({ key, value: wanted[key] ?? '' })),
      });
    }
    await this.copy.reached(0, settleMsMax);
  }

  /** @throws MqError FORBIDDEN when there are as many as may be */
  private checkRoom(kind: 'topics' | 'groups', round: Round): void {
    const max = (kind === 'topics' ? this.options.topicsMax : this.options.groupsMax) ?? countMax;
    if (round.count(kind) < max) return;
    const what = kind === 'topics' ? 'topics' : 'consumer groups';
    throw new MqError(
      'FORBIDDEN',
      `there are ${max} ${what}, as many as may be (${kind}Max): delete what nobody needs`,
    );
  }

  /** The name if it is there, else what `make` gives. Many who ask at once share one answer. */
  private async ensure<T extends object>(
    what: Creation,
    key: string,
    known: () => T | undefined,
    make: (round: Round) => T,
    said: (made: T) => void,
  ): Promise<T> {
    const already = known();
    if (already) return already;
    const underWay = this.ensuring.get(key) as Promise<T> | undefined;
    if (underWay) return underWay;
    if (what !== 'innerTopic') this.retirements.checkNameFree(what, nameIn(key));
    let isNew = false;
    const asked = this.rounds
      .make<T>(what, key, (round, found) => {
        const record = recordOf<T>(found);
        isNew = !record;
        if (found && record) return { there: record, seen: found.modRevision };
        return make(round);
      })
      .then((made) => {
        if (isNew) said(made);
        return made;
      })
      .finally(() => this.ensuring.delete(key));
    this.ensuring.set(key, asked);
    return asked;
  }

  private alter<T extends object>(key: string, absent: MqError, change: (record: T) => T, asker?: Asker): Promise<T> {
    return this.change<T>(async () => {
      const found = await this.store.get(key);
      const record = recordOf<T>(found);
      if (!found || !record) throw absent;
      const changed = change(record);
      if (changed === record) return { result: record, seen: found.modRevision };
      const compare = [{ key, modRevision: found.modRevision }];
      return { result: changed, write: { compare, puts: [{ key, value: JSON.stringify(changed) }] } };
    }, asker);
  }

  /** Decides, writes by comparing what the decision rests on, and decides again if that has changed meanwhile. */
  private async change<T>(decide: () => Promise<Decision<T>>, asker?: Asker): Promise<T> {
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const { result, write, seen } = await decide();
      if (write && asker?.cancelled) throw nobodyWaits();
      const change: Committed = write ? await this.changes.commit(write) : { applied: true, revision: seen ?? 0 };
      if (!change.applied) continue;
      await this.settle(change.revision);
      return result;
    }
    throw new MqError('CONFLICT', 'others change the same metadata all the time; try again');
  }

  private settle(revision: number): Promise<void> {
    return this.copy.reached(revision, settleMsMax);
  }

  private newTopic(
    name: TopicName,
    round: Round,
    draft: Omit<TopicDraft, 'name'> & { readonly typeFixed: boolean },
  ): Topic {
    return {
      name,
      id: topicId(round.nextTopic()),
      type: draft.type ?? MessageType.normal,
      ...queueCounts({ writeQueues: Math.min(this.queues, draft.readQueues ?? this.queues), ...draft }, noQueues),
      permission: draft.permission ?? 'readWrite',
      ...kept(draft),
      typeFixed: draft.typeFixed,
      layout: 1,
      createdMs: this.clock.wallMs(),
    };
  }

  private newGroup(name: GroupName, round: Round, draft: GroupChange): ConsumerGroup {
    return newGroupRecord(name, round.nextGroup(), draft, this.clock.wallMs());
  }
}

function changedTopic(topic: Topic, change: TopicChange): Topic {
  const { retentionMs, retentionBytes, liteExpirationMs, bodyMask, ...rest } = topic;
  const next = {
    ...rest,
    ...queueCounts(change, topic),
    permission: change.permission ?? topic.permission,
  };
  const moved =
    next.writeQueues !== topic.writeQueues ||
    next.readQueues !== topic.readQueues ||
    next.permission !== topic.permission;
  const retention = {
    retentionMs: change.retentionMs ?? retentionMs,
    retentionBytes: change.retentionBytes ?? retentionBytes,
    liteExpirationMs: change.liteExpirationMs ?? liteExpirationMs,
    bodyMask: change.bodyMask ?? bodyMask,
  };
  return { ...next, ...kept(retention), layout: moved ? topic.layout + 1 : topic.layout };
}

type TopicOptions = Pick<Topic, 'retentionMs' | 'retentionBytes' | 'liteExpirationMs' | 'bodyMask'>;

/** As it is stored: 0 asks for the broker's default, which is to have none of its own. */
function kept(given: TopicOptions): TopicOptions {
  return {
    ...(given.bodyMask && { bodyMask: given.bodyMask }),
    ...(given.liteExpirationMs && { liteExpirationMs: given.liteExpirationMs }),
    ...(given.retentionMs && { retentionMs: given.retentionMs }),
    ...(given.retentionBytes && { retentionBytes: given.retentionBytes }),
  };
}

/** One queue is enough for what nobody wants; the type of topics for dead letters is never asked for. */
function innerTopicDraft(name: TopicName): Omit<TopicDraft, 'name'> & { readonly typeFixed: boolean } {
  const queues = { writeQueues: 1, readQueues: 1, typeFixed: true };
  return name === auditTopic ? { ...queues, ...auditTopicKept, type: MessageType.fifo, permission: 'read' } : queues;
}

/** What lines of the audit log take on each broker set, whatever happens; operators may give them more. */
const auditTopicKept = { retentionMs: 30 * 24 * 3_600_000, retentionBytes: GiB };

function randomIdentity(): { clusterId: string; secret: Uint8Array } {
  return { clusterId: randomUUID(), secret: randomBytes(32) };
}

function noTopic(name: string, madeOnUse: boolean): MqError {
  const help = madeOnUse ? '' : `; create it with: comet topic create ${name}`;
  return new MqError('TOPIC_NOT_FOUND', `topic ${name} does not exist${help}`);
}

function noGroup(name: string): MqError {
  return new MqError(
    'CONSUMER_GROUP_NOT_FOUND',
    `consumer group ${name} does not exist; create it with: comet group create ${name}`,
  );
}

/** Of a topic or group, in its key. */
function nameIn(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}
