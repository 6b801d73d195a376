import type { Deleted, Directory, DirectoryUpdate, MetadataKnowledge } from '@cometmq/client';
import type { GroupsView } from '@cometmq/consumption';
import type { GroupId, Topic, TopicId } from '@cometmq/model';
import { failureFacts, MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { Deliveries } from '../deliveries.js';
import type { Living } from '../forgetful.js';
import type { LiteBroker } from '../lite/lite-broker.js';
import type { LogClock } from '../log-clock.js';
import type { MetadataView, ToldMetadata } from '../metadata-view.js';
import type { Pulls } from '../pulls.js';
import type { Traffic } from '../traffic.js';

/** Ids named in a line of the log. */
const shownMax = 50;

/** What the log and the name service know of the metadata, side by side. Of every member, leading or not. */
export class KnownMetadata {
  constructor(
    private readonly store: Pick<StorePorts, 'topicIds'>,
    private readonly groups: GroupsView,
    private readonly view: MetadataView,
    private readonly directory: Directory,
  ) {}

  /** What the name service tells. */
  get told(): ToldMetadata {
    const { directory } = this;
    return { version: directory.version, topics: [...directory.topics()], groups: [...directory.groups()] };
  }

  /** Why what it tells can't be of the metadata that this log belongs to; undefined: it may be. */
  get contradiction(): string | undefined {
    return this.view.contradiction(this.told);
  }

  /** As the metadata has it; or, where that has lost it, as it was when this log last heard of it. */
  topicById(topicId: TopicId): Topic | undefined {
    return this.directory.topicById(topicId) ?? this.view.topics.get(topicId);
  }

  /** For what is kept beside the log. Ids rise: one above all that were heard of is of something that was just made. */
  readonly living: Living = {
    topic: (id) => this.topicById(id) !== undefined || id > this.view.topics.idMax,
    group: (id) =>
      (this.directory.groupById(id) ?? this.view.groups.get(id)) !== undefined || id > this.view.groups.idMax,
  };

  /** What the log knows of the metadata, for one that has lost it. */
  all(): Omit<MetadataKnowledge, 'claim' | 'insist' | 'last'> {
    const { directory, view } = this;
    const { topics, groups } = view;
    return {
      topics: topics.all(),
      groups: groups.all(),
      topicIdMax: this.store.topicIds().reduce<number>((max, id) => Math.max(max, id), topics.idMax),
      groupIdMax: [...this.groups.groups()].reduce<number>((max, id) => Math.max(max, id), groups.idMax),
      deletedTopics: [...directory.topics()].filter((topic) => topics.isDeleted(topic)).map(({ id }) => id),
      deletedGroups: [...directory.groups()].filter((group) => groups.isDeleted(group)).map(({ id }) => id),
    };
  }
}

export interface MetadataSyncParts {
  readonly store: Pick<StorePorts, 'append' | 'deleteTopic' | 'topicIds'>;
  readonly groups: GroupsView;
  readonly view: MetadataView;
  readonly known: KnownMetadata;
  readonly directory: Directory;
  readonly deliveries: Deliveries;
  readonly lite: LiteBroker;
  readonly pulls: Pulls;
  readonly traffic: Traffic;
  readonly logClock: LogClock;
  readonly log: Logger;
  /** The metadata is not the one that this log belongs to: nothing goes on from here. */
  readonly onMismatch: (error: MqError) => void;
}

/** Brings into the log what the metadata says, for as long as this member leads, and tells those whom it concerns. */
export class MetadataSync {
  private readonly forgetUpdates: () => void;
  private stopped = false;
  private held = false;
  private missed = false;

  constructor(private readonly parts: MetadataSyncParts) {
    this.forgetUpdates = parts.directory.onUpdate((update) => this.changed(update));
    this.reconcile();
  }

  stop(): void {
    this.stopped = true;
    this.forgetUpdates();
  }

  /** Nothing may be written: what the metadata says meanwhile is brought in by who leads next, or at the release. */
  hold(): void {
    this.held = true;
  }
  release(): void {
    this.held = false;
    this.retry();
  }

  /** Brings in what could not be written before. To be called every few seconds. */
  retry(): void {
    this.bringIn(() => this.catchUp());
  }

  private changed(update: DirectoryUpdate): void {
    if (this.stopped || update.kind === 'broker' || update.kind === 'brokerDeleted') return;
    if (this.held) {
      this.missed = true;
      return;
    }
    this.bringIn(() => {
      this.learn(update);
      this.catchUp();
    });
    if (!this.stopped) this.revise();
  }

  /** What the log does not take now is brought in later: whoever tells of a change has nothing to do with that. */
  private bringIn(act: () => void): void {
    try {
      act();
    } catch (caught) {
      const error = MqError.from(caught);
      if (!error.retry) throw error;
      this.missed = true;
      this.parts.log.warn(failureFacts(error), 'a change of the metadata could not be written to the log yet');
    }
  }

  /** Brings in what was left out, once that is allowed. */
  private catchUp(): void {
    const { view, directory, deliveries } = this.parts;
    if (!this.missed || this.stopped || this.held || view.isAheadOf(directory.version)) return;
    this.missed = false;
    this.reconcile();
    deliveries.everythingChanged();
    this.revise();
  }

  private revise(): void {
    const { deliveries, lite, pulls } = this.parts;
    // Who waits for what is no more, or may not be read any more, hears of it now.
    deliveries.revise();
    lite.deliveries.revise();
    pulls.revise();
  }

  private learn(update: DirectoryUpdate): void {
    const { store, view, groups, directory, deliveries, lite, traffic, logClock } = this.parts;
    const nowMs = logClock.nowMs();
    const { version } = directory;
    switch (update.kind) {
      case 'snapshot':
        this.reconcile();
        deliveries.everythingChanged();
        return;
      case 'topic':
        this.define({ version, topics: [update.topic], groups: [] }, nowMs);
        deliveries.topicChanged(update.topic.id);
        lite.topicChanged(update.topic);
        return;
      case 'group':
        this.define({ version, topics: [], groups: [update.group] }, nowMs);
        groups.lookAgain(update.group.id, nowMs); // It may be allowed fewer attempts.
        deliveries.regroup(update.group.id);
        lite.groupChanged(update.group.id);
        return;
      case 'topicDeleted':
        traffic.forgetTopic(update.topic.id);
        if (update.recorded && isSame(view.topics.get(update.topic.id), update.topic)) {
          this.seen(nowMs);
          store.deleteTopic(update.topic.id, nowMs);
        }
        return;
      case 'groupDeleted':
        traffic.forgetGroup(update.group.id);
        if (update.recorded && isSame(view.groups.get(update.group.id), update.group)) {
          this.seen(nowMs);
          this.deleteGroup(update.group.id, nowMs);
        }
        return;
      default: // Broker sets: none of this broker's business.
    }
  }

  /** Writes down what is new: by it this log can tell its metadata from any other, and bring it back. */
  private define(told: ToldMetadata, nowMs: number): void {
    const { store, view, onMismatch } = this.parts;
    const contradiction = view.contradiction(told);
    if (contradiction !== undefined) {
      // What is sent to the one would be found in the other.
      this.stopped = true;
      onMismatch(new MqError('METADATA_MISMATCH', contradiction));
      return;
    }
    if (view.isAheadOf(told.version)) {
      // Of what this log knows it may be an older state, which would take the place of the newer one.
      this.missed = true;
      return;
    }
    for (const { kind, payload } of view.decide(told)) store.append(kind, nowMs, payload);
  }

  /** With a deletion it is written down what has been heard: by that, who leads next knows of metadata told late that it is. */
  private seen(nowMs: number): void {
    const { store, view, directory } = this.parts;
    for (const { kind, payload } of view.decideSeen(directory.version)) store.append(kind, nowMs, payload);
  }

  /**
   * Deletes what somebody deleted in the metadata while this broker was down or heard nothing of it. That the metadata does
   * not name a topic or group deletes nothing: it may have been lost.
   */
  private reconcile(): void {
    const { store, groups: consumers, view, known, directory, log, logClock } = this.parts;
    const nowMs = logClock.nowMs();
    this.define(known.told, nowMs);
    if (this.stopped) return;
    const topicIds = new Set<number>([...store.topicIds(), ...view.topics.ids()]);
    const groupIds = new Set<number>([...consumers.groups(), ...view.groups.ids()]);
    const topics = directory.deleted.topics.filter(
      (deleted) => topicIds.delete(deleted.id) && isSame(view.topics.get(deleted.id as TopicId), deleted),
    );
    const groups = directory.deleted.groups.filter(
      (deleted) => groupIds.delete(deleted.id) && isSame(view.groups.get(deleted.id as GroupId), deleted),
    );
    if (topics.length + groups.length > 0) this.seen(nowMs);
    for (const { id } of topics) store.deleteTopic(id as TopicId, nowMs);
    for (const { id } of groups) this.deleteGroup(id as GroupId, nowMs);
    if (topics.length + groups.length > 0) {
      const [topicsGone, groupsGone] = [topics, groups].map((all) => all.map(({ id }) => id));
      log.info({ topics: topicsGone, groups: groupsGone }, 'what was deleted meanwhile is deleted here too');
    }
    const lostTopics = [...topicIds].filter((id) => !directory.topicById(id as TopicId));
    const lostGroups = [...groupIds].filter((id) => !directory.groupById(id as GroupId));
    if (lostTopics.length + lostGroups.length === 0) return;
    log.warn(
      { topics: lostTopics.slice(0, shownMax), groups: lostGroups.slice(0, shownMax) },
      `${lostTopics.length} topics and ${lostGroups.length} consumer groups of this log are not in the metadata, and no deletion ` +
        'of them is final: what is stored of them is kept',
    );
  }

  private deleteGroup(groupId: GroupId, nowMs: number): void {
    const { store, groups, lite } = this.parts;
    const { kind, payload } = groups.decideGroupDeleted(groupId);
    store.append(kind, nowMs, payload);
    lite.groupDeleted(groupId);
  }
}

/** A deletion is of what the log knows under that id, not of what another history of the metadata had there. */
function isSame(known: Deleted | undefined, deleted: Deleted): boolean {
  return known === undefined || known.createdMs === deleted.createdMs;
}
