import { blockOffsets, DeliveryState, Mark } from './block-table.js';
import type { Tables } from './tables.js';

/** What a queue's progress does for its two orders of delivery, beside keeping the open offsets. */
export interface QueueDuties {
  /** The group is done with the offset. False: it was already. */
  finish(offset: number): boolean;
  /** Something is due at this time: the queue is looked at then. */
  alarmAt(timeMs: number): void;
  /** Offsets that the lease in this slot holds. */
  offsetsOf(slot: number): number[];
}

/**
 * The offsets of one queue that one group has looked at and not done with: held by a client, waiting for a time of their own,
 * or parked for another member. They stand in the block table; this links the queue's blocks in the order of their
 * offsets, moves offsets from one state to the next and counts them.
 */
export abstract class OpenOffsets {
  inFlight = 0;
  waiting = 0;
  parkedCount = 0;
  /** Of those in flight that are in no lane: how many have the mark `due`. */
  dueCount = 0;
  private headBlock = -1;
  private tailBlock = -1;

  constructor(
    protected readonly tables: Tables,
    /** Its number as owner in the tables. */
    readonly index: number,
  ) {}

  protected abstract blockRemoved(number: number): void;

  // ---- what is ---------------------------------------------------------------------------------------------------

  /** -1: none is open. */
  get firstOpen(): number {
    return this.headBlock < 0 ? -1 : this.tables.blocks.firstOpen(this.headBlock);
  }

  /** The block in which the offset is open; -1: it is done, or not looked at yet. */
  openBlock(offset: number): number {
    const block = this.tables.blocks.find(this.index, Math.floor(offset / blockOffsets));
    return block >= 0 && this.tables.blocks.isOpen(block, offset % blockOffsets) ? block : -1;
  }

  isOpen(offset: number): boolean {
    return this.openBlock(offset) >= 0;
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

  dueMsOf(offset: number): number {
    const block = this.openBlock(offset);
    return block < 0 ? Infinity : this.dueMsAt(block, offset % blockOffsets);
  }

  /** Deliveries so far. */
  attemptOf(offset: number): number {
    const block = this.openBlock(offset);
    return block < 0 ? 0 : this.tables.blocks.attempt(block, offset % blockOffsets);
  }

  /** The lease slot of an open offset that is held; -1: nobody holds it. */
  heldBySlot(offset: number): number {
    const { blocks } = this.tables;
    const block = this.openBlock(offset);
    const index = offset % blockOffsets;
    return block >= 0 && blocks.state(block, index) === DeliveryState.held ? blocks.detail(block, index) : -1;
  }

  /** The lease slot under which an open offset is held or was last; -1: it is parked, or not open. */
  slotOf(offset: number): number {
    const { blocks } = this.tables;
    const block = this.openBlock(offset);
    const index = offset % blockOffsets;
    return block < 0 || blocks.state(block, index) === DeliveryState.parked ? -1 : blocks.detail(block, index);
  }

  /** Every open offset, ascending, with its block. For changes of a group's order, tests and listings. */
  *openOffsets(): Iterable<{ readonly offset: number; readonly block: number; readonly index: number }> {
    const { blocks } = this.tables;
    for (let block = this.headBlock; block >= 0; block = blocks.next(block)) {
      for (let index = 0; index < blockOffsets; index += 1) {
        if (blocks.isOpen(block, index)) yield { offset: blocks.number(block) * blockOffsets + index, block, index };
      }
    }
  }

  /** What is parked, with its key, ascending, until `each` has enough or so many blocks were looked at. */
  eachParked(blocksMax: number, each: (offset: number, key: number) => boolean): void {
    const { blocks } = this.tables;
    for (let block = this.headBlock, left = blocksMax; block >= 0 && left > 0; block = blocks.next(block), left -= 1) {
      const first = blocks.number(block) * blockOffsets;
      for (let index = 0; index < blockOffsets; index += 1) {
        if (!blocks.isOpen(block, index) || blocks.state(block, index) !== DeliveryState.parked) continue;
        if (!each(first + index, blocks.detail(block, index))) return;
      }
    }
  }

  // ---- from one state to the next --------------------------------------------------------------------------------

  /** The block of an offset that is about to change its state, out of the old one; -1: it is done. */
  enter(offset: number, fresh: boolean): number {
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

  /** An offset that has entered is held under the lease slot. */
  hold(block: number, offset: number, fresh: boolean, attempt: number, slot: number): void {
    const { blocks, leases } = this.tables;
    leases.take(slot, offset);
    this.inFlight += 1;
    if (fresh) blocks.openAt(block, offset % blockOffsets, DeliveryState.held, attempt, slot);
    else blocks.setAt(block, offset % blockOffsets, DeliveryState.held, attempt, slot);
  }

  /** What is held, or waits, waits until then. False: it is not open, or parked. */
  setTime(offset: number, visibleAtMs: number, uncounted: boolean): boolean {
    const { blocks, leases } = this.tables;
    const block = this.openBlock(offset);
    const index = offset % blockOffsets;
    if (block < 0) return false;
    const state = blocks.state(block, index);
    if (state === DeliveryState.parked) return false;
    const slot = blocks.detail(block, index);
    if (state === DeliveryState.held) {
      leases.unhold(slot);
      this.waiting += 1;
    }
    this.dueNoMore(block, index);
    const attempt = Math.max(0, blocks.attempt(block, index) - (uncounted ? 1 : 0));
    blocks.setAt(block, index, DeliveryState.waiting, attempt, slot);
    blocks.setDueMs(block, index, visibleAtMs);
    blocks.touch(block);
    return true;
  }

  park(offset: number, fresh: boolean, key: number): boolean {
    const { blocks } = this.tables;
    const block = this.enter(offset, fresh);
    if (block < 0) return false;
    const index = offset % blockOffsets;
    if (fresh) blocks.openAt(block, index, DeliveryState.parked, 0, key);
    else blocks.setAt(block, index, DeliveryState.parked, blocks.attempt(block, index), key);
    this.parkedCount += 1;
    return true;
  }

  /** The open offset is done. */
  close(block: number, index: number): void {
    const { blocks } = this.tables;
    this.leave(block, index);
    blocks.close(block, index);
    if (blocks.open(block) !== 0) {
      blocks.touch(block);
      return;
    }
    const number = blocks.number(block);
    this.unlink(block);
    if (blocks.remove(block)) this.blockRemoved(number);
  }

  /** It has become due. False: that was known. */
  nowDue(block: number, index: number): boolean {
    const { blocks } = this.tables;
    if (blocks.hasMark(block, index, Mark.due)) return false;
    blocks.mark(block, index, Mark.due);
    this.dueCount += 1;
    return true;
  }

  dueNoMore(block: number, index: number): void {
    const { blocks } = this.tables;
    if (!blocks.hasMark(block, index, Mark.due)) return;
    blocks.unmark(block, index, Mark.due);
    this.dueCount -= 1;
  }

  /** A loaded block is linked after the others, and what it holds is counted. */
  adoptBlock(block: number): void {
    const { blocks, leases } = this.tables;
    this.link(block);
    for (let index = 0; index < blockOffsets; index += 1) {
      if (!blocks.isOpen(block, index)) continue;
      const detail = blocks.detail(block, index);
      const state = blocks.state(block, index);
      if (state === DeliveryState.parked) {
        this.parkedCount += 1;
        continue;
      }
      this.inFlight += 1;
      if (state === DeliveryState.waiting) this.waiting += 1;
      leases.count(detail, state === DeliveryState.held);
    }
  }

  // ---- inside ----------------------------------------------------------------------------------------------------

  /** Takes an open offset out of the counts of its state. */
  private leave(block: number, index: number): void {
    const { blocks, leases } = this.tables;
    const state = blocks.state(block, index);
    if (state === DeliveryState.parked) {
      this.parkedCount -= 1;
      return;
    }
    this.dueNoMore(block, index);
    this.inFlight -= 1;
    const slot = blocks.detail(block, index);
    if (state === DeliveryState.held) leases.unhold(slot);
    else this.waiting -= 1;
    leases.unref(slot);
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
}
