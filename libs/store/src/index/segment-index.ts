/**
 * The index of one segment in memory, while the segment is being written or rebuilt: which record is offset n of a
 * queue, and which records may carry an id or key. Plain typed arrays, 24 bytes a message and 8 a key:
 *
 *   words  | position in segment u32 | size u32 | tag hash u32 | group hash u32 |  × entries, in log order
 *   chain  | the queue's next entry u32 |                                          × entries
 *   ids    | salted hash of the message id u32, 0: none |                          × entries
 *   keys   | salted hash u32 | entry u32 |                                         × keys
 *
 * Records that no queue shows (pending messages) stand in a run of their own, numbered from 0 in each segment.
 * The entries of a queue are consecutive offsets, chained; every 32nd is noted, so that none is more than 31 steps away.
 */
import type { LogPosition, QueueOffset } from '@cometmq/model';
import { assert } from '@cometmq/shared';

import { entryWords, IndexEntries, noWords } from './index-entries.js';
import { saltedId, saltedKey, saltedTarget } from './key-hash.js';
import { grown, QueueTable } from './queue-table.js';

/** What `prevOf` says when no older segment that is still kept holds the queue. */
export const noSegment = -1;
/** What `prevOf` says when nobody has looked yet. */
export const unknownSegment = -2;

/** Under what the records that no queue shows stand in a segment's table of queues. No topic has the id 0. */
const queueless = { topicId: 0, queueId: 0 } as const;

/** Whether a queue of a segment's table is none: the run of records that no queue shows. */
export function isQueueless({ topicId, queueId }: { readonly topicId: number; readonly queueId: number }): boolean {
  return topicId === queueless.topicId && queueId === queueless.queueId;
}

const noteEvery = 32;
/** A time sample is taken when log time has moved this far: expiry is as fine as that. */
export const sampleEveryMs = 1000;

export class SegmentIndex {
  private readonly table = new QueueTable();
  private words: Uint32Array;
  private chain: Uint32Array;
  private ids: Uint32Array;
  private keyHashes = new Uint32Array(256);
  private keyEntries = new Uint32Array(256);
  private refEntries: Uint32Array = noWords;
  private refTargets = new Float64Array(0);
  private timePositions = new Uint32Array(64);
  private timesMs = new Float64Array(64);
  // Per queue of this segment, by its number in `table`.
  private firsts = new Float64Array(32);
  private bytes = new Float64Array(32);
  private prevs = new Float64Array(32);
  private counts = new Uint32Array(32);
  private heads = new Uint32Array(32);
  private tails = new Uint32Array(32);
  private notes: (Uint32Array | undefined)[] = [];
  private entries = 0;
  private keys = 0;
  private refs = 0;
  private times = 0;
  private lastMs = 0;

  constructor(
    readonly first: LogPosition,
    capacity = 1024,
  ) {
    this.words = new Uint32Array(capacity * entryWords);
    this.chain = new Uint32Array(capacity);
    this.ids = new Uint32Array(capacity);
  }

  get entryCount(): number {
    return this.entries;
  }
  get queueCount(): number {
    return this.table.end;
  }
  get keyCount(): number {
    return this.keys;
  }
  get refCount(): number {
    return this.refs;
  }
  get timeCount(): number {
    return this.times;
  }
  /** Of the newest message; 0: there is none. */
  get lastTimestampMs(): number {
    return this.lastMs;
  }

  /**
   * The next message of a queue; its offset is one above the queue's last. Answers the queue's number, and the caller
   * says with `setPrev` where the queue was seen before when `isNew`.
   */
  add(
    topicId: number,
    queueId: number,
    offset: number,
    position: number,
    size: number,
    tagHash: number,
    groupHash: number,
    timestampMs: number,
  ): number {
    const entry = this.entries;
    if (entry === this.chain.length) this.growEntries();
    const at = entry * entryWords;
    const words = this.words;
    const place = position - this.first;
    words[at] = place;
    words[at + 1] = size;
    words[at + 2] = tagHash;
    words[at + 3] = groupHash;
    this.ids[entry] = 0;
    this.entries = entry + 1;

    let queue = this.table.find(topicId, queueId);
    if (queue < 0) {
      queue = this.addQueue(topicId, queueId, offset);
      this.heads[queue] = entry;
    } else {
      assert(
        offset === (this.firsts[queue] as number) + (this.counts[queue] as number),
        'offsets of a queue are consecutive',
      );
      this.chain[this.tails[queue] as number] = entry;
    }
    this.tails[queue] = entry;
    const count = this.counts[queue] as number;
    if (count % noteEvery === 0 && count > 0) this.note(queue, count / noteEvery, entry);
    this.counts[queue] = count + 1;
    this.bytes[queue] = (this.bytes[queue] as number) + size;
    if (timestampMs > this.lastMs) this.lastMs = timestampMs;
    if (this.times === 0 || timestampMs >= (this.timesMs[this.times - 1] as number) + sampleEveryMs) {
      this.addTime(place, timestampMs);
    }
    return queue;
  }

  /** The next record that no queue shows: found by its id and keys. */
  addQueueless(position: number, size: number, tagHash: number, groupHash: number, timestampMs: number): void {
    const run = this.table.find(queueless.topicId, queueless.queueId);
    const place = run < 0 ? 0 : (this.counts[run] as number);
    this.add(queueless.topicId, queueless.queueId, place, position, size, tagHash, groupHash, timestampMs);
  }

  /** Whether the queue was first seen with the last `add`: its `prev` is then to be set. */
  isNew(queue: number): boolean {
    return this.counts[queue] === 1;
  }

  /** Takes the ids and keys of the last entry from its envelope (see the model): at its place, without a copy. */
  addKeys(topicId: number, payload: Uint8Array): void {
    if (payload.length < 16) return;
    const idHash = readU32(payload, 4);
    if (idHash !== 0) this.ids[this.entries - 1] = saltedId(topicId, idHash);
    const keyCount = (payload[14] as number) | ((payload[15] as number) << 8);
    for (let i = 0, at = 16; i < keyCount && at + 4 <= payload.length; i += 1, at += 4) {
      this.addKey(saltedKey(topicId, readU32(payload, at)));
    }
  }

  /** The last entry is found by it as by one of its keys. */
  addHash(topicId: number, hash: number): void {
    this.addKey(saltedKey(topicId, hash));
  }

  /** The last entry is a reference; its target is to stay as long as it does. It is found by its target too. */
  addReference(target: number): void {
    if (this.refs === this.refEntries.length) {
      this.refEntries = this.refs === 0 ? new Uint32Array(16) : grown(this.refEntries);
      this.refTargets = this.refs === 0 ? new Float64Array(16) : grown(this.refTargets);
    }
    this.refEntries[this.refs] = this.entries - 1;
    this.refTargets[this.refs] = target;
    this.refs += 1;
    this.addKey(saltedTarget(target));
  }

  find(topicId: number, queueId: number): number {
    return this.table.find(topicId, queueId);
  }
  topicOf(queue: number): number {
    return this.table.topicOf(queue);
  }
  queueOf(queue: number): number {
    return this.table.queueOf(queue);
  }
  firstOf(queue: number): number {
    return this.firsts[queue] as number;
  }
  countOf(queue: number): number {
    return this.counts[queue] as number;
  }
  endOf(queue: number): number {
    return (this.firsts[queue] as number) + (this.counts[queue] as number);
  }
  bytesOf(queue: number): number {
    return this.bytes[queue] as number;
  }
  /** First position of the newest older segment that holds the queue, or `noSegment`, or `unknownSegment`. */
  prevOf(queue: number): number {
    return this.prevs[queue] as number;
  }
  setPrev(queue: number, segmentFirst: number): void {
    this.prevs[queue] = segmentFirst;
  }

  /** Up to `max` entries from `offset` that end at or before `limit`. Copies 16 bytes an entry. */
  scan(queue: number, offset: number, max: number, limit: number): IndexEntries {
    const skip = offset - this.firstOf(queue);
    const left = Math.min(max, this.countOf(queue) - skip);
    const words = new Uint32Array(left * entryWords);
    const all = this.words;
    const limitPlace = limit - this.first;
    let entry = this.entryAt(queue, skip);
    let count = 0;
    for (; count < left; count += 1) {
      const from = entry * entryWords;
      const place = all[from] as number;
      const size = all[from + 1] as number;
      if (place + size > limitPlace) break;
      const to = count * entryWords;
      words[to] = place;
      words[to + 1] = size;
      words[to + 2] = all[from + 2] as number;
      words[to + 3] = all[from + 3] as number;
      entry = this.chain[entry] as number;
    }
    return new IndexEntries(offset as QueueOffset, count, this.first, words, 0);
  }

  /** Calls `each` with places and sizes of the queue's entries from `offset` on, until it answers false. */
  walk(queue: number, offset: number, each: (place: number, size: number) => boolean): void {
    const skip = offset - this.firstOf(queue);
    let left = this.countOf(queue) - skip;
    let entry = left > 0 ? this.entryAt(queue, skip) : 0;
    for (; left > 0; left -= 1) {
      if (!each(this.words[entry * entryWords] as number, this.words[entry * entryWords + 1] as number)) return;
      entry = this.chain[entry] as number;
    }
  }

  /** Calls `each` with the record of every id or key that has this salted hash. */
  eachKey(hash: number, each: (place: number, size: number) => void): void {
    const end = this.entries;
    for (let i = 0; i < end; i += 1) if (this.ids[i] === hash) this.giveEntry(i, each);
    for (let i = 0; i < this.keys; i += 1) {
      if (this.keyHashes[i] === hash) this.giveEntry(this.keyEntries[i] as number, each);
    }
  }

  eachTime(each: (place: number, timestampMs: number) => void): void {
    for (let i = 0; i < this.times; i += 1) each(this.timePositions[i] as number, this.timesMs[i] as number);
  }

  /** Every reference: which entry of all it is, and its target. */
  eachReference(each: (entry: number, target: number) => void): void {
    for (let i = 0; i < this.refs; i += 1) each(this.refEntries[i] as number, this.refTargets[i] as number);
  }

  /** Copies the queue's run into `into` from word `at`; notes in `order` where each entry went. For sealing. */
  copyRun(queue: number, into: Uint32Array, at: number, order: Uint32Array): void {
    let entry = this.heads[queue] as number;
    for (let i = 0, left = this.counts[queue] as number; i < left; i += 1) {
      const to = at + i * entryWords;
      const from = entry * entryWords;
      into[to] = this.words[from] as number;
      into[to + 1] = this.words[from + 1] as number;
      into[to + 2] = this.words[from + 2] as number;
      into[to + 3] = this.words[from + 3] as number;
      order[entry] = to / entryWords;
      entry = this.chain[entry] as number;
    }
  }

  /** Copies the ids and keys from `from` on into `hashes` and `entries`; answers how many. For sealing. */
  copyKeys(hashes: Uint32Array, entries: Uint32Array): number {
    let count = 0;
    for (let i = 0; i < this.entries; i += 1) {
      if (this.ids[i] === 0) continue;
      hashes[count] = this.ids[i] as number;
      entries[count++] = i;
    }
    hashes.set(this.keyHashes.subarray(0, this.keys), count);
    entries.set(this.keyEntries.subarray(0, this.keys), count);
    return count + this.keys;
  }

  private giveEntry(entry: number, each: (place: number, size: number) => void): void {
    each(this.words[entry * entryWords] as number, this.words[entry * entryWords + 1] as number);
  }

  private entryAt(queue: number, skip: number): number {
    const noted = Math.floor(skip / noteEvery);
    let entry = noted === 0 ? (this.heads[queue] as number) : ((this.notes[queue] as Uint32Array)[noted] as number);
    for (let left = skip % noteEvery; left > 0; left -= 1) entry = this.chain[entry] as number;
    return entry;
  }

  private addQueue(topicId: number, queueId: number, offset: number): number {
    const queue = this.table.add(topicId, queueId);
    if (queue === this.firsts.length) {
      this.firsts = grown(this.firsts);
      this.bytes = grown(this.bytes);
      this.prevs = grown(this.prevs);
      this.counts = grown(this.counts);
      this.heads = grown(this.heads);
      this.tails = grown(this.tails);
    }
    this.firsts[queue] = offset;
    this.bytes[queue] = 0;
    this.prevs[queue] = offset === 0 ? noSegment : unknownSegment;
    this.counts[queue] = 0;
    return queue;
  }

  private note(queue: number, index: number, entry: number): void {
    let notes = this.notes[queue];
    if (!notes) this.notes[queue] = notes = new Uint32Array(8);
    else if (index === notes.length) this.notes[queue] = notes = grown(notes);
    notes[index] = entry;
  }

  private addKey(hash: number): void {
    if (this.keys === this.keyHashes.length) {
      this.keyHashes = grown(this.keyHashes);
      this.keyEntries = grown(this.keyEntries);
    }
    this.keyHashes[this.keys] = hash;
    this.keyEntries[this.keys] = this.entries - 1;
    this.keys += 1;
  }

  private addTime(place: number, timestampMs: number): void {
    if (this.times === this.timesMs.length) {
      this.timePositions = grown(this.timePositions);
      this.timesMs = grown(this.timesMs);
    }
    this.timePositions[this.times] = place;
    this.timesMs[this.times] = timestampMs;
    this.times += 1;
  }

  private growEntries(): void {
    this.words = grown(this.words);
    this.chain = grown(this.chain);
    this.ids = grown(this.ids);
  }
}

function readU32(from: Uint8Array, at: number): number {
  return (
    ((from[at] as number) |
      ((from[at + 1] as number) << 8) |
      ((from[at + 2] as number) << 16) |
      ((from[at + 3] as number) << 24)) >>>
    0
  );
}
