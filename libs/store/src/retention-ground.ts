import type { Expired, LogPosition } from '@cometmq/model';

import type { SealedSegment, SegmentIndexes } from './index/segment-indexes.js';
import type { CommitLog } from './log/commit-log.js';
import type { SegmentInfo } from './log/segment.js';
import type { Directory } from './views/directory.js';
import type { PendingMessages } from './views/pending-messages.js';
import type { ReleasedPending } from './views/released-pending.js';
import type { Sizes } from './views/sizes.js';

/** What expiry, unlinking and compaction need of the store. */
export interface RetentionGround {
  readonly directory: Directory;
  readonly sizes: Sizes;
  readonly indexes: SegmentIndexes;
  readonly pending: PendingMessages;
  readonly released: ReleasedPending;
  readonly log: Pick<CommitLog, 'prepareCompaction' | 'replace' | 'discard'>;
  readonly diskFull: boolean;
  segments(): readonly SegmentInfo[];
  readonly commitEnd: LogPosition;
  readonly checkpointEnd: LogPosition;
  /** Appends expiry records; resolves when they are committed. */
  expire(list: readonly Expired[], timestampMs: number): Promise<void>;
  /** Resolves when every record that ended a life is committed. */
  settled(): Promise<void>;
  checkpoint(): Promise<void>;
  unlink(segment: SealedSegment): Promise<void>;
}
