import { KiB, MiB } from '@cometmq/model';
import { assert } from '@cometmq/shared';
import type { Clock } from '@cometmq/shared';

import type { Disk } from '../disk/disk.js';
import type { OnTrouble } from '../disk/two-copies.js';
import { Compactions } from './compaction.js';
import { DurableNote } from './durable-note.js';
import { EpochTable } from './epoch-table.js';
import { Gathering } from './gathering.js';
import { LogEnds } from './log-ends.js';
import { logLimits, recordBytesCeiling } from './log-limits.js';
import type { LogLimits } from './log-limits.js';
import { LogReader } from './log-reader.js';
import { LogWriter } from './log-writer.js';
import type { WriterEvents } from './log-writer.js';
import type { LogPosition } from '@cometmq/model';
import { SegmentSpace } from './segment-space.js';
import { SegmentWalk } from './segment-walk.js';
import { Segments } from './segments.js';
import { TailCache } from './tail-cache.js';

const cacheChunkBytes = 1 * MiB;

export interface LogEvents extends WriterEvents {
  /** Told at the start of what stood behind the log's end, or that of a sealed segment, and was cut off. */
  onTailCut?(cut: TailCut): void;
  /** One of two copies of a small file was damaged, and is written again. */
  readonly onTrouble?: OnTrouble | undefined;
}

export interface TailCut {
  /** Where the log, or the segment, ends now. */
  readonly from: LogPosition;
  readonly bytes: number;
  /** What stood there instead of a record. */
  readonly found: string;
}

/** What a log is made of, and who tells whom. */
export class LogParts {
  /** How often a record that another member sent had a wrong checksum. */
  receivedDamaged = 0;
  /** Where each epoch begins, as far as a checkpoint or the records checked at the start say. */
  readonly epochs = new EpochTable();
  readonly limits: LogLimits;
  readonly segments: Segments;
  readonly walk: SegmentWalk;
  readonly space: SegmentSpace;
  readonly cache: TailCache;
  readonly ends = new LogEnds();
  readonly gathering: Gathering;
  readonly durableNote: DurableNote;
  readonly reader: LogReader;
  readonly writer: LogWriter;
  readonly compactions: Compactions;

  constructor(
    disk: Disk,
    folder: string,
    limits: Partial<LogLimits>,
    clock: Clock,
    readonly events: LogEvents,
  ) {
    this.limits = { ...logLimits, ...limits };
    const { recordBytesMax, segmentBytes, tailCacheBytes } = this.limits;
    assert(recordBytesMax <= segmentBytes, 'a record fits a segment');
    assert(recordBytesMax <= recordBytesCeiling, 'a record is one that readers believe');
    const chunkBytes = Math.min(cacheChunkBytes, Math.max(4 * KiB, tailCacheBytes / 4));
    const fail = (caught: unknown): void => this.writer.fail(caught);
    const segments = (this.segments = new Segments(disk, folder, events.onTrouble));
    this.walk = new SegmentWalk(segments);
    this.cache = new TailCache(tailCacheBytes, chunkBytes);
    this.space = new SegmentSpace(disk, folder, this.limits, clock, fail, () => events.onFull?.());
    this.gathering = new Gathering(this.cache, this.limits);
    this.reader = new LogReader(segments, this.walk, this.cache, this.ends, this.limits);
    this.writer = new LogWriter(segments, this.gathering, this.cache, this.ends, this.space, clock, events);
    this.durableNote = new DurableNote(disk, folder, clock, fail);
    this.ends.onDurable((_from, end) => this.durableNote.reached(end));
    this.compactions = new Compactions(segments, this.walk, this.space, fail);
  }
}
