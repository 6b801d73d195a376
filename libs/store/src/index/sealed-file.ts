/**
 * The making of an index file: the layout is that of `sealed-head.ts`.
 */
import type { LogPosition } from '@cometmq/model';
import { putU64, viewOf } from '@cometmq/shared';

import { yieldToLoop } from '../yield-to-loop.js';
import { checksum } from '../log/checksum.js';
import { entryWords } from './index-entries.js';
import { magic, pageSizes, prefixBytes, refWords, rowWords, timeBytes, version } from './sealed-head.js';
import type { SegmentIndex } from './segment-index.js';

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
      await yieldToLoop();
    }
  }
  const keys = await sortedKeys(index, order);
  const rows = queueRows(index, queues, ats);
  const refs = sortedReferences(index, order);
  const sections = [
    { words: runs, pageBytes: pageSizes.runs },
    { words: keys, pageBytes: pageSizes.keys },
    { words: rows, pageBytes: pageSizes.queues },
    { words: refs, pageBytes: pageSizes.refs },
  ].map(({ words, pageBytes }) => ({ words, pageBytes, bytes: new Uint8Array(words.buffer) }));
  let pages = 0;
  for (const { bytes, pageBytes } of sections) pages += Math.ceil(bytes.length / pageBytes);
  const queuePages = Math.ceil((rows.length * 4) / pageSizes.queues);
  const keyPages = Math.ceil((keys.length * 4) / pageSizes.keys);

  const headBytes = prefixBytes + index.timeCount * timeBytes + pages * 4 + queuePages * 8 + keyPages * 4;
  const head = new Uint8Array(headBytes);
  const view = viewOf(head);
  view.setUint32(0, magic, true);
  view.setUint32(4, version, true);
  view.setUint32(12, headBytes, true);
  putU64(view, 16, index.first);
  putU64(view, 24, end);
  view.setUint32(32, index.entryCount, true);
  view.setUint32(36, queues.length, true);
  view.setUint32(40, keys.length / 2, true);
  view.setUint32(44, index.refCount, true);
  view.setUint32(48, index.timeCount, true);
  view.setUint32(52, pages, true);
  putU64(view, 56, index.lastTimestampMs);
  let to = prefixBytes;
  index.eachTime((place, timestampMs) => {
    view.setUint32(to, place, true);
    putU64(view, to + 4, timestampMs);
    to += timeBytes;
  });
  for (const { bytes, pageBytes } of sections) {
    for (let from = 0; from < bytes.length; from += pageBytes) {
      view.setUint32(to, checksum(bytes.subarray(from, from + pageBytes)), true);
      to += 4;
    }
    await yieldToLoop();
  }
  for (let i = 0; i < rows.length; i += pageSizes.queues / 4) {
    view.setUint32(to, rows[i] as number, true);
    view.setUint32(to + 4, rows[i + 1] as number, true);
    to += 8;
  }
  for (let i = 0; i < keys.length; i += pageSizes.keys / 4) {
    view.setUint32(to, keys[i] as number, true);
    to += 4;
  }
  view.setUint32(8, checksum(head), true);
  return [head, ...sections.map(({ bytes }) => bytes)];
}

function queueRows(index: SegmentIndex, queues: readonly number[], ats: Uint32Array): Uint32Array {
  const rows = new Uint32Array(queues.length * rowWords);
  const view = viewOf(new Uint8Array(rows.buffer));
  for (let i = 0; i < queues.length; i += 1) {
    const queue = queues[i] as number;
    const to = i * rowWords * 4;
    view.setUint32(to, index.topicOf(queue), true);
    view.setUint32(to + 4, index.queueOf(queue), true);
    putU64(view, to + 8, index.firstOf(queue));
    view.setUint32(to + 16, index.countOf(queue), true);
    view.setUint32(to + 20, ats[i] as number, true);
    putU64(view, to + 24, index.bytesOf(queue));
    const prev = index.prevOf(queue);
    putU64(view, to + 32, prev < 0 ? 0 : prev + 1);
  }
  return rows;
}

function sortedReferences(index: SegmentIndex, order: Uint32Array): Uint32Array {
  const refs: { entry: number; target: number }[] = [];
  index.eachReference((entry, target) => refs.push({ entry: order[entry] as number, target }));
  refs.sort((a, b) => a.entry - b.entry);
  const words = new Uint32Array(refs.length * refWords);
  const view = viewOf(new Uint8Array(words.buffer));
  for (let i = 0; i < refs.length; i += 1) {
    const { entry, target } = refs[i] as { entry: number; target: number };
    view.setUint32(i * refWords * 4, entry, true);
    putU64(view, i * refWords * 4 + 4, target);
  }
  return words;
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
      await yieldToLoop();
      radixPass(from, from.entries, count, shift, to);
      [from, to] = [to, from];
    }
  }
  for (let shift = 0; shift < 32; shift += digitBits) {
    await yieldToLoop();
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
