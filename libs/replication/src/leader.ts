/**
 * What a leader knows of its members and decides by it, as steps: what happened goes in, what to do about it comes out.
 * No socket, no disk, no clock: time comes with what happened.
 *
 *   commit = the W-th highest durable end among S, of members that have matched this epoch's start record
 *
 * A change of {S, W} is sent only when every member of the new S is durable up to what the old rule has committed. From
 * the moment it is wanted until its outcome is known both rules count: so the new members catch up with a commit position
 * that waits for them, whatever is being sent, and neither outcome can take back what was committed meanwhile.
 *
 * A set of two goes on alone when the other falls silent (etcd is the third voter), and takes it back once it has been
 * caught up for a while. A set of three or more stays as it is: a silent member costs it nothing. Whoever finds another
 * one slow asks first whether it is slow itself.
 */
import type { Epoch, LogPosition, MemberId, SetRule, SetState } from '@cometmq/model';
import { assert, unreachable } from '@cometmq/shared';

import { isMember, ruleOf, withMember, withoutMember } from './members.js';

export interface LeaderLimits {
  /** Members that the set is to have; it grows up to that, one at a time. */
  readonly membersWanted: number;
  /** A set of two whose other member is silent: go on alone, or refuse sends until it is back. */
  readonly durability: 'available' | 'strict';
  /** How long a member may leave something unacknowledged before it counts as silent. */
  readonly silentMs: number;
  /** How long a member that was dropped must have kept up before it is taken back. */
  readonly rejoinMs: number;
  /** How long the leader's own sync may be out, while another member keeps up, before it resigns. */
  readonly stuckMs: number;
  /** How long nothing may be committed, while something waits, before it says "not now". */
  readonly stalledMs: number;
  /** How long after a change that was refused the next one is asked for. */
  readonly changeAgainMs: number;
}

export const leaderLimits: LeaderLimits = {
  membersWanted: 1,
  durability: 'available',
  silentMs: 1_000,
  rejoinMs: 10_000,
  stuckMs: 2_000,
  stalledMs: 1_000,
  changeAgainMs: 1_000,
};

export type LeaderInput =
  | { readonly kind: 'appended'; readonly end: LogPosition; readonly nowMs: number }
  /** The leader's own disk. */
  | { readonly kind: 'durable'; readonly end: LogPosition; readonly nowMs: number }
  /** A member follows: both know from where. Acknowledgements of its earlier sessions say nothing any more. */
  | {
      readonly kind: 'joined';
      readonly member: MemberId;
      readonly session: number;
      readonly from: LogPosition;
      readonly nowMs: number;
    }
  | {
      readonly kind: 'acked';
      readonly member: MemberId;
      readonly session: number;
      readonly end: LogPosition;
      readonly nowMs: number;
    }
  /** Its stream is over; `refuses`: nobody answers at its address either. */
  | { readonly kind: 'left'; readonly member: MemberId; readonly refuses: boolean; readonly nowMs: number }
  /** The change under way has happened, and this is what etcd has now. */
  | { readonly kind: 'changed'; readonly state: SetState }
  /** It has not, and can't any more. */
  | { readonly kind: 'unchanged'; readonly nowMs: number }
  /** A member has promised a later epoch and can't listen to this one any more. */
  | { readonly kind: 'outdated'; readonly epoch: Epoch }
  /** An operator wants this member out of the set: its volume is lost. */
  | { readonly kind: 'remove'; readonly member: MemberId; readonly nowMs: number }
  | { readonly kind: 'tick'; readonly nowMs: number };

export type LeaderOutput =
  | { readonly kind: 'commit'; readonly end: LogPosition }
  /** Write it to etcd where the set's revision and epoch are still these. */
  | { readonly kind: 'change'; readonly rule: SetRule; readonly revision: number; readonly epoch: Epoch }
  | { readonly kind: 'resign'; readonly why: string }
  /** It follows from a position before what it had acknowledged in this term: an older log stands in the place of its own. */
  | {
      readonly kind: 'lacks';
      readonly member: MemberId;
      readonly from: LogPosition;
      readonly acknowledged: LogPosition;
    }
  /** Stand again, above this epoch, so that all can follow: the term is over, the lead need not change. */
  | { readonly kind: 'renewTerm'; readonly above: Epoch };

interface Follower {
  session: number;
  /** Undefined: it has not matched this epoch's start record in this term. */
  end: LogPosition | undefined;
  connected: boolean;
  refuses: boolean;
  /** Since when it has left something unacknowledged; undefined: it has all that is committed. */
  behindSinceMs: number | undefined;
  /** Since when it has kept up; undefined: it doesn't. */
  keepsUpSinceMs: number | undefined;
  /** It was a member of the set in this term and fell out of it. */
  dropped: boolean;
}

interface Change {
  readonly rule: SetRule;
  readonly sinceMs: number;
  /** etcd has been asked; only its answer ends this. */
  sent: boolean;
}

/** How well the set's messages are kept, for people. */
export type Protection = 'alone' | 'protected' | 'single copy' | 'not serving';

export interface Term {
  readonly me: MemberId;
  readonly state: SetState;
  /** The end of this epoch's start record. */
  readonly startEnd: LogPosition;
  readonly nowMs: number;
}

export class Leader {
  private rule: SetRule;
  private revision: number;
  private changing: Change | undefined;
  /** The last one was refused, and the next one would be by the same word. */
  private noChangeBeforeMs = -Infinity;
  private removal: MemberId | undefined;
  private readonly followers = new Map<MemberId, Follower>();
  private appendEnd: LogPosition;
  private durableEnd = 0 as LogPosition;
  private committed = 0 as LogPosition;
  /** Since when the own disk owes a sync; undefined: it doesn't. */
  private syncOutSinceMs: number | undefined;
  /** Since when something waits and nothing was committed. */
  private waitsSinceMs: number | undefined;
  /** Since when too few members listen to commit anything, whether or not something waits; undefined: enough do. */
  private unheardSinceMs: number | undefined;

  constructor(
    private readonly term: Term,
    private readonly limits: LeaderLimits,
  ) {
    const { state, startEnd, nowMs } = term;
    this.rule = state;
    this.revision = state.revision;
    this.appendEnd = startEnd;
    this.syncOutSinceMs = nowMs;
    this.waitsSinceMs = nowMs;
  }

  get commitEnd(): LogPosition {
    return this.committed;
  }

  /** Its start record is committed: from here on it decides. */
  get decides(): boolean {
    return this.committed >= this.term.startEnd;
  }

  get members(): SetRule {
    return this.rule;
  }

  /** Whether a member has all that is committed, as far as it has said so in this term. */
  isInSync(member: MemberId): boolean {
    if (member === this.term.me) return true;
    const end = this.followers.get(member)?.end;
    return end !== undefined && end >= this.committed;
  }

  /** False: it has committed nothing for too long while something waits, and answers "not now". */
  isServing(nowMs: number): boolean {
    if (!this.decides) return false;
    if (this.limits.durability === 'strict' && this.limits.membersWanted > 1 && this.rule.members.length === 1)
      return false;
    const isLong = (sinceMs: number | undefined): boolean =>
      sinceMs !== undefined && nowMs - sinceMs >= this.limits.stalledMs;
    return !isLong(this.waitsSinceMs) && !isLong(this.unheardSinceMs);
  }

  protection(nowMs: number): Protection {
    if (!this.isServing(nowMs)) return 'not serving';
    const copies = this.rule.members.filter((member) => this.isInSync(member)).length;
    if (copies >= 2) return 'protected';
    return this.limits.membersWanted === 1 ? 'alone' : 'single copy';
  }

  step(input: LeaderInput): LeaderOutput[] {
    switch (input.kind) {
      case 'appended':
        this.appendEnd = input.end;
        // Said also of what is on the disk, or committed, already: that waits for nothing.
        if (input.end > this.durableEnd) this.syncOutSinceMs ??= input.nowMs;
        if (input.end > this.committed) this.waitsSinceMs ??= input.nowMs;
        return [];
      case 'durable':
        this.durableEnd = input.end;
        this.syncOutSinceMs = input.end < this.appendEnd ? input.nowMs : undefined;
        for (const follower of this.followers.values()) this.measure(follower, input.nowMs);
        return this.advance(input.nowMs);
      case 'joined':
        return this.joined(input);
      case 'acked':
        return this.acked(input);
      case 'left':
        return this.left(input.member, input.refuses, input.nowMs);
      case 'changed':
        return this.changed(input.state);
      case 'unchanged':
        this.changing = undefined;
        this.noChangeBeforeMs = input.nowMs + this.limits.changeAgainMs;
        return this.advance(undefined);
      case 'outdated':
        // The same epoch, promised to another who has lost: it could not follow before the next one.
        return input.epoch >= this.term.state.epoch ? [{ kind: 'renewTerm', above: input.epoch }] : [];
      case 'remove':
        this.removal = input.member;
        return this.wantedChange(input.nowMs);
      case 'tick':
        return this.tick(input.nowMs);
      default:
        return unreachable(input);
    }
  }

  /** The set is being changed, or is about to be. */
  get isChanging(): boolean {
    return this.changing !== undefined;
  }

  private joined({ member, session, from, nowMs }: Extract<LeaderInput, { kind: 'joined' }>): LeaderOutput[] {
    const known = this.followers.get(member);
    const acknowledged = known?.end;
    // What it has acknowledged it has no more: it counts by what it acknowledges from here on.
    const lacks = acknowledged !== undefined && from < acknowledged;
    const end = lacks ? undefined : acknowledged;
    this.followers.set(member, {
      ...{ session, end, connected: true, refuses: false },
      ...{ behindSinceMs: known?.behindSinceMs ?? nowMs, keepsUpSinceMs: undefined, dropped: known?.dropped ?? false },
    });
    return lacks ? [{ kind: 'lacks', member, from, acknowledged }] : [];
  }

  private acked({ member, session, end, nowMs }: Extract<LeaderInput, { kind: 'acked' }>): LeaderOutput[] {
    const follower = this.followers.get(member);
    if (follower?.session !== session || end < this.term.startEnd) return [];
    assert(end <= this.appendEnd, 'a member has no more than the leader has written');
    if (follower.end !== undefined && end < follower.end) return [];
    // Also where it has no more than in a session before: while nothing is written it keeps up by that.
    if (end !== follower.end) follower.behindSinceMs = undefined; // It moves.
    follower.end = end;
    this.measure(follower, nowMs);
    if (this.unheardSinceMs !== undefined) this.countListeners(nowMs);
    return [...this.advance(nowMs), ...this.wantedChange(nowMs)];
  }

  private left(member: MemberId, refuses: boolean, nowMs: number): LeaderOutput[] {
    const follower = this.followers.get(member);
    if (follower) {
      follower.connected = false;
      follower.refuses = refuses;
      follower.keepsUpSinceMs = undefined;
      follower.behindSinceMs ??= nowMs;
    }
    this.countListeners(nowMs);
    return this.wantedChange(nowMs);
  }

  private countListeners(nowMs: number): void {
    const { members, quorum } = this.rule;
    const listening = members.filter((member) => this.listens(member, nowMs)).length;
    this.unheardSinceMs = listening >= quorum ? undefined : (this.unheardSinceMs ?? nowMs);
  }

  private listens(member: MemberId, nowMs: number): boolean {
    if (member === this.term.me) return true;
    const follower = this.followers.get(member);
    return follower?.connected === true && follower.end !== undefined && !this.isSilent(follower, nowMs);
  }

  /** Whether it is behind, judged by what is durable here: what the own disk has not got yet says nothing of others. */
  private measure(follower: Follower, nowMs: number): void {
    const behind = follower.end === undefined || follower.end < this.durableEnd;
    follower.behindSinceMs = behind ? (follower.behindSinceMs ?? nowMs) : undefined;
    if (!behind && follower.connected) follower.keepsUpSinceMs ??= nowMs;
  }

  private tick(nowMs: number): LeaderOutput[] {
    const { syncOutSinceMs, limits } = this;
    const stuck = syncOutSinceMs !== undefined && nowMs - syncOutSinceMs >= limits.stuckMs;
    const another = [...this.followers].some(
      ([member, { end, connected }]) =>
        connected && end !== undefined && end > this.durableEnd && isMember(this.rule, member),
    );
    if (stuck && another) return [{ kind: 'resign', why: 'its own disk does not answer, and another member keeps up' }];
    for (const follower of this.followers.values()) {
      if (this.isSilent(follower, nowMs)) follower.keepsUpSinceMs = undefined;
    }
    this.countListeners(nowMs);
    return this.wantedChange(nowMs);
  }

  private isSilent({ refuses, behindSinceMs }: Follower, nowMs: number): boolean {
    return refuses || (behindSinceMs !== undefined && nowMs - behindSinceMs >= this.limits.silentMs);
  }

  /** One change at a time. */
  private wantedChange(nowMs: number): LeaderOutput[] {
    if (!this.decides || this.changing?.sent) return [];
    if (this.changing === undefined) {
      if (nowMs < this.noChangeBeforeMs) return [];
      const rule = this.withoutRemoved(nowMs) ?? this.withoutSilent(nowMs) ?? this.withCaughtUp(nowMs);
      if (rule === undefined || !isMember(rule, this.term.me)) return [];
      this.changing = { rule, sinceMs: nowMs, sent: false };
    }
    const { rule, sinceMs } = this.changing;
    if (rule.members.every((member) => this.isInSync(member))) {
      this.changing.sent = true;
      return [{ kind: 'change', rule, revision: this.revision, epoch: this.term.state.epoch }];
    }
    if (nowMs - sinceMs < this.limits.silentMs) return [];
    // Those who would stay, or come in, have not all that is committed: nothing waits for them any longer, for a while.
    this.noChangeBeforeMs = nowMs + this.limits.changeAgainMs;
    for (const member of rule.members) {
      const follower = this.followers.get(member);
      if (follower && !isMember(this.rule, member)) follower.keepsUpSinceMs = undefined;
    }
    this.changing = undefined;
    return this.advance(nowMs);
  }

  private withoutRemoved(nowMs: number): SetRule | undefined {
    const { removal } = this;
    if (removal === undefined || !isMember(this.rule, removal)) return undefined;
    const rule = withoutMember(this.rule, removal);
    // While one of them is away, waiting for it would hold up every commit, and bring nothing.
    return rule.members.every((member) => this.listens(member, nowMs)) ? rule : undefined;
  }

  /** Of two, the one that goes on shrinks the set to itself, unless it is slow itself. */
  private withoutSilent(nowMs: number): SetRule | undefined {
    const { members } = this.rule;
    if (members.length !== 2 || this.limits.durability === 'strict') return undefined;
    const slowItself = this.syncOutSinceMs !== undefined && nowMs - this.syncOutSinceMs >= this.limits.silentMs;
    if (slowItself) return undefined;
    const other = members.find((member) => member !== this.term.me) as MemberId;
    const follower = this.followers.get(other);
    // Before it has said anything in this term it has as long as others to say it.
    const silent = follower
      ? this.isSilent(follower, nowMs)
      : nowMs - this.term.nowMs >= this.limits.silentMs && this.decidesAlone(nowMs);
    return silent ? ruleOf([this.term.me]) : undefined;
  }

  /** There is something to wait for, or nobody would miss the other. */
  private decidesAlone(nowMs: number): boolean {
    return this.waitsSinceMs === undefined || nowMs - this.waitsSinceMs >= this.limits.silentMs;
  }

  /** The set grows by one that has kept up; one that fell out must have done so for a while. */
  private withCaughtUp(nowMs: number): SetRule | undefined {
    if (this.rule.members.length >= this.limits.membersWanted) return undefined;
    for (const [member, { keepsUpSinceMs, dropped }] of this.followers) {
      if (isMember(this.rule, member) || member === this.removal || keepsUpSinceMs === undefined) continue;
      if (nowMs - keepsUpSinceMs >= (dropped ? this.limits.rejoinMs : 0)) return withMember(this.rule, member);
    }
    return undefined;
  }

  private changed(state: SetState): LeaderOutput[] {
    assert(state.epoch === this.term.state.epoch && state.revision > this.revision, 'a change of this term happened');
    for (const member of this.rule.members) {
      const follower = this.followers.get(member);
      if (follower && !isMember(state, member)) follower.dropped = true;
    }
    this.rule = { members: state.members, quorum: state.quorum };
    this.revision = state.revision;
    this.changing = undefined;
    // Alone nobody else is needed; more are counted with the next tick.
    if (state.members.length === 1) this.unheardSinceMs = undefined;
    return this.advance(undefined);
  }

  private advance(nowMs: number | undefined): LeaderOutput[] {
    const { changing } = this;
    let end = this.quorumEnd(this.rule);
    if (changing) end = Math.min(end, this.quorumEnd(changing.rule)) as LogPosition;
    if (end <= this.committed) return [];
    this.committed = end;
    this.waitsSinceMs = end >= this.appendEnd ? undefined : (nowMs ?? this.waitsSinceMs);
    return [{ kind: 'commit', end }];
  }

  /** The W-th highest end among the members; whoever has not matched the start record has none. */
  private quorumEnd({ members, quorum }: SetRule): LogPosition {
    const ends = members.map((member) => {
      if (member !== this.term.me) return this.followers.get(member)?.end ?? 0;
      return this.durableEnd >= this.term.startEnd ? this.durableEnd : 0;
    });
    return (ends.sort((a, b) => b - a)[quorum - 1] ?? 0) as LogPosition;
  }
}
