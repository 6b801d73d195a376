/**
 * The index file beside a sealed segment. Little-endian:
 *
 *   | magic u32 | version u32 | checksum u32 | headBytes u32 | first u64 | end u64 |
 *   | entries u32 | queues u32 | keys u32 | refs u32 | times u32 | pages u32 | lastMs u64 |          64 bytes
 *   queues: | topicId u32 | queueId u32 | firstOffset u64 | count u32 | at u32 | bytes u64 | prev u64 |  by topic, queue
 *   times:  | position in segment u32 | timestampMs u64 |                                           by time
 *   refs:   | entry u32 | target u64 |                                                              by entry
 *   pages:  | checksum u32 | × pages      fences: | first hash u32 | × pages of keys
 *   -- the head ends here: headBytes, covered by `checksum` --
 *   runs:   | position in segment u32 | size u32 | tag hash u32 | group hash u32 | × entries        by queue, offset
 *   keys:   | salted hash u32 | entry u32 | × keys                                                  by hash
 *
 * `at` is the entry at which a queue's run begins, `prev` the first position of the newest older segment that holds
 * the queue, plus one; 0: none. Runs and keys are cut in pages of 64 KiB with a checksum each, so that a look-up reads
 * and checks one head and one page, however large the file.
 */
import type { LogPosition } from '@cometmq/model';
import { getU64, putU64, viewOf } from '@cometmq/shared';

import { breath } from '../breath.js';
import { checksum } from '../log/checksum.js';
import { entryWords } from './index-entries.js';
import { noSegment } from './segment-index.js';
import type { SegmentIndex } from './segment-index.js';

const magic = 0x58494d43;
const version = 1;
export const prefixBytes = 64;
const queueBytes = 40;
const timeBytes = 12;
const refBytes = 12;
export const pageBytes = 64 * 1024;
const runBytes = entryWords * 4;
export const entriesPerPage = pageBytes / runBytes;
export const keysPerPage = pageBytes / 8;
/** Loops over entries give way to the event loop after so many. */
const sliceEntries = 32 * 1024;

/** The file's bytes for a segment that ends at `end`. Every `prev` must be known. Gives way to the event loop. */
export async function encodeIndex(index: SegmentIndex, end: LogPosition): Promise<Uint8Array[]> {
  const queues = sortedQueues(index);
  const runs = new Uint32Array(index.entryCount * entryWords);
  /** Entry in log order → entry in the file. */
  const order = new Uint32Array(index.entryCount);
  const ats = new Uint32Array(queues.length);
  let at = 0;
  let sliced = 0;
  for (let i = 0; i < queues.length; i += 1) {
    const queue = queues[i] as number;
    ats[i] = at;
    index.copyRun(queue, runs, at * entryWords, order);
    at += index.countOf(queue);
    if (at - sliced >= sliceEntries) {
      sliced = at;
      await breath();
    }
  }
  const keys = await sortedKeys(index, order);
  const keyCount = keys.length / 2;
  const runPages = Math.ceil((runs.length * 4) / pageBytes);
  const keyPages = Math.ceil((keys.length * 4) / pageBytes);

  const headBytes =
    prefixBytes +
    queues.length * queueBytes +
    index.timeCount * timeBytes +
    index.refCount * refBytes +
    (runPages + 2 * keyPages) * 4;
  const head = new Uint8Array(headBytes);
  const view = viewOf(head);
  view.setUint32(0, magic, true);
  view.setUint32(4, version, true);
  view.setUint32(12, headBytes, true);
  putU64(view, 16, index.first);
  putU64(view, 24, end);
  view.setUint32(32, index.entryCount, true);
  view.setUint32(36, queues.length, true);
  view.setUint32(40, keyCount, true);
  view.setUint32(44, index.refCount, true);
  view.setUint32(48, index.timeCount, true);
  view.setUint32(52, runPages + keyPages, true);
  putU64(view, 56, index.lastTimestampMs);
  let to = prefixBytes;
  for (let i = 0; i < queues.length; i += 1) {
    const queue = queues[i] as number;
    view.setUint32(to, index.topicOf(queue), true);
    view.setUint32(to + 4, index.queueOf(queue), true);
    putU64(view, to + 8, index.firstOf(queue));
    view.setUint32(to + 16, index.countOf(queue), true);
    view.setUint32(to + 20, ats[i] as number, true);
    putU64(view, to + 24, index.bytesOf(queue));
    const prev = index.prevOf(queue);
    putU64(view, to + 32, prev < 0 ? 0 : prev + 1);
    to += queueBytes;
  }
  index.eachTime((place, timestampMs) => {
    view.setUint32(to, place, true);
    putU64(view, to + 4, timestampMs);
    to += timeBytes;
  });
  const refs: { entry: number; target: number }[] = [];
  index.eachReference((entry, target) => refs.push({ entry: order[entry] as number, target }));
  for (const ref of refs.sort((a, b) => a.entry - b.entry)) {
    view.setUint32(to, ref.entry, true);
    putU64(view, to + 4, ref.target);
    to += refBytes;
  }
  const runChunk = new Uint8Array(runs.buffer);
  const keyChunk = new Uint8Array(keys.buffer);
  for (const chunk of [runChunk, keyChunk]) {
    for (let from = 0; from < chunk.length; from += pageBytes) {
      view.setUint32(to, checksum(chunk.subarray(from, from + pageBytes)), true);
      to += 4;
    }
    await breath();
  }
  for (let i = 0; i < keyCount; i += keysPerPage) {
    view.setUint32(to, keys[2 * i] as number, true);
    to += 4;
  }
  view.setUint32(8, checksum(head), true);
  return [head, runChunk, keyChunk];
}

function sortedQueues(index: SegmentIndex): number[] {
  const queues = Array.from({ length: index.queueCount }, (_, i) => i);
  return queues.sort((a, b) => index.topicOf(a) - index.topicOf(b) || index.queueOf(a) - index.queueOf(b));
}

interface Columns {
  readonly hashes: Uint32Array;
  readonly entries: Uint32Array;
}

/** (hash, entry in the file) pairs by hash, then entry: a radix sort in passes of 11 bits. */
async function sortedKeys(index: SegmentIndex, order: Uint32Array): Promise<Uint32Array> {
  const room = index.entryCount + index.keyCount;
  let from: Columns = { hashes: new Uint32Array(room), entries: new Uint32Array(room) };
  let to: Columns = { hashes: new Uint32Array(room), entries: new Uint32Array(room) };
  let count = index.copyKeys(to.hashes, to.entries);
  // Ids, one an entry at most, come into the order of entries by being put in their places; keys must be sorted.
  if (index.keyCount === 0) {
    count = placeIds(to, count, order, from);
  } else {
    renumber(to, count, order, from);
    for (let shift = 0; shift < 32 && index.entryCount >>> shift > 0; shift += digitBits) {
      await breath();
      radixPass(from, from.entries, count, shift, to);
      [from, to] = [to, from];
    }
  }
  for (let shift = 0; shift < 32; shift += digitBits) {
    await breath();
    radixPass(from, from.hashes, count, shift, to);
    [from, to] = [to, from];
  }
  return paired(from, count);
}

const digitBits = 11;
const digits = 1 << digitBits;

// Plain functions over plain arrays: the engine makes them fast, which it does not do to loops of an async function.

function radixPass(from: Columns, by: Uint32Array, count: number, shift: number, to: Columns): void {
  const starts = new Uint32Array(digits + 1);
  for (let i = 0; i < count; i += 1) {
    const digit = ((by[i] as number) >>> shift) & (digits - 1);
    starts[digit + 1] = (starts[digit + 1] as number) + 1;
  }
  for (let i = 0; i < digits; i += 1) starts[i + 1] = (starts[i + 1] as number) + (starts[i] as number);
  const { hashes, entries } = from;
  const { hashes: toHashes, entries: toEntries } = to;
  for (let i = 0; i < count; i += 1) {
    const digit = ((by[i] as number) >>> shift) & (digits - 1);
    const at = starts[digit] as number;
    starts[digit] = at + 1;
    toHashes[at] = hashes[i] as number;
    toEntries[at] = entries[i] as number;
  }
}

function placeIds(from: Columns, count: number, order: Uint32Array, to: Columns): number {
  const { hashes, entries } = to;
  for (let i = 0; i < count; i += 1) hashes[order[from.entries[i] as number] as number] = from.hashes[i] as number;
  let kept = 0;
  for (let i = 0; i < hashes.length; i += 1) {
    if (hashes[i] === 0) continue;
    hashes[kept] = hashes[i] as number;
    entries[kept] = i;
    kept += 1;
  }
  return kept;
}

function renumber(from: Columns, count: number, order: Uint32Array, to: Columns): void {
  for (let i = 0; i < count; i += 1) {
    to.hashes[i] = from.hashes[i] as number;
    to.entries[i] = order[from.entries[i] as number] as number;
  }
}

function paired(from: Columns, count: number): Uint32Array {
  const pairs = new Uint32Array(2 * count);
  for (let i = 0; i < count; i += 1) {
    pairs[2 * i] = from.hashes[i] as number;
    pairs[2 * i + 1] = from.entries[i] as number;
  }
  return pairs;
}

/** A row of a sealed index's table of queues. */
export interface QueueRow {
  readonly topicId: number;
  readonly queueId: number;
  readonly first: number;
  readonly count: number;
  /** The entry at which the queue's run begins. */
  readonly at: number;
  readonly bytes: number;
  /** First position of the newest older segment that holds the queue, or `noSegment`. */
  readonly prev: number;
}

/** The head of a sealed index, checked. Its pages are read one by one. */
export class SealedHead {
  readonly first: LogPosition;
  readonly end: LogPosition;
  readonly entryCount: number;
  readonly queueCount: number;
  readonly keyCount: number;
  readonly refCount: number;
  readonly timeCount: number;
  /** Of the newest message; 0: there is none. */
  readonly lastTimestampMs: number;
  readonly runPages: number;
  readonly keyPages: number;
  private readonly view: DataView;
  private readonly timesAt: number;
  private readonly refsAt: number;
  private readonly pagesAt: number;
  private readonly fencesAt: number;

  private constructor(readonly bytes: Uint8Array) {
    const view = (this.view = viewOf(bytes));
    this.first = getU64(view, 16) as LogPosition;
    this.end = getU64(view, 24) as LogPosition;
    this.entryCount = view.getUint32(32, true);
    this.queueCount = view.getUint32(36, true);
    this.keyCount = view.getUint32(40, true);
    this.refCount = view.getUint32(44, true);
    this.timeCount = view.getUint32(48, true);
    this.lastTimestampMs = getU64(view, 56);
    this.runPages = Math.ceil((this.entryCount * runBytes) / pageBytes);
    this.keyPages = Math.ceil((this.keyCount * 8) / pageBytes);
    this.timesAt = prefixBytes + this.queueCount * queueBytes;
    this.refsAt = this.timesAt + this.timeCount * timeBytes;
    this.pagesAt = this.refsAt + this.refCount * refBytes;
    this.fencesAt = this.pagesAt + (this.runPages + this.keyPages) * 4;
  }

  /** How many bytes the head takes, from the file's first 64; undefined: this is no index of ours. */
  static bytesOf(prefix: Uint8Array, fileBytes: number): number | undefined {
    if (prefix.length < prefixBytes) return undefined;
    const view = viewOf(prefix);
    if (view.getUint32(0, true) !== magic || view.getUint32(4, true) !== version) return undefined;
    const headBytes = view.getUint32(12, true);
    return headBytes >= prefixBytes && headBytes <= fileBytes ? headBytes : undefined;
  }

  /** Undefined: damaged, or not the index of this segment. */
  static read(bytes: Uint8Array, first: LogPosition, end: LogPosition, fileBytes: number): SealedHead | undefined {
    const view = viewOf(bytes);
    const stored = view.getUint32(8, true);
    view.setUint32(8, 0, true);
    if (checksum(bytes) !== stored) return undefined;
    const head = new SealedHead(bytes);
    const whole = head.fencesAt + head.keyPages * 4 === bytes.length && head.fileBytes === fileBytes;
    return whole && head.first === first && head.end === end ? head : undefined;
  }

  get fileBytes(): number {
    return this.bytes.length + this.entryCount * runBytes + this.keyCount * 8;
  }

  /** The number of the queue's row, or -1. */
  find(topicId: number, queueId: number): number {
    let low = 0;
    let high = this.queueCount - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const at = prefixBytes + middle * queueBytes;
      const order = this.view.getUint32(at, true) - topicId || this.view.getUint32(at + 4, true) - queueId;
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  row(number: number): QueueRow {
    const { view } = this;
    const at = prefixBytes + number * queueBytes;
    const prev = getU64(view, at + 32);
    return {
      topicId: view.getUint32(at, true),
      queueId: view.getUint32(at + 4, true),
      first: getU64(view, at + 8),
      count: view.getUint32(at + 16, true),
      at: view.getUint32(at + 20, true),
      bytes: getU64(view, at + 24),
      prev: prev === 0 ? noSegment : prev - 1,
    };
  }

  eachTime(each: (place: number, timestampMs: number) => void): void {
    for (let i = 0, at = this.timesAt; i < this.timeCount; i += 1, at += timeBytes) {
      each(this.view.getUint32(at, true), getU64(this.view, at + 4));
    }
  }

  /** Every reference: its entry in the file's order, and its target. By entry. */
  eachReference(each: (entry: number, target: number) => void): void {
    for (let i = 0, at = this.refsAt; i < this.refCount; i += 1, at += refBytes) {
      each(this.view.getUint32(at, true), getU64(this.view, at + 4));
    }
  }

  /** Where page `number` (those of the runs come first) stands in the file. */
  page(number: number): { at: number; bytes: number; checksum: number } {
    const runsBytes = this.entryCount * runBytes;
    const stored = this.view.getUint32(this.pagesAt + number * 4, true);
    if (number < this.runPages) {
      const from = number * pageBytes;
      return { at: this.bytes.length + from, bytes: Math.min(pageBytes, runsBytes - from), checksum: stored };
    }
    const from = (number - this.runPages) * pageBytes;
    return {
      at: this.bytes.length + runsBytes + from,
      bytes: Math.min(pageBytes, this.keyCount * 8 - from),
      checksum: stored,
    };
  }

  /** The first page of keys (numbered among all pages) in which the hash may stand; -1: in none. */
  keyPageOf(hash: number): number {
    let found = -1;
    for (let i = 0; i < this.keyPages; i += 1) {
      const fence = this.view.getUint32(this.fencesAt + i * 4, true);
      if (fence > hash) break;
      if (fence < hash || found < 0) found = i;
    }
    if (found < 0) return -1;
    return this.runPages + found;
  }
}
