import type { BrokerSet, ConsumerGroup, GroupId, MetadataVersion, Topic, TopicId } from '@cometmq/model';
import { MqError, type Clock, type Component } from '@cometmq/shared';

import type { Deleted, DirectoryUpdate, NameService } from './name-service.js';

/** As many as the name service shows to who comes new. */
const deletedMax = 10_000;

/**
 * This process's copy of the metadata, kept by a watch: topics, groups and broker sets by name and by id. Look-ups are
 * plain map reads, so the hot path may ask for every message.
 */
export class Directory implements Component {
  readonly name = 'directory';
  private readonly topicsByName = new Map<string, Topic>();
  private readonly topicsById = new Map<TopicId, Topic>();
  private readonly groupsByName = new Map<string, ConsumerGroup>();
  private readonly groupsById = new Map<GroupId, ConsumerGroup>();
  private readonly setsByName = new Map<string, BrokerSet>();
  private readonly listeners = new Set<(update: DirectoryUpdate) => void>();
  private clusterSecret: Uint8Array | undefined;
  private known: MetadataVersion | undefined;
  private topicsGone: Deleted[] = [];
  private groupsGone: Deleted[] = [];
  private unwatch: (() => void) | undefined;

  constructor(
    private readonly nameService: NameService,
    private readonly clock: Clock,
    /** How long `start` waits for the first snapshot before it gives up. */
    private readonly startMsMax = 60_000,
  ) {}

  async start(): Promise<void> {
    this.unwatch = this.nameService.watch((update) => this.apply(update));
    await this.until(() => this.clusterSecret, this.startMsMax, 'the name service does not answer');
  }

  stop(): Promise<void> {
    this.unwatch?.();
    return Promise.resolve();
  }

  topic(name: string): Topic | undefined {
    return this.topicsByName.get(name);
  }
  topicById(id: TopicId): Topic | undefined {
    return this.topicsById.get(id);
  }
  group(name: string): ConsumerGroup | undefined {
    return this.groupsByName.get(name);
  }
  groupById(id: GroupId): ConsumerGroup | undefined {
    return this.groupsById.get(id);
  }
  brokerSet(name: string): BrokerSet | undefined {
    return this.setsByName.get(name);
  }
  topics(): IterableIterator<Topic> {
    return this.topicsByName.values();
  }
  groups(): IterableIterator<ConsumerGroup> {
    return this.groupsByName.values();
  }
  brokerSets(): IterableIterator<BrokerSet> {
    return this.setsByName.values();
  }
  get topicCount(): number {
    return this.topicsByName.size;
  }
  get groupCount(): number {
    return this.groupsByName.size;
  }
  get clusterId(): string {
    return this.known?.clusterId ?? '';
  }
  /** How far the metadata has come, as it is known here. */
  get version(): MetadataVersion {
    if (!this.known) throw new MqError('UNAVAILABLE', 'the name service has not answered yet');
    return this.known;
  }
  /** The latest topics and groups that somebody deleted. What is just not there was not. */
  get deleted(): { readonly topics: readonly Deleted[]; readonly groups: readonly Deleted[] } {
    return { topics: this.topicsGone, groups: this.groupsGone };
  }
  get secret(): Uint8Array {
    if (!this.clusterSecret) throw new MqError('UNAVAILABLE', 'the name service has not answered yet');
    return this.clusterSecret;
  }

  /** Called after each update has been applied. */
  onUpdate(listener: (update: DirectoryUpdate) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Waits until `find` finds something, looking again at each update. @throws MqError TIMEOUT */
  until<T>(find: () => T | undefined, waitMs: number, otherwise: string): Promise<T> {
    const already = find();
    if (already !== undefined) return Promise.resolve(already);
    return new Promise((resolve, reject) => {
      const done = (act: () => void): void => {
        timer.cancel();
        forget();
        act();
      };
      const timer = this.clock.after(waitMs, () => done(() => reject(new MqError('TIMEOUT', otherwise))));
      const forget = this.onUpdate(() => {
        const found = find();
        if (found !== undefined) done(() => resolve(found));
      });
    });
  }

  apply(update: DirectoryUpdate): void {
    if (this.known) this.known = { ...this.known, revision: update.revision };
    switch (update.kind) {
      case 'snapshot':
        this.replace(update);
        break;
      case 'topic':
        this.putTopic(update.topic);
        break;
      case 'topicDeleted':
        this.dropTopic(update.topic);
        if (update.recorded) this.topicsGone = remembered(this.topicsGone, update.topic);
        break;
      case 'group':
        this.groupsByName.set(update.group.name, update.group);
        this.groupsById.set(update.group.id, update.group);
        break;
      case 'groupDeleted':
        this.groupsById.delete(update.group.id);
        if (this.groupsByName.get(update.group.name)?.id === update.group.id)
          this.groupsByName.delete(update.group.name);
        if (update.recorded) this.groupsGone = remembered(this.groupsGone, update.group);
        break;
      case 'broker':
        this.setsByName.set(update.broker.name, update.broker);
        break;
      case 'brokerDeleted':
        this.setsByName.delete(update.broker.name);
        break;
    }
    for (const listener of [...this.listeners]) listener(update);
  }

  private putTopic(topic: Topic): void {
    this.topicsByName.set(topic.name, topic);
    this.topicsById.set(topic.id, topic);
  }

  private dropTopic(topic: Topic): void {
    this.topicsById.delete(topic.id);
    if (this.topicsByName.get(topic.name)?.id === topic.id) this.topicsByName.delete(topic.name);
  }

  private replace(whole: Extract<DirectoryUpdate, { kind: 'snapshot' }>): void {
    this.topicsByName.clear();
    this.topicsById.clear();
    this.groupsByName.clear();
    this.groupsById.clear();
    this.setsByName.clear();
    for (const topic of whole.topics) this.putTopic(topic);
    for (const group of whole.groups) {
      this.groupsByName.set(group.name, group);
      this.groupsById.set(group.id, group);
    }
    for (const set of whole.brokers) this.setsByName.set(set.name, set);
    const { clusterId, generation, revision } = whole;
    this.known = { clusterId, generation, revision };
    this.topicsGone = [...whole.deletedTopics];
    this.groupsGone = [...whole.deletedGroups];
    this.clusterSecret = whole.secret;
  }
}

function remembered(gone: Deleted[], { id, createdMs }: Deleted): Deleted[] {
  gone.push({ id, createdMs });
  return gone.length > 2 * deletedMax ? gone.slice(-deletedMax) : gone;
}
