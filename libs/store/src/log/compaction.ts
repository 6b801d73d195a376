/**
 * The writing of a compacted segment: what lives of the old one is copied, slice by slice, into a file beside it, whole
 * and synced before anyone hears of it. Dead records are not even checked; what is copied is, so that no damage is
 * carried on as if it were good.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { assert, MqError } from '@cometmq/shared';

import { isDiskFull, joinPath } from '../disk/disk.js';
import type { Disk, DiskFile } from '../disk/disk.js';
import { checksum } from './checksum.js';
import { compactedHeadBytes, encodeHead, PositionTable } from './compacted-file.js';
import type { CompactedHead } from './compacted-file.js';
import { RecordBlock } from './record.js';
import type { LogRecord } from './record.js';
import type { SegmentSpace } from './segment-space.js';
import { compactedName, Segment } from './segment.js';
import type { SegmentInfo } from './segment.js';
import type { Segments } from './segments.js';
import { isEnd } from './segment-walk.js';
import type { SegmentWalk } from './segment-walk.js';

export interface PreparedCompaction {
  readonly old: Segment;
  readonly next: Segment;
  /** Where the new file stands until it gets its name. */
  readonly path: string;
  readonly table: PositionTable;
}

/** Walks the old segment from `from` up to the first record at or behind `until`; answers where it stopped. */
type Walk = (from: number, until: number, each: (block: RecordBlock, at: number) => void) => Promise<number>;

/** So many bytes of log are looked at between two rests: well under a millisecond of records. */
const compactionSliceBytes = 256 * 1024;

/** Segments of a log that are about to be replaced by what lives of them. */
export class Compactions {
  private readonly underWay = new Map<Segment, PreparedCompaction>();

  constructor(
    private readonly segments: Segments,
    private readonly walk: SegmentWalk,
    private readonly room: SegmentSpace,
    private readonly fail: (caught: unknown) => void,
  ) {}

  /** What will be kept of the segment, while it is being compacted. */
  tableOf(segment: Segment): PositionTable | undefined {
    return this.underWay.get(segment)?.table;
  }

  /** See `CommitLog.prepareCompaction`. */
  async prepare(
    first: LogPosition,
    keep: (record: LogRecord) => boolean,
    bytesMax: number,
  ): Promise<PreparedCompaction | undefined> {
    const { disk, folder } = this.segments;
    const old = this.segments.find(first);
    assert(old?.sealed === true && !this.underWay.has(old), 'a sealed segment is compacted, once at a time');
    const slice = new RecordBlock(Buffer.allocUnsafeSlow(compactionSliceBytes));
    const walk: Walk = async (from, until, each) => {
      const walked = await this.walk.walk(old, from, until, each, { checkedTo: old.end, block: slice });
      if (!isEnd(walked)) throw this.walk.damage(old, walked);
      return walked.end;
    };
    const isWhole = (block: RecordBlock, at: number): boolean => block.isWhole(at, this.walk.salt);
    const write = (): Promise<PreparedCompaction | undefined> =>
      prepareCompaction(disk, folder, old, walk, isWhole, keep, bytesMax);
    const prepared = await write().catch(async (caught: unknown) => {
      if (!isDiskFull(caught) || !(await this.room.lendToCompaction())) throw caught;
      return write();
    });
    if (prepared) this.underWay.set(old, prepared);
    return prepared;
  }

  /** A segment that is to be made anew otherwise. @throws MqError NOT_FOUND, UNAVAILABLE (it is being compacted) */
  idleSegment(first: LogPosition): Segment {
    const segment = this.segments.find(first);
    if (!segment?.sealed) throw new MqError('NOT_FOUND', `no sealed segment begins at position ${first}`);
    if (!this.underWay.has(segment)) return segment;
    throw new MqError('UNAVAILABLE', `the segment at position ${first} is being compacted`);
  }

  /** Puts a compacted segment in the old one's place. Whenever the power goes, one of them is whole and is found. */
  async replace(prepared: PreparedCompaction): Promise<SegmentInfo> {
    const { old, next } = prepared;
    const { disk, folder } = this.segments;
    const swap = async (): Promise<void> => {
      try {
        await disk.rename(prepared.path, next.path);
        await disk.syncFolder(folder);
      } catch (caught) {
        this.fail(caught); // Which of the two the name now means is anyone's guess.
        throw caught;
      }
      this.segments.replace(old, next);
      this.underWay.delete(old);
    };
    // Nobody opens the old file by its name from now on: it is open until all who read from it are done.
    if (old.lost) await swap();
    else await old.use(swap);
    await old.close();
    if (old.path !== next.path) {
      await disk.unlink(old.path);
      await disk.syncFolder(folder);
    }
    return next.info();
  }

  /** The old segment stays. */
  async discard(prepared: PreparedCompaction): Promise<void> {
    this.underWay.delete(prepared.old);
    await this.segments.disk.unlink(prepared.path);
  }
}

async function prepareCompaction(
  disk: Disk,
  folder: string,
  old: Segment,
  walk: Walk,
  isWhole: (block: RecordBlock, at: number) => boolean,
  keep: (record: LogRecord) => boolean,
  bytesMax: number,
): Promise<PreparedCompaction | undefined> {
  const path = joinPath(folder, `${compactedName(old.first)}.tmp`);
  await disk.unlink(path);
  const file = await disk.open(path, { create: true });
  let prepared: PreparedCompaction | undefined;
  try {
    const copied = await copyLiving(file, old, walk, isWhole, keep, bytesMax);
    if (copied) prepared = await finishCompacted(disk, folder, path, file, old, copied);
    return prepared;
  } finally {
    await file.close();
    if (!prepared) await disk.unlink(path);
  }
}

export interface Copied {
  /** Position in segment and place in file, a run after another. */
  readonly runs: number[];
  /** Where the records end. */
  readonly end: number;
  readonly firstTimestampMs: number;
  readonly lastTimestampMs: number;
}

async function copyLiving(
  file: DiskFile,
  old: Segment,
  walk: Walk,
  isWhole: (block: RecordBlock, at: number) => boolean,
  keep: (record: LogRecord) => boolean,
  bytesMax: number,
): Promise<Copied | undefined> {
  const runs: number[] = [];
  let place = compactedHeadBytes;
  let runEnd = -1;
  let slice: Uint8Array[] = [];
  const take = (block: RecordBlock, at: number): void => {
    const record = block.record(at);
    if (!keep(record)) return;
    const { position, size } = record;
    if (!isWhole(block, at)) {
      throw new MqError('CORRUPT_RECORD', `the record at position ${position} was good before and is not any more`);
    }
    slice.push(Uint8Array.prototype.slice.call(block.bytes, at, at + size));
    if (position !== runEnd) runs.push(position - old.first, place);
    runEnd = position + size;
    place += size;
  };
  for (let from: number = old.first; from < old.end;) {
    const written = place;
    const until = Math.min(from + compactionSliceBytes, old.end);
    from = Math.max(await walk(from, until, take), until);
    if (place + runs.length * 4 > bytesMax) return undefined;
    if (slice.length > 0) await file.write(slice, written);
    slice = [];
  }
  const { firstTimestampMs, lastTimestampMs } = old;
  return { runs, end: place, firstTimestampMs, lastTimestampMs };
}

/** Head and table of a compacted segment whose records have been written; all of it is durable once this resolves. */
export async function finishCompacted(
  disk: Disk,
  folder: string,
  path: string,
  file: DiskFile,
  old: Segment,
  copied: Copied,
): Promise<PreparedCompaction> {
  const words = Uint32Array.from(copied.runs);
  const bytes = new Uint8Array(words.buffer);
  const head: CompactedHead = {
    generation: old.generation + 1,
    first: old.first,
    end: logPosition(old.end),
    firstTimestampMs: copied.firstTimestampMs,
    lastTimestampMs: copied.lastTimestampMs,
    tableAt: copied.end,
    runs: words.length / 2,
    tableChecksum: checksum(bytes),
  };
  await file.write([bytes], copied.end);
  await file.write([encodeHead(head)], 0);
  await file.sync();
  const next = new Segment(disk, folder, old.first, copied.end + bytes.length, undefined, head);
  return { old, next, path, table: new PositionTable(head, words) };
}
