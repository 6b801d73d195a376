import type { GroupId, QueueId, TopicId } from '@cometmq/model';

import { blockOffsets } from './block-table.js';
import type { FifoDeliveryQueue } from './fifo-records.js';
import type { DeliveryQueue, LeasedOffsets } from './group-records.js';
import { LaneProgress } from './lane-progress.js';
import type { Lanes } from './lanes.js';
import type { NewLease } from './lease-table.js';
import { OpenOffsets } from './open-offsets.js';
import { eachRun, OffsetRuns } from './offset-runs.js';
import type { Tables } from './tables.js';
import { UnorderedProgress } from './unordered-progress.js';

/**
 * How far one group is in one queue. Everything below `frontier` has been looked at; of that, what is open (held,
 * waiting or parked) stands in the block table, and all the rest is done. So `committed` needs no field of its own.
 *
 * What says when open offsets are due depends on the group's order: `unordered` (heap, due list, parked lists), or lanes
 * (lanes.ts), in which some also waits that is in no block, and nothing is parked.
 */
export class QueueProgress extends OpenOffsets {
  frontier: number;
  generation = 0;
  headDirty = false;
  headSaved = false;
  /** When it must be looked at for what is due; Infinity: it need not. */
  alarmMs = Infinity;
  private inLanes: LaneProgress | undefined;
  private inHeap: UnorderedProgress | undefined;

  constructor(
    tables: Tables<QueueProgress>,
    index: number,
    readonly groupId: GroupId,
    readonly topicId: TopicId,
    readonly queueId: QueueId,
    start: number,
  ) {
    super(tables, index);
    this.frontier = start;
  }

  /** Of an orderly group, while anything of the queue is in flight, waits or is held. */
  get lanes(): Lanes | undefined {
    return this.inLanes?.lanes;
  }

  get unordered(): UnorderedProgress {
    return (this.inHeap ??= new UnorderedProgress(this.tables, this));
  }

  /** Everything below is done. */
  get committed(): number {
    const { firstOpen, lanes } = this;
    const open = firstOpen < 0 ? this.frontier : firstOpen;
    return lanes ? Math.min(open, lanes.oldestKept()) : open;
  }

  get oldestUndelivered(): number {
    return Math.min(this.frontier, this.lanes?.oldestKept() ?? Infinity, this.inHeap?.oldestParked ?? Infinity);
  }

  // ---- folds -----------------------------------------------------------------------------------------------------

  delivery({ handed, parked, passed, frontier }: DeliveryQueue, lease: NewLease): void {
    const before = this.frontier;
    if (frontier > before) this.frontier = frontier;
    this.touchHead();
    if (handed.length > 0) this.unordered.hold(handed, before, lease);
    if (parked.length > 0) this.unordered.park(parked, before);
    eachRun(passed, (offset) => {
      if (offset < before) this.finish(offset); // Fresh ones are done by being unnamed.
    });
  }

  /** Messages the group is done with are to be delivered to it again. Of an orderly group they stay done. */
  redeliver(offsets: readonly number[], lease: NewLease): void {
    if (this.inLanes) return;
    this.touchHead();
    this.unordered.dropStale();
    for (const offset of offsets) {
      if (offset >= this.frontier || this.isOpen(offset)) continue;
      const again = new OffsetRuns();
      again.push(offset, 0);
      this.unordered.hold(again, 0, lease); // Entered as if it were new: it is in no block.
    }
  }

  /** As `delivery`, of an orderly group. */
  deliveryLanes(record: FifoDeliveryQueue, lease: NewLease, nowMs: number): void {
    if (record.frontier > this.frontier) this.frontier = record.frontier;
    this.touchHead();
    const inLanes = this.orderly();
    inLanes.lanes.endHolds(nowMs);
    for (const change of record.lanes) inLanes.delivery(change, lease);
    eachRun(record.passed, (offset) => void this.finish(offset));
    this.dropIdleLanes();
  }

  /** False: it was done before. */
  finish(offset: number): boolean {
    const block = this.openBlock(offset);
    if (block < 0) return false;
    const index = offset % blockOffsets;
    const { inLanes } = this;
    const hash = inLanes ? inLanes.hashOf(block, index) : -1;
    this.close(block, index);
    if (inLanes && hash >= 0) {
      inLanes.lanes.closed(hash, offset);
      this.dropIdleLanes();
    }
    return true;
  }

  /** The message goes to another broker set, in whatever state it is here. */
  transferred(offset: number, groupHash: number): void {
    if (this.finish(offset) || offset >= this.frontier || !this.inLanes) return;
    this.inLanes.lanes.transferred(groupHash, offset);
    this.dropIdleLanes();
  }

  /** Due at a time of its own from now on; with `uncounted` the last delivery does not count. */
  wait(offset: number, visibleAtMs: number, uncounted: boolean): void {
    if (!this.setTime(offset, visibleAtMs, uncounted)) return;
    if (this.inLanes) this.inLanes.slotMoved(this.slotOf(offset));
    else this.unordered.waits(offset, visibleAtMs);
  }

  /** A lease's end was moved. */
  moveLease(slot: number, dueMs: number): void {
    const { leases } = this.tables;
    leases.dueMs[slot] = dueMs;
    leases.touch(slot);
    if (this.inLanes) this.inLanes.slotMoved(slot);
    else this.unordered.leaseMoved(slot);
  }

  /** A client has shown the lease of these messages: the answer with it has arrived. */
  leaseShown({ leaseEpoch, leasePosition, offsets }: LeasedOffsets): void {
    const { leases } = this.tables;
    for (let run = 0; run < offsets.length; run += 1) {
      const start = offsets.starts[run] as number;
      const end = start + (offsets.counts[run] as number);
      for (let offset = start; offset < end; offset += 1) {
        const slot = this.slotOf(offset);
        if (slot < 0 || !leases.isOf(slot, leaseEpoch, leasePosition)) continue;
        leases.setArrived(slot);
        return;
      }
    }
  }

  /** A client that held it through a reset is done with it. False: nobody held it so. */
  release({ leaseEpoch, leasePosition }: LeasedOffsets, offset: number): boolean {
    if (!this.inLanes?.lanes.release(leaseEpoch, leasePosition, offset)) return false;
    this.dropIdleLanes();
    return true;
  }

  reset(offset: number, generation: number, nowMs: number): void {
    this.inLanes?.reset(nowMs);
    this.dropOpen();
    this.frontier = offset;
    this.generation = generation;
    this.touchHead();
  }

  /** Messages below are gone. */
  expire(first: number): void {
    for (let open = this.firstOpen; open >= 0 && open < first; open = this.firstOpen) this.finish(open);
    this.inLanes?.lanes.expire(first);
    this.dropIdleLanes();
    if (first <= this.frontier) return;
    this.frontier = first;
    this.touchHead();
  }

  /** Nothing is open or waits any more. */
  dropAll(): void {
    this.dropOpen();
    this.inLanes?.lanes.clear();
    this.dropIdleLanes();
  }

  // ---- what is due -----------------------------------------------------------------------------------------------

  /** The next time, not before the last look, that something becomes visible. */
  nextDueMs(): number | undefined {
    return this.inLanes ? this.inLanes.lanes.nextDueMs() : this.inHeap?.nextDueMs();
  }

  /** The earliest time that anything is or was due. */
  earliestDueMs(): number | undefined {
    return this.inLanes ? this.inLanes.lanes.earliestDueMs() : this.inHeap?.earliestDueMs();
  }

  /** How many of those in flight are due by now: ready to be delivered again. */
  dueBy(nowMs: number): number {
    if (this.inLanes) {
      this.inLanes.lanes.advance(nowMs);
      return this.inLanes.lanes.dueBy(nowMs);
    }
    this.inHeap?.advance(nowMs);
    return this.dueCount;
  }

  /** Whether the group has still to do with a message; `held`: somebody is at work on it, or it, or its lane, is not due. */
  needs(offset: number, groupHash: number, nowMs: number): 'done' | 'open' | 'held' {
    const { inLanes } = this;
    if (inLanes?.lanes.isHeld(groupHash, nowMs)) return 'held';
    if (offset >= this.frontier) return 'open';
    const block = this.openBlock(offset);
    if (block < 0) return inLanes?.lanes.keeps(groupHash, offset) ? 'open' : 'done';
    const index = offset % blockOffsets;
    if (inLanes) return inLanes.lanes.isHeld(inLanes.hashOf(block, index), nowMs) ? 'held' : 'open';
    const dueMs = this.dueMsAt(block, index);
    return dueMs === Infinity || dueMs <= nowMs ? 'open' : 'held';
  }

  /** Notes what has become due, and when to look again. */
  look(nowMs: number): void {
    this.alarmMs = Infinity;
    if (this.inLanes) this.inLanes.lanes.advance(nowMs);
    else this.inHeap?.advance(nowMs);
    const nextMs = this.nextDueMs();
    if (nextMs !== undefined) this.alarmAt(nextMs);
  }

  alarmAt(timeMs: number): void {
    if (timeMs >= this.alarmMs) return;
    this.alarmMs = timeMs;
    this.tables.due.alarms.push(timeMs, this.index);
  }

  /** In an orderly group, the first open offset of the lane that an open one is in. */
  firstOfLane(offset: number): number {
    const lane = this.inLanes?.laneOf(this.slotOf(offset));
    return lane?.batch.find((each) => this.isOpen(each)) ?? offset;
  }

  /** What is held under a lease slot, ascending. */
  offsetsOf(slot: number): number[] {
    const { leases } = this.tables;
    const lane = this.inLanes?.laneOf(slot);
    if (lane) return lane.batch.filter((offset) => this.heldBySlot(offset) === slot);
    const found: number[] = [];
    const last = leases.last[slot] as number;
    for (let offset = leases.first[slot] as number; offset <= last; offset += 1) {
      if (this.heldBySlot(offset) === slot) found.push(offset);
    }
    return found;
  }

  // ---- saving and loading ----------------------------------------------------------------------------------------

  touchHead(): void {
    if (this.headDirty) return;
    this.headDirty = true;
    this.tables.dirtyHeads.push(this);
  }

  /** A block was loaded: what it holds finds its place. */
  adopt(block: number): void {
    const { blocks, leases } = this.tables;
    this.adoptBlock(block);
    const base = blocks.number(block) * blockOffsets;
    for (let index = 0; index < blockOffsets; index += 1) {
      if (!blocks.isOpen(block, index)) continue;
      const slot = this.slotOf(base + index);
      if (slot >= 0 && (leases.lane[slot] as number) > 0) this.lanesFor().adopt(base + index, slot);
      else this.unordered.adopt(base + index, block);
    }
  }

  lanesFor(): LaneProgress {
    if (this.inLanes) return this.inLanes;
    this.tables.lanes.queues += 1;
    return (this.inLanes = new LaneProgress(this.tables, this));
  }

  // ---- inside ----------------------------------------------------------------------------------------------------

  protected blockRemoved(number: number): void {
    this.tables.removed.push({ progress: this, number });
  }

  private orderly(): LaneProgress {
    if (this.inLanes) return this.inLanes;
    const inLanes = this.lanesFor();
    inLanes.takeOver();
    this.inHeap = undefined;
    return inLanes;
  }

  private dropOpen(): void {
    for (let open = this.firstOpen; open >= 0; open = this.firstOpen) this.finish(open);
    this.inHeap = undefined;
  }

  private dropIdleLanes(): void {
    if (this.inLanes?.lanes.size !== 0) return;
    this.inLanes = undefined;
    this.tables.lanes.queues -= 1;
  }
}
