import type { LogPosition, QueueId, TopicId } from '@cometmq/model';
import { assert, ByteReader, ByteWriter, DueHeap } from '@cometmq/shared';

import type { HalfMessage } from './ports.js';

const halvesPerPage = 128;
const layout = 1;
const out = new ByteWriter();

/** A half message in its slot. */
export interface Half extends HalfMessage {
  readonly slot: number;
  nextCheckMs: number;
  checks: number;
  lastCheckMs: number;
  parked: boolean;
  /** The time under which it stands in the order of checks; Infinity: in none. Not part of the state. */
  queuedMs: number;
}

/** The half messages that are open, found by position, in pages of slots for checkpoints, in order of their next check. */
export class HalfTable {
  private readonly slots: (Half | undefined)[] = [];
  private readonly free: number[] = [];
  private readonly byPosition = new Map<number, Half>();
  private readonly dirtyPages = new Set<number>();
  private readonly savedPages = new Set<number>();
  private readonly order = new DueHeap();
  private loaded = false;

  get size(): number {
    return this.byPosition.size;
  }

  add(message: HalfMessage): void {
    this.settle();
    this.put(this.free.pop() ?? this.slots.length, message);
  }

  find(position: number): Half | undefined {
    return this.byPosition.get(position);
  }

  remove(half: Half): void {
    this.settle();
    this.byPosition.delete(half.position);
    this.slots[half.slot] = undefined;
    this.free.push(half.slot);
    this.touch(half);
  }

  /** What it says has changed. */
  touch(half: Half): void {
    this.dirtyPages.add(Math.floor(half.slot / halvesPerPage));
  }

  /** It is looked at at that time; Infinity: no more. */
  queue(half: Half, atMs: number): void {
    half.queuedMs = atMs;
    if (atMs === Infinity) return;
    // Nobody takes from the order of a follower: what was decided on would stay in it for ever.
    if (this.order.size >= 64 && this.order.size > 4 * this.byPosition.size) this.requeue();
    this.order.push(atMs, half.position);
  }

  private requeue(): void {
    const pairs = this.order.drain();
    for (let at = 0; at < pairs.length; at += 2) {
      const [atMs, position] = [pairs[at] as number, pairs[at + 1] as number];
      if (this.byPosition.get(position)?.queuedMs === atMs) this.order.push(atMs, position);
    }
  }

  /** Takes the first whose time has come out of the order. */
  takeDue(nowMs: number): Half | undefined {
    while (this.order.topMs <= nowMs) {
      const [atMs, position] = [this.order.topMs, this.order.topKey];
      this.order.pop();
      const half = this.byPosition.get(position);
      if (half?.queuedMs !== atMs) continue; // Decided on, or looked at at another time.
      half.queuedMs = Infinity;
      return half;
    }
    return undefined;
  }

  /** Infinity: none waits. May be the time of one that is gone. */
  get nextDueMs(): number {
    return this.order.topMs;
  }

  values(): Iterable<Half> {
    return this.byPosition.values();
  }

  takePages(act: (page: number, value: Uint8Array | undefined) => void): void {
    this.settle();
    for (const page of this.dirtyPages) {
      const value = this.encode(page);
      if (value) this.savedPages.add(page);
      else if (!this.savedPages.delete(page)) continue;
      act(page, value);
    }
    this.dirtyPages.clear();
  }

  loadPage(page: number, value: Uint8Array): void {
    this.loaded = true;
    this.savedPages.add(page);
    const from = new ByteReader(value);
    assert(from.u8() === layout, 'a page of half messages has a layout this version knows');
    while (!from.isAtEnd) {
      const slot = page * halvesPerPage + from.u8();
      this.put(slot, {
        position: from.whole() as LogPosition,
        size: from.whole(),
        topicId: from.whole() as TopicId,
        queueId: from.whole() as QueueId,
        tagHash: from.u32(),
        groupHash: from.u32(),
        storedMs: from.whole(),
        nextCheckMs: from.whole(),
        checks: from.whole(),
        lastCheckMs: from.whole(),
        parked: from.u8() === 1,
      });
    }
    this.dirtyPages.delete(page);
  }

  /** After the last page: slots that no page has named are free. */
  private settle(): void {
    if (!this.loaded) return;
    this.loaded = false;
    for (let slot = 0; slot < this.slots.length; slot += 1) if (!this.slots[slot]) this.free.push(slot);
  }

  private put(slot: number, message: HalfMessage): void {
    const half: Half = { ...message, slot, queuedMs: Infinity };
    this.slots[slot] = half;
    this.byPosition.set(half.position, half);
    this.touch(half);
    if (!half.parked) this.queue(half, half.nextCheckMs);
  }

  /**
   * | 1 | (slot u8 | position | size | topic | queue | tag u32 | group u32 | stored | next check | checks | last check | parked u8) × |
   */
  private encode(page: number): Uint8Array | undefined {
    out.begin();
    out.u8(layout);
    let count = 0;
    for (let i = 0; i < halvesPerPage; i += 1) {
      const half = this.slots[page * halvesPerPage + i];
      if (!half) continue;
      count += 1;
      out.u8(i);
      out.whole(half.position);
      out.whole(half.size);
      out.whole(half.topicId);
      out.whole(half.queueId);
      out.u32(half.tagHash);
      out.u32(half.groupHash);
      out.whole(half.storedMs);
      out.whole(half.nextCheckMs);
      out.whole(half.checks);
      out.whole(half.lastCheckMs);
      out.u8(half.parked ? 1 : 0);
    }
    return count > 0 ? out.taken() : undefined;
  }
}
