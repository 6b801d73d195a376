/**
 * Reading: records in order, or one by one; from memory (the newest, and blocks of files that paid for being kept), else
 * from the disk with their checksum checked.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { readAround, readOrNothing } from '../disk/read-around.js';
import { BlockCache } from './block-cache.js';
import { compactedHeadBytes } from './compacted-file.js';
import type { LogEnds } from './log-ends.js';
import { readBlockBytes, recordBytesCeiling } from './log-limits.js';
import type { LogLimits } from './log-limits.js';
import { headerBytes, RecordBlock } from './record.js';
import type { LogRecord } from './record.js';
import { findRecordBehind } from './record-reader.js';
import type { Segment } from './segment.js';
import type { Segments } from './segments.js';
import { isEnd } from './segment-walk.js';
import type { SegmentWalk } from './segment-walk.js';
import type { Chunk, TailCache } from './tail-cache.js';

export interface RecordPlace {
  readonly position: LogPosition;
  readonly size: number;
}

/** Is told of a stretch that can't be read. */
export type LostRange = (from: LogPosition, to: LogPosition) => void;

/** Of a check: well under a millisecond of records. */
const checkSliceBytes = 256 * 1024;

export class LogReader {
  private readonly blocks: BlockCache;

  constructor(
    private readonly segments: Segments,
    private readonly walk: SegmentWalk,
    private readonly cache: TailCache,
    private readonly ends: LogEnds,
    limits: Pick<LogLimits, 'blockCacheBytes'>,
  ) {
    this.blocks = new BlockCache(limits.blockCacheBytes, readBlockBytes);
  }

  /** Of what is durable; see `CommitLog.scan`. */
  async scan(
    from: LogPosition,
    each: (record: LogRecord) => void,
    until: LogPosition,
    lost?: LostRange,
  ): Promise<LogPosition> {
    let position = from;
    const end = Math.min(until, this.ends.durable);
    while (position < end) {
      const segment = this.segments.from(position);
      if (!segment) break;
      position = logPosition(Math.max(position, segment.first)); // Segments between may be gone.
      const to = Math.min(end, segment.end);
      const chunk = segment.compacted ? undefined : this.cache.find(position);
      if (chunk) {
        position = scanChunk(chunk, position, to, each);
        continue;
      }
      position = await this.scanFile(segment, position, to, each, lost);
      await this.segments.touch(segment);
    }
    return position;
  }

  /** Up to `to`, or behind the first stretch that can't be read where `lost` is told of such. Answers where it stopped. */
  private async scanFile(
    segment: Segment,
    from: LogPosition,
    to: number,
    each: (record: LogRecord) => void,
    lost?: LostRange,
  ): Promise<LogPosition> {
    let bad = from;
    try {
      const walked = await this.walk.walk(segment, from, to, (block, at) => each(block.record(at)));
      bad = logPosition(walked.end);
      if (walked.end >= to || (segment.compacted && isEnd(walked))) return segment.compacted ? logPosition(to) : bad;
      throw this.walk.damage(segment, walked);
    } catch (caught) {
      // What is behind damage in the segment that is written is not known before it is sealed.
      if (!lost || !segment.sealed || MqError.from(caught).code !== 'CORRUPT_RECORD') throw caught;
    }
    const good = segment.lost ? segment.end : await this.goodBehind(segment, bad);
    lost(bad, good);
    return good;
  }

  /** The next good record behind a bad one, or the end of its segment. */
  private async goodBehind(segment: Segment, bad: LogPosition): Promise<LogPosition> {
    const { end } = segment;
    const rules = this.walk.rules(segment, end);
    const good = segment.compacted ? undefined : await segment.use((file) => findRecordBehind(file, bad, rules));
    return logPosition(good ?? end);
  }

  /** See `CommitLog.salvage`. */
  async salvage(
    first: LogPosition,
    each: (record: LogRecord) => void,
    lost: LostRange,
    /** Checksums that were good before are looked at again. */
    anew = false,
  ): Promise<void> {
    const segment = this.segments.find(first);
    if (!segment) return;
    let position: LogPosition = first;
    while (position < segment.end) {
      const next = await this.salvageFrom(segment, position, each, anew);
      if (next.bad < segment.end) lost(next.bad, next.good);
      position = next.good;
    }
  }

  /** Up to the first bad record; answers where that stands, and the next good one behind it. */
  private async salvageFrom(
    segment: Segment,
    from: LogPosition,
    each: (record: LogRecord) => void,
    anew: boolean,
  ): Promise<{ bad: LogPosition; good: LogPosition }> {
    const { end } = segment;
    try {
      const more = anew ? { checkedTo: 0 } : {};
      const walked = await this.walk.walk(segment, from, end, (block, at) => each(block.record(at)), more);
      if (walked.end >= end || (segment.compacted && isEnd(walked))) return { bad: end, good: end };
      const bad = logPosition(walked.end);
      return { bad, good: await this.goodBehind(segment, bad) };
    } catch (caught) {
      if (MqError.from(caught).code !== 'CORRUPT_RECORD') throw caught;
      return { bad: from, good: end }; // Nothing of it can be read.
    }
  }

  /** The record if it is in memory, its payload a view that stays valid. Of the newest the checksum may not be set. */
  recordInMemory(position: LogPosition, size: number): LogRecord | undefined {
    if (size === 0) return undefined; // It stands for one that was lost.
    const chunk = this.cache.find(position);
    if (chunk) {
      const at = position - chunk.first;
      if (!chunk.block.hasHeader(at, position, recordBytesCeiling) || chunk.block.sizeAt(at) !== size) return undefined;
      chunk.lent = true;
      return chunk.block.record(at);
    }
    const segment = this.segments.at(position);
    return segment && this.recordInBlocks(segment, position, size);
  }

  /** Records in the order they are named; in place of one that can't be read, why. */
  async readAll(wanted: readonly RecordPlace[]): Promise<readonly (LogRecord | MqError)[]> {
    const found: (LogRecord | MqError | undefined)[] = [];
    const reads: Promise<unknown>[] = [];
    const later: number[] = [];
    for (const { position, size } of wanted) {
      const record = this.recordInMemory(position, size);
      const segment = record ? undefined : this.segments.at(position);
      found.push(record ?? this.refusal(segment, position, size));
      if (!segment || found[found.length - 1]) continue;
      later.push(found.length - 1);
      const place = placeOf(segment, position);
      if (place !== undefined) this.blocks.wish(segment, place, size);
    }
    for (const i of later) {
      const { position, size } = wanted[i] as RecordPlace;
      const segment = this.segments.at(position);
      if (!segment) continue;
      reads.push(
        this.readCold(segment, position, size).then(
          (record) => (found[i] = record),
          (caught: unknown) => (found[i] = MqError.from(caught)),
        ),
      );
    }
    await Promise.all(reads);
    return found as (LogRecord | MqError)[];
  }

  /**
   * The log's own bytes from `from` on, whole records of one segment, `bytesMax` at the most but one record at the least;
   * what a member that lags behind fetches. None at the end of what is durable. Undefined: the log no longer has all
   * that stood there, since the segment is gone or something was left out of it.
   *
   * @throws MqError CORRUPT_RECORD
   */
  async readBytes(from: LogPosition, bytesMax: number): Promise<Uint8Array | undefined> {
    if (from >= this.ends.durable) return new Uint8Array(0);
    const segment = this.segments.at(from);
    if (!segment?.complete) return undefined;
    const bytes = await segment.use(async (file) => {
      const place = segment.compacted ? compactedHeadBytes + from - segment.first : from - segment.first;
      const head = new RecordBlock(Buffer.allocUnsafeSlow(headerBytes));
      const read = await readOrNothing(file, head.bytes, place);
      if (read < headerBytes || !head.hasHeader(0, from, recordBytesCeiling)) return undefined;
      const wanted = Math.min(segment.end - from, Math.max(bytesMax, head.sizeAt(0)));
      const block = new RecordBlock(Buffer.allocUnsafeSlow(wanted));
      if ((await readAround(file, block.bytes, place)) < wanted) return undefined;
      let end = 0;
      while (end + headerBytes <= wanted && block.hasHeader(end, from + end, recordBytesCeiling)) {
        const size = block.sizeAt(end);
        if (end + size > wanted || !block.isWhole(end, this.walk.salt)) break;
        end += size;
      }
      return end > 0 ? block.bytes.subarray(0, end) : undefined;
    });
    if (!bytes) throw this.segments.unreadable(segment, from);
    await this.segments.touch(segment);
    return bytes;
  }

  /**
   * Goes through [from, end) of the log on the disk a slice at a time and checks each record, read before or not. `each`
   * is called with every record, and `slice` after each slice. What was given up or left out is passed over.
   *
   * @throws MqError CORRUPT_RECORD where anything else can't be read; NOT_FOUND where it is not durable yet
   */
  async check(
    from: LogPosition,
    end: LogPosition,
    each: (block: RecordBlock, at: number) => void,
    slice: (position: LogPosition) => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    if (end > this.ends.durable) throw notFound(from, end - from);
    const block = new RecordBlock(Buffer.allocUnsafeSlow(checkSliceBytes));
    for (let position = from; position < end;) {
      // Looked for with each slice: it may have been given back, or replaced, since.
      const segment = this.segments.from(position);
      if (!segment || segment.first >= end) return;
      position = logPosition(Math.max(position, segment.first));
      const until = Math.min(position + checkSliceBytes, end, segment.end);
      const walked = await this.walk.walk(segment, position, until, each, { checkedTo: 0, block });
      const good = segment.compacted ? isEnd(walked) : walked.end >= until;
      if (!good) throw this.segments.unreadable(segment, walked.end);
      position = logPosition(Math.max(walked.end, until));
      await this.segments.touch(segment);
      await slice(position);
    }
  }

  /** What was read of this segment is not good any more. */
  forget(segment: Segment): void {
    this.blocks.forget(segment);
  }

  /** Why there is no use in looking for the record on the disk; undefined: there is. */
  private refusal(segment: Segment | undefined, position: LogPosition, size: number): MqError | undefined {
    if (size === 0) return new MqError('CORRUPT_RECORD', 'a record of this queue is in no index: it was lost');
    if (!segment || position + size > segment.end) return notFound(position, size);
    if (size >= headerBytes && size <= recordBytesCeiling) return undefined;
    return notFound(position, size); // Somebody made the place up: nothing is read for it.
  }

  private recordInBlocks(segment: Segment, position: LogPosition, size: number): LogRecord | undefined {
    const place = placeOf(segment, position);
    if (place === undefined) return undefined;
    const { salt } = this.walk;
    return this.blocks.find(segment, place, size, (block, at) => wholeRecord(block, at, position, size, salt));
  }

  private async readCold(segment: Segment, position: LogPosition, size: number): Promise<LogRecord> {
    const record = await segment.use(async (file) => {
      if (segment.compacted) await segment.table(file);
      const place = placeOf(segment, position);
      if (place === undefined) {
        throw new MqError('NOT_FOUND', `the record at log position ${position} is not kept any more`);
      }
      if (this.blocks.pays(segment, place, size)) {
        const fileEnd = segment.compacted ? segment.recordBytes : segment.end - segment.first;
        await this.blocks.load(segment, file, place, size, fileEnd);
        const found = this.recordInBlocks(segment, position, size);
        if (found) return found; // Else it had to make room for others already, or is damaged.
      }
      const block = new RecordBlock(Buffer.allocUnsafeSlow(size));
      const read = await readOrNothing(file, block.bytes, place);
      return read === size ? wholeRecord(block, 0, position, size, this.walk.salt) : undefined;
    });
    if (!record) throw this.segments.unreadable(segment, position);
    await this.segments.touch(segment);
    return record;
  }
}

/** The newest records, where they lie in memory: what a follower folds with each commit is there. */
function scanChunk(
  { block, first, end }: Chunk,
  from: LogPosition,
  until: number,
  each: (record: LogRecord) => void,
): LogPosition {
  let position: number = from;
  for (const stop = Math.min(end, until); position < stop;) {
    const at = position - first;
    const size = block.sizeAt(at); // Before the record is looked at by others.
    each(block.record(at));
    position += size;
  }
  return logPosition(position);
}

export function notFound(position: number, size: number): MqError {
  return new MqError('NOT_FOUND', `no record of ${size} bytes at log position ${position}`);
}

/** Where the record stands in its segment's file. Undefined: it was left out, or the table that says is not loaded. */
function placeOf(segment: Segment, position: LogPosition): number | undefined {
  if (!segment.compacted) return position - segment.first;
  const place = segment.loadedTable?.placeOf(position) ?? -1;
  return place < 0 ? undefined : place;
}

/** The record at `at` if it is the one that was asked for, and whole. */
function wholeRecord(
  block: RecordBlock,
  at: number,
  position: LogPosition,
  size: number,
  salt: number,
): LogRecord | undefined {
  const good =
    block.hasHeader(at, position, recordBytesCeiling) && block.sizeAt(at) === size && block.isWhole(at, salt);
  return good ? block.record(at) : undefined;
}
