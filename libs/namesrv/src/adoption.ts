import type { MetadataKnowledge } from '@cometmq/client';
import type { Compare, MetadataStore, Put } from '@cometmq/metadata';
import type { ConsumerGroup, Epoch, Topic } from '@cometmq/model';
import { MqError, type Clock } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

import { checkMemberClaim } from './checks.js';
import { identityIn, type Identity } from './cluster.js';
import type { DirectoryCopy } from './directory-copy.js';
import {
  keys,
  recordOf,
  setRecordOf,
  type DeletedRecord,
  type DoubtRecord,
  type IdsRecord,
  type LineageRecord,
  type SetRecord,
  type WordRecord,
} from './keys.js';

/** How long an operator's word holds: brokers that restart again and again wait some minutes in between. */
const allowedMs = 3_600_000;
/**
 * Ids left out when metadata comes back: what another broker's log may know beyond the first one's is not used again.
 */
const idsGap = 1_000;
/** Keys in one transaction; etcd takes 128. */
const writesMax = 50;
const conflictsMax = 50;
/** How long it is waited for what others have made before. */
const settleMsMax = 10_000;

/**
 * Metadata that was lost, wholly or since a backup, comes back from brokers' logs. The first broker's word counts for
 * everything that it knows: its cluster's id, its topics and groups with their ids, above which all new ones will be. A
 * new generation says that this was done. Those who come later only add what is still missing.
 *
 * It all goes through the store itself, part by part, and each part may come again; the last one writes the identity and
 * the broker set's epoch, with which the broker may lead.
 */
export class Adoption {
  constructor(
    private readonly store: MetadataStore,
    private readonly copy: DirectoryCopy,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  async allow(): Promise<{ readonly untilMs: number; readonly revision: number }> {
    const { id: lease } = await this.store.grantLease(allowedMs);
    const untilMs = this.clock.wallMs() + allowedMs;
    const revision = await this.commit(async () => {
      const [{ lineage, pairs }, allowed] = await Promise.all([this.identity(), this.store.get(keys.adoption)]);
      const value: LineageRecord = { ...lineage, adoptUntilMs: untilMs, adoptionLeased: true };
      return {
        compare: [
          { key: keys.lineage, modRevision: pairs.lineage?.modRevision ?? 0 },
          { key: keys.adoption, modRevision: allowed?.modRevision ?? 0 },
        ],
        puts: [
          { key: keys.lineage, value: JSON.stringify(value) },
          { key: keys.adoption, value: JSON.stringify({ untilMs }), lease },
        ],
      };
    });
    return { untilMs, revision };
  }

  private async isAllowed({ adoptUntilMs = 0, adoptionLeased }: LineageRecord): Promise<boolean> {
    if ((await this.store.get(keys.adoption)) !== undefined) return true;
    return adoptionLeased !== true && adoptUntilMs > this.clock.wallMs();
  }

  /** @returns the revision of its last change */
  async take(part: MetadataKnowledge): Promise<number> {
    checkMemberClaim(part.claim);
    await this.doubt(part);
    const first = await this.isFirst(part);
    // Whatever has an id that this log knows as another's was made before, maybe by another instance, and must be known here.
    await this.copy.reached(await this.raiseIds(part, first ? idsGap : 0), settleMsMax);
    for (const topics of slices(part.topics)) await this.bring('topics', topics, first);
    for (const groups of slices(part.groups)) await this.bring('groups', groups, first);
    for (const id of part.deletedTopics) await this.delete('topics', id);
    for (const id of part.deletedGroups) await this.delete('groups', id);
    return part.last ? this.finish(part) : 0;
  }

  private async identity(): Promise<Identity> {
    const identity = await identityIn(this.store);
    if (!identity) throw new MqError('UNAVAILABLE', 'the metadata store is empty: no cluster has been made in it yet');
    return identity;
  }

  /** Whether this log knows more than the store. @throws MqError METADATA_MISMATCH when it may not bring it */
  private async isFirst(part: MetadataKnowledge): Promise<boolean> {
    const { claim, insist } = part;
    const { version, lineage } = await this.identity();
    if (!insist && !(await this.isAllowed(lineage))) {
      throw new MqError('METADATA_MISMATCH', 'no operator has allowed it: comet cluster adopt');
    }
    const known = claim.log?.metadata;
    if (!known) return false;
    if (known.clusterId === version.clusterId) return known.generation >= version.generation;
    const { pairs } = await this.store.range(keys.sets);
    if (pairs.length === 0) return true;
    // Another set of the same cluster may have brought its word in between: identity and first set come in one change.
    if ((await this.identity()).version.clusterId !== version.clusterId) return this.isFirst(part);
    throw new MqError(
      'METADATA_MISMATCH',
      `the metadata is of another cluster, ${version.clusterId}, in which ${pairs.map(nameOf).join(', ')} already ` +
        `served: the log of ${claim.member}, of cluster ${known.clusterId}, is not brought into it. Connect to the right ` +
        'metadata, or empty this one first',
    );
  }

  /** Where a member knows its set later than it is here, others that do not must not take it over meanwhile. */
  private async doubt({ claim, set }: MetadataKnowledge): Promise<void> {
    const { brokerSet, member, log } = claim;
    const key = keys.doubtOf(brokerSet);
    await this.commit(async () => {
      const [{ version }, found, doubt] = await Promise.all([
        this.identity(),
        this.store.get(keys.set(brokerSet)),
        this.store.get(key),
      ]);
      const record = setRecordOf(found);
      const known = log?.metadata;
      // Another cluster's member, or one that never belonged to the set, says nothing about it.
      if (!record?.members.concat(record.former.map((one) => one.member)).includes(member)) return undefined;
      if (known?.clusterId !== version.clusterId || known.generation !== version.generation) return undefined;
      const { epoch, revision } = set?.state ?? { epoch: log?.epoch ?? 0, revision: 0 };
      const isOlder = known.revision > version.revision || revision > (found?.modRevision ?? 0) || epoch > record.epoch;
      if (!isOlder || recordOf<DoubtRecord>(doubt)?.generation === version.generation) return undefined;
      this.log.error({ set: brokerSet, member }, 'the metadata was set back: nobody takes this broker set over');
      const value: DoubtRecord = { member, generation: version.generation };
      return {
        compare: [{ key, modRevision: doubt?.modRevision ?? 0 }],
        puts: [{ key, value: JSON.stringify(value) }],
      };
    });
  }

  /** @returns the revision at which ids were last given */
  private async raiseIds({ topicIdMax, groupIdMax }: MetadataKnowledge, gap: number): Promise<number> {
    let before = 0;
    const raisedAt = await this.commit(async () => {
      const counter = await this.store.get(keys.ids);
      before = counter?.modRevision ?? 0;
      const { topics, groups } = recordOf<IdsRecord>(counter) ?? { topics: 0, groups: 0 };
      const raised: IdsRecord = {
        topics: Math.max(topics, topicIdMax + gap),
        groups: Math.max(groups, groupIdMax + gap),
      };
      if (raised.topics === topics && raised.groups === groups) return undefined;
      return {
        compare: [{ key: keys.ids, modRevision: counter?.modRevision ?? 0 }],
        puts: [{ key: keys.ids, value: JSON.stringify(raised) }],
      };
    });
    return Math.max(before, raisedAt);
  }

  private async bring<T extends Topic | ConsumerGroup>(
    kind: 'topics' | 'groups',
    records: readonly T[],
    first: boolean,
  ): Promise<void> {
    const names = this.copy.namesById(kind);
    await this.commit(async () => {
      const compare: Compare[] = [];
      const puts: Put[] = [];
      for (const record of records) {
        if (this.copy.isDeleted(deletedFolder(kind), record)) continue;
        const key = `${keys[kind]}${record.name}`;
        const found = await this.store.get(key);
        const there = recordOf<T>(found);
        if (there && !first) {
          if (there.id !== record.id)
            this.log.warn({ key, id: record.id, known: there.id }, 'the name belongs to another id now');
          continue;
        }
        const holder = names.get(record.id);
        if (holder !== undefined && holder !== record.name) await this.makeRoom(kind, holder, record.id, first);
        compare.push({ key, modRevision: found?.modRevision ?? 0 });
        puts.push({ key, value: JSON.stringify(record) });
      }
      return puts.length > 0 ? { compare, puts } : undefined;
    });
  }

  /** Something that was made since the loss has got an id that the log knows as another's. Nothing was stored under it. */
  private async makeRoom(kind: 'topics' | 'groups', name: string, id: number, first: boolean): Promise<void> {
    if (!first) {
      throw new MqError(
        'CONFLICT',
        `${kind === 'topics' ? 'topic' : 'consumer group'} ${name} has id ${id}, which this log knows as another's: ` +
          `delete ${name} if nothing in it is needed, and try again`,
      );
    }
    await this.commit(async () => {
      const key = `${keys[kind]}${name}`;
      const [found, counter] = await Promise.all([this.store.get(key), this.store.get(keys.ids)]);
      const record = recordOf<Topic | ConsumerGroup>(found);
      const ids = recordOf<IdsRecord>(counter) ?? { topics: 0, groups: 0 };
      if (!found || record?.id !== id) return undefined;
      const next = { ...ids, [kind]: ids[kind] + 1 };
      return {
        compare: [
          { key, modRevision: found.modRevision },
          { key: keys.ids, modRevision: counter?.modRevision ?? 0 },
        ],
        puts: [
          { key, value: JSON.stringify({ ...record, id: next[kind] }) },
          { key: keys.ids, value: JSON.stringify(next) },
        ],
      };
    });
  }

  /** The log says that this was deleted: the metadata shows it because it is older. */
  private async delete(kind: 'topics' | 'groups', id: number): Promise<void> {
    const name = this.copy.namesById(kind).get(id);
    if (name === undefined) return;
    await this.commit(async () => {
      const key = `${keys[kind]}${name}`;
      const found = await this.store.get(key);
      const record = recordOf<Topic | ConsumerGroup>(found);
      if (!found || record?.id !== id) return undefined;
      const { createdMs } = record;
      const deleted: DeletedRecord = { id, name, createdMs, deletedMs: this.clock.wallMs() };
      return {
        compare: [{ key, modRevision: found.modRevision }],
        puts: [{ key: `${deletedFolder(kind)}${id}`, value: JSON.stringify(deleted) }],
        deletes: [key],
      };
    });
  }

  private async finish(part: MetadataKnowledge): Promise<number> {
    const { brokerSet, member, log } = part.claim;
    const revision = await this.commit(async () => {
      const [{ version, lineage, pairs }, found, words, doubt] = await Promise.all([
        this.identity(),
        this.store.get(keys.set(brokerSet)),
        this.store.range(keys.wordsOf(brokerSet)),
        this.store.get(keys.doubtOf(brokerSet)),
      ]);
      const set = setRecordOf(found);
      const compare: Compare[] = [
        { key: keys.clusterId, modRevision: pairs.clusterId.modRevision },
        { key: keys.lineage, modRevision: pairs.lineage?.modRevision ?? 0 },
        { key: keys.set(brokerSet), modRevision: found?.modRevision ?? 0 },
        ...words.pairs.map(({ key, modRevision }) => ({ key, modRevision })),
      ];
      const puts: Put[] = [];
      const deletes: string[] = [];
      const word = wordOf(part);
      if (word && (set?.epoch ?? 0) <= Math.max(word.epoch, word.state.epoch)) {
        const others = words.pairs.map((pair) => recordOf<WordRecord>(pair)).filter((one) => one !== undefined);
        const all = [...others.filter((one) => one.member !== member), word];
        const next = part.insist ? newest(all) : agreed(all);
        if (!next) {
          await this.keepWord(brokerSet, word);
          throw waitsFor(brokerSet, all);
        }
        const { leader, members, quorum } = next.state;
        const epoch = (Math.max(set?.epoch ?? 0, ...all.map(highest)) + 1) as Epoch;
        const record: SetRecord = {
          ...{ name: brokerSet, epoch, leader, members, quorum, former: set?.former ?? [] },
          ...{ from: found?.modRevision ?? 0, registeredMs: set?.registeredMs ?? this.clock.wallMs() },
        };
        puts.push({ key: keys.set(brokerSet), value: JSON.stringify(record) });
        deletes.push(keys.begunOf(brokerSet), keys.beyondOf(brokerSet), ...words.pairs.map(({ key }) => key));
      }
      const known = log?.metadata;
      if (known && (await this.isFirst(part))) {
        const isOther = known.clusterId !== version.clusterId;
        const replaced = isOther ? [...lineage.replaced, version.clusterId] : lineage.replaced;
        const generation = Math.max(known.generation, version.generation) + 1;
        puts.push({ key: keys.lineage, value: JSON.stringify({ ...lineage, generation, replaced }) });
        if (isOther) puts.push({ key: keys.clusterId, value: known.clusterId });
      }
      if (doubt) deletes.push(doubt.key);
      return puts.length + deletes.length > 0 ? { compare, puts, deletes } : undefined;
    });
    this.log.warn({ set: brokerSet, member }, 'a broker has brought the metadata that its log knows');
    return revision;
  }

  private async keepWord(brokerSet: string, word: WordRecord): Promise<void> {
    const key = `${keys.wordsOf(brokerSet)}${word.member}`;
    await this.store.commit({ compare: [], puts: [{ key, value: JSON.stringify(word) }] });
  }

  /** Decides, writes, and decides again when something it rests on has changed meanwhile. */
  private async commit(decide: () => Promise<Parameters<MetadataStore['commit']>[0] | undefined>): Promise<number> {
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const wanted = await decide();
      if (!wanted) return 0;
      const { applied, revision } = await this.store.commit(wanted);
      if (applied) return revision;
    }
    throw new MqError('CONFLICT', 'others change the same metadata all the time; try again');
  }
}

/** Undefined: its log is empty, and it has nothing to say. */
function wordOf({ claim, set }: MetadataKnowledge): WordRecord | undefined {
  const { member, log } = claim;
  const epoch = (log?.epoch ?? 0) as Epoch;
  if (set) {
    const { leader, members, quorum } = set.state;
    const state = { epoch: set.state.epoch, leader, members, quorum };
    return { member, epoch, state, revision: set.state.revision, promised: set.promised };
  }
  if (epoch === 0) return undefined;
  return { member, epoch, state: { epoch, leader: member, members: [member], quorum: 1 }, promised: noPromise };
}

const noPromise = { epoch: 0 as Epoch, to: undefined };

function highest({ epoch, state, promised }: WordRecord): number {
  return Math.max(epoch, state.epoch, promised.epoch);
}

/** Of one epoch the last change of the members is the newest: all of them are its leader's. */
function newest(words: readonly WordRecord[]): WordRecord | undefined {
  const later = (a: WordRecord, b: WordRecord): number =>
    a.state.epoch - b.state.epoch || (a.revision ?? 0) - (b.revision ?? 0);
  return words.reduce<WordRecord | undefined>((best, one) => (best && later(best, one) >= 0 ? best : one), undefined);
}

/**
 * The newest of what was said, if nobody can know of anything newer: to become leader takes |S| − W + 1 promises, so of W
 * members at least one has promised; and who was promised a later epoch must have said whether it came to be.
 */
function agreed(words: readonly WordRecord[]): WordRecord | undefined {
  const best = newest(words);
  return best && missingFor(best, words).length === 0 ? best : undefined;
}

/** Whose words are waited for. */
function missingFor({ state }: WordRecord, words: readonly WordRecord[]): readonly string[] {
  const said = new Set<string>(words.map(({ member }) => member));
  const later = words.flatMap(({ promised: { epoch, to } }) => (epoch > state.epoch && to !== undefined ? [to] : []));
  const candidates = later.filter((member) => !said.has(member));
  const members = state.members.filter((member) => !said.has(member));
  return state.members.length - members.length >= state.quorum ? candidates : [...new Set([...members, ...candidates])];
}

function waitsFor(brokerSet: string, words: readonly WordRecord[]): MqError {
  const best = newest(words);
  const missing = best ? missingFor(best, words).join(', ') : '';
  return new MqError(
    'METADATA_MISMATCH',
    `what is known of broker set ${brokerSet} is not taken before ${missing} has said what it knows: it may know something ` +
      'newer. Start it; or, if it is lost for good, start one of the others once with --adopt-metadata',
  );
}

function deletedFolder(kind: 'topics' | 'groups'): string {
  return kind === 'topics' ? keys.deletedTopics : keys.deletedGroups;
}

function nameOf({ key }: { readonly key: string }): string {
  return key.slice(keys.sets.length);
}

function* slices<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += writesMax) yield all.slice(from, from + writesMax);
}
