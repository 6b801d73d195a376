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

import { recordBytesCeiling } from './log-limits.js';
import type { LogLimits } from './log-limits.js';
import { isMessage } from './record.js';
import type { RecordBlock, RecordDraft } from './record.js';
import type { Chunk, TailCache } from './tail-cache.js';

/** Records that go to the disk in one write, to one segment. */
export interface Batch {
  readonly from: LogPosition;
  readonly end: LogPosition;
  /** Its bytes. They stay as they are until it is durable. */
  readonly pieces: readonly Uint8Array[];
  /** The batch is the first of a segment that is yet to begin. */
  readonly newSegment: boolean;
  readonly firstTimestampMs: number;
  readonly lastTimestampMs: number;
  /** How many of its records are messages. */
  readonly messages: number;
}

/** Whole records of the log in the pieces of memory that they lie in. */
export interface LogPieces {
  readonly from: LogPosition;
  readonly end: LogPosition;
  readonly pieces: readonly Uint8Array[];
}

export class Gathering {
  /** What the checksums of this log begin from. */
  salt = 0;
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

  /** A batch that was not written waits again; its bytes stay as they are. `begun`: its segment is there already. */
  putBack({ from, end, newSegment }: Batch, begun: boolean): void {
    assert(end === this.cut, 'the last batch that was cut');
    this.cut = from;
    this.completeTo = Math.max(this.completeTo, end);
    if (newSegment && !begun) this.rolls.unshift(from);
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
    let messages = 0;
    let position = from;
    while (position < stop) {
      const chunk = this.cache.find(position);
      assert(chunk !== undefined, 'what waits for the disk is in memory');
      const { block } = chunk;
      const pieceAt = position - chunk.first;
      let at = pieceAt;
      const atStop = Math.min(chunk.end, stop) - chunk.first;
      while (at < atStop) {
        const timestampMs = block.timestampMsAt(at);
        if (position === from) firstTimestampMs = timestampMs;
        if (timestampMs > lastTimestampMs) lastTimestampMs = timestampMs;
        if (isMessage(block.kindAt(at))) messages += 1;
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
      messages,
    };
  }

  /**
   * Whole records from `from` on which have set out for the disk, `bytesMax` at the most but one at the least, for who is done
   * with them in this turn of the event loop. Undefined: there are none, or memory does not hold them any more.
   */
  peekCut(from: LogPosition, bytesMax: number): LogPieces | undefined {
    const pieces: Uint8Array[] = [];
    let position: number = from;
    while (position < this.cut) {
      const chunk = this.cache.find(position);
      const at = chunk ? position - chunk.first : 0;
      if (!chunk?.block.hasHeader(at, position, recordBytesCeiling)) break;
      const end = Math.min(chunk.end, this.cut);
      const stop = end - from <= bytesMax ? end : recordsEnd(chunk, position, from + bytesMax);
      if (stop === position && pieces.length > 0) break;
      const to = stop === position ? position + chunk.block.sizeAt(at) : stop;
      pieces.push(chunk.block.bytes.subarray(at, to - chunk.first));
      position = to;
      if (stop < end) break;
    }
    return pieces.length > 0 ? { from, end: logPosition(position), pieces } : undefined;
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

/** Behind the last of the records from `from` on that end at or before `limit`. */
function recordsEnd({ block, first }: Chunk, from: number, limit: number): number {
  let end = from;
  for (let next = end; next <= limit; next += block.sizeAt(next - first)) end = next;
  return end;
}
