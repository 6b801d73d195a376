import { DueHeap } from '@cometmq/shared';

import { blockOffsets, DeliveryState, Mark } from './block-table.js';
import { leaseGap, type NewLease } from './lease-table.js';
import { OffsetFifo } from './offset-fifo.js';
import { eachRun, type OffsetRuns } from './offset-runs.js';
import type { OpenOffsets, QueueDuties } from './open-offsets.js';
import { noteDue, type Tables } from './tables.js';

/** Blocks looked through for what nobody claims, at once. */
export const unclaimedBlocksMax = 65_536;

/**
 * What finds a queue's open offsets by time and by key, for a group that is not orderly. The heap, the due list and the parked
 * lists are soft: they are filled by folds and by `advance`, cleaned when looked at, and rebuilt after a load. An entry
 * counts only if the block agrees. The mark `due` is exact: it is on what was due at the last `advance`.
 */
export class UnorderedProgress {
  private heap: DueHeap | undefined;
  private due: OffsetFifo | undefined;
  private parked: Map<number, OffsetFifo> | undefined;
  private keyTurn: MapIterator<number> | undefined;

  constructor(
    private readonly tables: Tables,
    private readonly of: OpenOffsets & QueueDuties,
  ) {}

  // ---- folds -----------------------------------------------------------------------------------------------------

  /** Offsets from `before` on are new. */
  hold(handed: OffsetRuns, before: number, lease: NewLease): void {
    const { leases } = this.tables;
    let slot = -1;
    for (let run = 0; run < handed.length; run += 1) {
      const start = handed.starts[run] as number;
      const end = start + (handed.counts[run] as number);
      const attempt = handed.values[run] as number;
      for (let offset = start; offset < end; offset += 1) {
        const block = this.of.enter(offset, offset >= before);
        if (block < 0) continue;
        if (slot < 0 || offset - (leases.last[slot] as number) > leaseGap) {
          if (slot >= 0) this.queueLease(slot);
          slot = leases.add(lease, this.of.index, offset);
          leases.link(slot);
        }
        this.of.hold(block, offset, offset >= before, attempt, slot);
      }
    }
    if (slot >= 0) this.queueLease(slot);
  }

  park(parked: OffsetRuns, before: number): void {
    eachRun(parked, (offset, key) => {
      if (this.of.park(offset, offset >= before, key)) this.listParked(offset, key);
    });
  }

  /** The offset waits for a time of its own. */
  waits(offset: number, visibleAtMs: number): void {
    this.queue(visibleAtMs, offset);
  }

  /** A lease's end was moved. */
  leaseMoved(slot: number): void {
    const { leases } = this.tables;
    const queuedMs = leases.queuedMs[slot] as number;
    // A later end needs no new entry: the old one finds it when its time comes.
    if (queuedMs !== 0 && (leases.dueMs[slot] as number) >= queuedMs) return;
    if (queuedMs === 0) this.leaseDueNoMore(slot); // It was due, or never queued.
    this.queueLease(slot);
  }

  queueLease(slot: number): void {
    const { leases } = this.tables;
    const dueMs = leases.dueMs[slot] as number;
    leases.queuedMs[slot] = dueMs;
    this.queue(dueMs, -slot - 1);
  }

  /** What a loaded block holds finds its place; leases are queued when all blocks are there. */
  adopt(offset: number, block: number): void {
    const { blocks } = this.tables;
    const index = offset % blockOffsets;
    const state = blocks.state(block, index);
    if (state === DeliveryState.parked) this.listParked(offset, blocks.detail(block, index));
    else if (state === DeliveryState.waiting) this.queue(blocks.dueMs(block, index), offset);
  }

  // ---- what is due -----------------------------------------------------------------------------------------------

  /** Moves what is due by now from the heap to the due list. Answers the list; its entries may be stale. */
  advance(nowMs: number): OffsetFifo | undefined {
    const { leases } = this.tables;
    const { heap } = this;
    while (heap && heap.topMs <= nowMs) {
      const timeMs = heap.topMs;
      const key = heap.topKey;
      heap.pop();
      if (key >= 0) {
        if (this.waitsUntil(key, timeMs)) this.list(this.of.openBlock(key), key);
        continue;
      }
      const slot = -key - 1;
      if (!this.leaseQueuedAt(slot, timeMs)) continue;
      leases.queuedMs[slot] = 0;
      if ((leases.dueMs[slot] as number) > nowMs) this.queueLease(slot);
      else for (const offset of this.of.offsetsOf(slot)) this.list(this.of.openBlock(offset), offset);
    }
    const { due } = this;
    while (due && due.length > 0 && !this.isDue(due.at(0), nowMs)) {
      this.unlist(due.at(0));
      due.shift();
    }
    if (due && due.length > 64 && due.length > 2 * this.of.inFlight) {
      due.sift((offset) => this.isDue(offset, nowMs) || this.unlist(offset));
    }
    return due;
  }

  /** What is done stands in no list any more: before it is opened again, when its old entries would count once more. */
  dropStale(): void {
    this.due?.sift((offset) => this.of.isOpen(offset));
    for (const fifo of this.parked?.values() ?? []) fifo.sift((offset) => this.of.isOpen(offset));
  }

  isDue(offset: number, nowMs: number): boolean {
    return this.of.dueMsOf(offset) <= nowMs;
  }

  /** The next time that something not yet in the due list becomes visible. */
  nextDueMs(): number | undefined {
    const { leases } = this.tables;
    const { heap } = this;
    while (heap && heap.size > 0) {
      const timeMs = heap.topMs;
      const key = heap.topKey;
      if (key >= 0) {
        if (this.waitsUntil(key, timeMs)) return timeMs;
        heap.pop();
        continue;
      }
      const slot = -key - 1;
      if (!this.leaseQueuedAt(slot, timeMs)) {
        heap.pop();
        continue;
      }
      if ((leases.dueMs[slot] as number) === timeMs) return timeMs;
      heap.pop();
      this.queueLease(slot);
    }
    return undefined;
  }

  /** The earliest time that anything is or was due. */
  earliestDueMs(): number | undefined {
    const nextMs = this.nextDueMs();
    for (let i = 0; i < (this.due?.length ?? 0); i += 1) {
      const dueMs = this.of.dueMsOf(this.due?.at(i) ?? 0);
      // What was renewed since it was due stands in the heap again.
      if (dueMs < (nextMs ?? Infinity)) return dueMs;
    }
    return nextMs;
  }

  // ---- what is parked --------------------------------------------------------------------------------------------

  /** The lowest of all; Infinity: none is. */
  get oldestParked(): number {
    let oldest = Infinity;
    for (const key of this.parked?.keys() ?? []) {
      const fifo = this.parkedList(key);
      if (fifo && fifo.at(0) < oldest) oldest = fifo.at(0);
    }
    return oldest;
  }

  parkedKeys(): Iterable<number> {
    return this.parked?.keys() ?? [];
  }

  get parkedKeyCount(): number {
    return this.parked?.size ?? 0;
  }

  /** Another key with each call, round and round. */
  nextParkedKey(): number | undefined {
    let turn = this.keyTurn?.next();
    if (!turn || turn.done === true) {
      this.keyTurn = this.parked?.keys();
      turn = this.keyTurn?.next();
    }
    return turn?.done === true ? undefined : turn?.value;
  }

  /** The offsets parked under a key. The first of them counts; later ones may be stale, or there twice. */
  parkedList(key: number): OffsetFifo | undefined {
    const fifo = this.parked?.get(key);
    if (!fifo) return undefined;
    while (fifo.length > 0 && !this.isParked(fifo.at(0), key)) fifo.shift();
    if (fifo.length > 0) return fifo;
    this.parked?.delete(key);
    return undefined;
  }

  /** The offsets parked under keys that `isClaimed` does not say, ascending, until `each` has enough. Of millions the first. */
  eachUnclaimed(isClaimed: (key: number) => boolean, each: (offset: number) => boolean): void {
    const unclaimed = new Set<number>();
    for (const key of this.parkedKeys()) if (!isClaimed(key)) unclaimed.add(key);
    if (unclaimed.size === 0) return;
    this.of.eachParked(unclaimedBlocksMax, (offset, key) => !unclaimed.has(key) || each(offset));
  }

  isParked(offset: number, key: number): boolean {
    const { blocks } = this.tables;
    const block = this.of.openBlock(offset);
    const index = offset % blockOffsets;
    return block >= 0 && blocks.state(block, index) === DeliveryState.parked && blocks.detail(block, index) === key;
  }

  // ---- inside ----------------------------------------------------------------------------------------------------

  private waitsUntil(offset: number, timeMs: number): boolean {
    const { blocks } = this.tables;
    const block = this.of.openBlock(offset);
    const index = offset % blockOffsets;
    return block >= 0 && blocks.state(block, index) === DeliveryState.waiting && blocks.dueMs(block, index) === timeMs;
  }

  private leaseQueuedAt(slot: number, timeMs: number): boolean {
    const { leases } = this.tables;
    return (
      leases.inUse[slot] === 1 &&
      leases.owner[slot] === this.of.index &&
      (leases.held[slot] as number) > 0 &&
      leases.queuedMs[slot] === timeMs
    );
  }

  private leaseDueNoMore(slot: number): void {
    if (this.of.dueCount === 0) return;
    for (const offset of this.of.offsetsOf(slot)) this.of.dueNoMore(this.of.openBlock(offset), offset % blockOffsets);
  }

  private queue(timeMs: number, key: number): void {
    const heap = (this.heap ??= new DueHeap());
    // Repeated changes leave entries behind that hold no more; now and then all are made anew.
    if (heap.size >= 64 && heap.size > 4 * this.of.inFlight) this.requeue(heap);
    heap.push(timeMs, key);
    this.of.alarmAt(timeMs);
  }

  private requeue(heap: DueHeap): void {
    const { leases } = this.tables;
    const pairs = heap.drain();
    for (let at = 0; at < pairs.length; at += 2) {
      const timeMs = pairs[at] as number;
      const key = pairs[at + 1] as number;
      if (key >= 0) {
        if (this.waitsUntil(key, timeMs)) heap.push(timeMs, key);
      } else if (this.leaseQueuedAt(-key - 1, timeMs)) {
        const dueMs = leases.dueMs[-key - 1] as number;
        leases.queuedMs[-key - 1] = dueMs;
        heap.push(dueMs, key);
      }
    }
  }

  private list(block: number, offset: number): void {
    const { blocks } = this.tables;
    const index = offset % blockOffsets;
    if (this.of.nowDue(block, index)) noteDue(this.tables, this.of.index, offset);
    if (blocks.hasMark(block, index, Mark.dueListed)) return;
    blocks.mark(block, index, Mark.dueListed);
    (this.due ??= new OffsetFifo()).push(offset);
  }

  private unlist(offset: number): false {
    const block = this.of.openBlock(offset);
    if (block >= 0) this.tables.blocks.unmark(block, offset % blockOffsets, Mark.dueListed);
    return false;
  }

  private listParked(offset: number, key: number): void {
    const parked = (this.parked ??= new Map<number, OffsetFifo>());
    let fifo = parked.get(key);
    if (!fifo) parked.set(key, (fifo = new OffsetFifo()));
    fifo.push(offset);
  }
}
