import { isDeepStrictEqual } from 'node:util';

import type { Deleted } from '@cometmq/client';
import { decodeGroupDeleted } from '@cometmq/consumption';
import {
  decodeMetadata,
  decodeTopicDeleted,
  encodeMetadata,
  followsMetadata,
  metadataPerRecordMax,
  RecordKind,
  type ConsumerGroup,
  type DecidedRecord,
  type GroupId,
  type MetadataVersion,
  type StateChange,
  type Topic,
  type TopicId,
} from '@cometmq/model';
import type { LogRecord, StateView } from '@cometmq/store';

/** What the metadata says now, as the name service tells it. */
export interface ToldMetadata {
  readonly version: MetadataVersion;
  readonly topics: Iterable<Topic>;
  readonly groups: Iterable<ConsumerGroup>;
}

/** So many deletions of each are remembered. */
const deletedMax = 10_000;

/**
 * What the log knows of the metadata it belongs to: of which cluster it is, how far it had come, topics and groups as they
 * were defined, and which were deleted. By it a broker tells metadata that was lost, or set back, from its own; and all of
 * it can be brought back from here. A topic or group leaves with the record that deletes it, never because nobody names it.
 *
 *   version                 JSON of MetadataVersion
 *   topic/<id>, group/<id>  JSON of Topic, ConsumerGroup; of Deleted once it was
 */
export class MetadataView implements StateView {
  readonly name = 'metadata';
  readonly kinds: ReadonlySet<RecordKind> = new Set<RecordKind>([
    RecordKind.metadata,
    RecordKind.topicDeleted,
    RecordKind.groupDeleted,
  ]);
  readonly topics = new Definitions<TopicId, Topic>('topic');
  readonly groups = new Definitions<GroupId, ConsumerGroup>('consumer group');
  private known: MetadataVersion | undefined;
  private versionChanged = false;

  /** Undefined: this log has not been led yet, or only by a release that did not write it down. */
  get version(): MetadataVersion | undefined {
    return this.known;
  }

  /**
   * Whether this log knows a later state of this metadata than `version`. Who tells that one has not heard everything yet;
   * or the metadata was set back, which the registry says, as it reads the store itself.
   */
  isAheadOf(version: MetadataVersion): boolean {
    return version.clusterId === this.known?.clusterId && !followsMetadata(version, this.known);
  }

  /**
   * Why what is told can't be of the metadata that this log belongs to, or is of an older state of it. That a state of
   * before a deletion shows what was deleted speaks against nothing.
   */
  contradiction({ version, topics, groups }: ToldMetadata): string | undefined {
    const isBehind = this.isAheadOf(version);
    return this.topics.contradiction(topics, isBehind) ?? this.groups.contradiction(groups, isBehind);
  }

  /** Records that say how far the metadata has come, for a deletion that is written with them; none: it is known already. */
  decideSeen(version: MetadataVersion): DecidedRecord[] {
    if (this.known && followsMetadata(this.known, version)) return [];
    return [{ kind: RecordKind.metadata, payload: encodeMetadata({ version, topics: [], groups: [] }) }];
  }

  /** Records that say what is new in what is told; none: it is known already. */
  decide({ version, topics, groups }: ToldMetadata): DecidedRecord[] {
    const records: DecidedRecord[] = [];
    const add = (some: { topics?: Topic[]; groups?: ConsumerGroup[] }): void => {
      const payload = encodeMetadata({ version, topics: [], groups: [], ...some });
      records.push({ kind: RecordKind.metadata, payload });
    };
    for (const some of slices(this.topics.changed(topics))) add({ topics: some });
    for (const some of slices(this.groups.changed(groups))) add({ groups: some });
    const isNew = version.clusterId !== this.known?.clusterId || version.generation !== this.known.generation;
    if (isNew && records.length === 0) add({});
    return records;
  }

  fold({ kind, payload }: Pick<LogRecord, 'kind' | 'payload'>): void {
    if (kind === RecordKind.topicDeleted) this.topics.delete(decodeTopicDeleted(payload));
    else if (kind === RecordKind.groupDeleted) this.groups.delete(decodeGroupDeleted(payload));
    else if (kind === RecordKind.metadata) {
      const { version, topics, groups } = decodeMetadata(payload);
      this.known = version;
      this.versionChanged = true;
      for (const topic of topics) this.topics.define(topic);
      for (const group of groups) this.groups.define(group);
    }
  }

  takeChanges(): StateChange[] {
    const version: StateChange[] = this.versionChanged ? [{ key: 'version', value: encoded(this.known) }] : [];
    this.versionChanged = false;
    const under = (folder: string, { key, value }: StateChange): StateChange => ({ key: `${folder}/${key}`, value });
    return [
      ...version,
      ...this.topics.takeChanges().map((change) => under('topic', change)),
      ...this.groups.takeChanges().map((change) => under('group', change)),
    ];
  }

  load(key: string, value: Uint8Array): void {
    const piece: unknown = JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString());
    if (key === 'version') this.known = piece as MetadataVersion;
    else if (key.startsWith('topic/')) this.topics.load(piece as Topic | Deleted);
    else if (key.startsWith('group/')) this.groups.load(piece as ConsumerGroup | Deleted);
  }

  clear(): void {
    this.known = undefined;
    this.versionChanged = false;
    this.topics.clear();
    this.groups.clear();
  }
}

/** Topics, or consumer groups, by id; and those that were deleted. */
class Definitions<Id extends number, T extends { readonly id: Id; readonly name: string; readonly createdMs: number }> {
  private readonly living = new Map<Id, T>();
  private readonly gone = new Map<number, Deleted>();
  private readonly dirty = new Set<number>();
  private highest = 0;

  constructor(private readonly what: string) {}

  get(id: Id): T | undefined {
    return this.living.get(id);
  }
  ids(): Iterable<Id> {
    return this.living.keys();
  }
  /** The highest id that was ever seen here. */
  get idMax(): number {
    return this.highest;
  }

  isDeleted({ id, createdMs }: Deleted): boolean {
    return this.gone.get(id)?.createdMs === createdMs;
  }

  /** What is to be defined again, should it be lost. Of several of one name, all but the newest have been replaced. */
  all(): T[] {
    const byName = new Map<string, T>();
    for (const one of this.living.values()) if ((byName.get(one.name)?.id ?? -1) < one.id) byName.set(one.name, one);
    return [...byName.values()];
  }

  contradiction(told: Iterable<T>, isBehind: boolean): string | undefined {
    for (const one of told) {
      const known = this.living.get(one.id);
      if (known && (known.name !== one.name || known.createdMs !== one.createdMs)) {
        return (
          `the metadata knows ${this.what} ${one.id} as ${origin(one)}, and the log knows it as ${origin(known)}: the ` +
          'metadata was set back to a backup, or emptied, and has gone on from there'
        );
      }
      if (this.gone.has(one.id) && !(isBehind && this.isDeleted(one))) {
        return `the metadata shows ${this.what} ${one.name}, which the log knows was deleted: it was set back to a backup`;
      }
    }
    return undefined;
  }

  changed(told: Iterable<T>): T[] {
    return [...told].filter((one) => !isDeepStrictEqual(this.living.get(one.id), plain(one)));
  }

  define(one: T): void {
    this.living.set(one.id, one);
    this.noted(one.id);
  }

  delete(id: Id): void {
    this.highest = Math.max(this.highest, id);
    const known = this.living.get(id);
    if (!known) return;
    this.living.delete(id);
    this.gone.set(id, { id, createdMs: known.createdMs });
    this.noted(id);
    if (this.gone.size <= deletedMax) return;
    const oldest = [...this.gone.keys()].reduce((least, other) => Math.min(least, other));
    this.gone.delete(oldest);
    this.noted(oldest);
  }

  takeChanges(): StateChange[] {
    const ids = [...this.dirty];
    this.dirty.clear();
    return ids.map((id) => ({ key: String(id), value: encoded(this.living.get(id as Id) ?? this.gone.get(id)) }));
  }

  load(piece: T | Deleted): void {
    this.highest = Math.max(this.highest, piece.id);
    if ('name' in piece) this.living.set(piece.id, piece);
    else this.gone.set(piece.id, piece);
  }

  clear(): void {
    this.living.clear();
    this.gone.clear();
    this.dirty.clear();
    this.highest = 0;
  }

  private noted(id: number): void {
    this.highest = Math.max(this.highest, id);
    this.dirty.add(id);
  }
}

function encoded(piece: object | undefined): Uint8Array | undefined {
  return piece && Buffer.from(JSON.stringify(piece));
}

/** As it comes back from a record: without what is there but undefined. */
function plain<T>(definition: T): T {
  return JSON.parse(JSON.stringify(definition)) as T;
}

function origin({ name, createdMs }: { readonly name: string; readonly createdMs: number }): string {
  return `${name}, made at ${new Date(createdMs).toISOString()}`;
}

function* slices<T>(all: readonly T[]): Generator<T[]> {
  for (let from = 0; from < all.length; from += metadataPerRecordMax)
    yield all.slice(from, from + metadataPerRecordMax);
}
