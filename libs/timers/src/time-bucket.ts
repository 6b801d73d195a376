import type { StateChange } from '@cometmq/model';
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import { PositionSet } from './position-set.js';
import { decodeTimers, encodeTimers, TimerList } from './timer-list.js';

/** An hour of due times. */
export const bucketMs = 3_600_000;
/** A bucket's newest timers stay in memory until there are so many of them. */
const sealAt = 256;
const timersPerPiece = 4096;
const gonePerPiece = 4096;

const layout = 1;
const out = new ByteWriter();

/** A cold piece: some timers of the bucket, in the order of their due times. */
interface TimersPiece {
  readonly number: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly count: number;
}

/**
 * The timers of an hour that is far away. Only the newest few are in memory, the tail; as soon as they are worth a
 * piece they become a cold one, and what remains of them here is the piece's bounds. Who is taken back meanwhile is
 * noted, first in memory, then in cold pieces too.
 */
export class TimeBucket {
  tail = new TimerList();
  private pieces: TimersPiece[] = [];
  /** Numbers of cold pieces that say who was taken back. */
  private gonePieces: number[] = [];
  private gone = new PositionSet();
  private nextPiece = 0;
  private readonly changed = { head: false, tail: false, gone: false };
  private readonly saved = { head: false, tail: false, gone: false };

  constructor(readonly number: number) {}

  get endMs(): number {
    return (this.number + 1) * bucketMs;
  }
  get isChanged(): boolean {
    const { head, tail, gone } = this.changed;
    return head || tail || gone;
  }
  /** Rises whenever what memory held became cold. */
  get sealedTimes(): number {
    return this.nextPiece;
  }

  tailChanged(): void {
    this.changed.tail = true;
  }

  markGone(position: number): void {
    if (this.gone.add(position)) this.changed.gone = true;
  }

  /** By what is in memory. */
  isGone(position: number): boolean {
    return this.gone.size > 0 && this.gone.has(position);
  }

  /** The cold pieces that may say something of timers due from `fromMs` to before `toMs`. */
  piecesOf(fromMs: number, toMs: number): string[] {
    const timers = this.pieces.filter(({ minMs, maxMs }) => maxMs >= fromMs && minMs < toMs);
    if (timers.length === 0) return [];
    return [
      ...this.gonePieces.map((number) => goneKey(this.number, number)),
      ...timers.map(({ number }) => timersKey(this.number, number)),
    ];
  }

  /** About how many timers of cold pieces are due from `fromMs` to before `toMs`. */
  estimate(fromMs: number, toMs: number): number {
    let sum = 0;
    for (const { minMs, maxMs, count } of this.pieces) {
      const low = Math.max(fromMs, minMs);
      const high = Math.min(toMs, maxMs + 1);
      if (high > low) sum += (count * (high - low)) / (maxMs + 1 - minMs);
    }
    return sum;
  }

  /** What changed, now that all cold timers due before `doneMs` are known to be gone. */
  take(changes: StateChange[], doneMs: number, isStray: (position: number) => boolean): void {
    this.forget(changes, doneMs);
    const { length } = this.tail;
    // Who was taken back is left out of what becomes cold; so the tail goes first.
    if (length >= sealAt || (length > 0 && this.gone.size >= gonePerPiece)) this.sealTail(changes, isStray);
    if (this.gone.size >= gonePerPiece) this.sealGone(changes);
    const key = String(this.number);
    const { changed, saved } = this;
    const put = (part: 'head' | 'tail' | 'gone', value: Uint8Array | undefined): void => {
      if (changed[part] && (value || saved[part])) changes.push({ key: `${part[0]}/${key}`, value });
      if (changed[part]) saved[part] = value !== undefined;
      changed[part] = false;
    };
    put('head', this.pieces.length + this.gonePieces.length > 0 ? this.head() : undefined);
    put(
      'tail',
      this.tail.length > 0
        ? encodeTimers(
            this.tail,
            this.tail.order(() => true),
          )
        : undefined,
    );
    put('gone', this.gone.size > 0 ? encodeGone(this.gone) : undefined);
  }

  /** The bucket's time has passed: nothing of it is kept. */
  end(changes: StateChange[]): void {
    assert(this.tail.length === 0, 'what is past has come near before');
    for (const { number } of this.pieces) changes.push(cold(timersKey(this.number, number), undefined));
    for (const number of this.gonePieces) changes.push(cold(goneKey(this.number, number), undefined));
    for (const part of ['head', 'tail', 'gone'] as const) {
      if (this.saved[part]) changes.push({ key: `${part[0]}/${this.number}`, value: undefined });
    }
  }

  load(part: string, value: Uint8Array): void {
    if (part === 't') {
      this.saved.tail = true;
      decodeTimers(value, this.tail);
    } else if (part === 'g') {
      this.saved.gone = true;
      eachGone(value, (position) => this.gone.add(position));
    } else this.loadHead(value);
  }

  /** Cold timers due before `doneMs` are done: pieces with nothing else in them go. */
  private forget(changes: StateChange[], doneMs: number): void {
    const done = this.pieces.filter(({ maxMs }) => maxMs < doneMs);
    if (done.length === 0) return;
    this.changed.head = true;
    this.pieces = this.pieces.filter(({ maxMs }) => maxMs >= doneMs);
    for (const { number } of done) changes.push(cold(timersKey(this.number, number), undefined));
    if (this.pieces.length > 0 || this.tail.length > 0) return;
    for (const number of this.gonePieces) changes.push(cold(goneKey(this.number, number), undefined));
    this.gonePieces = [];
    this.changed.gone = true;
    this.gone = new PositionSet();
  }

  private sealTail(changes: StateChange[], isStray: (position: number) => boolean): void {
    const { tail } = this;
    const living = (i: number): boolean =>
      !this.isGone(tail.position[i] as number) && !isStray(tail.position[i] as number);
    const order = tail.order(living);
    for (let from = 0; from < order.length; from += timersPerPiece) {
      const part = order.subarray(from, from + timersPerPiece);
      const number = this.nextPiece++;
      changes.push(cold(timersKey(this.number, number), encodeTimers(tail, part)));
      const minMs = tail.dueMs[part[0] as number] as number;
      const maxMs = tail.dueMs[part[part.length - 1] as number] as number;
      this.pieces.push({ number, minMs, maxMs, count: part.length });
    }
    this.tail = new TimerList();
    this.changed.head = this.changed.tail = true;
  }

  private sealGone(changes: StateChange[]): void {
    const number = this.nextPiece++;
    changes.push(cold(goneKey(this.number, number), encodeGone(this.gone)));
    this.gonePieces.push(number);
    this.gone = new PositionSet();
    this.changed.head = this.changed.gone = true;
  }

  /** | 1 | next number | pieces | (number | min − the bucket's start | max − min | count) × pieces | gone pieces | number × gone | */
  private head(): Uint8Array {
    out.begin();
    out.u8(layout);
    out.whole(this.nextPiece);
    out.whole(this.pieces.length);
    for (const { number, minMs, maxMs, count } of this.pieces) {
      out.whole(number);
      out.whole(minMs - this.number * bucketMs);
      out.whole(maxMs - minMs);
      out.whole(count);
    }
    out.whole(this.gonePieces.length);
    for (const number of this.gonePieces) out.whole(number);
    return out.taken();
  }

  private loadHead(value: Uint8Array): void {
    this.saved.head = true;
    const from = new ByteReader(value);
    assert(from.u8() === layout, 'a bucket of timers has a layout this version knows');
    this.nextPiece = from.whole();
    for (let left = from.whole(); left > 0; left -= 1) {
      const number = from.whole();
      const minMs = this.number * bucketMs + from.whole();
      this.pieces.push({ number, minMs, maxMs: minMs + from.whole(), count: from.whole() });
    }
    for (let left = from.whole(); left > 0; left -= 1) this.gonePieces.push(from.whole());
  }
}

export function isGoneKey(key: string): boolean {
  return key.includes('/g');
}

/** | 1 | count | position × count | */
export function encodeGone(gone: PositionSet): Uint8Array {
  out.begin();
  out.u8(layout);
  out.whole(gone.size);
  gone.each((position) => out.whole(position));
  return out.taken();
}

export function eachGone(piece: Uint8Array, act: (position: number) => void): void {
  const from = new ByteReader(piece);
  assert(from.u8() === layout, 'a piece of timers taken back has a layout this version knows');
  for (let left = from.whole(); left > 0; left -= 1) act(from.whole());
}

function timersKey(bucket: number, number: number): string {
  return `${bucket}/${number}`;
}

function goneKey(bucket: number, number: number): string {
  return `${bucket}/g${number}`;
}

function cold(key: string, value: Uint8Array | undefined): StateChange {
  return { key, value, cold: true };
}
