import type { OffsetFifo } from './offset-fifo.js';

/** What a client held of a lane when the group was reset. It is let go offset by offset, or when its time has passed. */
export interface LaneHold {
  readonly epoch: number;
  readonly position: number;
  readonly clientId: string;
  readonly untilMs: number;
  readonly offsets: number[];
}

export const noHolds: readonly LaneHold[] = [];

/**
 * One lane of a queue in an orderly group: the messages with one message group's hash (0: those without a group).
 * State: `batch`, `backlog`, `spillFrom`, `spilled`, `holds`. The rest is soft.
 */
export class Lane {
  /** Handed out and not done, ascending. What is done is dropped when it comes to the front. */
  batch: number[] = [];
  /** How many of the batch are not done. */
  open = 0;
  /** Looked at while the lane was busy, and kept for its turn; ascending. */
  backlog: OffsetFifo | undefined;
  /** From here to the queue's frontier more of the lane may lie that is not in the backlog; -1: nothing. */
  spillFrom = -1;
  /** How many of them were seen there. */
  spilled = 0;
  /** Who held some of it before a reset may still be at work on that. */
  holds: readonly LaneHold[] = noHolds;
  /** Until when at most; 0: nobody is. */
  holdUntilMs = 0;

  /** The time under which it stands in the heap; 0: in none. */
  queuedMs = 0;
  list: LaneList | undefined;
  before: Lane | undefined;
  after: Lane | undefined;
  dirty = false;
  /** A piece of it was saved. */
  saved = false;

  constructor(readonly hash: number) {}

  get kept(): number {
    return this.backlog?.length ?? 0;
  }

  /** Something waits for its turn. */
  get waits(): boolean {
    return this.spillFrom >= 0 || this.kept > 0;
  }

  get idle(): boolean {
    return this.open === 0 && !this.waits && this.holdUntilMs === 0;
  }

  /** There is something that no block says. */
  get hasPiece(): boolean {
    return this.waits || this.holdUntilMs > 0;
  }
}

/** Lanes in a row. A lane is in one list at a time, and leaves it at once wherever it stands. */
export class LaneList {
  head: Lane | undefined;
  private tail: Lane | undefined;
  size = 0;

  push(lane: Lane): void {
    lane.list?.remove(lane);
    lane.list = this;
    lane.before = this.tail;
    lane.after = undefined;
    if (this.tail) this.tail.after = lane;
    else this.head = lane;
    this.tail = lane;
    this.size += 1;
  }

  remove(lane: Lane): void {
    if (lane.before) lane.before.after = lane.after;
    else this.head = lane.after;
    if (lane.after) lane.after.before = lane.before;
    else this.tail = lane.before;
    lane.before = lane.after = lane.list = undefined;
    this.size -= 1;
  }
}
