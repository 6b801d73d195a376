import { DueHeap } from '@cometmq/shared';
import type { GroupId, QueueId, TopicId } from '@cometmq/model';

import { blockOffsets, DeliveryState, Mark, type BlockTable } from './block-table.js';
import type { FifoHandOutQueue, LaneHandOut } from './fifo-records.js';
import type { LeasedOffsets } from './group-records.js';
import type { Lane } from './lane-list.js';
import { Lanes, type LaneGround } from './lanes.js';
import { leaseGap, type LeaseTable, type NewLease } from './lease-table.js';
import { OffsetFifo } from './offset-fifo.js';
import type { OffsetRuns } from './offset-runs.js';

/** What all queues' progress share. */
export interface Tables {
  readonly blocks: BlockTable;
  readonly leases: LeaseTable;
  /** Blocks that are gone and had a saved piece, until the next checkpoint. */
  readonly removed: RemovedBlock[];
  readonly dirtyHeads: QueueProgress[];
  readonly lanes: LaneTotals;
}

/** Of all queues' lanes. */
export interface LaneTotals {
  /** Offsets kept in backlogs. */
  kept: number;
  /** Queues with lanes. */
  queues: number;
  /** Lanes whose piece may differ from what was saved. */
  dirty: DirtyLane[];
  /** Where lanes came free since this was last asked for. */
  freed: Set<QueueProgress>;
}

export interface DirtyLane {
  readonly progress: QueueProgress;
  readonly lane: Lane;
}

export interface RemovedBlock {
  readonly progress: QueueProgress;
  readonly number: number;
}

/**
 * How far one group is in one queue. Everything below `frontier` has been looked at; of that, what is open (held,
 * waiting or parked) stands in the block table, and all the rest is done. So `committed` needs no field of its own.
 * In an orderly group some also waits in lanes (lanes.ts), which then say what is due; nothing is parked.
 *
 * The heap, the due list and the parked lists are soft: they find by time and key what the blocks say, are filled by
 * folds and by `advance`, cleaned when looked at, and rebuilt after a load. An entry counts only if the block agrees.
 */
export class QueueProgress implements LaneGround {
  frontier: number;
  generation = 0;
  inFlight = 0;
  waiting = 0;
  parkedCount = 0;
  headDirty = false;
  headSaved = false;
  /** Of an orderly group, while anything of the queue is in flight, waits or is held. */
  lanes: Lanes | undefined;
  private headBlock = -1;
  private tailBlock = -1;
  private heap: DueHeap | undefined;
  private due: OffsetFifo | undefined;
  private parked: Map<number, OffsetFifo> | undefined;
  private keyTurn: MapIterator<number> | undefined;

  constructor(
    private readonly tables: Tables,
    /** Its number as owner in the tables. */
    readonly index: number,
    readonly groupId: GroupId,
    readonly topicId: TopicId,
    readonly queueId: QueueId,
    start: number,
  ) {
    this.frontier = start;
  }

  /** Everything below is done. */
  get committed(): number {
    const open = this.headBlock < 0 ? this.frontier : this.tables.blocks.firstOpen(this.headBlock);
    return this.lanes ? Math.min(open, this.lanes.oldestKept()) : open;
  }

  get oldestUndelivered(): number {
    let oldest = Math.min(this.frontier, this.lanes?.oldestKept() ?? Infinity);
    for (const key of this.parked?.keys() ?? []) {
      const fifo = this.parkedList(key);
      if (fifo && fifo.at(0) < oldest) oldest = fifo.at(0);
    }
    return oldest;
  }

  /** The block in which the offset is open; -1: it is done, or not looked at yet. */
  openBlock(offset: number): number {
    const block = this.tables.blocks.find(this.index, Math.floor(offset / blockOffsets));
    return block >= 0 && this.tables.blocks.isOpen(block, offset % blockOffsets) ? block : -1;
  }

  // ---- folds -----------------------------------------------------------------------------------------------------

  handOut(handed: OffsetRuns, parked: OffsetRuns, passed: OffsetRuns, frontier: number, lease: NewLease): void {
    const before = this.frontier;
    if (frontier > before) this.frontier = frontier;
    this.touchHead();
    this.hold(handed, before, lease);
    for (let run = 0; run < parked.length; run += 1) {
      const start = parked.starts[run] as number;
      const end = start + (parked.counts[run] as number);
      const key = parked.values[run] as number;
      for (let offset = start; offset < end; offset += 1) this.park(offset, offset >= before, key);
    }
    for (let run = 0; run < passed.length; run += 1) {
      const start = passed.starts[run] as number;
      const end = Math.min(start + (passed.counts[run] as number), before); // Fresh ones are done by being unnamed.
      for (let offset = start; offset < end; offset += 1) this.finish(offset);
    }
  }

  /** As `handOut`, of an orderly group. */
  handOutLanes(record: FifoHandOutQueue, lease: NewLease, nowMs: number): void {
    if (record.frontier > this.frontier) this.frontier = record.frontier;
    this.touchHead();
    const lanes = this.orderly();
    lanes.endHolds(nowMs);
    for (const change of record.lanes) {
      const lane = lanes.begin(change);
      this.holdLane(lanes, lane, change, lease);
      lanes.moved(lane);
    }
    const { passed } = record;
    for (let run = 0; run < passed.length; run += 1) {
      const start = passed.starts[run] as number;
      const end = start + (passed.counts[run] as number);
      for (let offset = start; offset < end; offset += 1) this.finish(offset);
    }
    this.dropIdleLanes();
  }

  /** False: it was done before. */
  finish(offset: number): boolean {
    const block = this.openBlock(offset);
    if (block < 0) return false;
    const index = offset % blockOffsets;
    const { lanes } = this;
    const lane = lanes ? this.laneAt(block, index) : -1;
    this.leave(block, index);
    this.closeAt(block, index);
    if (lanes && lane >= 0) {
      lanes.closed(lane, offset);
      this.dropIdleLanes();
    }
    return true;
  }

  /** A client has shown the lease of these messages: the answer with it has arrived. */
  leaseShown({ leaseEpoch, leasePosition, offsets }: LeasedOffsets): void {
    const { blocks, leases } = this.tables;
    for (let run = 0; run < offsets.length; run += 1) {
      const start = offsets.starts[run] as number;
      const end = start + (offsets.counts[run] as number);
      for (let offset = start; offset < end; offset += 1) {
        const block = this.openBlock(offset);
        const index = offset % blockOffsets;
        if (block < 0 || blocks.state(block, index) === DeliveryState.parked) continue;
        const slot = blocks.detail(block, index);
        if (!leases.isOf(slot, leaseEpoch, leasePosition)) continue;
        leases.setArrived(slot);
        return;
      }
    }
  }

  /** Due at a time of its own from now on; with `uncounted` the last delivery does not count. */
  wait(offset: number, visibleAtMs: number, uncounted: boolean): void {
    const { blocks, leases } = this.tables;
    const block = this.openBlock(offset);
    const index = offset % blockOffsets;
    if (block < 0) return;
    const state = blocks.state(block, index);
    if (state === DeliveryState.parked) return;
    const slot = blocks.detail(block, index);
    if (state === DeliveryState.held) {
      leases.unhold(slot);
      this.waiting += 1;
    }
    const attempt = Math.max(0, blocks.attempt(block, index) - (uncounted ? 1 : 0));
    blocks.setAt(block, index, DeliveryState.waiting, attempt, slot);
    blocks.setDueMs(block, index, visibleAtMs);
    blocks.touch(block);
    if (!this.lanes) this.queue(visibleAtMs, offset);
    else this.laneMoved(slot);
  }

  /** A lease's end was moved. */
  moveLease(slot: number, dueMs: number): void {
    const { leases } = this.tables;
    const queuedMs = leases.queuedMs[slot] as number;
    leases.dueMs[slot] = dueMs;
    leases.touch(slot);
    if (this.lanes) {
      this.laneMoved(slot);
      return;
    }
    // A later end needs no new entry: the old one finds it when its time comes.
    if (queuedMs === 0 || dueMs < queuedMs) this.queueLease(slot);
  }

  /** Lanes that a client may still be at work on stay with it until its lease ends. */
  reset(offset: number, generation: number, nowMs: number): void {
    this.lanes?.reset(nowMs, (lane) => this.heldUntilMs(lane));
    this.dropOpen();
    this.frontier = offset;
    this.generation = generation;
    this.touchHead();
  }

  /** Messages below are gone. */
  expire(first: number): void {
    const { blocks } = this.tables;
    while (this.headBlock >= 0) {
      const offset = blocks.firstOpen(this.headBlock);
      if (offset >= first) break;
      this.finish(offset);
    }
    this.lanes?.expire(first);
    this.dropIdleLanes();
    if (first <= this.frontier) return;
    this.frontier = first;
    this.touchHead();
  }

  /** Nothing is open or waits any more. */
  dropAll(): void {
    this.dropOpen();
    this.lanes?.clear();
    this.dropIdleLanes();
  }

  private dropOpen(): void {
    while (this.headBlock >= 0) this.finish(this.tables.blocks.firstOpen(this.headBlock));
    this.heap = undefined;
    this.due = undefined;
    this.parked = undefined;
    this.keyTurn = undefined;
  }

  // ---- what is due, what is parked -------------------------------------------------------------------------------

  /** Moves what is due by now from the heap to the due list. Answers the list; its entries may be stale. */
  advance(nowMs: number): OffsetFifo | undefined {
    const { blocks, leases } = this.tables;
    const heap = this.heap;
    while (heap && heap.topMs <= nowMs) {
      const timeMs = heap.topMs;
      const key = heap.topKey;
      heap.pop();
      if (key >= 0) {
        const block = this.openBlock(key);
        const index = key % blockOffsets;
        if (
          block >= 0 &&
          blocks.state(block, index) === DeliveryState.waiting &&
          blocks.dueMs(block, index) === timeMs
        ) {
          this.list(block, index, key);
        }
        continue;
      }
      const slot = -key - 1;
      if (!this.leaseQueuedAt(slot, timeMs)) continue;
      leases.queuedMs[slot] = 0;
      if ((leases.dueMs[slot] as number) > nowMs) {
        this.queueLease(slot);
        continue;
      }
      for (const offset of this.offsetsOf(slot)) this.list(this.openBlock(offset), offset % blockOffsets, offset);
    }
    const due = this.due;
    while (due && due.length > 0 && !this.isDue(due.at(0), nowMs)) {
      this.unlist(due.at(0));
      due.shift();
    }
    if (due && due.length > 64 && due.length > 2 * this.inFlight) {
      due.sift((offset) => this.isDue(offset, nowMs) || this.unlist(offset));
    }
    return due;
  }

  isDue(offset: number, nowMs: number): boolean {
    const block = this.openBlock(offset);
    return block >= 0 && this.dueMsAt(block, offset % blockOffsets) <= nowMs;
  }

  /** Infinity for what is parked. */
  dueMsAt(block: number, index: number): number {
    const { blocks, leases } = this.tables;
    const state = blocks.state(block, index);
    if (state === DeliveryState.held) {
      const slot = blocks.detail(block, index);
      return (leases.dueMs[slot] as number) + (leases.backoffMs[slot] as number);
    }
    return state === DeliveryState.waiting ? blocks.dueMs(block, index) : Infinity;
  }

  /** Deliveries so far. */
  attemptOf(offset: number): number {
    const block = this.openBlock(offset);
    return block < 0 ? 0 : this.tables.blocks.attempt(block, offset % blockOffsets);
  }

  /** The next time that something not yet in the due list becomes visible. */
  nextDueMs(): number | undefined {
    const { blocks, leases } = this.tables;
    if (this.lanes) return this.lanes.nextDueMs();
    const heap = this.heap;
    if (!heap) return undefined;
    while (heap.size > 0) {
      const timeMs = heap.topMs;
      const key = heap.topKey;
      if (key >= 0) {
        const block = this.openBlock(key);
        const index = key % blockOffsets;
        if (
          block >= 0 &&
          blocks.state(block, index) === DeliveryState.waiting &&
          blocks.dueMs(block, index) === timeMs
        ) {
          return timeMs;
        }
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
    if (this.lanes) return this.lanes.earliestDueMs();
    const nextMs = this.nextDueMs();
    for (let i = 0; i < (this.due?.length ?? 0); i += 1) {
      const offset = this.due?.at(i) ?? 0;
      const block = this.openBlock(offset);
      const dueMs = block < 0 ? Infinity : this.dueMsAt(block, offset % blockOffsets);
      // What was renewed since it was due stands in the heap again.
      if (dueMs < (nextMs ?? Infinity)) return dueMs;
    }
    return nextMs;
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

  isParked(offset: number, key: number): boolean {
    const { blocks } = this.tables;
    const block = this.openBlock(offset);
    const index = offset % blockOffsets;
    return block >= 0 && blocks.state(block, index) === DeliveryState.parked && blocks.detail(block, index) === key;
  }

  // ---- saving and loading ----------------------------------------------------------------------------------------

  touchHead(): void {
    if (this.headDirty) return;
    this.headDirty = true;
    this.tables.dirtyHeads.push(this);
  }

  /** A block was loaded: links it after the others, counts what it holds and finds it a place in the soft lists. */
  adopt(block: number): void {
    const { blocks, leases } = this.tables;
    this.link(block);
    const base = blocks.number(block) * blockOffsets;
    for (let index = 0; index < blockOffsets; index += 1) {
      if (!blocks.isOpen(block, index)) continue;
      const state = blocks.state(block, index);
      const detail = blocks.detail(block, index);
      if (state === DeliveryState.parked) {
        this.parkedCount += 1;
        this.listParked(base + index, detail);
        continue;
      }
      this.inFlight += 1;
      leases.refs[detail] = (leases.refs[detail] as number) + 1;
      if (state === DeliveryState.held) {
        leases.held[detail] = (leases.held[detail] as number) + 1;
      } else {
        this.waiting += 1;
        if (leases.lane[detail] === 0) this.queue(blocks.dueMs(block, index), base + index);
      }
      if ((leases.lane[detail] as number) > 0) {
        const lanes = this.lanesFor();
        lanes.opened(lanes.lane((leases.lane[detail] as number) - 1), base + index);
      }
    }
  }

  queueLease(slot: number): void {
    const { leases } = this.tables;
    const dueMs = leases.dueMs[slot] as number;
    leases.queuedMs[slot] = dueMs;
    this.queue(dueMs, -slot - 1);
  }

  /** Every open offset, ascending, with its block. For tests and listings. */
  *openOffsets(): Iterable<{ readonly offset: number; readonly block: number; readonly index: number }> {
    const { blocks } = this.tables;
    for (let block = this.headBlock; block >= 0; block = blocks.next(block)) {
      for (let index = 0; index < blockOffsets; index += 1) {
        if (blocks.isOpen(block, index)) yield { offset: blocks.number(block) * blockOffsets + index, block, index };
      }
    }
  }

  // ---- lanes -----------------------------------------------------------------------------------------------------

  isOpen(offset: number): boolean {
    return this.openBlock(offset) >= 0;
  }

  dueMsOf(offset: number): number {
    const block = this.openBlock(offset);
    return block < 0 ? Infinity : this.dueMsAt(block, offset % blockOffsets);
  }

  /** The lease slot of an open offset that is held; -1: nobody holds it. */
  heldBySlot(offset: number): number {
    const { blocks } = this.tables;
    const block = this.openBlock(offset);
    const index = offset % blockOffsets;
    return block >= 0 && blocks.state(block, index) === DeliveryState.held ? blocks.detail(block, index) : -1;
  }

  /** What is held under a lease slot, ascending. */
  offsetsOf(slot: number): number[] {
    const { leases } = this.tables;
    const lane = this.lanes?.find((leases.lane[slot] as number) - 1);
    if (lane) return lane.batch.filter((offset) => this.heldBySlot(offset) === slot);
    const found: number[] = [];
    const last = leases.last[slot] as number;
    for (let offset = leases.first[slot] as number; offset <= last; offset += 1) {
      if (this.heldBySlot(offset) === slot) found.push(offset);
    }
    return found;
  }

  freed(): void {
    this.tables.lanes.freed.add(this);
  }

  laneChanged(lane: Lane): void {
    this.tables.lanes.dirty.push({ progress: this, lane });
  }

  countKept(change: number): void {
    this.tables.lanes.kept += change;
  }

  lanesFor(): Lanes {
    if (this.lanes) return this.lanes;
    this.tables.lanes.queues += 1;
    return (this.lanes = new Lanes(this));
  }

  /** The lanes; what was handed out or parked before the group became orderly goes to the lane without a group. */
  private orderly(): Lanes {
    if (this.lanes) return this.lanes;
    const lanes = this.lanesFor();
    if (this.headBlock < 0) return lanes;
    const { blocks, leases } = this.tables;
    const lane = lanes.lane(0);
    const parked: number[] = [];
    for (const { offset, block, index } of this.openOffsets()) {
      if (blocks.state(block, index) === DeliveryState.parked) {
        parked.push(offset);
        continue;
      }
      const slot = blocks.detail(block, index);
      leases.lane[slot] = 1;
      leases.touch(slot);
      lanes.opened(lane, offset);
    }
    for (const offset of parked) {
      this.finish(offset);
      lanes.keepOld(0, offset);
    }
    this.heap = undefined;
    this.due = undefined;
    this.parked = undefined;
    this.keyTurn = undefined;
    lanes.moved(lane);
    return lanes;
  }

  private holdLane(lanes: Lanes, lane: Lane, change: LaneHandOut, lease: NewLease): void {
    const { blocks, leases } = this.tables;
    const { handed } = change;
    let slot = -1;
    for (let run = 0; run < handed.length; run += 1) {
      const start = handed.starts[run] as number;
      const end = start + (handed.counts[run] as number);
      const attempt = handed.values[run] as number;
      for (let offset = start; offset < end; offset += 1) {
        const fresh = this.openBlock(offset) < 0;
        const block = this.enter(offset, fresh);
        const index = offset % blockOffsets;
        if (slot < 0) {
          slot = leases.add(lease, this.index, offset, change);
          leases.link(slot);
        }
        leases.last[slot] = offset;
        leases.held[slot] = (leases.held[slot] as number) + 1;
        leases.refs[slot] = (leases.refs[slot] as number) + 1;
        this.inFlight += 1;
        if (fresh) {
          blocks.openAt(block, index, DeliveryState.held, attempt, slot);
          lanes.opened(lane, offset);
        } else blocks.setAt(block, index, DeliveryState.held, attempt, slot);
      }
    }
  }

  /** Until when somebody holds messages of the lane; 0: nobody does. */
  private heldUntilMs(lane: Lane): number {
    const { leases } = this.tables;
    let untilMs = 0;
    for (const offset of lane.batch) {
      const slot = this.heldBySlot(offset);
      if (slot >= 0) untilMs = Math.max(untilMs, leases.dueMs[slot] as number);
    }
    return untilMs;
  }

  /** The lane's hash; -1: it is in none. */
  private laneAt(block: number, index: number): number {
    const { blocks, leases } = this.tables;
    if (blocks.state(block, index) === DeliveryState.parked) return -1;
    return (leases.lane[blocks.detail(block, index)] as number) - 1;
  }

  private laneMoved(slot: number): void {
    const lane = this.lanes?.find((this.tables.leases.lane[slot] as number) - 1);
    if (lane) this.lanes?.moved(lane);
  }

  private dropIdleLanes(): void {
    if (this.lanes?.size !== 0) return;
    this.lanes = undefined;
    this.tables.lanes.queues -= 1;
  }

  // ---- inside ----------------------------------------------------------------------------------------------------

  private hold(handed: OffsetRuns, before: number, lease: NewLease): void {
    const { blocks, leases } = this.tables;
    let slot = -1;
    for (let run = 0; run < handed.length; run += 1) {
      const start = handed.starts[run] as number;
      const end = start + (handed.counts[run] as number);
      const attempt = handed.values[run] as number;
      for (let offset = start; offset < end; offset += 1) {
        const block = this.enter(offset, offset >= before);
        if (block < 0) continue;
        if (slot < 0 || offset - (leases.last[slot] as number) > leaseGap) {
          if (slot >= 0) this.queueLease(slot);
          slot = leases.add(lease, this.index, offset);
          leases.link(slot);
        }
        leases.last[slot] = offset;
        leases.held[slot] = (leases.held[slot] as number) + 1;
        leases.refs[slot] = (leases.refs[slot] as number) + 1;
        this.inFlight += 1;
        const index = offset % blockOffsets;
        if (offset >= before) blocks.openAt(block, index, DeliveryState.held, attempt, slot);
        else blocks.setAt(block, index, DeliveryState.held, attempt, slot);
      }
    }
    if (slot >= 0) this.queueLease(slot);
  }

  private park(offset: number, fresh: boolean, key: number): void {
    const { blocks } = this.tables;
    const block = this.enter(offset, fresh);
    if (block < 0) return;
    const index = offset % blockOffsets;
    if (fresh) blocks.openAt(block, index, DeliveryState.parked, 0, key);
    else blocks.setAt(block, index, DeliveryState.parked, blocks.attempt(block, index), key);
    this.parkedCount += 1;
    this.listParked(offset, key);
  }

  /** The block of an offset that is about to change its state, out of the old one; -1: it is done. */
  private enter(offset: number, fresh: boolean): number {
    const { blocks } = this.tables;
    const number = Math.floor(offset / blockOffsets);
    let block = blocks.find(this.index, number);
    if (fresh) {
      if (block < 0) {
        block = blocks.add(this.index, number);
        this.link(block);
      }
    } else {
      if (block < 0 || !blocks.isOpen(block, offset % blockOffsets)) return -1;
      this.leave(block, offset % blockOffsets);
    }
    blocks.touch(block);
    return block;
  }

  /** Takes an open offset out of the counts of its state. */
  private leave(block: number, index: number): void {
    const { blocks, leases } = this.tables;
    const state = blocks.state(block, index);
    if (state === DeliveryState.parked) {
      this.parkedCount -= 1;
      return;
    }
    this.inFlight -= 1;
    const slot = blocks.detail(block, index);
    if (state === DeliveryState.held) leases.unhold(slot);
    else this.waiting -= 1;
    leases.unref(slot);
  }

  private closeAt(block: number, index: number): void {
    const { blocks, removed } = this.tables;
    blocks.close(block, index);
    if (blocks.open(block) !== 0) {
      blocks.touch(block);
      return;
    }
    const number = blocks.number(block);
    this.unlink(block);
    if (blocks.remove(block)) removed.push({ progress: this, number });
  }

  /** Blocks are nearly always made in order, or near the oldest: the search from the nearer end is short. */
  private link(block: number): void {
    const { blocks } = this.tables;
    const number = blocks.number(block);
    let before = this.tailBlock;
    if (before >= 0 && number - blocks.number(this.headBlock) < blocks.number(before) - number) {
      before = -1;
      let next = this.headBlock;
      while (next >= 0 && blocks.number(next) < number) {
        before = next;
        next = blocks.next(next);
      }
    } else while (before >= 0 && blocks.number(before) > number) before = blocks.prev(before);
    const after = before < 0 ? this.headBlock : blocks.next(before);
    blocks.setPrev(block, before);
    blocks.setNext(block, after);
    if (before >= 0) blocks.setNext(before, block);
    else this.headBlock = block;
    if (after >= 0) blocks.setPrev(after, block);
    else this.tailBlock = block;
  }

  private unlink(block: number): void {
    const { blocks } = this.tables;
    const before = blocks.prev(block);
    const after = blocks.next(block);
    if (before >= 0) blocks.setNext(before, after);
    else this.headBlock = after;
    if (after >= 0) blocks.setPrev(after, before);
    else this.tailBlock = before;
  }

  private queue(timeMs: number, key: number): void {
    const heap = (this.heap ??= new DueHeap());
    // Repeated changes leave entries behind that hold no more; now and then all are made anew.
    if (heap.size >= 64 && heap.size > 4 * this.inFlight) this.requeue(heap);
    heap.push(timeMs, key);
  }

  private requeue(heap: DueHeap): void {
    const { blocks, leases } = this.tables;
    const pairs = heap.drain();
    for (let at = 0; at < pairs.length; at += 2) {
      const timeMs = pairs[at] as number;
      const key = pairs[at + 1] as number;
      if (key < 0) {
        if (!this.leaseQueuedAt(-key - 1, timeMs)) continue;
        const dueMs = leases.dueMs[-key - 1] as number;
        leases.queuedMs[-key - 1] = dueMs;
        heap.push(dueMs, key);
      } else {
        const block = this.openBlock(key);
        const index = key % blockOffsets;
        if (block < 0 || blocks.state(block, index) !== DeliveryState.waiting) continue;
        if (blocks.dueMs(block, index) === timeMs) heap.push(timeMs, key);
      }
    }
  }

  private leaseQueuedAt(slot: number, timeMs: number): boolean {
    const { leases } = this.tables;
    return (
      leases.inUse[slot] === 1 &&
      leases.owner[slot] === this.index &&
      (leases.held[slot] as number) > 0 &&
      leases.queuedMs[slot] === timeMs
    );
  }

  private list(block: number, index: number, offset: number): void {
    const { blocks } = this.tables;
    if (blocks.hasMark(block, index, Mark.dueListed)) return;
    blocks.mark(block, index, Mark.dueListed);
    (this.due ??= new OffsetFifo()).push(offset);
  }

  private unlist(offset: number): false {
    const block = this.openBlock(offset);
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
