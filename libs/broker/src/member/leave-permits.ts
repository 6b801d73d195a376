/**
 * Which member of a set may stop now. One at a time, while all others are in sync; the next one may once the one before is
 * back in sync. So whatever asks all of them to restart at once, a roll-out say, never takes the set what it needs.
 */
import type { MemberId } from '@cometmq/model';
import { counted } from '@cometmq/shared';

/** So long after it was let go a member that is still in sync has thought better of it. */
const goneByMs = 30_000;
/** Who waits to leave asks a few times in this. */
const askingMs = 1_000;
/** A roll-out may take so long from one member to the next. */
const quietMs = 60_000;

/** The set as who leads it sees it now. */
export interface StandingSet {
  readonly members: readonly MemberId[];
  /** So many members it shall have: one that was dropped may come back at any time. */
  readonly wanted: number;
  isInSync(member: MemberId): boolean;
}

export class LeavePermits {
  private readonly askedMs = new Map<MemberId, number>();
  private leaderSinceMs: number | undefined;
  private permit: { readonly member: MemberId; readonly sinceMs: number; hasLeft: boolean } | undefined;

  /** @returns why not, in words; undefined: it may, and is taken for gone until it is back in sync */
  ask(member: MemberId, set: StandingSet, nowMs: number): string | undefined {
    this.askedMs.set(member, nowMs);
    const { members, wanted } = set;
    const { permit } = this;
    if (permit) {
      const inSync = set.isInSync(permit.member);
      permit.hasLeft ||= !inSync;
      if (inSync && (permit.hasLeft || nowMs - permit.sinceMs > goneByMs)) this.permit = undefined;
    }
    if (this.permit && this.permit.member !== member) return `${this.permit.member} restarts and is not back in sync`;
    const missing = members.filter((each) => each !== member && !set.isInSync(each));
    if (missing.length > 0) return `${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} not in sync`;
    // A set of two has dropped the other one before it comes back: who stays then is all there is.
    if (members.includes(member) && members.length < wanted)
      return `the set has ${members.length} of ${counted(wanted, 'member')}`;
    this.permit ??= { member, sinceMs: nowMs, hasLeft: false };
    return undefined;
  }

  /** Nobody has asked to leave for a while. */
  isQuiet(nowMs: number): boolean {
    for (const askedMs of this.askedMs.values()) if (nowMs - askedMs < quietMs) return false;
    return true;
  }

  /**
   * The one that leads goes last. Would it hand over while others wait to leave, the lead would go round among members that
   * all want to be rid of it, and nobody would serve. So it first listens for a while whether others ask.
   */
  askAsLeader(member: MemberId, set: StandingSet, nowMs: number): string | undefined {
    this.leaderSinceMs ??= nowMs;
    const first = set.members.find(
      (each) => each !== member && nowMs - (this.askedMs.get(each) ?? -Infinity) < askingMs,
    );
    if (first !== undefined) return `${first} leaves first, as it does not lead`;
    if (nowMs - this.leaderSinceMs < askingMs) return 'others that leave go first';
    return this.ask(member, set, nowMs);
  }
}
