/**
 * What damage costs where there are other members: nothing. A sealed segment of which something can't be read is made anew
 * of what another member has of it, without a stop.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { Checkpoints } from './checkpoints.js';
import type { DamageNotes } from './damage-notes.js';
import type { Holds } from './holds.js';
import type { SegmentIndexes } from './index/segment-indexes.js';
import { checksum } from './log/checksum.js';
import type { CommitLog } from './log/commit-log.js';
import type { RecordBlock } from './log/record.js';
import type { DamagedSegment } from './log/repair.js';

export type { DamagedSegment } from './log/repair.js';

const pieceBytes = 256 * 1024;

/** What a range of the log says, the same on every member that has all of it. */
export interface LogDigest {
  /** Behind the last of the records. */
  readonly end: LogPosition;
  readonly records: number;
  /** Of the records' own checksums, one after another. */
  readonly sum: number;
}

export class Repairs {
  constructor(
    private readonly log: CommitLog,
    private readonly indexes: SegmentIndexes,
    private readonly checkpoints: Checkpoints,
    private readonly holds: Holds,
    private readonly damage: DamageNotes,
  ) {}

  /** Sealed segments of which something is known to be damaged, and which others must have: all of it is committed. */
  get wanted(): readonly DamagedSegment[] {
    return this.log.damagedSegments.filter(({ end }) => end <= this.log.commitEnd);
  }

  /**
   * The records that stand in [first, end) of this log, whole and in order, for a member that has lost them; in pieces of
   * 256 KiB at the most. Those of which nothing lives may have been left out. `uncommitted`: also those that are not known to
   * be committed; whoever asks has to see whether they are its own.
   *
   * @throws MqError CORRUPT_RECORD where this log can't read them either; NOT_FOUND where it has not all of them
   */
  async *records(
    first: LogPosition,
    end: LogPosition,
    uncommitted = false,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { commitEnd, durableEnd } = this.log;
    if (end > (uncommitted ? durableEnd : commitEnd))
      throw new MqError('NOT_FOUND', `not all below ${end} is ${uncommitted ? 'durable' : 'committed'} here`);
    for (let next: number = first; next < end;) {
      const to = Math.min(next + pieceBytes, end);
      const found: Uint8Array[] = [];
      let last = next;
      await this.check(logPosition(next), logPosition(to), (block, at) => {
        const size = block.sizeAt(at);
        found.push(Uint8Array.prototype.slice.call(block.bytes, at, at + size));
        last = block.positionAt(at) + size;
      });
      next = Math.max(last, to);
      const bytes = Buffer.concat(found);
      for (let at = 0; at < bytes.byteLength; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
    }
  }

  /**
   * Makes the segment that begins at `first` anew of what `records` of another member gave for all of it. The damage is over
   * once it resolves; before, and on any failure, everything is as it was.
   *
   * @throws MqError CORRUPT_RECORD where that is not what stood here; NOT_FOUND; UNAVAILABLE where the files are held;
   * STORAGE_FULL; what `pieces` throws
   */
  async mend(first: LogPosition, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const { log, indexes } = this;
    await indexes.settle();
    const segment = indexes.sealedSegments.find((one) => one.first === first);
    if (!segment && indexes.isStuck(first)) {
      throw new MqError(
        'STORAGE_FULL',
        'the index of the damaged segment can not be written: it is made anew afterwards',
      );
    }
    if (!segment) throw new MqError('NOT_FOUND', `no sealed segment begins at position ${first}`);
    // What a view must still fold can't be missing.
    const mayLack = segment.end <= this.checkpoints.position;
    const prepared = await log.prepareRepair(first, pieces, mayLack);
    const moved = await this.holds.move(async () => {
      if (segment.gone) return false;
      await this.damage.whileMending(async () => indexes.replace(segment, await log.replace(prepared)));
      return true;
    });
    if (moved) return;
    await log.discard(prepared);
    throw new MqError('UNAVAILABLE', 'the segment is held where it is, or is no more');
  }

  /** From here on this log has all that ever stood in it, as far as is known. */
  get wholeFrom(): LogPosition {
    return this.log.wholeFrom;
  }

  /** Where the next segment begins behind `position`, and so a record; undefined: there is none. */
  segmentBehind(position: LogPosition): LogPosition | undefined {
    return this.log.segments().find(({ first }) => first > position)?.first;
  }

  /**
   * What [from, end) says, every record checked on the disk; undefined: this log has not all that stood there. Two members
   * that differ have diverged without a word, and must not go on so.
   *
   * @throws MqError CORRUPT_RECORD; NOT_FOUND where not all of it is durable here
   */
  async digest(from: LogPosition, end: LogPosition): Promise<LogDigest | undefined> {
    if (from < this.log.wholeFrom) return undefined;
    let records = 0;
    let sum = 0;
    let last = from;
    await this.check(from, end, (block, at) => {
      records += 1;
      last = logPosition(block.positionAt(at) + block.sizeAt(at));
      sum = checksum(block.checksumBytesAt(at), sum);
    });
    if (from < this.log.wholeFrom) return undefined; // Some of it was left out or given back meanwhile.
    return { end: last, records, sum };
  }

  private check(from: LogPosition, end: LogPosition, each: (block: RecordBlock, at: number) => void): Promise<void> {
    return this.damage.whileReading(from, end, () => this.log.check(from, end, each));
  }
}
