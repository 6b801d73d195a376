/**
 * Which pending messages were released or dropped while others near them in the log still live: what compaction may
 * leave out. Ten million of them need no memory: the newest releases are a list, and once it is long it is merged, a
 * slice with each checkpoint, into bitmaps that stay on disk. Where nothing pending lives any more nothing is kept.
 *
 * Pieces: `r<n>` → | version u8 | position u64 × … |, the releases between two checkpoints; cold `<n>` → a bitmap of a
 * sixteenth of window n >> 4, one bit for 64 bytes of log (no record is smaller); `m<window>` → | version u8 | u16 |, which
 * of the window's sixteen bitmaps there are.
 */
import {
  decodeReference,
  eachDropped,
  eachPendingReleased,
  RecordKind,
  releasesPending,
  type StateChange,
} from '@cometmq/model';
import { assert, getU64, putU64, viewOf } from '@cometmq/shared';

import type { LogRecord } from '../log/record.js';
import type { PendingMessages } from './pending-messages.js';
import type { StateView } from './state-view.js';

const version = 1;
const partsPerWindow = 16;
const slotBytes = 64;

export interface MergeLimits {
  /** A list of so many releases is merged. */
  readonly releases: number;
  /** Or one of so many pieces. */
  readonly pieces: number;
  /** Bitmaps written with one checkpoint: some milliseconds. */
  readonly bitmaps: number;
}

const mergeLimits: MergeLimits = { releases: 64 * 1024, pieces: 256, bitmaps: 512 };

/** A list under way into the bitmaps. Merging a part of it twice does no harm. */
interface Round {
  readonly positions: Float64Array;
  at: number;
  readonly pieces: readonly number[];
}

export class ReleasedPending implements StateView {
  readonly name = 'released';
  readonly kinds: ReadonlySet<RecordKind> = new Set([
    ...[RecordKind.reference, RecordKind.dropped, RecordKind.transferPendingDone],
  ]);
  private recent: number[] = [];
  /** How many of `recent` are in pieces. */
  private stored = 0;
  private pieces: number[] = [];
  private nextPiece = 0;
  private round: Round | undefined;
  /** By window: which bitmaps there are. */
  private readonly masks = new Map<number, number>();
  private readonly changedMasks = new Set<number>();
  private readonly partBytes: number;
  /** Position of the newest record folded: in its window messages may still come to live. */
  private newest = 0;

  constructor(
    private readonly pending: PendingMessages,
    /** Reads a cold piece. */
    private readonly bitmap: (key: string) => Uint8Array | undefined,
    private readonly limits = mergeLimits,
  ) {
    assert(pending.windowBytes % (partsPerWindow * slotBytes) === 0, 'a window is cut in sixteen bitmaps');
    this.partBytes = pending.windowBytes / partsPerWindow;
  }

  fold(record: LogRecord): void {
    this.newest = record.position;
    if (record.kind === RecordKind.dropped) {
      eachDropped(record.payload, (position) => this.recent.push(position));
      return;
    }
    if (record.kind === RecordKind.transferPendingDone) {
      eachPendingReleased(record.payload, (position) => this.recent.push(position));
      return;
    }
    const { target, reason } = decodeReference(record.payload);
    if (releasesPending(reason)) this.recent.push(target.position);
  }

  /** Whether the pending record at a position between the two, which must be one, was released or dropped. */
  releasedIn(first: number, end: number): (position: number) => boolean {
    const listed = new Set<number>();
    for (const positions of [this.recent, this.round?.positions ?? []]) {
      for (const position of positions) if (position >= first && position < end) listed.add(position);
    }
    const parts = new Map<number, Uint8Array | undefined>();
    return (position) => {
      if (listed.has(position)) return true;
      const part = Math.floor(position / this.partBytes);
      if (!parts.has(part)) parts.set(part, this.hasBitmap(part) ? this.bitmap(String(part)) : undefined);
      const slot = Math.floor((position % this.partBytes) / slotBytes);
      return (((parts.get(part)?.[slot >>> 3] ?? 0) >>> (slot & 7)) & 1) === 1;
    };
  }

  takeChanges(): StateChange[] {
    const changes: StateChange[] = [];
    if (this.recent.length > this.stored) {
      changes.push({ key: `r${this.nextPiece}`, value: encodePositions(this.recent.slice(this.stored)) });
      this.pieces.push(this.nextPiece++);
      this.stored = this.recent.length;
    }
    this.round ??= this.beginRound();
    if (this.round) this.mergeSome(this.round, changes);
    else this.forgetDeadWindows(changes);
    for (const window of this.changedMasks) changes.push({ key: `m${window}`, value: this.encodeMask(window) });
    this.changedMasks.clear();
    return changes;
  }

  load(key: string, value: Uint8Array): void {
    assert(value[0] === version, 'a piece of the released messages is of a known version');
    const number = Number(key.slice(1));
    const view = viewOf(value);
    if (key.startsWith('m')) {
      this.masks.set(number, view.getUint16(1, true));
      return;
    }
    for (let at = 1; at < value.length; at += 8) this.recent.push(getU64(view, at));
    this.stored = this.recent.length;
    this.pieces.push(number);
    this.nextPiece = Math.max(this.nextPiece, number + 1);
  }

  clear(): void {
    this.recent = [];
    this.stored = 0;
    this.pieces = [];
    this.nextPiece = 0;
    this.round = undefined;
    this.masks.clear();
    this.changedMasks.clear();
  }

  private beginRound(): Round | undefined {
    if (this.recent.length < this.limits.releases && this.pieces.length < this.limits.pieces) return undefined;
    const round = { positions: Float64Array.from(this.recent).sort(), at: 0, pieces: this.pieces };
    this.recent = [];
    this.stored = 0;
    this.pieces = [];
    return round;
  }

  private mergeSome(round: Round, changes: StateChange[]): void {
    const { positions } = round;
    for (let left = this.limits.bitmaps; left > 0 && round.at < positions.length;) {
      const part = Math.floor((positions[round.at] as number) / this.partBytes);
      let end = round.at;
      while (end < positions.length && Math.floor((positions[end] as number) / this.partBytes) === part) end += 1;
      const window = Math.floor(part / partsPerWindow);
      if (!this.isOver(window)) {
        const bits = this.copyOfBitmap(part);
        for (let i = round.at; i < end; i += 1) {
          const slot = Math.floor(((positions[i] as number) % this.partBytes) / slotBytes);
          bits[slot >>> 3] = (bits[slot >>> 3] as number) | (1 << (slot & 7));
        }
        changes.push({ key: String(part), value: bits, cold: true });
        this.setMask(window, (this.masks.get(window) ?? 0) | (1 << (part % partsPerWindow)));
        left -= 1;
      }
      round.at = end;
    }
    if (round.at < positions.length) return;
    for (const piece of round.pieces) changes.push({ key: `r${piece}`, value: undefined });
    this.round = undefined;
  }

  private forgetDeadWindows(changes: StateChange[]): void {
    for (const [window, mask] of this.masks) {
      if (!this.isOver(window)) continue;
      for (let i = 0; i < partsPerWindow; i += 1) {
        if ((mask >>> i) & 1) changes.push({ key: String(window * partsPerWindow + i), value: undefined, cold: true });
      }
      this.setMask(window, 0);
    }
  }

  /** Nothing pending lives in the window, nor ever will. */
  private isOver(window: number): boolean {
    return !this.pending.livesInWindow(window) && window < Math.floor(this.newest / this.pending.windowBytes);
  }

  private hasBitmap(part: number): boolean {
    return (((this.masks.get(Math.floor(part / partsPerWindow)) ?? 0) >>> (part % partsPerWindow)) & 1) === 1;
  }

  private copyOfBitmap(part: number): Uint8Array {
    const bits = new Uint8Array(Math.ceil(this.partBytes / slotBytes / 8));
    const before = this.hasBitmap(part) ? this.bitmap(String(part)) : undefined;
    if (before) bits.set(before);
    return bits;
  }

  private setMask(window: number, mask: number): void {
    if (this.masks.get(window) === mask) return;
    if (mask === 0) this.masks.delete(window);
    else this.masks.set(window, mask);
    this.changedMasks.add(window);
  }

  private encodeMask(window: number): Uint8Array | undefined {
    const mask = this.masks.get(window);
    return mask === undefined ? undefined : Uint8Array.of(version, mask & 0xff, mask >>> 8);
  }
}

function encodePositions(positions: readonly number[]): Uint8Array {
  const value = new Uint8Array(1 + 8 * positions.length);
  const view = viewOf(value);
  value[0] = version;
  for (let i = 0; i < positions.length; i += 1) putU64(view, 1 + 8 * i, positions[i] as number);
  return value;
}
