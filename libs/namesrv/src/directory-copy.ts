import {
  followsMetadata,
  isInnerTopic,
  type BrokerSet,
  type ConsumerGroup,
  type MetadataVersion,
  type Topic,
} from '@cometmq/model';
import type { Deleted, DirectoryUpdate } from '@cometmq/client';
import type { Change, KeyValue, StoreUpdate } from '@cometmq/metadata';
import { assert, MqError, type Clock } from '@cometmq/shared';

import { firstLineage } from './cluster.js';
import {
  brokerSetOf,
  keys,
  presenceRecordOf,
  recordIn,
  recordOf,
  setRecordOf,
  type DeletedRecord,
  type GroupRecord,
  type LineageRecord,
  type PresenceRecord,
  type RetiredRecord,
  type SetRecord,
  type StageRecord,
  type TopicRecord,
} from './keys.js';

type Listener = (update: DirectoryUpdate) => void;

interface Waiter {
  readonly revision: number;
  readonly done: () => void;
}

/** So many deleted topics, and groups, are remembered. Who hears of a deletion later than that keeps what it has. */
const deletedMax = 10_000;

/**
 * The metadata as this instance knows it, kept by the store's watch: what is asked of the name service is answered from
 * here, and each change is passed on in the words of the directory, in order. It may be behind the store, never ahead.
 * When the store turns out to be another one, emptied or set back, it stays as it is.
 */
export class DirectoryCopy {
  private revision = 0;
  private topics = new Map<string, Topic>();
  private innerTopics = 0;
  private groups = new Map<string, ConsumerGroup>();
  private sets = new Map<string, SetRecord>();
  private presences = new Map<string, PresenceRecord>();
  private stages = new Map<string, StageRecord>();
  private retiredByKey = new Map<string, RetiredRecord>();
  /** By folder, then by key, oldest first. */
  private deleted = new Map<string, Map<string, DeletedRecord>>();
  private clusterId: string | undefined;
  private lineage = firstLineage;
  private secret: Uint8Array | undefined;
  private readonly listeners = new Set<Listener>();
  private waiters: Waiter[] = [];
  private isReplaced = false;

  constructor(
    private readonly clock: Clock,
    private readonly unreadable: (key: string) => void,
    private readonly onReplaced: (error: MqError) => void,
  ) {}

  /** True once there is a whole directory to show. */
  get ready(): boolean {
    return this.clusterId !== undefined && this.secret !== undefined;
  }

  /** Undefined: nothing has been seen yet. */
  get version(): MetadataVersion | undefined {
    const { clusterId, lineage, revision } = this;
    return clusterId === undefined ? undefined : { clusterId, generation: lineage.generation, revision };
  }

  /** The id of the cluster whose metadata may be changed. @throws MqError UNAVAILABLE */
  ours(): string {
    if (this.isReplaced) {
      throw new MqError(
        'UNAVAILABLE',
        'the metadata store was emptied, replaced or restored: nothing is changed in it',
      );
    }
    if (this.clusterId === undefined) throw new MqError('UNAVAILABLE', 'the metadata has not been read yet; try again');
    return this.clusterId;
  }

  /** Keys of deletions that have to make room for another one. */
  deletedTooMany(folder: string): string[] {
    const known = [...(this.deleted.get(folder)?.keys() ?? [])];
    return known.slice(0, Math.max(0, known.length + 1 - deletedMax));
  }

  isDeleted(folder: string, { id, createdMs }: Deleted): boolean {
    return this.deleted.get(folder)?.get(`${folder}${id}`)?.createdMs === createdMs;
  }

  /** How many there are, those made by the system itself aside. */
  count(kind: 'topics' | 'groups'): number {
    return this[kind].size - (kind === 'topics' ? this.innerTopics : 0);
  }

  /** Somebody has got an id, and may have it still. */
  get hasIds(): boolean {
    return this.topics.size + this.groups.size + this.retiredByKey.size + this.deleted.size > 0;
  }

  /** Who has which id. */
  namesById(kind: 'topics' | 'groups'): ReadonlyMap<number, string> {
    return new Map([...this[kind].values()].map(({ id, name }) => [id, name]));
  }

  /** What was deleted and can be brought back. */
  get retired(): Iterable<RetiredRecord> {
    return this.retiredByKey.values();
  }

  get retiredCount(): number {
    return this.retiredByKey.size;
  }

  topic(name: string): Topic | undefined {
    return this.topics.get(name);
  }

  group(name: string): ConsumerGroup | undefined {
    return this.groups.get(name);
  }

  brokerSet(name: string): BrokerSet | undefined {
    const set = this.sets.get(name);
    return set && this.shown(set);
  }

  *brokerSets(): Iterable<BrokerSet> {
    for (const set of this.sets.values()) yield this.shown(set);
  }

  private shown(set: SetRecord): BrokerSet {
    const { name } = set;
    const lone = this.presences.get(name);
    const presenceOf = (member: string): PresenceRecord | undefined =>
      this.presences.get(`${name}/${member}`) ?? (lone?.member === member ? lone : undefined);
    return brokerSetOf(set, presenceOf, this.stages.get(name));
  }

  listen(listener: Listener): () => void {
    // The whole goes out in a moment, as it is then; what happens from then on follows it.
    let told = false;
    const begin = (): void => {
      if (told || stopped || !this.ready) return;
      told = true;
      this.listeners.add(listener);
      listener(this.snapshot());
    };
    let stopped = false;
    if (this.ready) queueMicrotask(begin);
    else this.waiters.push({ revision: 0, done: begin });
    return () => {
      stopped = true;
      this.listeners.delete(listener);
    };
  }

  /** Waits until the copy has come as far as `revision`. @throws MqError UNAVAILABLE after `msMax` */
  reached(revision: number, msMax: number): Promise<void> {
    if (this.ready && this.revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter = {
        revision,
        done: () => {
          timer.cancel();
          resolve();
        },
      };
      const timer = this.clock.after(msMax, () => {
        this.waiters = this.waiters.filter((other) => other !== waiter);
        reject(new MqError('UNAVAILABLE', 'the name service does not hear of changes of the metadata now; try again'));
      });
      this.waiters.push(waiter);
    });
  }

  apply(update: StoreUpdate): void {
    if (this.isReplaced) return;
    if (update.kind === 'snapshot') this.replace(update.revision, update.pairs);
    else this.change(update.revision, update.changes);
    if (this.isReplaced) return;
    if (this.ready) this.wake();
  }

  private snapshot(): DirectoryUpdate {
    assert(this.clusterId !== undefined && this.secret !== undefined, 'a directory is shown when it is whole');
    return {
      kind: 'snapshot',
      revision: this.revision,
      clusterId: this.clusterId,
      secret: this.secret,
      topics: [...this.topics.values()],
      groups: [...this.groups.values()],
      brokers: [...this.brokerSets()],
      generation: this.lineage.generation,
      replaced: this.lineage.replaced,
      deletedTopics: this.deletedIn(keys.deletedTopics),
      deletedGroups: this.deletedIn(keys.deletedGroups),
    };
  }

  private deletedIn(folder: string): Deleted[] {
    return [...(this.deleted.get(folder)?.values() ?? [])].map(({ id, createdMs }) => ({ id, createdMs }));
  }

  private replace(revision: number, pairs: readonly KeyValue[]): void {
    const found = new Map<string, string | undefined>([
      [keys.clusterId, undefined],
      [keys.lineage, undefined],
    ]);
    for (const { key, value } of pairs) if (found.has(key)) found.set(key, value);
    if (!this.accepts(revision, found)) return;
    this.deleted = new Map();
    this.retiredByKey = new Map();
    this.lineage = firstLineage;
    this.topics = new Map();
    this.innerTopics = 0;
    this.groups = new Map();
    this.sets = new Map();
    this.presences = new Map();
    this.stages = new Map();
    this.revision = revision;
    const inOrder = [...pairs].sort((a, b) => a.modRevision - b.modRevision);
    for (const pair of inOrder) this.take({ key: pair.key, pair }, () => undefined, new Set());
    if (this.ready) this.tell(this.snapshot());
  }

  /** Whether this is a later state of the same metadata. Changes and pairs that leave the identity out say it is the same. */
  private accepts(revision: number, found: ReadonlyMap<string, string | undefined>): boolean {
    const known = this.version;
    if (!known) return true;
    const clusterId = found.has(keys.clusterId) ? found.get(keys.clusterId) : known.clusterId;
    const lineage = found.has(keys.lineage) ? lineageIn(found.get(keys.lineage)) : this.lineage;
    if (clusterId !== undefined) {
      const now = { clusterId, generation: lineage.generation, revision };
      if (followsMetadata(now, known) || lineage.replaced.includes(known.clusterId)) return true;
    }
    this.isReplaced = true;
    const holds =
      clusterId === undefined
        ? 'nothing'
        : `cluster ${clusterId}, generation ${lineage.generation}, revision ${revision}`;
    this.onReplaced(
      new MqError(
        'METADATA_MISMATCH',
        `the metadata store holds ${holds} where cluster ${known.clusterId}, generation ${known.generation}, revision ` +
          `${known.revision} was: it was emptied, replaced or set back to a backup`,
      ),
    );
    return false;
  }

  private change(revision: number, changes: readonly Change[]): void {
    const found = new Map(changes.map(({ key, pair }) => [key, pair?.value]));
    if (!this.accepts(revision, found)) return;
    this.revision = revision;
    const updates: DirectoryUpdate[] = [];
    const setsTouched = new Set<string>();
    const before = new Map<string, BrokerSet | undefined>();
    const gone = new Set([...found.keys()].filter((key) => found.get(key) !== undefined && isDeletion(key)));
    for (const { key } of changes) {
      const name = setNameIn(key);
      if (name !== undefined && !before.has(name)) before.set(name, this.brokerSet(name));
    }
    for (const change of changes) {
      const name = setNameIn(change.key);
      if (name !== undefined) setsTouched.add(name);
      this.take(change, (update) => updates.push(update), gone);
    }
    for (const name of setsTouched) {
      const broker = this.brokerSet(name);
      const gone = before.get(name);
      if (broker) updates.push({ kind: 'broker', revision, broker });
      else if (gone) updates.push({ kind: 'brokerDeleted', revision, broker: gone });
    }
    if (!this.ready) return;
    // What an identity says is said of all there is.
    if (found.has(keys.clusterId) || found.has(keys.lineage)) return this.tell(this.snapshot());
    for (const update of updates) this.tell(update);
  }

  /** Takes one key in. Sets are told by the caller: two keys make one. */
  private take({ key, pair }: Change, tell: (update: DirectoryUpdate) => void, gone: ReadonlySet<string>): void {
    const { revision } = this;
    if (pair && isRecord(key) && !recordOf(pair)) return this.unreadable(key); // What nobody can read deletes nothing.
    if (key.startsWith(keys.topics)) {
      const topic = recordOf<TopicRecord>(pair);
      const was = fold(this.topics, key.slice(keys.topics.length), topic);
      if (isInnerTopic(key.slice(keys.topics.length))) this.innerTopics += Number(!!topic) - Number(!!was);
      if (was && was.id !== topic?.id) {
        tell({ kind: 'topicDeleted', revision, topic: was, recorded: gone.has(`${keys.deletedTopics}${was.id}`) });
      }
      if (topic) tell({ kind: 'topic', revision, topic });
    } else if (key.startsWith(keys.groups)) {
      const group = recordOf<GroupRecord>(pair);
      const was = fold(this.groups, key.slice(keys.groups.length), group);
      if (was && was.id !== group?.id) {
        tell({ kind: 'groupDeleted', revision, group: was, recorded: gone.has(`${keys.deletedGroups}${was.id}`) });
      }
      if (group) tell({ kind: 'group', revision, group });
    } else if (key.startsWith(keys.sets)) {
      const set = setRecordOf(pair);
      if (pair && !set) return this.unreadable(key);
      fold(this.sets, key.slice(keys.sets.length), set);
    } else if (key.startsWith(keys.presences)) {
      fold(this.presences, key.slice(keys.presences.length), presenceRecordOf(pair));
    } else if (key.startsWith(keys.stages)) {
      fold(this.stages, key.slice(keys.stages.length), recordOf<StageRecord>(pair));
    } else if (key.startsWith(keys.retired)) {
      const was = fold(this.retiredByKey, key, recordOf<RetiredRecord>(pair));
      if (was && !pair) this.tellFinal(was, tell, gone);
    } else if (isDeletion(key)) {
      const folder = key.slice(0, key.indexOf('/') + 1);
      let known = this.deleted.get(folder);
      if (!known) this.deleted.set(folder, (known = new Map<string, DeletedRecord>()));
      fold(known, key, recordOf<DeletedRecord>(pair));
    } else if (key === keys.lineage) {
      this.lineage = lineageIn(pair?.value);
    } else if (key === keys.clusterId && pair) {
      this.clusterId = pair.value;
    } else if (key === keys.secret && pair) {
      this.secret = Buffer.from(pair.value, 'base64');
    }
  }

  /** Its name was gone before; now the deletion is recorded as well, if it was not taken back. */
  private tellFinal(
    { kind, record }: RetiredRecord,
    tell: (update: DirectoryUpdate) => void,
    gone: ReadonlySet<string>,
  ): void {
    const { revision } = this;
    if (kind === 'topic' && gone.has(`${keys.deletedTopics}${record.id}`)) {
      tell({ kind: 'topicDeleted', revision, topic: record as TopicRecord, recorded: true });
    }
    if (kind === 'group' && gone.has(`${keys.deletedGroups}${record.id}`)) {
      tell({ kind: 'groupDeleted', revision, group: record as GroupRecord, recorded: true });
    }
  }

  private tell(update: DirectoryUpdate): void {
    for (const listener of [...this.listeners]) listener(update);
  }

  private wake(): void {
    const due = this.waiters.filter((waiter) => waiter.revision <= this.revision);
    if (due.length === 0) return;
    this.waiters = this.waiters.filter((waiter) => waiter.revision > this.revision);
    for (const { done } of due) done();
  }
}

/** @returns what was there before. */
function fold<T>(map: Map<string, T>, name: string, record: T | undefined): T | undefined {
  const was = map.get(name);
  if (record) map.set(name, record);
  else map.delete(name);
  return was;
}

function setNameIn(key: string): string | undefined {
  if (key.startsWith(keys.sets)) return key.slice(keys.sets.length);
  if (key.startsWith(keys.stages)) return key.slice(keys.stages.length);
  if (key.startsWith(keys.presences)) return key.slice(keys.presences.length).split('/', 1)[0];
  return undefined;
}

function lineageIn(value: string | undefined): LineageRecord {
  return (value === undefined ? undefined : recordIn<LineageRecord>(value)) ?? firstLineage;
}

function isDeletion(key: string): boolean {
  return key.startsWith(keys.deletedTopics) || key.startsWith(keys.deletedGroups);
}

/** Whether the key's value is one of our records, not a text. */
function isRecord(key: string): boolean {
  return key.includes('/') || key === keys.lineage;
}
