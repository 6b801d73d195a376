import type { Timer } from './ports.js';
import { mix } from './position-set.js';
import { grown, TimerList } from './timer-list.js';

/** A fresh timer is in no cold piece: the checkpoint has it from here. */
const fresh = 1;
/** A cold one stands in a cold piece too. */
const cold = 2;
const deadFresh = 3;
const deadCold = 4;
export const timersPerPage = 256;
/** Slots; below this, memory is not worth the trouble. */
const sweepAt = 65_536;

/**
 * The timers that are due soon, in memory: found by position, given in the order of (due time, position). A timer is a
 * slot of columns; the order is a heap of slots. What is taken out stays in the heap as dead until it comes to the top.
 */
export class NearTimers {
  /** Living ones. */
  count = 0;
  /** Of `count`, those that a cold piece holds too. */
  coldCount = 0;
  /** Behind the last cold one that was taken out of the order: those before it, by (due time, position), are gone. */
  coldDone = { dueMs: 0, position: 0 };
  private list = new TimerList();
  private state = new Uint8Array(16);
  private heap = new Uint32Array(16);
  private heaped = 0;
  private free: number[] = [];
  /** Position → slot + 1 of the living; a power of two, at most half taken. */
  private table = new Uint32Array(64);
  /** Pages of slots with fresh timers in them that changed. */
  private readonly dirtyPages = new Set<number>();
  private readonly savedPages = new Set<number>();

  addFresh(timer: Timer): void {
    this.dirtyPages.add(Math.floor(this.add(timer, fresh) / timersPerPage));
  }

  addCold(timer: Timer): void {
    this.add(timer, cold);
    this.coldCount += 1;
  }

  find(position: number): number {
    const mask = this.table.length - 1;
    for (let at = mix(position) & mask; ; at = (at + 1) & mask) {
      const slot = (this.table[at] as number) - 1;
      if (slot < 0 || this.list.position[slot] === position) return slot;
    }
  }

  timer(slot: number): Timer {
    return this.list.at(slot);
  }

  remove(slot: number): void {
    this.unlist(this.list.position[slot] as number);
    if (this.state[slot] === fresh) this.dirtyPages.add(Math.floor(slot / timersPerPage));
    if (this.state[slot] === cold) this.coldCount -= 1;
    this.state[slot] = this.state[slot] === cold ? deadCold : deadFresh;
    this.count -= 1;
  }

  /** The slot of the one that is due first; below 0: there is none. */
  top(): number {
    while (this.heaped > 0) {
      const slot = this.heap[0] as number;
      const state = this.state[slot] as number;
      if (state <= cold) return slot;
      if (state === deadCold) this.coldDone = { dueMs: this.dueMs(slot), position: this.position(slot) + 1 };
      this.popHeap();
      this.state[slot] = 0;
      this.free.push(slot);
    }
    return -1;
  }

  dueMs(slot: number): number {
    return this.list.dueMs[slot] as number;
  }
  position(slot: number): number {
    return this.list.position[slot] as number;
  }

  /** Those taken out that a cold piece still holds: so that the checkpoint can say that they are gone. Told once. */
  takeGone(act: (position: number, dueMs: number) => void): void {
    for (let i = 0; i < this.heaped; i += 1) {
      const slot = this.heap[i] as number;
      if (this.state[slot] !== deadCold) continue;
      act(this.position(slot), this.dueMs(slot));
      this.state[slot] = deadFresh;
    }
  }

  each(act: (list: TimerList, slot: number) => void): void {
    for (let i = 0; i < this.heaped; i += 1) {
      const slot = this.heap[i] as number;
      if ((this.state[slot] as number) <= cold) act(this.list, slot);
    }
  }

  /** Pages that changed, with the slots of the fresh timers in them; none: the page is gone. */
  takePages(act: (page: number, list: TimerList, slots: Uint32Array) => void): void {
    for (const page of this.dirtyPages) {
      const slots: number[] = [];
      const end = Math.min(this.list.length, (page + 1) * timersPerPage);
      for (let slot = page * timersPerPage; slot < end; slot += 1) if (this.state[slot] === fresh) slots.push(slot);
      if (slots.length === 0 && !this.savedPages.delete(page)) continue;
      if (slots.length > 0) this.savedPages.add(page);
      slots.sort((a, b) => this.dueMs(a) - this.dueMs(b));
      act(page, this.list, Uint32Array.from(slots));
    }
    this.dirtyPages.clear();
  }

  /** A page stands in the checkpoint; what was in it may get other slots now. */
  pageLoaded(page: number): void {
    this.savedPages.add(page);
    this.dirtyPages.add(page);
  }

  /** Nobody lives, and those taken out are known to be gone: gives back what a rush has taken. */
  sweep(): void {
    if (this.list.length < sweepAt) return;
    this.list = new TimerList();
    this.state = new Uint8Array(16);
    this.heap = new Uint32Array(16);
    this.heaped = 0;
    this.free = [];
    this.table = new Uint32Array(64);
  }

  private add(timer: Timer, state: number): number {
    const { position, dueMs, size, topicId, queueId, tagHash, groupHash } = timer;
    let slot = this.free.pop();
    if (slot === undefined) slot = this.list.put(position, dueMs, size, topicId, queueId, tagHash, groupHash);
    else this.list.set(slot, position, dueMs, size, topicId, queueId, tagHash, groupHash);
    while (slot >= this.state.length) this.state = grown(this.state);
    this.state[slot] = state;
    this.count += 1;
    if (2 * this.count > this.table.length) this.rehash(slot);
    this.enlist(slot);
    this.pushHeap(slot);
    return slot;
  }

  private isBefore(a: number, b: number): boolean {
    const { dueMs, position } = this.list;
    const byTime = (dueMs[a] as number) - (dueMs[b] as number);
    return byTime !== 0 ? byTime < 0 : (position[a] as number) < (position[b] as number);
  }

  private pushHeap(slot: number): void {
    if (this.heaped === this.heap.length) this.heap = grown(this.heap);
    const { heap } = this;
    let at = this.heaped++;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = heap[above] as number;
      if (!this.isBefore(slot, other)) break;
      heap[at] = other;
      at = above;
    }
    heap[at] = slot;
  }

  private popHeap(): void {
    const { heap } = this;
    const count = --this.heaped;
    const slot = heap[count] as number;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= count) break;
      if (below + 1 < count && this.isBefore(heap[below + 1] as number, heap[below] as number)) below += 1;
      if (!this.isBefore(heap[below] as number, slot)) break;
      heap[at] = heap[below] as number;
      at = below;
    }
    heap[at] = slot;
  }

  private enlist(slot: number): void {
    const mask = this.table.length - 1;
    let at = mix(this.position(slot)) & mask;
    while (this.table[at] !== 0) at = (at + 1) & mask;
    this.table[at] = slot + 1;
  }

  private unlist(position: number): void {
    const mask = this.table.length - 1;
    let hole = mix(position) & mask;
    while (this.position((this.table[hole] as number) - 1) !== position) hole = (hole + 1) & mask;
    // What stands behind moves up, so that no search ends early at the hole.
    for (let at = (hole + 1) & mask; this.table[at] !== 0; at = (at + 1) & mask) {
      const home = mix(this.position((this.table[at] as number) - 1)) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      this.table[hole] = this.table[at] as number;
      hole = at;
    }
    this.table[hole] = 0;
  }

  private rehash(except: number): void {
    const old = this.table;
    this.table = new Uint32Array(2 * old.length);
    for (const entry of old) if (entry !== 0 && entry - 1 !== except) this.enlist(entry - 1);
  }
}
