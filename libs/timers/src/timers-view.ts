import {
  decodePendingTransfer,
  decodeReference,
  decodeTopicDeleted,
  eachDropped,
  Envelope,
  MessageType,
  RecordKind,
  referenceReason,
  type LogPosition,
  type TopicId,
  type StateChange,
} from '@cometmq/model';
import { assert, ByteReader, ByteWriter, RecentNumbers } from '@cometmq/shared';

import { NearTimers } from './near-timers.js';
import type { FoldedRecord, Timer } from './ports.js';
import { bucketMs, eachGone, encodeGone, isGoneKey, TimeBucket } from './time-bucket.js';
import { decodeTimers, encodeTimers, TimerList } from './timer-list.js';
import { PositionSet } from './position-set.js';
import { decodeMoves, encodeMoves, type TimerMove } from './timer-records.js';

/** Remembered as taken back: 64 × 1,024. */
const recallPagesMax = 64;
const layout = 1;
const out = new ByteWriter();

/**
 * Where a timer stands, by what is in memory. `far`: if it waits at all, it stands in one of the cold pieces named by
 * `farPieces`.
 */
export type Standing = 'near' | 'tail' | 'far' | 'takenBack' | 'none';

/** The timers of an hour that are in no one's memory but for its newest. */
export interface FarBucket {
  readonly endMs: number;
  readonly tail: TimerList;
  /** Of the cold pieces that hold the others, and of those that say who is gone. */
  readonly keys: readonly string[];
}

/**
 * The delayed messages that wait: a deterministic fold over the log. Two parts, divided at `nearEndMs`:
 *
 *   due before it   near: all in memory, in order of time
 *   due after it    far: in buckets of an hour; but for the newest few of each they lie in cold pieces, on disk
 *
 * The driver moves the border ahead of the clock: it reads the pieces that `wanted` names, gives them to `stage`, then
 * calls `advance`. Where the border stands is nobody's business but this process's: what waits is the same for all.
 *
 * Cold pieces are never written again. Who is taken back or fired is noted beside them, until all of a piece is done:
 * of cold timers, those before `done`, by (due time, position), are gone.
 *
 *   n               | 1 | done: due | position |
 *   h/<bucket>, t/<bucket>, g/<bucket>      a bucket: its pieces, its tail, who of it is gone
 *   p/<page>        near timers that are in no cold piece
 *   s               those that were fired when nobody knew where they stand
 *   c               | 1 | (topic | count) × |
 *   r/<page>        who was taken back lately
 */
export class TimersView {
  readonly name = 'timers';
  readonly kinds: ReadonlySet<RecordKind> = new Set<RecordKind>([
    RecordKind.pending,
    RecordKind.transferredPending,
    RecordKind.transferPending,
    RecordKind.reference,
    RecordKind.dropped,
    RecordKind.timerMoved,
    RecordKind.topicDeleted,
  ]);
  private near = new NearTimers();
  private nearEnd = 0;
  private done = { dueMs: 0, position: 0 };
  private buckets = new Map<number, TimeBucket>();
  private readonly changedBuckets = new Set<TimeBucket>();
  /** Fired, and not in memory: only after a restart, until the cold piece is read that holds them. */
  private strays = new Set<number>();
  private counts = new Map<number, number>();
  private total = 0;
  private takenBack = new RecentNumbers(recallPagesMax);
  private readonly changed = { done: false, strays: false, counts: false };
  private staged = new Staged();
  /** Of buckets that are no more. */
  private endedTimes = 0;

  // ---- the view --------------------------------------------------------------------------------------------------

  fold(record: FoldedRecord): void {
    switch (record.kind) {
      case RecordKind.pending: {
        const envelope = new Envelope(record.payload);
        if (envelope.type !== MessageType.delay) return;
        const { dueMs } = envelope;
        assert(dueMs !== undefined, 'a delayed message says when it is due');
        const { position, size, topicId, queueId, tagHash, groupHash } = record;
        this.add({ position, size, dueMs, topicId, queueId, tagHash, groupHash });
        return;
      }
      case RecordKind.transferredPending: {
        const past = new Envelope(record.payload).transferMark?.past;
        assert(past !== undefined, 'a pending message that came from another broker set says what it was');
        if (past.half) return;
        const { position, size, topicId, queueId, tagHash, groupHash } = record;
        this.add({ position, size, dueMs: past.dueMs, topicId, queueId, tagHash, groupHash });
        return;
      }
      case RecordKind.transferPending: {
        const { instead, messages } = decodePendingTransfer(record.payload);
        if (instead !== undefined) return; // They are on their way already.
        for (const { position, dueMs, topicId } of messages) if (dueMs > 0) this.remove(position, dueMs, topicId);
        return;
      }
      case RecordKind.reference: {
        const { reason, target, originTopicId } = decodeReference(record.payload);
        if (reason === referenceReason.timerFired) this.remove(target.position, undefined, originTopicId);
        return;
      }
      case RecordKind.dropped:
        eachDropped(record.payload, (position, _size, topicId, dueMs) => {
          if (dueMs === 0) return; // Half of a transaction.
          this.remove(position, dueMs, topicId);
          this.takenBack.add(position, 1);
        });
        return;
      case RecordKind.timerMoved:
        for (const { timer, dueMs } of decodeMoves(record.payload)) {
          this.remove(timer.position, timer.dueMs, timer.topicId);
          // From now on it stands in memory, however far away: so no note about its old time can touch it.
          this.near.addFresh({ ...timer, dueMs });
          this.count(timer.topicId, 1);
        }
        return;
      case RecordKind.topicDeleted:
        // Its timers stay until they are due; then nobody wants them.
        this.forgetTopic(decodeTopicDeleted(record.payload));
        return;
      default: // Not ours: no change.
    }
  }

  takeChanges(): StateChange[] {
    const changes: StateChange[] = [];
    this.settleDone();
    this.near.takeGone((position, dueMs) => this.noteGone(position, dueMs));
    this.takeBuckets(changes);
    this.near.takePages((page, list, slots) => {
      changes.push({ key: `p/${page}`, value: slots.length > 0 ? encodeTimers(list, slots) : undefined });
    });
    for (const { page, value } of this.takenBack.takePages()) changes.push({ key: `r/${page}`, value });
    if (this.changed.strays) changes.push({ key: 's', value: this.encodeStrays() });
    if (this.changed.done) changes.push({ key: 'n', value: this.encodeDone() });
    if (this.changed.counts) changes.push({ key: 'c', value: this.encodeCounts() });
    this.changed.done = this.changed.strays = this.changed.counts = false;
    return changes;
  }

  load(key: string, value: Uint8Array): void {
    const [part = '', number = ''] = key.split('/');
    switch (part) {
      case 'n': {
        const from = open(value);
        this.done = { dueMs: from.whole(), position: from.whole() };
        this.nearEnd = this.done.dueMs;
        return;
      }
      case 'p': {
        const list = new TimerList();
        decodeTimers(value, list);
        for (let i = 0; i < list.length; i += 1) this.near.addFresh(list.at(i));
        this.near.pageLoaded(Number(number));
        return;
      }
      case 's':
        eachGone(value, (position) => this.strays.add(position));
        return;
      case 'c': {
        const from = open(value);
        while (!from.isAtEnd) this.count(from.whole(), from.whole());
        return;
      }
      case 'r':
        this.takenBack.loadPage(Number(number), value);
        return;
      default:
        this.bucket(Number(number)).load(part, value);
    }
  }

  clear(): void {
    this.near = new NearTimers();
    this.nearEnd = 0;
    this.done = { dueMs: 0, position: 0 };
    this.buckets = new Map();
    this.changedBuckets.clear();
    this.strays = new Set();
    this.counts = new Map();
    this.total = 0;
    this.takenBack = new RecentNumbers(recallPagesMax);
    this.changed.done = this.changed.strays = this.changed.counts = false;
    this.staged = new Staged();
  }

  // ---- what waits ------------------------------------------------------------------------------------------------

  /** How many wait, topics that are gone not counted. */
  get size(): number {
    return this.total;
  }
  /** By topic. */
  get sizes(): ReadonlyMap<number, number> {
    return this.counts;
  }
  /** In memory. */
  get nearSize(): number {
    return this.near.count;
  }
  /** All that are due before it are near. */
  get nearEndMs(): number {
    return this.nearEnd;
  }

  /** The one that is due first among the near ones. Append what becomes of it and fold that before the next. */
  first(): Timer | undefined {
    const slot = this.near.top();
    return slot < 0 ? undefined : this.near.timer(slot);
  }
  /** When `first` is due; Infinity: nothing is near. */
  get firstDueMs(): number {
    const slot = this.near.top();
    return slot < 0 ? Infinity : this.near.dueMs(slot);
  }

  /** Grows whenever something goes into cold pieces: what was read of them before may say less than they do now. */
  get sealedTimes(): number {
    let times = 0;
    for (const bucket of this.buckets.values()) times += bucket.sealedTimes;
    return times + this.endedTimes;
  }

  /** How many are due by `nowMs` and wait still, of those that are near. Looks at each: for who seldom asks. */
  overdue(nowMs: number): number {
    if (this.firstDueMs > nowMs) return 0;
    let count = 0;
    this.near.each((list, slot) => (count += (list.dueMs[slot] as number) <= nowMs ? 1 : 0));
    return count;
  }

  /** Whether a message lately taken back stood here. */
  wasTakenBack(position: LogPosition): boolean {
    return this.takenBack.get(position) !== undefined;
  }

  /** @param dueMs as of the message's arrival, or when it was moved */
  standing(position: LogPosition, dueMs: number): Standing {
    if (this.near.find(position) >= 0) return 'near';
    if (this.wasTakenBack(position)) return 'takenBack';
    const bucket = this.buckets.get(bucketOf(dueMs));
    if (!bucket || dueMs < this.nearEnd || this.isGone(position, dueMs)) return 'none';
    return this.tailPlace(bucket, position) >= 0 ? 'tail' : 'far';
  }

  /** One that is `near` or in a `tail`. */
  timer(position: LogPosition, dueMs: number): Timer {
    const slot = this.near.find(position);
    if (slot >= 0) return this.near.timer(slot);
    const bucket = this.buckets.get(bucketOf(dueMs));
    const place = bucket ? this.tailPlace(bucket, position) : -1;
    assert(bucket !== undefined && place >= 0, 'asked for a timer that is in memory');
    return bucket.tail.at(place);
  }

  /** Keys of the cold pieces that may hold a timer, and of those that may say that it is gone; and a sign of change. */
  farPieces(dueMs: number): { readonly keys: readonly string[]; readonly version: number } {
    const bucket = this.buckets.get(bucketOf(dueMs));
    return { keys: bucket?.piecesOf(dueMs, dueMs + 1) ?? [], version: bucket?.sealedTimes ?? 0 };
  }

  /** Buckets that hold far timers due from `fromMs` to before `toMs`, in order of time. */
  *farBuckets(fromMs: number, toMs: number): Iterable<FarBucket> {
    const from = Math.max(fromMs, this.nearEnd);
    const numbers = [...this.buckets.keys()].filter((number) => number >= bucketOf(from)).sort((a, b) => a - b);
    for (const number of numbers) {
      const bucket = this.buckets.get(number);
      if (!bucket) continue;
      if (number * bucketMs >= toMs) return;
      yield { endMs: bucket.endMs, tail: bucket.tail, keys: bucket.piecesOf(from, toMs) };
    }
  }

  /** Whether a far timer that a cold piece or a tail holds is gone, as far as memory knows. */
  isGone(position: number, dueMs: number): boolean {
    if (this.isDone(dueMs, position) || this.strays.has(position)) return true;
    return this.buckets.get(bucketOf(dueMs))?.isGone(position) ?? false;
  }

  eachNear(act: (list: TimerList, slot: number) => void): void {
    this.near.each(act);
  }

  // ---- decisions -------------------------------------------------------------------------------------------------

  /** Each timer must wait: see `standing`. */
  decideMove(moves: readonly TimerMove[]): { readonly kind: RecordKind; readonly payload: Uint8Array } {
    return { kind: RecordKind.timerMoved, payload: encodeMoves(moves) };
  }

  // ---- the border between near and far ------------------------------------------------------------------------------

  /** How far the border may go, at most to `limitMs`, for about `max` more timers in memory. Always further than now. */
  reach(limitMs: number, max: number): number {
    let toMs = limitMs;
    while (toMs - this.nearEnd > 1 && this.estimate(toMs) > max)
      toMs = this.nearEnd + Math.floor((toMs - this.nearEnd) / 2);
    return toMs;
  }

  /** Keys of the cold pieces that have to be staged before `advance(toMs)`. None: it may be called, at once. */
  wanted(toMs: number): string[] {
    if (this.staged.toMs !== toMs) this.staged = new Staged(toMs);
    const keys: string[] = [];
    for (const bucket of this.reached(toMs)) {
      for (const key of bucket.piecesOf(this.nearEnd, toMs)) if (!this.staged.keys.has(key)) keys.push(key);
    }
    return keys;
  }

  /** @param piece undefined: it is gone, with all that was in it */
  stage(key: string, piece: Uint8Array | undefined): void {
    const { staged } = this;
    staged.keys.add(key);
    if (!piece) return;
    if (isGoneKey(key)) eachGone(piece, (position) => staged.gone.add(position));
    else decodeTimers(piece, staged.timers, this.nearEnd, staged.toMs);
  }

  /** All that is due before `toMs` is near from now on. */
  advance(toMs: number): void {
    assert(this.wanted(toMs).length === 0, 'what comes near has been read');
    const { timers, gone } = this.staged;
    for (let i = 0; i < timers.length; i += 1) {
      const position = timers.position[i] as number;
      if (this.isDone(timers.dueMs[i] as number, position)) continue;
      if (gone.has(position) || this.bucketAt(timers.dueMs[i] as number).isGone(position)) continue;
      if (this.takeStray(position)) this.noteGone(position, timers.dueMs[i] as number);
      else this.near.addCold(timers.at(i));
    }
    for (const bucket of this.reached(toMs)) this.takeTail(bucket, toMs);
    this.nearEnd = toMs;
    this.staged = new Staged();
    this.changed.done = true;
  }

  // ---- inside ------------------------------------------------------------------------------------------------------

  private add(timer: Timer): void {
    this.count(timer.topicId, 1);
    if (timer.dueMs < this.nearEnd) {
      this.near.addFresh(timer);
      return;
    }
    const bucket = this.bucketAt(timer.dueMs);
    bucket.tail.push(timer);
    bucket.tailChanged();
    this.changedBuckets.add(bucket);
  }

  private remove(position: number, dueMs: number | undefined, topicId: TopicId): void {
    this.count(topicId, -1);
    const slot = this.near.find(position);
    if (slot >= 0) {
      this.near.remove(slot);
      if (this.near.count === 0) {
        this.settleDone();
        this.near.sweep();
      }
    } else if (dueMs === undefined) {
      this.strays.add(position);
      this.changed.strays = true;
    } else this.noteGone(position, dueMs);
  }

  /** True: it was fired; whoever asks has found where it stands, and forgets it there. */
  private takeStray(position: number): boolean {
    if (!this.strays.delete(position)) return false;
    this.changed.strays = true;
    return true;
  }

  private noteGone(position: number, dueMs: number): void {
    if (this.isDone(dueMs, position)) return;
    const bucket = this.bucketAt(dueMs);
    bucket.markGone(position);
    this.changedBuckets.add(bucket);
  }

  private isDone(dueMs: number, position: number): boolean {
    return dueMs < this.done.dueMs || (dueMs === this.done.dueMs && position < this.done.position);
  }

  /** Of cold timers none before the first near one is left; and none before the border, if none is near. */
  private settleDone(): void {
    const slot = this.near.coldCount > 0 ? this.near.top() : -1;
    const isNear = slot >= 0 && this.near.dueMs(slot) < this.nearEnd;
    if (isNear) this.raiseDone(this.near.dueMs(slot), this.near.position(slot));
    else this.raiseDone(this.nearEnd, 0);
    this.raiseDone(this.near.coldDone.dueMs, this.near.coldDone.position);
  }

  private raiseDone(dueMs: number, position: number): void {
    if (this.isDone(dueMs, position) || (dueMs === this.done.dueMs && position === this.done.position)) return;
    this.done = { dueMs, position };
    this.changed.done = true;
  }

  private takeBuckets(changes: StateChange[]): void {
    for (const bucket of this.buckets.values()) {
      if (bucket.endMs <= this.done.dueMs) {
        bucket.end(changes);
        this.endedTimes += bucket.sealedTimes + 1;
        this.buckets.delete(bucket.number);
        this.changedBuckets.delete(bucket);
      } else if (bucket.number * bucketMs < this.done.dueMs) this.changedBuckets.add(bucket);
    }
    const isStray = (position: number): boolean => this.takeStray(position);
    for (const bucket of this.changedBuckets) bucket.take(changes, this.done.dueMs, isStray);
    this.changedBuckets.clear();
  }

  private takeTail(bucket: TimeBucket, toMs: number): void {
    const { tail } = bucket;
    if (tail.length === 0) return;
    const rest = new TimerList();
    for (let i = 0; i < tail.length; i += 1) {
      const position = tail.position[i] as number;
      if (bucket.isGone(position) || this.takeStray(position)) continue;
      if ((tail.dueMs[i] as number) < toMs) this.near.addFresh(tail.at(i));
      else rest.pushFrom(tail, i);
    }
    bucket.tail = rest;
    bucket.tailChanged();
    this.changedBuckets.add(bucket);
  }

  private estimate(toMs: number): number {
    let sum = 0;
    for (const bucket of this.reached(toMs)) sum += bucket.estimate(this.nearEnd, toMs);
    return sum;
  }

  private *reached(toMs: number): Iterable<TimeBucket> {
    for (const bucket of this.buckets.values()) {
      if (bucket.endMs > this.nearEnd && bucket.number * bucketMs < toMs) yield bucket;
    }
  }

  private tailPlace(bucket: TimeBucket, position: number): number {
    return bucket.tail.position.subarray(0, bucket.tail.length).indexOf(position);
  }

  private bucketAt(dueMs: number): TimeBucket {
    return this.bucket(bucketOf(dueMs));
  }

  private bucket(number: number): TimeBucket {
    let bucket = this.buckets.get(number);
    if (!bucket) this.buckets.set(number, (bucket = new TimeBucket(number)));
    return bucket;
  }

  private count(topicId: number, by: number): void {
    const before = this.counts.get(topicId) ?? 0;
    if (before + by < 0) return; // The topic is gone, and its timers are no longer counted.
    if (before + by === 0) this.counts.delete(topicId);
    else this.counts.set(topicId, before + by);
    this.total += by;
    this.changed.counts = true;
  }

  private forgetTopic(topicId: number): void {
    this.count(topicId, -(this.counts.get(topicId) ?? 0));
  }

  private encodeDone(): Uint8Array {
    out.begin();
    out.u8(layout);
    out.whole(this.done.dueMs);
    out.whole(this.done.position);
    return out.taken();
  }

  private encodeStrays(): Uint8Array | undefined {
    if (this.strays.size === 0) return undefined;
    const positions = new PositionSet();
    for (const position of this.strays) positions.add(position);
    return encodeGone(positions);
  }

  private encodeCounts(): Uint8Array {
    out.begin();
    out.u8(layout);
    for (const [topicId, count] of this.counts) {
      out.whole(topicId);
      out.whole(count);
    }
    return out.taken();
  }
}

/** What has been read of the pieces that come near with the next `advance`. */
class Staged {
  readonly keys = new Set<string>();
  readonly timers = new TimerList();
  readonly gone = new PositionSet();

  constructor(readonly toMs = -1) {}
}

function bucketOf(dueMs: number): number {
  return Math.floor(dueMs / bucketMs);
}

function open(value: Uint8Array): ByteReader {
  const from = new ByteReader(value);
  assert(from.u8() === layout, 'a piece of the timers has a layout this version knows');
  return from;
}
