import type { Directory, NameService, Peers, SetRegistry, StopReason } from '@cometmq/client';
import type { Clock, MqError } from '@cometmq/shared';
import type { CheckpointStore, Disk, StoreLimits } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { MessageTracing } from './message-tracing.js';

export interface BrokerOptions {
  readonly brokerName: string;
  readonly disk: Disk;
  readonly folder: string;
  readonly nameService: NameService;
  /** Who belongs to the set, and who leads it. */
  readonly registry: SetRegistry;
  /** The way to the other members; left out: there are none. */
  readonly peers?: Peers | undefined;
  /** The place of this member in its set; empty or left out: the set's name, where it has only one. */
  readonly memberName?: string | undefined;
  /** Members that the set is to have; left out: one. */
  readonly membersWanted?: number | undefined;
  /** A set of two whose other member is silent: go on alone, or refuse sends until it is back. */
  readonly durability?: 'available' | 'strict' | undefined;
  /** How long it stays, when it is told to stop, while its set needs it. */
  readonly restartWaitMs?: number | undefined;
  /** How long it stays, when it is told to stop because its set leaves the cluster, until the set is in no route. */
  readonly scaleInWaitMs?: number | undefined;
  /** Why it is told to stop; left out: to be started again. */
  readonly stopReason?: (() => Promise<StopReason>) | undefined;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly segmentBytes: number;
  readonly recordBytesMax: number;
  readonly diskFreeBytesMin: number;
  readonly pendingBytesMax: number;
  readonly diskQueueBytesMax?: number;
  /** Left out: the log is not looked through. */
  readonly scrubBytesPerSecond?: number | undefined;
  readonly scrubEveryMs?: number | undefined;
  readonly liteTopicsMax: number;
  readonly liteSubscriptionsMax: number;
  readonly retentionMs: number;
  /** Messages so far behind the end of the log are read by other members; left out, 0: by none. */
  readonly followerReadsBehindBytes?: number | undefined;
  readonly pollsMax: number;
  readonly leaseMs: number;
  /** host:port of the internal service; empty: in this process. Asked for at the start, when the port is known. */
  readonly address: () => string;
  /** What else bounds the store; left out: its own defaults. */
  readonly storeLimits?: Partial<StoreLimits>;
  /** Opens the checkpoints in a folder; left out: files on the disk. */
  readonly checkpoints?: ((folder: string) => CheckpointStore) | undefined;
  /** Told of dead letters that carry a trace context; left out: nobody. What is stored and handed out goes through it. */
  readonly tracing?: MessageTracing | undefined;
  /** The broker can't go on: its disk or its data folder is at fault. The process must end. */
  readonly onFatal: (error: MqError) => void;
  /** Metadata that is not this log's own gets what the log knows of it, without being asked again. */
  readonly adoptMetadata?: boolean | undefined;
  /** The store opens without what of the newest segment can't be read. */
  readonly giveUpDamage?: boolean | undefined;
  /** The lead is taken without what the data folder lacks, when that is the only reason against it. */
  readonly forgetMembers?: boolean | undefined;
}
