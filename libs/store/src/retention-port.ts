import type { Expired, LogPosition } from '@cometmq/model';

import type { Checkpoints } from './checkpoints.js';
import type { Folding } from './folding.js';
import type { Holds } from './holds.js';
import type { SealedSegment, SegmentIndexes } from './index/segment-indexes.js';
import { untilCommitted } from './log/commit-log.js';
import type { CommitLog } from './log/commit-log.js';
import type { PreparedCompaction } from './log/compaction.js';
import type { SegmentInfo } from './log/segment.js';
import type { Replication } from './replication.js';
import type { StoreWriter } from './writer.js';
import type { QueueDirectory } from './views/queue-directory.js';
import type { PendingMessages } from './views/pending-messages.js';
import type { ReleasedPending } from './views/released-pending.js';
import type { Sizes } from './views/sizes.js';

/** What expiry, unlinking and compaction need of the store. */
export class RetentionPort {
  readonly directory: QueueDirectory;
  readonly sizes: Sizes;
  readonly pending: PendingMessages;
  readonly released: ReleasedPending;

  constructor(
    readonly log: CommitLog,
    readonly indexes: SegmentIndexes,
    private readonly folding: Folding,
    private readonly writer: StoreWriter,
    private readonly checkpoints: Checkpoints,
    private readonly holds: Holds,
    private readonly replication: Pick<Replication, 'isLeader'>,
  ) {
    this.directory = folding.directory;
    this.sizes = folding.sizes;
    this.pending = folding.pending;
    this.released = folding.released;
  }

  get diskFull(): boolean {
    return this.log.full;
  }
  get commitEnd(): LogPosition {
    return this.log.commitEnd;
  }
  get checkpointEnd(): LogPosition {
    return this.checkpoints.position;
  }
  /** Some of the log is lost. */
  get damaged(): boolean {
    return this.log.damages.length > 0;
  }
  segments(): readonly SegmentInfo[] {
    return this.log.segments();
  }

  /** Appends expiry records; resolves when they are committed. */
  async expire(list: readonly Expired[], timestampMs: number): Promise<void> {
    await untilCommitted(this.log, this.writer.expire(list, timestampMs));
  }

  /** Resolves when every record that ended a life is committed. */
  settled(): Promise<void> {
    return untilCommitted(this.log, this.folding.lastEnding);
  }

  checkpoint(): Promise<void> {
    return this.checkpoints.make();
  }

  /**
   * Whether the checkpoint must first say what is over. A follower that starts again folds no further than that until it
   * hears what is committed, and must not miss there what was given back. A full disk waits for no checkpoint.
   */
  get lacksEndings(): boolean {
    return !this.replication.isLeader && this.checkpoints.position < this.folding.lastEnding && !this.log.full;
  }

  /** What has expired is taken into account where segments are judged. */
  noteExpired(): void {
    const topics = this.folding.takeExpired();
    if (topics.size > 0) this.indexes.livesChanged(topics);
  }
  /** Whoever decided what has expired knows what is left of each segment. */
  knowsExpired(): void {
    this.folding.takeExpired();
  }

  /** Another number: what was folded has been thrown away since, and what was concluded from it. */
  get foldings(): number {
    return this.folding.clearings;
  }

  /** False: the files are held where they are, or the segment was made anew meanwhile. */
  unlink(segment: SealedSegment): Promise<boolean> {
    return this.holds.move(async () => {
      if (segment.gone) return false;
      await this.indexes.remove(segment);
      await this.log.unlink(segment.first);
      return true;
    });
  }

  /** Puts what was compacted in the segment's place. False: the files are held where they are, or it was made anew meanwhile. */
  replace(segment: SealedSegment, prepared: PreparedCompaction): Promise<boolean> {
    return this.holds.move(async () => {
      if (segment.gone) return false;
      await this.indexes.replace(segment, await this.log.replace(prepared));
      return true;
    });
  }
}
