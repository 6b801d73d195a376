import {
  followsMetadata,
  type Epoch,
  type MemberId,
  type MetadataVersion,
  type SetRule,
  type SetState,
} from '@cometmq/model';
import { MqError, sleep, type Clock } from '@cometmq/shared';

import type {
  FormerMember,
  KeptLead,
  MemberClaim,
  SetReading,
  SetRegistry,
  WantedLead,
  WantedMembers,
} from '../set-registry.js';

interface Presence {
  readonly member: MemberId;
  readonly address: string;
  readonly bootId: string;
  readonly replaced: readonly string[];
  readonly leads?: Epoch | undefined;
  readonly resigned?: Epoch | undefined;
  readonly endsMs: number;
}

interface KeptSet {
  readonly state: SetState;
  /** The revision it was decided on. */
  readonly from: number;
  readonly former: readonly FormerMember[];
  readonly begun: { readonly epoch: Epoch; readonly member: MemberId } | undefined;
}

/** What the registry holds, to be set back to later. */
export interface RegistryBackup {
  readonly sets: ReadonlyMap<string, KeptSet>;
  readonly revision: number;
}

/**
 * The set registry in memory, with the faults of the real one: away, slow, answers lost on their way, set back to an older
 * state, another store. Keeps the contract of `setRegistryContract`.
 */
export class MemorySetRegistry implements SetRegistry {
  storeId = 'store-1';
  /** Of the cluster whose metadata it holds. */
  metadata: MetadataVersion = { clusterId: 'cluster-1', generation: 1, revision: 1 };
  /** Nobody is answered. */
  away = false;
  /** Each call is answered only after so long. */
  slowMs = 0;
  /** The next calls are done, and their answers lost. */
  answersLost = 0;
  /** Calls made, by name. */
  readonly calls: string[] = [];
  private sets = new Map<string, KeptSet>();
  private readonly presences = new Map<string, Map<MemberId, Presence>>();
  private readonly progress = new Map<string, number>();
  private revision = 1;

  constructor(private readonly clock: Clock) {}

  backup(): RegistryBackup {
    return { sets: new Map(this.sets), revision: this.revision };
  }

  /** The store is as it was then; presences are gone. */
  setBackTo(backup: RegistryBackup): void {
    this.sets = new Map(backup.sets);
    this.revision = backup.revision;
    this.presences.clear();
  }

  /** Another store, empty, stands where this one stood. */
  becomesEmpty(storeId: string): void {
    this.storeId = storeId;
    this.metadata = { clusterId: storeId, generation: 1, revision: 1 };
    this.setBackTo({ sets: new Map(), revision: 1 });
  }

  /** What was lost was brought back as members know it: under a later epoch, in a new generation. */
  isAdopted(brokerSet: string, known: SetState): void {
    const { generation } = this.metadata;
    this.metadata = { ...this.metadata, generation: generation + 1 };
    this.put(brokerSet, { ...known, epoch: (known.epoch + 1) as Epoch }, undefined, [], 0);
  }

  readSet(brokerSet: string): Promise<SetReading> {
    return this.answer('readSet', () => this.reading(brokerSet));
  }

  acquireLeadership(claim: MemberClaim, wanted: WantedLead): Promise<SetState | undefined> {
    return this.answer('acquireLeadership', () => this.acquire(claim, wanted));
  }

  renewLeadership(claim: MemberClaim, kept: KeptLead): Promise<SetReading> {
    return this.answer('renewLeadership', () => {
      const { brokerSet, member, bootId } = claim;
      const set = this.lead(claim, kept.epoch);
      const was = this.present(brokerSet).get(member);
      if (was?.resigned === kept.epoch) throw new MqError('NOT_LEADER', `${member} has resigned`);
      const key = `${brokerSet} ${bootId} ${kept.epoch}`;
      if (kept.progress <= (this.progress.get(key) ?? -Infinity)) {
        if (was?.leads === undefined) this.show(claim, { resigned: was?.resigned });
        return this.reading(brokerSet);
      }
      this.progress.set(key, kept.progress);
      if (claim.log?.epoch === kept.epoch) this.sets.set(brokerSet, { ...set, begun: { epoch: kept.epoch, member } });
      this.show(claim, { leads: kept.epoch });
      return this.reading(brokerSet);
    });
  }

  resignLeadership(claim: MemberClaim, epoch: Epoch): Promise<void> {
    return this.answer('resignLeadership', () => {
      const set = this.known(claim);
      const ours = this.present(claim.brokerSet).get(claim.member);
      if (set?.state.epoch !== epoch || set.state.leader !== claim.member) return;
      if (ours && ours.bootId !== claim.bootId) return;
      if (claim.log?.epoch === epoch) {
        this.sets.set(claim.brokerSet, { ...set, begun: { epoch, member: claim.member } });
      }
      this.show(claim, { resigned: epoch });
    });
  }

  changeMembers(claim: MemberClaim, wanted: WantedMembers): Promise<SetState | undefined> {
    return this.answer('changeMembers', () => {
      const { epoch, rule, revision, left, joined = [] } = wanted;
      const set = this.lead(claim, epoch);
      if (set.from === revision && sameRule(set.state, rule)) return set.state;
      if (set.state.revision !== revision) return undefined;
      checkRule(rule, claim.member);
      for (const { member, bootId } of joined) {
        if (this.present(claim.brokerSet).get(member)?.bootId !== bootId) {
          throw new MqError('CONFLICT', `${member} was started again, or has gone, since it caught up`);
        }
      }
      return this.put(claim.brokerSet, { ...set.state, ...rule }, set, left, 0);
    });
  }

  announceMember(claim: MemberClaim): Promise<SetReading> {
    return this.answer('announceMember', () => {
      const set = this.known(claim);
      if (set) this.checkReturn(set, claim);
      this.checkPlace(set, claim);
      const ours = this.present(claim.brokerSet).get(claim.member);
      const own = ours?.bootId === claim.bootId ? ours : undefined;
      const leads = set?.state.leader === claim.member && own?.leads === set.state.epoch;
      this.show(claim, { ...(leads && { leads: own.leads }), resigned: own?.resigned });
      return this.reading(claim.brokerSet);
    });
  }

  withdrawMember(claim: MemberClaim): Promise<void> {
    return this.answer('withdrawMember', () => {
      const present = this.present(claim.brokerSet);
      if (present.get(claim.member)?.bootId === claim.bootId) present.delete(claim.member);
    });
  }

  private checkReturn({ state, begun }: KeptSet, { brokerSet, member, address, log }: MemberClaim): void {
    const only = state.members.length === 1 ? state.members[0] : undefined;
    const place = (one: MemberId): string => one.split('/', 1)[0] as string;
    const isInPlaceOf = only !== undefined && only !== member && place(only) === place(member);
    const other = isInPlaceOf ? this.present(brokerSet).get(only) : undefined;
    if (isInPlaceOf && (other === undefined || other.address === address)) {
      throw new MqError('DATA_FOLDER', `${member} stands where ${only} was, without its data folder`);
    }
    if (begun?.member === member && (log?.epoch ?? 0) < begun.epoch) {
      throw new MqError('DATA_FOLDER', `the log of ${member} is an older copy`);
    }
  }

  private checkPlace(set: KeptSet | undefined, { brokerSet, member, address }: MemberClaim): void {
    if (set?.state.members.includes(member)) return;
    const place = (one: MemberId): string => one.split('/', 1)[0] as string;
    for (const other of this.present(brokerSet).values()) {
      if (other.member === member || place(other.member) !== place(member) || other.address === address) continue;
      throw new MqError('CONFLICT', `the place ${place(member)} is held by ${other.member} at ${other.address}`);
    }
  }

  private acquire(claim: MemberClaim, { epoch, rule, revision, reason, commitEnd }: WantedLead): SetState | undefined {
    const { brokerSet, member, log } = claim;
    const set = this.known(claim);
    if (set?.state.epoch === epoch && set.state.leader === member) return set.state;
    if ((set?.state.revision ?? 0) !== revision) return undefined;
    checkRule(rule, member);
    if (epoch <= Math.max(set?.state.epoch ?? 0, log?.epoch ?? 0))
      throw new MqError('BAD_REQUEST', 'the epoch must rise');
    if (set && !set.state.members.includes(member)) {
      throw new MqError('DATA_FOLDER', `${member} is none of ${set.state.members.join(', ')}`);
    }
    const isAlone = rule.members.length === 1;
    if (set ? !sameRule(set.state, rule) && !(isAlone && set.state.members.length === 2) : !isAlone) {
      throw new MqError('BAD_REQUEST', 'a set is taken over as it is, or by one of two');
    }
    if (set?.begun?.member === member && (log?.epoch ?? 0) < set.begun.epoch) {
      throw new MqError('DATA_FOLDER', `the log of ${member} is an older copy`);
    }
    const leads = set && this.present(brokerSet).get(set.state.leader);
    const lives = leads?.leads === set?.state.epoch && leads?.member !== member;
    const aloneDecides = set?.state.members.length === set?.state.quorum;
    if (leads && lives && aloneDecides && reason !== 'closed' && reason !== 'handedOver') {
      throw new MqError('CONFLICT', `${leads.member} leads and is present`);
    }
    this.show(claim, { leads: epoch });
    const begun = set?.begun?.member === member ? set.begun : undefined;
    const state = { ...rule, epoch, leader: member, revision };
    return this.put(brokerSet, state, set && { ...set, begun }, [], commitEnd ?? 0);
  }

  private put(
    brokerSet: string,
    state: SetState,
    before: KeptSet | undefined,
    left: readonly FormerMember[],
    commitEnd: number,
  ): SetState {
    this.revision += 1;
    const next = { ...state, revision: this.revision };
    const leaving = (before?.state.members ?? [])
      .filter((member) => !next.members.includes(member))
      .map((member) => left.find((one) => one.member === member) ?? ({ member, commitEnd } as FormerMember));
    const stay = (before?.former ?? []).filter(({ member }) => !next.members.includes(member));
    const former = [...stay.filter((one) => !leaving.some(({ member }) => member === one.member)), ...leaving];
    this.sets.set(brokerSet, { state: next, from: state.revision, former, begun: before?.begun });
    return next;
  }

  /** @throws MqError METADATA_MISMATCH */
  private known({ brokerSet, log, member }: MemberClaim): KeptSet | undefined {
    const set = this.sets.get(brokerSet);
    const isForeign = log?.metadata && !followsMetadata({ ...this.metadata, revision: this.revision }, log.metadata);
    if (isForeign || (log && log.epoch > (set?.state.epoch ?? 0))) {
      throw new MqError('METADATA_MISMATCH', `this is not the metadata that the log of ${member} belongs to`);
    }
    return set;
  }

  private lead(claim: MemberClaim, epoch: Epoch): KeptSet {
    const set = this.known(claim);
    const ours = this.present(claim.brokerSet).get(claim.member);
    const isOther = ours !== undefined && ours.bootId !== claim.bootId;
    if (set?.state.epoch === epoch && set.state.leader === claim.member && !isOther) return set;
    throw new MqError('NOT_LEADER', `${claim.member} does not lead with epoch ${epoch}`);
  }

  private show(claim: MemberClaim, said: Pick<Presence, 'leads' | 'resigned'>): void {
    const { brokerSet, member, address, bootId, leaseMs } = claim;
    const present = this.present(brokerSet);
    const was = present.get(member);
    const isRestart = was !== undefined && was.bootId !== bootId;
    if (isRestart && (was.address !== address || was.replaced.includes(bootId))) {
      throw new MqError('CONFLICT', `another process is ${member}, and lives`);
    }
    const replaced = was ? [...was.replaced, ...(isRestart ? [was.bootId] : [])] : [];
    present.set(member, { member, address, bootId, replaced, ...said, endsMs: this.clock.monotonicMs() + leaseMs });
  }

  private reading(brokerSet: string): SetReading {
    const set = this.sets.get(brokerSet);
    const isLeader = ({ leads, member }: Presence): boolean =>
      leads !== undefined && leads === set?.state.epoch && member === set.state.leader;
    const present = [...this.present(brokerSet).values()]
      .sort((a, b) => (a.member < b.member ? -1 : 1))
      .map((one) => {
        const { member, address, bootId, leads } = one;
        return isLeader(one) ? { member, address, bootId, leads } : { member, address, bootId };
      });
    const { generation } = this.metadata;
    return {
      storeId: this.storeId,
      generation,
      state: set?.state,
      present,
      former: set?.former ?? [],
    };
  }

  private present(brokerSet: string): Map<MemberId, Presence> {
    let present = this.presences.get(brokerSet);
    if (!present) this.presences.set(brokerSet, (present = new Map<MemberId, Presence>()));
    for (const [member, { endsMs }] of present) if (endsMs <= this.clock.monotonicMs()) present.delete(member);
    return present;
  }

  private async answer<T>(name: string, act: () => T): Promise<T> {
    this.calls.push(name);
    if (this.slowMs > 0) await sleep(this.clock, this.slowMs);
    else await Promise.resolve();
    if (this.away) throw new MqError('UNAVAILABLE', 'the name service does not answer');
    const given = act();
    if (this.answersLost === 0) return given;
    this.answersLost -= 1;
    throw new MqError('UNAVAILABLE', 'whether the change was made is not known');
  }
}

function checkRule({ members, quorum }: SetRule, leader: MemberId): void {
  const inOrder = members.every((member, at) => at === 0 || (members[at - 1] as string) < member);
  if (inOrder && members.includes(leader) && quorum >= 1 && quorum <= members.length) return;
  throw new MqError('BAD_REQUEST', 'such members and such a quorum can not be');
}

function sameRule(a: SetRule, b: SetRule): boolean {
  return a.quorum === b.quorum && a.members.join(' ') === b.members.join(' ');
}
