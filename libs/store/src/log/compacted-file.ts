/**
 * A compacted segment: a sealed one from which dead records were left out. Those that live stand one after another,
 * byte for byte as they were, and a table says where, so that their positions never change. Little-endian:
 *
 *   | magic u32 | version u32 | checksum u32 | generation u32 | first u64 | end u64 | firstMs u64 | lastMs u64 |
 *   | tableAt u64 | runs u32 | checksum of the table u32 |                                            64 bytes
 *   records
 *   table, at tableAt: | position in segment u32 | place in file u32 | × runs, by position            to the file's end
 *
 * A run is a row of records that stood beside one another before, too. `first`, `end` and the times are those of the
 * segment as it was written: the file still answers for all of these positions. `generation` counts how often it was
 * compacted. The checksum is that of the first 64 bytes, its own four as zeros.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { getU64, putU64, viewOf } from '@cometmq/shared';

import type { DiskFile } from '../disk/disk.js';
import { readOrNothing } from '../disk/read-around.js';
import { checksum } from './checksum.js';

const magic = 0x434d5143;
const version = 1;
export const compactedHeadBytes = 64;
const runBytes = 8;

export interface CompactedHead {
  readonly generation: number;
  readonly first: LogPosition;
  readonly end: LogPosition;
  readonly firstTimestampMs: number;
  readonly lastTimestampMs: number;
  /** Where the records end and the table begins. */
  readonly tableAt: number;
  readonly runs: number;
  readonly tableChecksum: number;
}

export function encodeHead(head: CompactedHead): Uint8Array {
  const bytes = new Uint8Array(compactedHeadBytes);
  const view = viewOf(bytes);
  view.setUint32(0, magic, true);
  view.setUint32(4, version, true);
  view.setUint32(12, head.generation, true);
  putU64(view, 16, head.first);
  putU64(view, 24, head.end);
  putU64(view, 32, head.firstTimestampMs);
  putU64(view, 40, head.lastTimestampMs);
  putU64(view, 48, head.tableAt);
  view.setUint32(56, head.runs, true);
  view.setUint32(60, head.tableChecksum, true);
  view.setUint32(8, checksum(bytes), true);
  return bytes;
}

/** Undefined: these are not the first bytes of a whole compacted segment that begins at `first`. */
export async function readHead(file: DiskFile, first: LogPosition): Promise<CompactedHead | undefined> {
  const bytes = new Uint8Array(compactedHeadBytes);
  if ((await readOrNothing(file, bytes, 0)) < compactedHeadBytes) return undefined;
  const view = viewOf(bytes);
  const stored = view.getUint32(8, true);
  view.setUint32(8, 0, true);
  if (view.getUint32(0, true) !== magic || view.getUint32(4, true) !== version) return undefined;
  if (checksum(bytes) !== stored) return undefined;
  const head = {
    generation: view.getUint32(12, true),
    first: logPosition(getU64(view, 16)),
    end: logPosition(getU64(view, 24)),
    firstTimestampMs: getU64(view, 32),
    lastTimestampMs: getU64(view, 40),
    tableAt: getU64(view, 48),
    runs: view.getUint32(56, true),
    tableChecksum: view.getUint32(60, true),
  };
  const whole = head.first === first && (await file.size()) === head.tableAt + head.runs * runBytes;
  return whole ? head : undefined;
}

/** Undefined: the table is damaged. */
export async function readTable(file: DiskFile, head: CompactedHead): Promise<PositionTable | undefined> {
  const words = new Uint32Array(head.runs * 2);
  const bytes = new Uint8Array(words.buffer);
  const read = await readOrNothing(file, bytes, head.tableAt);
  return read === bytes.length && checksum(bytes) === head.tableChecksum ? new PositionTable(head, words) : undefined;
}

/** Where the records of a compacted segment stand in its file. */
export class PositionTable {
  constructor(
    private readonly head: Pick<CompactedHead, 'first' | 'tableAt'>,
    /** Position in segment and place in file, a run after another. */
    private readonly words: Uint32Array,
  ) {}

  /** The place of the record at `position`; -1: it was left out. */
  placeOf(position: number): number {
    const run = this.lastRunAt(position);
    if (run < 0) return -1;
    const place = this.placeIn(run, position);
    return place < this.endOf(run) ? place : -1;
  }

  /** The place of the first record at or behind `position`; where the records end when there is none. */
  placeFrom(position: number): number {
    const run = this.lastRunAt(position);
    return run < 0 ? this.startOf(0) : Math.min(this.placeIn(run, position), this.endOf(run));
  }

  private placeIn(run: number, position: number): number {
    return (this.words[2 * run + 1] as number) + position - this.head.first - (this.words[2 * run] as number);
  }

  private startOf(run: number): number {
    return 2 * run < this.words.length ? (this.words[2 * run + 1] as number) : this.head.tableAt;
  }

  private endOf(run: number): number {
    return this.startOf(run + 1);
  }

  /** The last run that begins at or before `position`; -1: none does. */
  private lastRunAt(position: number): number {
    const wanted = position - this.head.first;
    let low = 0;
    let high = this.words.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.words[2 * middle] as number) <= wanted) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
