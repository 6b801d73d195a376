/** What a term of leadership stands on, and what it tells the member that leads. */
import type { MemberClaim, SetReading, SetRegistry } from '@cometmq/client';
import type { Epoch, LogOutline, MemberId, SetState } from '@cometmq/model';
import type { LeaderLimits } from '@cometmq/replication';
import type { Clock, MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

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
  /** The set is so by a change of this member's own: durable when it resolves. */
  readonly noteChange: (state: SetState) => Promise<void>;
  /** The registry has refused for another reason than that it is away. */
  readonly refusedBy: (error: MqError) => void;
  /** Another one leads, or the registry says that this member does not. */
  readonly deposed: (why: MqError) => void;
  readonly resign: (why: string) => void;
  /** The term is over, the lead need not change: a member has promised this epoch. */
  readonly renewTerm: (above: Epoch) => void;
}
