/**
 * What is appended and not yet on its way to the disk: records in the tail's memory, one behind another, and where they
 * will be cut into batches and segments.
 *
 *   … written | batch under way | gathering …        cutEnd ≤ appendEnd
 *                               ^ cutEnd  ^ a roll: here a next segment begins
 */
import { logPosition } from '@cometmq/model';
import type { Epoch, LogPosition } from '@cometmq/model';
import { assert } from '@cometmq/shared';

import type { LogLimits } from './log-limits.js';
import type { RecordBlock, RecordDraft } from './record.js';
import type { TailCache } from './tail-cache.js';

/** Records that go to the disk in one write, to one segment. */
export interface Batch {
  readonly from: LogPosition;
  readonly end: LogPosition;
  /** Its bytes. They stay as they are for as long as anybody holds them. */
  readonly pieces: readonly Uint8Array[];
  /** The batch is the first of a segment that is yet to begin. */
  readonly newSegment: boolean;
  readonly firstTimestampMs: number;
  readonly lastTimestampMs: number;
}

export class Gathering {
  /** What the checksums of this log begin from. */
  salt = 0;
  /** Batches are looked at by others than the disk: their bytes must stay. */
  lends = false;
  private appended = 0;
  private cut = 0;
  /** The first position of the segment that the next record goes to. */
  private segmentFirst = 0;
  /** Positions at which, going on from the segment being written, a next one begins. */
  private readonly rolls: number[] = [];
  /** Records below came complete, from a leader; those above are completed when they are cut. */
  private completeTo = 0;

  constructor(
    private readonly cache: TailCache,
    private readonly limits: Pick<LogLimits, 'segmentBytes' | 'batchBytesMax'>,
  ) {}

  get isEmpty(): boolean {
    return this.cut === this.appended;
  }
  get cutEnd(): number {
    return this.cut;
  }

  /** The log ends at `end`, in the segment that begins at `segmentFirst`. */
  open(end: number, segmentFirst: number): void {
    this.appended = this.cut = this.completeTo = end;
    this.segmentFirst = segmentFirst;
    this.rolls.length = 0;
  }

  /** What was gathered from `end` on is forgotten. `segmentFirst` is that of the segment being written. */
  truncate(end: number, segmentFirst: number): void {
    this.appended = end;
    this.cut = Math.min(this.cut, end);
    this.completeTo = Math.min(this.completeTo, end);
    while ((this.rolls.at(-1) ?? -1) >= end) this.rolls.pop();
    this.segmentFirst = this.rolls.at(-1) ?? segmentFirst;
  }

  /** Takes the next position for a record that is completed when it is cut. */
  put(draft: RecordDraft, size: number, epoch: Epoch): LogPosition {
    const position = this.appended;
    const chunk = this.place(position, size);
    chunk.block.put(position - chunk.first, draft, size, epoch, position);
    return logPosition(position);
  }

  /** The same for a record that is complete, byte for byte. */
  putComplete(from: RecordBlock, at: number, size: number): void {
    const position = this.appended;
    const chunk = this.place(position, size);
    chunk.block.bytes.set(from.bytes.subarray(at, at + size), position - chunk.first);
    this.completeTo = this.appended;
  }

  /** Completes the records of the next batch and takes them out. Undefined: there are none. */
  cutBatch(commitKnown: number): Batch | undefined {
    const from = this.cut;
    if (from === this.appended) return undefined;
    const newSegment = this.rolls[0] === from;
    if (newSegment) this.rolls.shift();
    const stop = Math.min(this.rolls[0] ?? this.appended, from + this.limits.batchBytesMax);
    const pieces: Uint8Array[] = [];
    let firstTimestampMs = 0;
    let lastTimestampMs = 0;
    let position = from;
    while (position < stop) {
      const chunk = this.cache.find(position);
      assert(chunk !== undefined, 'what waits for the disk is in memory');
      if (this.lends) chunk.lent = true;
      const { block } = chunk;
      const pieceAt = position - chunk.first;
      let at = pieceAt;
      const atStop = Math.min(chunk.end, stop) - chunk.first;
      while (at < atStop) {
        const timestampMs = block.timestampMsAt(at);
        if (position === from) firstTimestampMs = timestampMs;
        if (timestampMs > lastTimestampMs) lastTimestampMs = timestampMs;
        at += position < this.completeTo ? block.sizeAt(at) : block.finish(at, commitKnown, this.salt);
        position = chunk.first + at;
      }
      pieces.push(block.bytes.subarray(pieceAt, at));
    }
    this.cut = position;
    return {
      from: logPosition(from),
      end: logPosition(position),
      pieces,
      newSegment,
      firstTimestampMs,
      lastTimestampMs,
    };
  }

  private place(position: number, size: number) {
    const isFirst = position === this.segmentFirst; // A record larger than a segment has one of its own.
    if (!isFirst && position + size - this.segmentFirst > this.limits.segmentBytes) {
      this.rolls.push(position);
      this.segmentFirst = position;
    }
    this.appended = position + size;
    return this.cache.place(position, size);
  }
}
