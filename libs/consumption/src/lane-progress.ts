import { DeliveryState, Mark } from './block-table.js';
import type { LaneDelivery } from './fifo-records.js';
import type { Lane, LaneHold } from './lane-list.js';
import { Lanes, type LanePort } from './lanes.js';
import type { NewLease } from './lease-table.js';
import type { OpenOffsets, QueueDuties } from './open-offsets.js';
import { noteDue, type Tables } from './tables.js';

/** The lanes of a queue's progress, and how they stand on its open offsets: of an orderly group, while there are any. */
export class LaneProgress implements LanePort {
  readonly lanes = new Lanes(this);

  constructor(
    private readonly tables: Tables,
    private readonly of: OpenOffsets & QueueDuties,
  ) {}

  // ---- folds -----------------------------------------------------------------------------------------------------

  /** What was handed out or parked before the group became orderly goes to the lane without a group. */
  takeOver(): void {
    if (this.of.firstOpen < 0) return;
    const { blocks, leases } = this.tables;
    const lane = this.lanes.lane(0);
    const parked: number[] = [];
    for (const { offset, block, index } of this.of.openOffsets()) {
      if (blocks.state(block, index) === DeliveryState.parked) {
        parked.push(offset);
        continue;
      }
      this.of.dueNoMore(block, index);
      blocks.unmark(block, index, Mark.dueListed);
      const slot = blocks.detail(block, index);
      leases.lane[slot] = 1;
      leases.touch(slot);
      this.lanes.opened(lane, offset);
    }
    for (const offset of parked) {
      this.of.finish(offset);
      this.lanes.keepOld(0, offset);
    }
    this.lanes.moved(lane);
  }

  delivery(change: LaneDelivery, lease: NewLease): void {
    const { leases } = this.tables;
    const { handed } = change;
    const lane = this.lanes.begin(change);
    let slot = -1;
    for (let run = 0; run < handed.length; run += 1) {
      const start = handed.starts[run] as number;
      const end = start + (handed.counts[run] as number);
      const attempt = handed.values[run] as number;
      for (let offset = start; offset < end; offset += 1) {
        const fresh = !this.of.isOpen(offset);
        const block = this.of.enter(offset, fresh);
        if (slot < 0) {
          slot = leases.add(lease, this.of.index, offset, change);
          leases.link(slot);
        }
        this.of.hold(block, offset, fresh, attempt, slot);
        if (fresh) this.lanes.opened(lane, offset);
      }
    }
    this.lanes.moved(lane);
  }

  /** Of an open offset that is about to be done: the hash of its lane; -1: it is in none. */
  hashOf(block: number, index: number): number {
    const { blocks, leases } = this.tables;
    if (blocks.state(block, index) === DeliveryState.parked) return -1;
    return (leases.lane[blocks.detail(block, index)] as number) - 1;
  }

  slotMoved(slot: number): void {
    const lane = this.laneOf(slot);
    if (lane) this.lanes.moved(lane);
  }

  /** A loaded block's offset that was handed out in a lane. */
  adopt(offset: number, slot: number): void {
    this.lanes.opened(this.lanes.lane((this.tables.leases.lane[slot] as number) - 1), offset);
  }

  /** Lanes that a client may still be at work on stay with it until it is done, or its lease ends. */
  reset(nowMs: number): void {
    this.lanes.reset(nowMs, (lane) => this.holdsOf(lane, nowMs));
  }

  laneOf(slot: number): Lane | undefined {
    return this.lanes.find((this.tables.leases.lane[slot] as number) - 1);
  }

  // ---- the lanes' ground -----------------------------------------------------------------------------------------

  isOpen(offset: number): boolean {
    return this.of.isOpen(offset);
  }

  dueMsOf(offset: number): number {
    return this.of.dueMsOf(offset);
  }

  freed(): void {
    this.tables.lanes.freed.add(this.of);
  }

  laneChanged(lane: Lane): void {
    this.tables.lanes.dirty.push({ progress: this.of, lane });
  }

  countKept(change: number): void {
    this.tables.lanes.kept += change;
  }

  holdsChanged(any: boolean): void {
    if (any) this.tables.lanes.held.add(this.of);
    else this.tables.lanes.held.delete(this.of);
  }

  laneQueued(timeMs: number): void {
    this.of.alarmAt(timeMs);
  }

  laneDue(offset: number): void {
    noteDue(this.tables, this.of.index, offset);
  }

  // ---- inside ----------------------------------------------------------------------------------------------------

  /** What clients hold of the lane until after `nowMs`, lease by lease. */
  private holdsOf(lane: Lane, nowMs: number): LaneHold[] {
    const { leases } = this.tables;
    const bySlot = new Map<number, LaneHold>();
    for (const offset of lane.batch) {
      const slot = this.of.heldBySlot(offset);
      if (slot < 0 || (leases.dueMs[slot] as number) <= nowMs) continue;
      const known = bySlot.get(slot);
      if (known) {
        known.offsets.push(offset);
        continue;
      }
      bySlot.set(slot, {
        epoch: leases.epoch[slot] as number,
        position: leases.position[slot] as number,
        clientId: leases.clientOf(slot).clientId,
        untilMs: leases.dueMs[slot] as number,
        offsets: [offset],
      });
    }
    return [...bySlot.values()];
  }
}
