import {
  brokerSetStages,
  printable,
  type BrokerSet,
  type BrokerSetStage,
  type Epoch,
  type MemberId,
  type SetRule,
  type SetState,
} from '@cometmq/model';
import type {
  Asker,
  BeyondElection,
  FormerMember,
  KeptLead,
  MemberClaim,
  SetAdmin,
  SetReading,
  SetRegistry,
  WantedLead,
  WantedMembers,
} from '@cometmq/client';
import type { Compare, KeyValue, LeaseId, Put } from '@cometmq/metadata';
import { MqError, type Clock } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

import { checkEpoch, checkMemberClaim, checkSetName } from './checks.js';
import { identityIn, mismatch, mismatchOf, type ClusterStore, type Identity } from './cluster.js';
import { nobodyWaits } from './decision.js';
import {
  brokerSetOf,
  keys,
  presenceRecordOf,
  recordOf,
  setRecordOf,
  type BegunRecord,
  type DoubtRecord,
  type LoneSetRecord,
  type PresenceRecord,
  type SetRecord,
  type StageRecord,
} from './keys.js';

interface Known<T> {
  readonly pair: KeyValue;
  readonly record: T;
}

/** All that the store has of one set, read a moment ago; what a change rests on is compared when it is written. */
interface Found {
  readonly storeId: string;
  readonly identity: Identity;
  readonly set: Known<SetRecord> | undefined;
  readonly begun: Known<BegunRecord> | undefined;
  readonly presences: ReadonlyMap<string, Known<PresenceRecord>>;
  /** Who may lead beyond the members. */
  readonly beyond: KeyValue | undefined;
  /** A member knows a later state of the set. */
  readonly doubt: DoubtRecord | undefined;
}

/** How often a change is decided anew because another came first. */
const triesMax = 8;
/** Boots and former members that are remembered of one member and of one set. */
const replacedMax = 8;
const formerMax = 32;
/** What a leader showed that has not been heard of for so long is forgotten: its set may be gone. */
const shownMsMax = 3_600_000;
/** How long an operator's word holds that a member may lead whatever the others have. */
const beyondMs = 300_000;

/** What a leader showed last. */
interface Shown {
  readonly bootId: string;
  readonly epoch: Epoch;
  readonly progress: number;
  heardMs: number;
}

/**
 * Who belongs to which broker set and who leads it, kept in the metadata store. `sets/<name>` changes only in a transaction
 * that compares its revision, which is what makes it safe; a presence under a lease only notices silence. Nothing is kept
 * here and nothing is answered from this instance's copy: any of the equal instances may go on where another was killed.
 *
 * A change names its writer: the epoch and the leader, and the revision it was decided on. So who asks again because an
 * answer was lost gets the answer, and nothing is done twice.
 */
export class BrokerSets implements SetRegistry, SetAdmin {
  /** The last progress that this instance was shown, by set; who shows no new one is not kept present. */
  private readonly progress = new Map<string, Shown>();

  constructor(
    private readonly store: ClusterStore,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  async readSet(brokerSet: string): Promise<SetReading> {
    checkSetName(brokerSet);
    return readingOf(await this.settled(brokerSet));
  }

  acquireLeadership(claim: MemberClaim, wanted: WantedLead): Promise<SetState | undefined> {
    const { brokerSet, member, bootId } = claim;
    const { epoch, rule, revision } = wanted;
    return this.change(claim, async (found) => {
      const { set, begun } = found;
      // Asked again: the answer was lost on its way.
      if (set?.record.epoch === epoch && set.record.leader === member) return { result: stateOf(set) };
      if ((set?.pair.modRevision ?? 0) !== revision) return { result: undefined };
      checkDoubt(found, brokerSet);
      checkEpoch(epoch);
      checkRule(rule, member);
      checkTake(set?.record, claim, wanted);
      checkFolder(set?.record, begun?.record, claim);
      const leads = leaderIn(found);
      // Where others had to promise, they have left the leader, and it can commit nothing any more: that it is present
      // keeps nobody out. Where a member's own word is enough, presence is what stands between two that do not hear each other.
      const aloneDecides = set === undefined || set.record.members.length === set.record.quorum;
      const attested = wanted.reason === 'closed' || wanted.reason === 'handedOver';
      if (leads && leads.member !== member && aloneDecides && !attested) {
        throw new MqError(
          'CONFLICT',
          `${leads.member} leads broker set ${brokerSet} with epoch ${leads.leads} and is present: ${member} may lead it once ` +
            'its presence has ended, or it has closed or given its consent',
        );
      }
      const record: SetRecord = {
        name: brokerSet,
        epoch,
        leader: member,
        members: rule.members,
        quorum: rule.quorum,
        from: revision,
        former: formerAfter(set?.record, rule, [], wanted.commitEnd ?? 0),
        registeredMs: set?.record.registeredMs ?? this.clock.wallMs(),
      };
      const shown = this.presenceAfter(found, claim, { leads: epoch, inSync: [member] });
      const stage = set ? [] : await this.stageOfNew(brokerSet);
      const before = set ? presenceOf(found, set.record.leader) : undefined;
      return {
        compare: [
          { key: keys.set(brokerSet), modRevision: revision },
          // Who led must be as absent, or as given up, as it was seen.
          ...(before && before.record.member !== member ? [same(before)] : []),
          ...(set && !before && set.record.leader !== member ? [absent(brokerSet, set.record.leader)] : []),
        ],
        puts: [{ key: keys.set(brokerSet), value: JSON.stringify(record) }, ...stage],
        presence: shown,
        // Everybody waits for it: what its last announcement has kept is kept again by the first renewal.
        trustsLease: true,
        deletes: [
          ...(begun && begun.record.member !== member ? [begun.pair.key] : []),
          ...(found.beyond ? [found.beyond.key] : []),
          ...this.lone(found, brokerSet),
        ],
        result: (at) => {
          this.log.info(
            { set: brokerSet, epoch, leader: member, bootId, reason: wanted.reason },
            'a broker set has a new leader',
          );
          return { ...rule, epoch, leader: member, revision: at };
        },
      };
    });
  }

  renewLeadership(claim: MemberClaim, kept: KeptLead): Promise<SetReading> {
    const { brokerSet, member, bootId } = claim;
    const { epoch, writable, inSync } = kept;
    return this.change(claim, (found) => {
      const { set, begun } = found;
      const ours = presenceOf(found, member);
      if (set?.record.epoch !== epoch || set.record.leader !== member) throw deposed(claim, epoch, set?.record);
      if (ours && ours.record.bootId !== bootId) throw replacedBy(claim, ours.record, 'NOT_LEADER');
      if (ours?.record.resigned === epoch) {
        throw new MqError(
          'NOT_LEADER',
          `${member} has resigned from leading broker set ${brokerSet} with epoch ${epoch}`,
        );
      }
      if (!this.progresses(claim, kept)) return Promise.resolve(this.standsStill(found, claim));
      const presence = this.presenceAfter(found, claim, { leads: epoch, writable, inSync });
      return Promise.resolve({
        compare: [{ key: keys.set(brokerSet), modRevision: set.pair.modRevision }],
        puts: begunPuts(claim, epoch, begun?.record),
        presence,
        deletes: this.lone(found, brokerSet),
        result: () => readingOf(found, presence),
      });
    });
  }

  async resignLeadership(claim: MemberClaim, epoch: Epoch): Promise<void> {
    const { brokerSet, member, bootId } = claim;
    await this.change(claim, (found) => {
      const { set, begun } = found;
      const ours = presenceOf(found, member);
      const isOver = set?.record.epoch !== epoch || set.record.leader !== member || ours?.record.resigned === epoch;
      if (isOver || (ours && ours.record.bootId !== bootId)) return Promise.resolve({ result: undefined });
      return Promise.resolve({
        compare: [{ key: keys.set(brokerSet), modRevision: set.pair.modRevision }],
        puts: begunPuts(claim, epoch, begun?.record),
        // It stays, so that a renewal that comes late does not bring the lead back.
        presence: this.presenceAfter(found, claim, { resigned: epoch }),
        deletes: this.lone(found, brokerSet),
        result: () => undefined,
      });
    });
  }

  changeMembers(claim: MemberClaim, wanted: WantedMembers): Promise<SetState | undefined> {
    const { brokerSet, member, bootId } = claim;
    const { epoch, rule, revision, left, joined = [] } = wanted;
    return this.change<SetState | undefined>(claim, (found) => {
      const { set } = found;
      const ours = presenceOf(found, member);
      if (set?.record.epoch !== epoch || set.record.leader !== member) throw deposed(claim, epoch, set?.record);
      if (ours && ours.record.bootId !== bootId) throw replacedBy(claim, ours.record, 'NOT_LEADER');
      if (set.record.from === revision && sameRule(set.record, rule)) return Promise.resolve({ result: stateOf(set) });
      if (set.pair.modRevision !== revision) return Promise.resolve({ result: undefined });
      checkDoubt(found, brokerSet);
      checkRule(rule, member);
      const compare: Compare[] = [{ key: keys.set(brokerSet), modRevision: revision }];
      for (const each of joined) {
        const there = presenceOf(found, each.member);
        if (there?.record.bootId !== each.bootId) throw restarted(brokerSet, each.member);
        compare.push(same(there));
      }
      const former = formerAfter(set.record, rule, left, 0);
      const record: SetRecord = { ...set.record, members: rule.members, quorum: rule.quorum, from: revision, former };
      return Promise.resolve({
        compare,
        puts: [{ key: keys.set(brokerSet), value: JSON.stringify(record) }],
        result: (at) => {
          const { members, quorum } = rule;
          this.log.info({ set: brokerSet, epoch, members, quorum }, 'a broker set has other members');
          return { ...rule, epoch, leader: member, revision: at };
        },
      });
    });
  }

  announceMember(claim: MemberClaim): Promise<SetReading> {
    return this.change(claim, async (found) => {
      if (found.set?.record.members.length === 0) found = await this.takeUp(found, claim);
      const { set } = found;
      checkReturn(found, claim);
      checkPlace(found, claim);
      const ours = presenceOf(found, claim.member)?.record;
      const own = ours?.bootId === claim.bootId ? ours : undefined;
      // One that was sent before it took the lead says nothing about it.
      const leads = set?.record.leader === claim.member && own?.leads === set.record.epoch;
      const said = leads ? { leads: own.leads, writable: own.writable, inSync: own.inSync } : {};
      const presence = this.presenceAfter(found, claim, { ...said, resigned: own?.resigned });
      return { compare: [], puts: [], presence, result: () => readingOf(found, presence) };
    });
  }

  async withdrawMember(claim: MemberClaim): Promise<void> {
    const { brokerSet, member, bootId } = claim;
    checkMemberClaim(claim);
    for (let tries = 0; tries < triesMax; tries += 1) {
      const ours = presenceOf(await this.find(brokerSet), member);
      if (ours?.record.bootId !== bootId) return;
      const change = await this.store.commit({ compare: [same(ours)], deletes: [ours.pair.key] });
      if (!change.applied) continue;
      if (ours.pair.lease !== undefined) await this.letGo(ours.pair.lease);
      return;
    }
    throw changesTooOften(brokerSet);
  }

  async setStage(brokerSet: string, stage: BrokerSetStage, groupsGo = false, asker?: Asker): Promise<void> {
    if (!brokerSetStages.includes(stage)) {
      throw new MqError('BAD_REQUEST', `stage "${printable(stage)}" must be one of ${brokerSetStages.join(', ')}`);
    }
    const key = keys.stageOf(brokerSet);
    await this.alter(brokerSet, async ({ set }) => {
      const before = await this.store.get(key);
      const was = recordOf<StageRecord>(before);
      const groupless = stage === 'draining' && (groupsGo || was?.stage === 'joining' || was?.groupless === true);
      const record: StageRecord = { stage, ...(groupless && { groupless }), sinceMs: this.clock.wallMs() };
      const compare = [same(set), { key, modRevision: before?.modRevision ?? 0 }];
      if (!was && stage !== 'serving') compare.push(...(await this.otherServes(brokerSet)));
      if (asker?.cancelled) throw nobodyWaits();
      if (stage === 'serving') return { compare, deletes: [key], result: undefined };
      return { compare, puts: [{ key: key, value: JSON.stringify(record) }], result: undefined };
    });
    this.log.warn({ set: brokerSet, stage }, 'a broker set has another place in the routes');
  }

  /**
   * Compared with the change: one of the others goes on taking messages, where there are others. Two that leave at once each
   * see the other one stay.
   *
   * @throws MqError CONFLICT
   */
  private async otherServes(brokerSet: string): Promise<Compare[]> {
    const [sets, stages] = await Promise.all([this.store.range(keys.sets), this.store.range(keys.stages)]);
    const others = sets.pairs.map(({ key }) => key.slice(keys.sets.length)).filter((name) => name !== brokerSet);
    if (others.length === 0) return [];
    const elsewhere = new Set(stages.pairs.map(({ key }) => key));
    const serving = others.find((name) => !elsewhere.has(keys.stageOf(name)));
    if (serving !== undefined) return [{ key: keys.stageOf(serving), modRevision: 0 }];
    throw new MqError(
      'CONFLICT',
      `"${brokerSet}" is the only broker set that takes messages: no send would go anywhere`,
    );
  }

  /** Nobody's data counts any more. The epoch stays: what was handed out before is never taken for what comes now. */
  async forget(brokerSet: string): Promise<{ readonly set: BrokerSet; readonly revision: number }> {
    for (let tries = 0; tries < triesMax; tries += 1) {
      const found = await this.settled(brokerSet);
      const { set } = found;
      if (!set) throw new MqError('NOT_FOUND', `there is no broker set ${printable(brokerSet)}`);
      const leads = leaderIn(found);
      if (leads) throw stillLeads(brokerSet, leads.member);
      const from = set.pair.modRevision;
      const empty: SetRecord = { ...set.record, members: [], quorum: 0, former: [], from };
      const gone = presenceOf(found, set.record.leader);
      const { applied, revision } = await this.store.commit({
        compare: [same(set), gone ? same(gone) : absent(brokerSet, set.record.leader)],
        puts: [{ key: set.pair.key, value: JSON.stringify(empty) }],
        deletes: [keys.begunOf(brokerSet), keys.doubtOf(brokerSet), ...this.lone(found, brokerSet)],
      });
      if (applied) return { set: brokerSetOf(empty, () => undefined), revision };
    }
    throw changesTooOften(brokerSet);
  }

  async electBeyond(brokerSet: string, member: MemberId): Promise<BeyondElection> {
    const lease = await this.store.grantLease(beyondMs);
    const untilMs = this.clock.wallMs() + beyondMs;
    const election = await this.alter<BeyondElection>(brokerSet, ({ set, found }) => {
      const { record } = set;
      const { members, leader, quorum, former, epoch } = record.before ? { ...record, ...record.before } : record;
      const leads = leaderIn(found);
      if (leads) throw stillLeads(brokerSet, leads.member);
      const left = former.find((one) => one.member === member);
      if (!members.includes(member) && !left && !found.presences.has(member)) {
        throw new MqError('NOT_FOUND', `nothing is known of a member ${printable(member)} of broker set ${brokerSet}`);
      }
      const isEnough = members.includes(member) && members.length - quorum + 1 === 1;
      const rule = { members: [member], quorum: 1 };
      const next: SetRecord = {
        ...record,
        ...rule,
        epoch: (epoch + 1) as Epoch,
        leader: member,
        from: set.pair.modRevision,
        former: formerAfter({ ...record, members, former }, rule, [], 0),
        before: { leader, members, quorum, former },
      };
      const gone = presenceOf(found, record.leader);
      return {
        compare: [same(set), gone ? same(gone) : absent(brokerSet, record.leader)],
        puts: [
          { key: set.pair.key, value: JSON.stringify(next) },
          { key: keys.beyondOf(brokerSet), value: JSON.stringify({ member, untilMs }), lease: lease.id },
        ],
        deletes: [keys.begunOf(brokerSet), keys.doubtOf(brokerSet), ...this.lone(found, brokerSet)],
        result: { grade: isEnough ? 'nothingMissing' : 'unclean', from: left?.commitEnd, untilMs },
      };
    }).catch(async (caught: unknown) => {
      await this.letGo(lease.id);
      throw caught;
    });
    const { grade, from } = election as BeyondElection;
    this.log.error({ set: brokerSet, member, grade, from, untilMs }, 'a member may lead whatever the others have');
    return election as BeyondElection;
  }

  /** An operator's change. `decide` gives undefined where it is so already. */
  private async alter<T>(
    brokerSet: string,
    decide: (found: {
      readonly set: Known<SetRecord>;
      readonly found: Found;
    }) => Alteration<T> | undefined | Promise<Alteration<T> | undefined>,
  ): Promise<T | undefined> {
    checkSetName(brokerSet);
    for (let tries = 0; tries < triesMax; tries += 1) {
      const found = await this.settled(brokerSet);
      const { set } = found;
      if (!set) throw new MqError('NOT_FOUND', `there is no broker set ${printable(brokerSet)}`);
      const change = await decide({ set, found });
      if (!change) return undefined;
      if ((await this.store.commit(change)).applied) return change.result;
    }
    throw changesTooOften(brokerSet);
  }

  /**
   * A set that comes to others, where there are topics, takes no message groups at first: what the others have of theirs might
   * be overtaken.
   */
  private async stageOfNew(brokerSet: string): Promise<Put[]> {
    const [sets, topics] = await Promise.all([this.store.range(keys.sets), this.store.range(keys.topics)]);
    if (sets.pairs.length === 0 || topics.pairs.length === 0) return [];
    const record: StageRecord = { stage: 'joining', sinceMs: this.clock.wallMs() };
    return [{ key: keys.stageOf(brokerSet), value: JSON.stringify(record) }];
  }

  /** The set as it is; a member that might have led beyond the members, and has not, may no longer. */
  private async settled(brokerSet: string): Promise<Found> {
    for (let tries = 0; tries < triesMax; tries += 1) {
      const found = await this.find(brokerSet);
      const { set, beyond } = found;
      const before = set?.record.before;
      if (!set || !before || beyond) return found;
      const { before: _, ...record } = set.record;
      const next: SetRecord = { ...record, ...before, epoch: (record.epoch + 1) as Epoch, from: set.pair.modRevision };
      const { applied } = await this.store.commit({
        compare: [same(set), { key: keys.beyondOf(brokerSet), modRevision: 0 }],
        puts: [{ key: set.pair.key, value: JSON.stringify(next) }],
      });
      if (applied) this.log.warn({ set: brokerSet, members: before.members }, 'the members count again as before');
    }
    throw changesTooOften(brokerSet);
  }

  /** All members were given up: whoever announces itself first is the one. */
  private async takeUp(found: Found, { brokerSet, member }: MemberClaim): Promise<Found> {
    const { set } = found;
    if (!set) return found;
    const next: SetRecord = { ...set.record, leader: member, members: [member], quorum: 1, from: set.pair.modRevision };
    await this.store.commit({
      compare: [same(set)],
      puts: [{ key: keys.set(brokerSet), value: JSON.stringify(next) }],
    });
    return this.find(brokerSet);
  }

  /** Decides on what is there, writes by comparing just that, and decides again where it has changed meanwhile. */
  private async change<T>(claim: MemberClaim, decide: (found: Found) => Promise<SetChange<T>>): Promise<T> {
    checkMemberClaim(claim);
    const { brokerSet } = claim;
    for (let tries = 0; tries < triesMax; tries += 1) {
      const found = await this.settled(brokerSet);
      const mismatch = mismatchOf(brokerSet, claim, found.identity, found.set?.record);
      if (mismatch) throw mismatch;
      const change = await decide(found);
      if (!('compare' in change)) return change.result;
      const written = await this.write(found, claim, change, tries === 0 && change.trustsLease === true);
      if (written !== undefined) return change.result(written);
    }
    throw changesTooOften(brokerSet);
  }

  /** @returns the revision; undefined where what it rests on has changed */
  private async write<T>(
    found: Found,
    claim: MemberClaim,
    change: Written<T>,
    trustsLease: boolean,
  ): Promise<number | undefined> {
    const { presence } = change;
    const compare = [...change.compare];
    const puts = [...change.puts];
    let granted: LeaseId | undefined;
    if (presence) {
      const was = presenceOf(found, claim.member);
      const kept = was?.record.bootId === claim.bootId ? was : undefined;
      const lease = kept?.pair.lease;
      const alive = lease !== undefined && (trustsLease || (await this.store.keepLease(lease)) !== undefined);
      const isShown = alive && kept && sameValue(kept.record, presence);
      if (isShown && puts.length === 0) return found.identity.version.revision;
      if (!alive) granted = (await this.store.grantLease(claim.leaseMs)).id;
      // Another start of the same member that came in between is met by this.
      if (!compare.some(({ key }) => key === keys.presenceOf(claim.brokerSet, claim.member))) {
        compare.push(was ? same(was) : absent(claim.brokerSet, claim.member));
      }
      if (!isShown) {
        const key = keys.presenceOf(claim.brokerSet, claim.member);
        puts.push({ key, value: JSON.stringify(presence), lease: granted ?? lease });
      }
    }
    try {
      const { applied, revision } = await this.store.commit({ compare, puts, deletes: change.deletes ?? [] });
      if (applied) return revision;
      if (granted !== undefined) await this.letGo(granted);
      return undefined;
    } catch (caught) {
      if (MqError.from(caught).code === 'NOT_FOUND') return undefined; // The lease ended just now.
      throw caught;
    }
  }

  /** What the claimant's presence shall say. @throws MqError CONFLICT where it is another process's */
  private presenceAfter(
    found: Found,
    { member, address, bootId }: MemberClaim,
    said: Partial<Pick<PresenceRecord, 'leads' | 'resigned' | 'writable' | 'inSync'>>,
  ): PresenceRecord {
    const { leads, resigned, writable = true, inSync = [] } = said;
    const was = presenceOf(found, member)?.record;
    const shown = { member, address, bootId, writable, inSync, ...(leads && { leads }), ...(resigned && { resigned }) };
    if (!was) return { ...shown, replaced: [] };
    if (was.bootId === bootId) return { ...shown, replaced: was.replaced };
    if (was.replaced.includes(bootId) || was.address !== address) {
      throw replacedBy({ brokerSet: found.set?.record.name ?? '', member, address }, was, 'CONFLICT');
    }
    return { ...shown, replaced: [...was.replaced, was.bootId].slice(-replacedMax) };
  }

  /**
   * A leader that makes no progress leads only until its lease is over. It is there all the same: members that come back must
   * find it, as it may wait for nothing but them.
   */
  private standsStill(found: Found, claim: MemberClaim): SetChange<SetReading> {
    const { leads, resigned } = presenceOf(found, claim.member)?.record ?? {};
    if (leads !== undefined) return { result: readingOf(found) };
    const presence = this.presenceAfter(found, claim, { resigned });
    return { compare: [], puts: [], presence, result: () => readingOf(found, presence) };
  }

  /** Whether the leader has moved on since this instance last heard of it. */
  private progresses({ brokerSet, bootId }: MemberClaim, { epoch, progress }: KeptLead): boolean {
    const last = this.progress.get(brokerSet);
    const heardMs = this.clock.monotonicMs();
    if (last) last.heardMs = heardMs;
    if (last?.bootId === bootId && last.epoch === epoch && progress <= last.progress) return false;
    if (!last) {
      for (const [name, shown] of this.progress) if (heardMs - shown.heardMs > shownMsMax) this.progress.delete(name);
    }
    this.progress.set(brokerSet, { bootId, epoch, progress, heardMs });
    return true;
  }

  /** The presence of a leader that was alone, where one has left it. */
  private lone({ presences }: Found, brokerSet: string): string[] {
    return presences.has('') ? [keys.presence(brokerSet)] : [];
  }

  private async find(brokerSet: string): Promise<Found> {
    const { store } = this;
    const [identity, set, begun, doubt, { pairs, storeId }] = await Promise.all([
      identityIn(store),
      store.get(keys.set(brokerSet)),
      store.get(keys.begunOf(brokerSet)),
      store.get(keys.doubtOf(brokerSet)),
      store.range(keys.presencesOf(brokerSet)),
    ]);
    if (!identity) throw new MqError('UNAVAILABLE', 'the metadata store is empty: no cluster has been made in it yet');
    const record = setRecordOf(set);
    // Renewals come often: what few sets have is asked for where there may be some.
    const older = recordOf<LoneSetRecord>(set);
    const lone = older && 'inSync' in older ? await store.get(keys.presence(brokerSet)) : undefined;
    const beyond = record?.before ? await store.get(keys.beyondOf(brokerSet)) : undefined;
    const presences = new Map<string, Known<PresenceRecord>>();
    for (const pair of lone ? [...pairs, lone] : pairs) {
      const shown = presenceRecordOf(pair);
      if (shown) presences.set(pair === lone ? '' : shown.member, { pair, record: shown });
    }
    const was = older?.begun;
    return {
      storeId: storeId ?? identity.version.clusterId,
      identity,
      set: known(set, record),
      begun:
        known(begun, recordOf<BegunRecord>(begun)) ??
        (set && was && { pair: { ...set, key: keys.begunOf(brokerSet) }, record: was }),
      presences,
      beyond,
      doubt: recordOf<DoubtRecord>(doubt),
    };
  }

  /** A lease that nobody needs; one that can't be ended now ends by itself. */
  private async letGo(lease: LeaseId): Promise<void> {
    await this.store.revokeLease(lease).catch(() => undefined);
  }
}

interface Alteration<T> {
  readonly compare: readonly Compare[];
  readonly puts?: readonly Put[];
  readonly deletes?: readonly string[];
  readonly result: T;
}

interface Written<T> {
  readonly compare: readonly Compare[];
  readonly puts: readonly Put[];
  /** What the claimant's presence shall say; undefined: it is not about it. */
  readonly presence?: PresenceRecord | undefined;
  /** Its lease is taken for one that lives, and not kept first; where it has ended, nothing is written, and it is kept then. */
  readonly trustsLease?: boolean | undefined;
  readonly deletes?: readonly string[] | undefined;
  readonly result: (revision: number) => T;
}

type SetChange<T> = Written<T> | { readonly result: T };

function known<T>(pair: KeyValue | undefined, record: T | undefined): Known<T> | undefined {
  if (pair && !record)
    throw new MqError('CORRUPT_RECORD', `metadata key ${pair.key} holds something else than it should`);
  return pair && record && { pair, record };
}

function presenceOf({ presences }: Found, member: MemberId): Known<PresenceRecord> | undefined {
  return presences.get(member);
}

/** The presence of who leads in the current epoch; a presence of an older one says nothing. */
function leaderIn({ set, presences }: Found): PresenceRecord | undefined {
  if (!set) return undefined;
  const shown = presences.get(set.record.leader) ?? presences.get('');
  return shown?.record.leads === set.record.epoch && shown.record.member === set.record.leader
    ? shown.record
    : undefined;
}

function stateOf({ pair, record }: Known<SetRecord>): SetState {
  const { epoch, leader, members, quorum } = record;
  return { revision: pair.modRevision, epoch, leader, members, quorum };
}

/** `shown`: what the claimant's presence says from now on. */
function readingOf(found: Found, shown?: PresenceRecord): SetReading {
  const { storeId, identity, set, presences } = found;
  const others = [...presences.values()].map(({ record }) => record).filter(({ member }) => member !== shown?.member);
  const all = [...others, ...(shown ? [shown] : [])].sort((a, b) => (a.member < b.member ? -1 : 1));
  const present = all.map(({ member, address, bootId, leads }) => {
    const isLeader = leads !== undefined && leads === set?.record.epoch && member === set.record.leader;
    return isLeader ? { member, address, bootId, leads } : { member, address, bootId };
  });
  return {
    storeId,
    generation: identity.version.generation,
    state: set && stateOf(set),
    present,
    former: set?.record.former ?? [],
    ...(isDoubted(found) && { doubtedBy: found.doubt?.member }),
  };
}

/** By somebody's word of this generation: what is brought back begins another one. */
function isDoubted({ doubt, identity }: Found): boolean {
  return doubt !== undefined && doubt.generation >= identity.version.generation;
}

function checkRule({ members, quorum }: SetRule, leader: MemberId): void {
  const inOrder = members.every((member, at) => at === 0 || (members[at - 1] as string) < member);
  if (inOrder && members.includes(leader) && quorum >= 1 && quorum <= members.length && Number.isInteger(quorum))
    return;
  throw new MqError(
    'BAD_REQUEST',
    `members ${members.join(', ') || 'none'} with a write quorum of ${quorum}: they must be in order, each once, ${leader} ` +
      'among them, and the quorum from 1 to their number',
  );
}

/** @throws MqError METADATA_MISMATCH where a member has said that this metadata is older than what its set has come to */
function checkDoubt(found: Found, brokerSet: string): void {
  if (!isDoubted(found)) return;
  throw mismatch(
    `this metadata was set back: ${found.doubt?.member} knows a later state of broker set ${brokerSet}, and nobody takes the set over, ` +
      'nor changes its members, before that is brought back',
  );
}

/** What may be taken over: the set as it is, without its leader where there were two; or one's own, where it is new. */
function checkTake(set: SetRecord | undefined, { member, log }: MemberClaim, { epoch, rule }: WantedLead): void {
  const above = Math.max(set?.epoch ?? 0, log?.epoch ?? 0);
  if (epoch <= above) {
    throw new MqError('BAD_REQUEST', `epoch ${epoch} must be above ${above}, which the set or the log has had`);
  }
  if (set && set.members.length > 0 && !set.members.includes(member)) return; // It is refused for that.
  const isAlone = rule.members.length === 1 && rule.members[0] === member;
  const may = !set || set.members.length === 0 ? isAlone : sameRule(set, rule) || (isAlone && set.members.length === 2);
  if (!may) {
    throw new MqError(
      'BAD_REQUEST',
      `${member} takes the set over with members ${rule.members.join(', ')}: not by this`,
    );
  }
}

/**
 * A member comes back on the folder that it led on; and nobody waits for the leader of a set whose only member had the folder
 * that stood in its place.
 */
function checkReturn(found: Found, claim: MemberClaim): void {
  const { set, begun } = found;
  const only = set?.record.members.length === 1 ? set.record.members[0] : undefined;
  const isInPlaceOf = only !== undefined && only !== claim.member && placeOf(only) === placeOf(claim.member);
  // Who is at an address is who has it now.
  const other = isInPlaceOf ? found.presences.get(only)?.record : undefined;
  const isAlone = isInPlaceOf && (other === undefined || other.address === claim.address);
  if (set?.record.members.includes(claim.member) || isAlone) {
    checkFolder(set?.record, begun?.record, claim);
  }
}

/** A place is one member's at a time. Who belongs to the set already keeps it; who wants to must have one of its own. */
function checkPlace({ set, presences }: Found, { brokerSet, member, address }: MemberClaim): void {
  if (set?.record.members.includes(member)) return;
  for (const { record } of presences.values()) {
    const isAnother = record.member !== member && placeOf(record.member) === placeOf(member);
    // Who is at an address is who has it now.
    if (isAnother && record.address !== address) throw placeTaken({ brokerSet, member, address }, record);
  }
}

function placeOf(member: MemberId): string {
  return member.slice(0, member.indexOf('/'));
}

/** Only a member may lead, on the folder that it led on. Where all were given up, anybody may. */
function checkFolder(
  set: SetRecord | undefined,
  begun: BegunRecord | undefined,
  { brokerSet, member, log }: MemberClaim,
): void {
  if (!set || set.members.length === 0) return;
  if (!set.members.includes(member)) {
    throw new MqError(
      'DATA_FOLDER',
      `${member} can't lead broker set ${brokerSet}: its data folder is not one of those that hold all acknowledged ` +
        `messages (${set.members.join(', ')}). Start it on that folder, or under another name. If that folder is lost for ` +
        `good, give its messages up: ${giveUp(brokerSet)}`,
    );
  }
  const ended = log?.epoch ?? 0;
  if (begun?.member === member && ended < begun.epoch) {
    throw new MqError(
      'DATA_FOLDER',
      `the log of ${member} ends in epoch ${ended}, and it has led broker set ${brokerSet} up to epoch ${begun.epoch}: its ` +
        'data folder is an older copy, without what was sent and acknowledged since. Nothing was changed. Bring the newest ' +
        `copy back. If there is none, give up what is missing: ${giveUp(brokerSet)}`,
    );
  }
}

function giveUp(name: string): string {
  return `comet broker forget ${name} (npm start: once with --forget-members)`;
}

/** Notes, once in an epoch, that the leader's log has begun it. */
function begunPuts({ brokerSet, member, log }: MemberClaim, epoch: Epoch, begun: BegunRecord | undefined): Put[] {
  if (log?.epoch !== epoch || begun?.epoch === epoch) return [];
  return [{ key: keys.begunOf(brokerSet), value: JSON.stringify({ epoch, member } satisfies BegunRecord) }];
}

/** Who is known to have left, and with how much; the latest, and nobody who is back. */
function formerAfter(
  set: SetRecord | undefined,
  rule: SetRule,
  left: readonly FormerMember[],
  commitEnd: number,
): readonly FormerMember[] {
  const isBack = ({ member }: FormerMember): boolean => rule.members.includes(member);
  const dropped = (set?.members ?? []).filter((member) => !rule.members.includes(member));
  const told = new Map(left.map((one) => [one.member, one]));
  const leaving = dropped.map(
    (member): FormerMember => told.get(member) ?? { member, commitEnd: commitEnd as FormerMember['commitEnd'] },
  );
  const before = (set?.former ?? []).filter((one) => !isBack(one) && !dropped.includes(one.member));
  return [...before, ...leaving].slice(-formerMax);
}

function sameRule(a: SetRule, b: SetRule): boolean {
  return (
    a.quorum === b.quorum &&
    a.members.length === b.members.length &&
    a.members.every((one, at) => one === b.members[at])
  );
}

function sameValue(a: PresenceRecord, b: PresenceRecord): boolean {
  return JSON.stringify(inOneOrder(a)) === JSON.stringify(inOneOrder(b));
}

function inOneOrder(record: PresenceRecord): unknown {
  const { member, address, bootId, replaced, leads, resigned, writable, inSync } = record;
  return [member, address, bootId, replaced, leads, resigned, writable, inSync];
}

function same({ pair }: Known<unknown>): Compare {
  return { key: pair.key, modRevision: pair.modRevision };
}

function absent(brokerSet: string, member: MemberId): Compare {
  return { key: keys.presenceOf(brokerSet, member), modRevision: 0 };
}

function deposed({ brokerSet, member }: MemberClaim, epoch: Epoch, set: SetRecord | undefined): MqError {
  const now = set ? `${set.leader} leads it with epoch ${set.epoch}` : 'it is not known here';
  return new MqError('NOT_LEADER', `${member} no longer leads broker set ${brokerSet} with epoch ${epoch}: ${now}`);
}

function replacedBy(
  { brokerSet, member, address }: Pick<MemberClaim, 'brokerSet' | 'member' | 'address'>,
  other: PresenceRecord,
  code: 'CONFLICT' | 'NOT_LEADER',
): MqError {
  return new MqError(
    code,
    `another process is ${member} of broker set ${brokerSet}, at ${other.address}, and lives; this one is at ` +
      `${address}. Two processes must not share a data folder, nor run on copies of one: stop one of them`,
  );
}

function placeTaken(
  { brokerSet, member, address }: Pick<MemberClaim, 'brokerSet' | 'member' | 'address'>,
  holder: PresenceRecord,
): MqError {
  const place = placeOf(member);
  return new MqError(
    'CONFLICT',
    `the place ${place} of broker set ${brokerSet} is held by ${holder.member} at ${holder.address}, ` +
      `which lives; this member, ${member}, is at ${address}. Give each member of a set a memberName ` +
      'of its own; or, if this one is to take the place of that one, stop that one first',
  );
}

function restarted(brokerSet: string, member: MemberId): MqError {
  return new MqError(
    'CONFLICT',
    `${member} of broker set ${brokerSet} was started again, or has gone, since it caught up: it catches up anew`,
  );
}

function stillLeads(brokerSet: string, member: MemberId): MqError {
  return new MqError('CONFLICT', `${member} leads broker set ${brokerSet}: stop it first if it is to be given up`);
}

function changesTooOften(brokerSet: string): MqError {
  return new MqError('CONFLICT', `broker set ${brokerSet} changes too often to be written to; try again`);
}
