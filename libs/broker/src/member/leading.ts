/**
 * One term of leadership, from the registry's word on: the steps of libs/replication decide what is committed and who
 * belongs to the set, here they hear of what happens, and what they want is done.
 *
 * Alone, what is durable here is committed, and nothing is reckoned batch by batch; that ends for good with the first
 * follower.
 */
import {
  type Attached,
  type FollowerStatus,
  type FollowHello,
  type Heartbeat,
  type KeptLead,
  type MemberClaim,
  NotLeader,
  type SetReading,
  type SetRegistry,
  type WantedMembers,
} from '@cometmq/client';
import type { Epoch, LogOutline, LogPosition, MemberId, SetState } from '@cometmq/model';
import { Leader, type LeaderInput, type LeaderLimits, type LeaderOutput, type Protection } from '@cometmq/replication';
import { type Clock, failureFacts, MqError, sleep, type Timer, unreachable } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import { LeavePermits } from './leave-permits.js';
import type { LeadTerm, LedFollower } from './set-member.js';

export interface LeadingParts {
  readonly me: MemberId;
  readonly store: StorePorts;
  readonly registry: SetRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits: LeaderLimits;
  readonly leaseMs: number;
  readonly claim: () => MemberClaim;
  readonly outline: () => LogOutline;
  readonly addressOf: (member: MemberId) => string | undefined;
  readonly setAddress: (member: MemberId, address: string) => void;
  readonly writable: () => boolean;
  /** The registry was read. */
  readonly read: (reading: SetReading) => void;
  /** The registry has refused for another reason than that it is away. */
  readonly refusedBy: (error: MqError) => void;
  /** Another one leads, or the registry says that this member does not. */
  readonly deposed: (why: MqError) => void;
  readonly resign: (why: string) => void;
  /** The term is over, the lead need not change: a member has promised this epoch. */
  readonly renewTerm: (above: Epoch) => void;
}

interface Led {
  readonly session: number;
  readonly follower: LedFollower;
  readonly bootId: string;
  end: LogPosition;
  heardMs: number;
  /** When it last had all that was written. */
  caughtUpMs: number;
}

const tickMs = 50;
/** As long as nobody follows there is nothing to be quick about. */
const aloneTickMs = 500;
const beatMs = 200;
const againMs = 100;
/** An idle leader shows that its disk answers, so often. */
const probeMs = 1_000;
/** So long after a majority was heard last a leader is sure that no other one leads. */
const sureMs = 1_000;

export class Leading implements LeadTerm {
  readonly log: LeadTerm['log'];
  readonly beganMs: number;
  private readonly leader: Leader;
  private readonly led = new Map<MemberId, Led>();
  private readonly hellos = new Map<number, FollowHello>();
  private readonly beats = new Set<(beat: Heartbeat) => void>();
  private readonly overs = new Set<() => void>();
  private readonly permits = new LeavePermits();
  private timer: Timer | undefined;
  private unwatch: (() => void) | undefined;
  private state: SetState;
  private over = false;
  private sessions = 0;
  private progress = 0;
  private probing = false;
  private probedMs = 0;
  private durableSeen = 0;
  private beatSoon = false;
  private lastBeatMs = 0;
  private lastRenewalMs = -Infinity;
  private renewing = false;
  /** The last progress at which a majority listened. */
  private shown = 0;
  private slow = false;
  private hasBegun = false;
  /** Members that were told of as set up for another number of members. */
  private readonly toldOf = new Set<MemberId>();

  constructor(
    private readonly parts: LeadingParts,
    readonly epoch: Epoch,
    state: SetState,
    startEnd: LogPosition,
  ) {
    const { store, clock, me, limits } = parts;
    this.state = state;
    this.beganMs = clock.monotonicMs();
    this.log = store.replication;
    this.leader = new Leader({ me, state, startEnd, nowMs: clock.monotonicMs() }, limits);
    if (state.members.length === 1) store.replication.commitsWhenDurable = true;
    else this.count();
    this.tickLater();
  }

  // ---- as the member and its door see it

  /** Not sent: nothing was committed for a while, or alone where that is not enough. */
  get serves(): boolean {
    return !this.slow;
  }
  /** False: another one may lead by now, and not have been heard of. */
  isSure(): boolean {
    return this.isAlone || this.listening(sureMs) >= this.state.quorum;
  }
  /** It has been deposed, or has left. */
  get isOver(): boolean {
    return this.over;
  }
  get members(): SetState {
    return this.state;
  }
  isServing(): boolean {
    return this.leader.isServing(this.nowMs);
  }
  get protection(): Protection {
    return this.leader.protection(this.nowMs);
  }

  /** Members in sync that may take over, those with the most first. */
  get successors(): readonly { readonly member: MemberId; readonly address: string }[] {
    return [...this.led]
      .filter(([member]) => this.state.members.includes(member) && this.leader.isInSync(member))
      .sort(([, a], [, b]) => b.end - a.end)
      .map(([member, { follower }]) => ({ member, address: follower.address }));
  }
  /** Whether it has all that is written here. */
  hasAll(member: MemberId): boolean {
    return (this.led.get(member)?.end ?? -1) >= this.parts.store.appendEnd;
  }

  isInSync(member: MemberId): boolean {
    return this.leader.isInSync(member);
  }
  /** It follows, as far as this leader knows. */
  isHeard(member: MemberId): boolean {
    return this.led.has(member);
  }

  /** @returns why not, in words; undefined: it may stop now */
  mayLeave(member: MemberId): string | undefined {
    const { me } = this.parts;
    const isThere = (each: MemberId): boolean =>
      each === me || (this.hears(each, sureMs) && this.leader.isInSync(each));
    return member === me
      ? this.permits.askAsLeader(me, this.state.members, isThere, this.nowMs)
      : this.permits.ask(member, this.state.members, isThere, this.nowMs);
  }

  followers(): FollowerStatus[] {
    const { appendEnd } = this.parts.store;
    return [...this.led].map(([member, { end, caughtUpMs }]) => ({
      member,
      inSync: this.leader.isInSync(member),
      lagBytes: Math.max(0, appendEnd - end),
      lagMs: end >= appendEnd ? 0 : Math.max(0, this.nowMs - caughtUpMs),
    }));
  }

  /** The start record is durable, and committed: from here on decisions count. */
  begun(): void {
    this.hasBegun = true;
    this.durable();
    // From now on its log is known to have this epoch's records: an older copy of its folder is told by that.
    this.lastRenewalMs = -Infinity;
    void this.renew();
  }

  remove(member: MemberId): void {
    this.step({ kind: 'remove', member, nowMs: this.nowMs });
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.timer?.cancel();
    this.unwatch?.();
    this.beats.clear();
    for (const act of [...this.overs]) act();
    this.overs.clear();
  }

  // ---- followers' streams

  attach(hello: FollowHello): Attached {
    const { store, me, setAddress } = this.parts;
    if (this.over) throw new NotLeader('the term is over', undefined);
    if (hello.member === me) {
      throw new MqError('DATA_FOLDER', `${me} leads: another process has a copy of its data folder`);
    }
    if (hello.salt !== undefined && hello.salt !== store.salt) {
      throw new MqError('DATA_FOLDER', `the log of ${hello.member} is no copy of the one that this set has`);
    }
    if (hello.featureLevel < store.featureLevel) {
      throw new MqError('UNSUPPORTED', `${hello.member} can not read what ${me} writes: upgrade it first`);
    }
    this.compareSettings(hello);
    const session = (this.sessions += 1);
    // A member's newer stream says more than an older one, of which the end may be told to nobody.
    for (const [older, { member }] of this.hellos) if (member === hello.member) this.hellos.delete(older);
    this.hellos.set(session, hello);
    setAddress(hello.member, hello.address);
    const { epoch, state } = this;
    const salt = store.salt ?? 0;
    return { session, leader: me, epoch, log: this.parts.outline(), salt, state, featureLevel: store.featureLevel };
  }

  /** Once of each: who leads goes by its own setting, so the set's size would change with its leader. */
  private compareSettings({ member, membersWanted }: FollowHello): void {
    const { limits, log } = this.parts;
    if (membersWanted === 0 || membersWanted === limits.membersWanted) this.toldOf.delete(member);
    else if (!this.toldOf.has(member)) {
      this.toldOf.add(member);
      const facts = { member, wants: membersWanted, leaderWants: limits.membersWanted };
      log.warn(facts, 'members of the set differ in membersWanted: give all of them the same');
    }
  }

  joined(member: MemberId, session: number, from: LogPosition, follower: LedFollower): void {
    const hello = this.hellos.get(session);
    if (this.over || hello?.member !== member) return;
    const { nowMs } = this;
    const end = 0 as LogPosition;
    this.led.set(member, { session, follower, bootId: hello.bootId, end, heardMs: nowMs, caughtUpMs: nowMs });
    this.count();
    this.step({ kind: 'joined', member, session, from, nowMs });
  }

  acked(member: MemberId, session: number, end: LogPosition): void {
    const led = this.led.get(member);
    if (this.over || led?.session !== session) return;
    const { nowMs } = this;
    led.heardMs = nowMs;
    if (end >= this.parts.store.replication.durableEnd) led.caughtUpMs = nowMs;
    if (end <= led.end) return;
    led.end = end;
    this.step({ kind: 'acked', member, session, end, nowMs });
  }

  refused(member: MemberId, session: number, epoch: Epoch): void {
    if (this.hellos.get(session)?.member !== member) return;
    this.step({ kind: 'outdated', epoch });
  }

  left(member: MemberId, session: number, refuses: boolean): void {
    this.hellos.delete(session);
    if (this.led.get(member)?.session !== session) return;
    this.led.delete(member);
    this.step({ kind: 'left', member, refuses, nowMs: this.nowMs });
  }

  beat(): Heartbeat {
    const { store, addressOf, me, claim } = this.parts;
    const { epoch, state, shown: progress } = this;
    const { commitEnd } = store;
    const addresses = [{ member: me, address: claim().address }];
    for (const member of new Set([...state.members, ...this.led.keys()])) {
      const address = member === me ? undefined : addressOf(member);
      if (address !== undefined) addresses.push({ member, address });
    }
    return { epoch, commitEnd, durableEnd: store.replication.durableEnd, progress, state, addresses };
  }

  onBeat(listener: (beat: Heartbeat) => void): () => void {
    this.beats.add(listener);
    return () => void this.beats.delete(listener);
  }

  onOver(act: () => void): void {
    if (this.over) act();
    else this.overs.add(act);
  }

  // ---- steps

  private get nowMs(): number {
    return this.parts.clock.monotonicMs();
  }
  /** Nobody but this member may take over. */
  private get isAlone(): boolean {
    return this.state.members.length === 1;
  }

  /** From now on what is committed is reckoned from what each member has. */
  private count(): void {
    if (this.unwatch) return;
    const { replication } = this.parts.store;
    this.unwatch = replication.onCut(({ end }) => {
      this.step({ kind: 'appended', end, nowMs: this.nowMs });
      replication.whenDurable(
        end,
        () => this.durable(),
        () => undefined,
      );
    });
    this.step({ kind: 'appended', end: this.parts.store.appendEnd, nowMs: this.nowMs });
    this.durable();
    replication.commitsWhenDurable = false;
    // What was cut before this watched.
    replication.whenDurable(
      this.parts.store.appendEnd,
      () => this.durable(),
      () => undefined,
    );
  }

  private durable(): void {
    const end = this.parts.store.replication.durableEnd;
    this.step({ kind: 'durable', end, nowMs: this.nowMs });
  }

  private step(input: LeaderInput): void {
    if (!this.over) this.carryOut(this.leader.step(input));
  }

  private carryOut(outputs: readonly LeaderOutput[]): void {
    for (const output of outputs) {
      if (this.over) return;
      switch (output.kind) {
        case 'commit':
          this.parts.store.replication.advanceCommit(output.end);
          this.beatAll();
          break;
        case 'change':
          void this.change(output);
          break;
        case 'resign':
          this.parts.resign(output.why);
          break;
        case 'lacks':
          this.parts.log.error(
            { member: output.member, acknowledged: output.acknowledged, has: output.from },
            'a member lacks what it had acknowledged: its data folder is an older copy, or its disk loses what was synced; ' +
              'it counts again when it has caught up',
          );
          break;
        case 'renewTerm':
          this.parts.renewTerm(output.above);
          break;
        default:
          unreachable(output);
      }
    }
  }

  private tick(): void {
    const { nowMs } = this;
    this.step({ kind: 'tick', nowMs });
    if (this.over) return;
    this.tellOfStall(!this.leader.isServing(nowMs));
    this.showProgress(nowMs);
    // A leader that hears too few is neither kept present nor waited for by those who hear it: somebody else may be better off.
    if (this.isSure()) this.shown = this.progress;
    if (nowMs - this.lastBeatMs >= beatMs) this.beatNow();
    const { leaseMs } = this.parts;
    // With others, who can take over, often: what one of them learns by the registry should not be old.
    const everyMs = this.isAlone ? leaseMs / 3 : leaseMs / 6;
    if (nowMs - this.lastRenewalMs >= everyMs) void this.renew();
  }

  private tellOfStall(slow: boolean): void {
    if (slow === this.slow || !this.hasBegun) return;
    this.slow = slow;
    const { log, me } = this.parts;
    const missing = this.state.members.filter((member) => member !== me && !this.isHeard(member));
    if (slow) log.error({ epoch: this.epoch, missing }, 'nothing can be committed now: messages are refused');
    else log.info({ epoch: this.epoch }, 'messages are taken again');
  }

  /** Moves when the event loop has turned and a sync has finished. */
  private showProgress(nowMs: number): void {
    const { store } = this.parts;
    const { durableEnd } = store.replication;
    const moved = durableEnd > this.durableSeen;
    this.durableSeen = durableEnd;
    if (moved) this.probedMs = nowMs;
    // Whoever is alone has nobody to show it to who could do better.
    if (moved || (this.isAlone && store.appendEnd === durableEnd)) this.progress += 1;
    else if (!this.probing && nowMs - this.probedMs >= probeMs && store.appendEnd === durableEnd) void this.probe();
  }

  private async probe(): Promise<void> {
    const { term } = this.parts.store;
    this.probing = true;
    try {
      await term.rewrite();
      this.progress += 1;
    } catch (caught) {
      this.parts.log.warn(failureFacts(caught), 'the disk does not take a note; trying again');
    } finally {
      this.probing = false;
      this.probedMs = this.nowMs;
    }
  }

  /** Soon after a commit: commits of one turn of the event loop are told of at once. */
  private beatAll(): void {
    if (this.beatSoon || this.beats.size === 0) return;
    this.beatSoon = true;
    this.parts.clock.soon(() => {
      this.beatSoon = false;
      if (!this.over) this.beatNow();
    });
  }

  private beatNow(): void {
    this.lastBeatMs = this.nowMs;
    if (this.beats.size === 0) return;
    const beat = this.beat();
    for (const listener of this.beats) listener(beat);
  }

  // ---- the registry

  /** Members of the set that were heard of within so long, this one included. */
  private listening(withinMs: number): number {
    const { me } = this.parts;
    return this.state.members.filter((member) => member === me || this.hears(member, withinMs)).length;
  }

  private hears(member: MemberId, withinMs: number): boolean {
    const led = this.led.get(member);
    return led !== undefined && this.nowMs - led.heardMs < withinMs;
  }

  private async renew(): Promise<void> {
    if (this.renewing) return;
    this.renewing = true;
    this.lastRenewalMs = this.nowMs;
    const { registry, claim, writable, log, me } = this.parts;
    const inSync = [me, ...[...this.led.keys()].filter((member) => this.leader.isInSync(member))].sort();
    const kept: KeptLead = { epoch: this.epoch, writable: writable(), progress: this.shown, inSync };
    try {
      const reading = await registry.renewLeadership(claim(), kept);
      if (!this.over) this.parts.read(reading);
    } catch (caught) {
      const error = MqError.from(caught);
      if (this.over) return;
      if (error.code === 'NOT_LEADER') this.parts.deposed(error);
      else if (error.retry) log.warn(failureFacts(error), 'the name service does not answer; serving goes on');
      else this.parts.refusedBy(error);
    } finally {
      this.renewing = false;
    }
  }

  /** Asked again until the outcome is known: until then both rules count. */
  private async change({ rule, revision, epoch }: Extract<LeaderOutput, { kind: 'change' }>): Promise<void> {
    const { registry, claim, clock, store, log } = this.parts;
    const { commitEnd } = store;
    const before = this.state.members;
    const left = before.filter((member) => !rule.members.includes(member)).map((member) => ({ member, commitEnd }));
    const joined = rule.members
      .filter((member) => !before.includes(member))
      .map((member) => ({ member, bootId: this.led.get(member)?.bootId ?? '' }));
    const wanted: WantedMembers = { epoch, rule, revision, left, joined };
    while (!this.over) {
      try {
        const state = await registry.changeMembers(claim(), wanted);
        if (this.over) return;
        if (state) this.changed(state);
        else this.step({ kind: 'unchanged', nowMs: this.nowMs });
        return;
      } catch (caught) {
        const error = MqError.from(caught);
        if (this.over) return;
        if (error.code === 'NOT_LEADER') {
          this.parts.deposed(error);
          return;
        }
        if (error.code !== 'UNAVAILABLE' && error.code !== 'TIMEOUT') {
          log.warn(failureFacts(error), 'the members of the set could not be changed; trying again');
          this.step({ kind: 'unchanged', nowMs: this.nowMs });
          return;
        }
      }
      await sleep(clock, againMs);
    }
  }

  private changed(state: SetState): void {
    this.state = state;
    this.step({ kind: 'changed', state });
    this.parts.log.info({ members: state.members, quorum: state.quorum }, 'the members of the set have changed');
    this.beatNow();
  }

  private tickLater(): void {
    if (this.over) return;
    this.timer = this.parts.clock.after(this.unwatch ? tickMs : aloneTickMs, () => {
      if (!this.over) this.tick();
      this.tickLater();
    });
  }
}
