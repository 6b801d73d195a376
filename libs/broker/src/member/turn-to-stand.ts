import type { MemberId, StandReason } from '@cometmq/model';
import { isMember, Standing, standingLimits, type StandingInput } from '@cometmq/replication';
import type { Clock } from '@cometmq/shared';

import type { MemberSettings } from './member-parts.js';
import type { SetKnowledge } from './set-knowledge.js';

/** When this member may stand for the lead: the steps of `Standing`, for the place that it has in its set now. */
export class TurnToStand {
  private standing: Standing | undefined;
  private rank = -1;

  constructor(
    private readonly settings: MemberSettings,
    private readonly clock: Clock,
    private readonly knowledge: SetKnowledge,
  ) {}

  /**
   * Members take turns by their names; who leads has no turn, since it is the one that is missing.
   * `hasRead`: the registry has said how the set is; `started`: it is not the first time that this process finds its place.
   */
  reckon(me: MemberId, hasRead: boolean, started: boolean): void {
    const { state } = this.knowledge;
    const { settings } = this;
    const nowMs = this.clock.monotonicMs();
    if (!state) {
      // Nobody has made the set yet: who comes first does.
      if (hasRead) this.standing ??= new Standing(this.limits(), 0, true, nowMs);
      return;
    }
    if (!isMember(state, me)) {
      this.standing = undefined; // A learner: its leader takes it in.
      return;
    }
    const rank = state.members.filter((member) => member !== state.leader).indexOf(me);
    if (this.standing && rank === this.rank) return;
    const first = this.standing === undefined && !started;
    const atOnce = state.members.length === 1 || (first && state.leader === me) || settings.membersWanted === 1;
    const before = this.standing;
    this.rank = rank;
    this.standing = new Standing(this.limits(), Math.max(0, rank), atOnce, nowMs);
    if (before?.hears(nowMs)) this.standing.step({ kind: 'settled', nowMs });
  }

  /** Why to stand now; undefined: there is no reason to, or it is not this member's to stand. */
  step(kind: Exclude<StandingInput['kind'], 'heard'>): StandReason | undefined {
    return this.standing?.step({ kind, nowMs: this.clock.monotonicMs() });
  }
  /** The leader says: so far it has come. */
  heard(progress: number): void {
    this.standing?.step({ kind: 'heard', progress, nowMs: this.clock.monotonicMs() });
  }
  /** Whether a leader is heard, and makes progress. */
  hears(patienceMs: number): boolean {
    return this.standing?.hears(this.clock.monotonicMs(), patienceMs) ?? false;
  }
  /** Whether another one that was promised an epoch may still be on its way to lead. */
  get yields(): boolean {
    return this.standing?.yields(this.clock.monotonicMs()) ?? false;
  }
  /** It may stand at all, some time. */
  get isMine(): boolean {
    return this.standing !== undefined;
  }

  private limits(): typeof standingLimits {
    return { ...standingLimits, leaseMs: this.settings.leaseMs };
  }
}
