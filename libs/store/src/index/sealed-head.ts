/**
 * The index file beside a sealed segment. Little-endian:
 *
 *   | magic u32 | version u32 | checksum u32 | headBytes u32 | first u64 | end u64 |
 *   | entries u32 | queues u32 | keys u32 | refs u32 | times u32 | pages u32 | lastMs u64 |          64 bytes
 *   times:  | position in segment u32 | timestampMs u64 |                                           by time
 *   pages:  | checksum u32 | × pages, in the order below
 *   fences: | topicId u32 | queueId u32 | × pages of queues, the first of each; | hash u32 | × pages of keys
 *   -- the head ends here: headBytes, covered by `checksum` --
 *   runs:   | position in segment u32 | size u32 | tag hash u32 | group hash u32 | × entries        by queue, offset
 *   keys:   | salted hash u32 | entry u32 | × keys                                                  by hash
 *   queues: | topicId u32 | queueId u32 | firstOffset u64 | count u32 | at u32 | bytes u64 | prev u64 |  by topic, queue
 *   refs:   | entry u32 | target u64 |                                                              by entry
 *
 * `at` is the entry at which a queue's run begins (so rows are in the order of `at` too), `prev` the first position of
 * the newest older segment that holds the queue, plus one; 0: none. All but the head is cut in pages of 64 KiB (or just
 * under it, so that no row is cut) with a checksum each: a look-up reads and checks one small head and two or three
 * pages, however many queues and messages there are.
 */
import type { LogPosition } from '@cometmq/model';
import { getU64, viewOf } from '@cometmq/shared';

import { checksum } from '../log/checksum.js';
import { entryWords } from './index-entries.js';
import { noSegment } from './segment-index.js';

export const magic = 0x58494d43;
export const version = 3;
export const prefixBytes = 64;
export const timeBytes = 12;
export const rowWords = 10;
export const refWords = 3;
const pageBytesMax = 64 * 1024;
const whole = (rowBytes: number): number => pageBytesMax - (pageBytesMax % rowBytes);
export const pageSizes = {
  runs: pageBytesMax,
  keys: pageBytesMax,
  queues: whole(rowWords * 4),
  refs: whole(refWords * 4),
} as const;
export const entriesPerPage = pageSizes.runs / (entryWords * 4);
export const keysPerPage = pageSizes.keys / 8;

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
  readonly queuePages: number;
  readonly refPages: number;
  private readonly view: DataView;
  private readonly pagesAt: number;
  private readonly queueFencesAt: number;
  private readonly keyFencesAt: number;

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
    this.runPages = Math.ceil((this.entryCount * entryWords * 4) / pageSizes.runs);
    this.keyPages = Math.ceil((this.keyCount * 8) / pageSizes.keys);
    this.queuePages = Math.ceil((this.queueCount * rowWords * 4) / pageSizes.queues);
    this.refPages = Math.ceil((this.refCount * refWords * 4) / pageSizes.refs);
    this.pagesAt = prefixBytes + this.timeCount * timeBytes;
    this.queueFencesAt = this.pagesAt + (this.runPages + this.keyPages + this.queuePages + this.refPages) * 4;
    this.keyFencesAt = this.queueFencesAt + this.queuePages * 8;
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
    const complete = head.keyFencesAt + head.keyPages * 4 === bytes.length && head.fileBytes === fileBytes;
    return complete && head.first === first && head.end === end ? head : undefined;
  }

  get fileBytes(): number {
    return this.queuesAt + this.queueCount * rowWords * 4 + this.refCount * refWords * 4;
  }

  /** Of all pages, the number of the first one of queues, and of references. */
  get firstQueuePage(): number {
    return this.runPages + this.keyPages;
  }
  get firstRefPage(): number {
    return this.firstQueuePage + this.queuePages;
  }

  /** The page in which the queue's row would stand; -1: in none. */
  queuePageOf(topicId: number, queueId: number): number {
    let low = 0;
    let high = this.queuePages;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = this.queueFencesAt + middle * 8;
      const order = this.view.getUint32(at, true) - topicId || this.view.getUint32(at + 4, true) - queueId;
      if (order <= 0) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? -1 : this.firstQueuePage + low - 1;
  }

  eachTime(each: (place: number, timestampMs: number) => void): void {
    for (let i = 0, at = prefixBytes; i < this.timeCount; i += 1, at += timeBytes) {
      each(this.view.getUint32(at, true), getU64(this.view, at + 4));
    }
  }

  /** Where page `number` stands in the file. */
  page(number: number): { at: number; bytes: number; checksum: number } {
    const stored = this.view.getUint32(this.pagesAt + number * 4, true);
    const runsBytes = this.entryCount * entryWords * 4;
    const runsAt = this.bytes.length;
    const within = (index: number, pageBytes: number, at: number, sectionBytes: number) => {
      const from = index * pageBytes;
      return { at: at + from, bytes: Math.min(pageBytes, sectionBytes - from), checksum: stored };
    };
    if (number < this.runPages) return within(number, pageSizes.runs, runsAt, runsBytes);
    if (number < this.firstQueuePage) {
      return within(number - this.runPages, pageSizes.keys, runsAt + runsBytes, this.keyCount * 8);
    }
    const rowsBytes = this.queueCount * rowWords * 4;
    if (number < this.firstRefPage) {
      return within(number - this.firstQueuePage, pageSizes.queues, this.queuesAt, rowsBytes);
    }
    const refsBytes = this.refCount * refWords * 4;
    return within(number - this.firstRefPage, pageSizes.refs, this.queuesAt + rowsBytes, refsBytes);
  }

  /** The first page of keys (numbered among all pages) in which the hash may stand; -1: in none. */
  keyPageOf(hash: number): number {
    let found = -1;
    for (let i = 0; i < this.keyPages; i += 1) {
      const fence = this.view.getUint32(this.keyFencesAt + i * 4, true);
      if (fence > hash) break;
      if (fence < hash || found < 0) found = i;
    }
    if (found < 0) return -1;
    return this.runPages + found;
  }

  private get queuesAt(): number {
    return this.bytes.length + this.entryCount * entryWords * 4 + this.keyCount * 8;
  }
}

/** The number, within its page of queues, of the queue's row; -1: it is not there. */
export function findRow(page: Uint32Array, topicId: number, queueId: number): number {
  let low = 0;
  let high = page.length / rowWords - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const at = middle * rowWords;
    const order = (page[at] as number) - topicId || (page[at + 1] as number) - queueId;
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

export function rowOf(page: Uint32Array, number: number): QueueRow {
  const at = number * rowWords;
  const prev = wholeAt(page, at + 8);
  return {
    topicId: page[at] as number,
    queueId: page[at + 1] as number,
    first: wholeAt(page, at + 2),
    count: page[at + 4] as number,
    at: page[at + 5] as number,
    bytes: wholeAt(page, at + 6),
    prev: prev === 0 ? noSegment : prev - 1,
  };
}

/** Calls `each` with the entry and the target of every reference of a page. */
export function eachReferenceOf(page: Uint32Array, each: (entry: number, target: number) => void): void {
  for (let at = 0; at < page.length; at += refWords) each(page[at] as number, wholeAt(page, at + 1));
}

function wholeAt(words: Uint32Array, at: number): number {
  return (words[at] as number) + (words[at + 1] as number) * 2 ** 32;
}
