/** What a member is built of, and what it asks of the broker around it. */
import type { Peers, SetRegistry, StopReason } from '@cometmq/client';
import type { MetadataVersion } from '@cometmq/model';
import type { LeaderLimits } from '@cometmq/replication';
import type { Clock, MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { Adoption } from './adoption.js';
import type { FailoverHistory } from './failover-history.js';
import type { Leading } from './leading.js';

export interface MemberSettings {
  /** The name of the broker set. */
  readonly brokerSet: string;
  /** The member's place; the set's name where it has only one. */
  readonly place: string;
  readonly membersWanted: number;
  readonly durability: LeaderLimits['durability'];
  readonly leaseMs: number;
  /** How long it stays, when it is told to stop, for a reason why its set needs it. */
  readonly restartWaitMs: number;
  /** How long it stays, when it is told to stop because its set leaves the cluster, until the set is in no route. */
  readonly scaleInWaitMs: number;
  /** host:port of its internal service; empty: in this process. */
  readonly address: () => string;
}

/** What decides while this member leads. */
export interface RunningTerm {
  /** Nothing more is decided: the lead is being handed over. What is asked for meanwhile waits. */
  hold(): void;
  /** It goes on after all. */
  release(): void;
  /** Nothing of it gets into the log any more. What waits for it is told; what was held stays so. */
  end(error: MqError): void;
  /** What was held is told where to go on. */
  refuseHeld(error: MqError): void;
}

export interface MemberParts {
  readonly settings: MemberSettings;
  readonly store: StorePorts;
  readonly failovers: FailoverHistory;
  readonly registry: SetRegistry;
  readonly peers: Peers;
  readonly adoption: Adoption;
  readonly clock: Clock;
  readonly log: Logger;
  readonly writable: () => boolean;
  /** Under which the log was written, as far as it says so. */
  readonly metadata: () => MetadataVersion | undefined;
  /** It leads, and decides nothing before its first record is committed: what is asked for meanwhile waits for a moment. */
  readonly won: (leading: Leading) => void;
  /** It leads, and all that its log holds is committed and folded: decisions begin. */
  readonly begin: (leading: Leading) => RunningTerm;
  /** Asked when it is told to stop. */
  readonly stopReason: () => Promise<StopReason>;
  /** Its set has left the cluster. */
  readonly isRemoved: () => boolean;
  readonly onFatal: (error: MqError) => void;
}
