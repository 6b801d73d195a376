/**
 * One term of leadership, from the registry's word on: the steps of libs/replication decide what is committed and who
 * belongs to the set, here they hear of what happens, and what they want is done. Who follows is kept in `LedFollowers`, what
 * the registry is told in `LeadInRegistry`, and whether this member itself moves on in `OwnProgress`.
 *
 * Alone, what is durable here is committed, and nothing is reckoned batch by batch; that ends for good with the first
 * follower.
 */
import { type Attached, type FollowerStatus, type FollowHello, type Heartbeat, NotLeader } from '@cometmq/client';
import type { Epoch, LogPosition, MemberId, SetState } from '@cometmq/model';
import { Leader, type LeaderInput, type LeaderOutput, type Protection } from '@cometmq/replication';
import { type Timer, unreachable } from '@cometmq/shared';

import { LeadInRegistry, type LeadNow } from './lead-in-registry.js';
import type { LeadingParts } from './leading-parts.js';
import { LeavePermits } from './leave-permits.js';
import { LedFollowers } from './led-followers.js';
import { OwnProgress } from './own-progress.js';
import type { LeadTerm, LedFollower } from './set-member.js';

const tickMs = 50;
/** As long as nobody follows there is nothing to be quick about. */
const aloneTickMs = 500;
const beatMs = 200;
/** So long after a majority was heard last a leader is sure that no other one leads. */
const sureMs = 1_000;

export class Leading implements LeadTerm {
  readonly log: LeadTerm['log'];
  readonly beganMs: number;
  private readonly leader: Leader;
  private readonly led: LedFollowers;
  private readonly progress: OwnProgress;
  private readonly registry: LeadInRegistry;
  private readonly beats = new Set<(beat: Heartbeat) => void>();
  private readonly overs = new Set<() => void>();
  private readonly permits = new LeavePermits();
  private timer: Timer | undefined;
  private unwatch: (() => void) | undefined;
  private state: SetState;
  private over = false;
  private beatSoon = false;
  private lastBeatMs = 0;
  /** The last progress at which a majority listened. */
  private shown = 0;
  private slow = false;
  private hasBegun = false;

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
    this.led = new LedFollowers(parts);
    this.progress = new OwnProgress(parts);
    this.registry = new LeadInRegistry(parts, this.asTold());
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
    return this.led.ofMost((member) => this.state.members.includes(member) && this.leader.isInSync(member));
  }
  hasAll(member: MemberId): boolean {
    return this.led.hasAll(member);
  }

  /** Whether it has the log up to `end`, as far as it has said. */
  has(member: MemberId, end: LogPosition): boolean {
    return this.led.has(member, end);
  }

  isInSync(member: MemberId): boolean {
    return this.leader.isInSync(member);
  }
  /** It follows, as far as this leader knows. */
  isHeard(member: MemberId): boolean {
    return this.led.has(member);
  }

  /** This start of the member that follows; empty: it does not. */
  bootIdOf(member: MemberId): string {
    return this.led.bootIdOf(member);
  }

  /** Every member is there and keeps up, this one takes messages, and nobody is about to leave. */
  get isQuiet(): boolean {
    const { me, writable } = this.parts;
    const statuses = this.followers();
    const keepsUp = (member: MemberId): boolean =>
      this.led.hears(member, sureMs) && statuses.some((one) => one.member === member && one.lagMs < sureMs);
    return (
      this.serves &&
      writable() &&
      this.permits.isQuiet(this.nowMs) &&
      this.state.members.every((member) => member === me || keepsUp(member))
    );
  }

  /** @returns why not, in words; undefined: it may stop now */
  mayLeave(member: MemberId): string | undefined {
    const { me } = this.parts;
    const isInSync = (each: MemberId): boolean =>
      each === me || (this.led.hears(each, sureMs) && this.leader.isInSync(each));
    const set = { members: this.state.members, wanted: this.parts.limits.membersWanted, isInSync };
    return member === me ? this.permits.askAsLeader(me, set, this.nowMs) : this.permits.ask(member, set, this.nowMs);
  }

  followers(): FollowerStatus[] {
    return this.led.statuses((member) => this.leader.isInSync(member));
  }

  /** Addresses of followers that have the log up to `end`, and were heard just now. */
  membersWith(end: LogPosition): string[] {
    return this.led.addressesOf((member) => this.led.has(member, end) && this.led.hears(member, sureMs));
  }

  /** The start record is durable, and committed: from here on decisions count. */
  begun(): void {
    this.hasBegun = true;
    this.durable();
    // From now on its log is known to have this epoch's records: an older copy of its folder is told by that.
    this.registry.renewNow();
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
    const session = this.led.admit(hello);
    setAddress(hello.member, hello.address);
    const { epoch, state } = this;
    const salt = store.salt ?? 0;
    return { session, leader: me, epoch, log: this.parts.outline(), salt, state, featureLevel: store.featureLevel };
  }

  joined(member: MemberId, session: number, from: LogPosition, follower: LedFollower): void {
    if (this.over || !this.led.isOf(member, session)) return;
    this.led.joined(member, session, follower);
    this.count();
    this.step({ kind: 'joined', member, session, from, nowMs: this.nowMs });
  }

  acked(member: MemberId, session: number, end: LogPosition): void {
    if (this.over || !this.led.acked(member, session, end)) return;
    this.step({ kind: 'acked', member, session, end, nowMs: this.nowMs });
  }

  refused(member: MemberId, session: number, epoch: Epoch): void {
    if (this.led.isOf(member, session)) this.step({ kind: 'outdated', epoch });
  }

  left(member: MemberId, session: number, refuses: boolean): void {
    if (this.led.left(member, session)) this.step({ kind: 'left', member, refuses, nowMs: this.nowMs });
  }

  beat(): Heartbeat {
    const { store, addressOf, me, claim } = this.parts;
    const { epoch, state, shown: progress } = this;
    const { commitEnd } = store;
    const addresses = [{ member: me, address: claim().address }];
    for (const member of new Set([...state.members, ...this.led.members])) {
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
    this.unwatch = replication.onCut((end) => {
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
          void this.registry.change(output);
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
    this.progress.look(nowMs, this.isAlone);
    // A leader that hears too few is neither kept present nor waited for by those who hear it: somebody else may be better off.
    if (this.isSure()) this.shown = this.progress.count;
    if (nowMs - this.lastBeatMs >= beatMs) this.beatNow();
    const { leaseMs } = this.parts;
    // With others, who can take over, often: what one of them learns by the registry should not be old.
    this.registry.renewIfDue(this.isAlone ? leaseMs / 3 : leaseMs / 6);
  }

  private tellOfStall(slow: boolean): void {
    if (slow === this.slow || !this.hasBegun) return;
    this.slow = slow;
    const { log, me } = this.parts;
    const missing = this.state.members.filter((member) => member !== me && !this.isHeard(member));
    if (slow) log.error({ epoch: this.epoch, missing }, 'nothing can be committed now: messages are refused');
    else log.info({ epoch: this.epoch }, 'messages are taken again');
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

  /** Members of the set that were heard of within so long, this one included. */
  private listening(withinMs: number): number {
    const { me } = this.parts;
    return this.state.members.filter((member) => member === me || this.led.hears(member, withinMs)).length;
  }

  /** How the term stands whenever the registry is told. */
  private asTold(): LeadNow {
    return {
      epoch: this.epoch,
      isOver: () => this.over,
      members: () => this.state,
      shown: () => this.shown,
      followersInSync: () => [...this.led.members].filter((member) => this.leader.isInSync(member)),
      bootIdOf: (member) => this.led.bootIdOf(member),
      changed: (state) => {
        if (state) this.changed(state);
        else this.step({ kind: 'unchanged', nowMs: this.nowMs });
      },
    };
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
