/**
 * When a member stands for the lead, as steps. A lease only notices silence; safety comes from promises and quorums.
 *
 * - At once, when its connection to the leader closed and the leader's own address then refuses twice, a little apart.
 * - After the lease, when the leader is silent, or says things but makes no progress (its counter moves only when its
 *   event loop turned *and* a sync finished).
 * - At its start, when no leader is there, after it has listened for one for a lease; at once where it led last or is alone.
 *
 * Members of a set take turns by rank, so that two seldom stand at once; who has promised an epoch to another lets it try, as a
 * higher epoch would undo what that one has won, and longer each time that nothing came of it; after an attempt that failed each
 * waits longer. One that is too far behind to be given what it lacks waits until the others have had their turn: it would win
 * their promises again and again, and never lead. On a machine where an attempt takes seconds they would undo each other's for minutes otherwise.
 */
import type { StandReason } from '@cometmq/model';
import { unreachable } from '@cometmq/shared';

export interface StandingLimits {
  /** How long a leader may be silent. */
  readonly leaseMs: number;
  /** How long the member of the next rank waits more. */
  readonly rankMs: number;
  /** Between attempts, doubled with each that failed, at most the lease. */
  readonly retryMs: number;
  /** How long another that was promised an epoch may take to lead, doubled with each promise of which nothing came. */
  readonly yieldMs: number;
  readonly yieldMsMax: number;
}

export const standingLimits: StandingLimits = {
  ...{ leaseMs: 3_000, rankMs: 150, retryMs: 200 },
  ...{ yieldMs: 1_000, yieldMsMax: 8_000 },
};

export type StandingInput =
  /** The leader's stream says: `progress` has moved since the last time, or not. */
  | { readonly kind: 'heard'; readonly progress: number; readonly nowMs: number }
  /** The stream to the leader is over, and its address refused twice. */
  | { readonly kind: 'refused'; readonly nowMs: number }
  /** The leader wants this member to take over. */
  | { readonly kind: 'handedOver'; readonly nowMs: number }
  /** Another one was promised an epoch. */
  | { readonly kind: 'promised'; readonly nowMs: number }
  /** An attempt of its own has failed. */
  | { readonly kind: 'failed'; readonly nowMs: number }
  /** An attempt has failed since its log is too far behind: others can lead, and this one can't. */
  | { readonly kind: 'behind'; readonly nowMs: number }
  /** It leads, or another one does: whatever was suspected is settled. */
  | { readonly kind: 'settled'; readonly nowMs: number }
  | { readonly kind: 'tick'; readonly nowMs: number };

export class Standing {
  private progress = -1;
  private progressMs: number;
  private refused = false;
  private settledOnce: boolean;
  private failures = 0;
  /** Since a leader was last heard. */
  private promises = 0;
  private yieldUntilMs = 0;
  /** Not before this. */
  private notBeforeMs = 0;

  /**
   * @param rank of this member among those that may stand; 0 goes first
   * @param atOnce it led last, or is the only member: there is nobody to listen for
   */
  constructor(
    private readonly limits: StandingLimits,
    private readonly rank: number,
    atOnce: boolean,
    nowMs: number,
  ) {
    this.progressMs = atOnce ? nowMs - limits.leaseMs : nowMs;
    this.settledOnce = false;
  }

  /** Whether a leader is heard, and makes progress. `patienceMs`: how old the last sign may be. */
  hears(nowMs: number, patienceMs: number = this.limits.leaseMs): boolean {
    return this.settledOnce && !this.refused && nowMs - this.progressMs < patienceMs;
  }

  /** Whether another one that was promised an epoch may still be on its way to lead. */
  yields(nowMs: number): boolean {
    return nowMs < this.yieldUntilMs;
  }

  /** Why to stand now; undefined: there is no reason to. */
  step(input: StandingInput): StandReason | undefined {
    switch (input.kind) {
      case 'heard':
        if (input.progress === this.progress) return undefined;
        this.settled(input.nowMs);
        this.progress = input.progress;
        return undefined;
      case 'refused':
        if (!this.refused) this.notBeforeMs = Math.max(this.notBeforeMs, input.nowMs + this.rank * this.limits.rankMs);
        this.refused = true;
        return this.due(input.nowMs);
      case 'handedOver':
        return 'handedOver';
      case 'promised': {
        const { yieldMs, yieldMsMax, rankMs } = this.limits;
        this.yieldUntilMs = input.nowMs + Math.min(yieldMs * 2 ** this.promises, yieldMsMax);
        this.promises += 1;
        this.notBeforeMs = Math.max(this.notBeforeMs, this.yieldUntilMs + this.rank * rankMs);
        return undefined;
      }
      case 'failed': {
        const waitMs = Math.min(this.limits.retryMs * 2 ** this.failures, this.limits.leaseMs);
        this.failures += 1;
        this.notBeforeMs = input.nowMs + waitMs + this.rank * this.limits.rankMs;
        return undefined;
      }
      case 'behind':
        // Whom it has made promise lets it try for so long at the most, and stands then.
        this.notBeforeMs = input.nowMs + 2 * this.limits.yieldMsMax + this.rank * this.limits.rankMs;
        return undefined;
      case 'settled':
        this.settled(input.nowMs);
        this.progress = -1;
        return undefined;
      case 'tick':
        return this.due(input.nowMs);
      default:
        return unreachable(input);
    }
  }

  private settled(nowMs: number): void {
    this.settledOnce = true;
    this.progressMs = nowMs;
    this.refused = false;
    this.failures = 0;
    this.promises = 0;
    this.yieldUntilMs = 0;
    this.notBeforeMs = 0;
  }

  private due(nowMs: number): StandReason | undefined {
    if (nowMs < this.notBeforeMs) return undefined;
    if (this.refused) return 'closed';
    const patienceMs = this.limits.leaseMs + this.rank * this.limits.rankMs;
    if (nowMs - this.progressMs < patienceMs) return undefined;
    return this.settledOnce ? 'silent' : 'start';
  }
}
