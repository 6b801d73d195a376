import { DueHeap } from '@cometmq/shared';
import type { LaneDelivery } from './fifo-records.js';
import { Lane, LaneList, noHolds, type LaneHold } from './lane-list.js';
import { OffsetFifo } from './offset-fifo.js';
import type { OffsetRuns } from './offset-runs.js';

/** What lanes ask of the queue's progress they belong to. */
export interface LanePort {
  /** Handed out, and not done. */
  isOpen(offset: number): boolean;
  /** Of an open offset. */
  dueMsOf(offset: number): number;
  /** A lane came free: somebody may be waiting for it. */
  freed(): void;
  /** Its piece is to be saved, or taken out of what is saved. */
  laneChanged(lane: Lane): void;
  /** Offsets kept in backlogs were added or taken away. */
  countKept(change: number): void;
  /** Whether any lane is held through a reset. */
  holdsChanged(any: boolean): void;
  /** A lane is to be looked at by then. */
  laneQueued(timeMs: number): void;
  /** The first message of a lane's batch has become due. */
  laneDue(offset: number): void;
}

/**
 * The lanes of one queue in an orderly group. A lane with messages in flight is busy: what the scan meets of it meanwhile
 * is kept in its backlog, or, when that is full, left where it is and looked for again from `spillFrom` on when its turn
 * comes. So the queue's frontier goes on past a stuck lane, and no poll looks at what waits in one.
 *
 *   batch (blocks: held, waiting)  <  backlog (offsets)  <  spillFrom … frontier (in the index only)
 *
 * A lane is handed out again when the first message of its batch is due; how the others stand does not matter. The heap
 * says when; the lists hold lanes that are due or have come free, and are looked at in turn:
 *
 *   ready: to be handed out | aside: the first message is for a member with another filter | exhausted: it is a dead letter
 */
export class Lanes {
  readonly ready = new LaneList();
  readonly exhausted = new LaneList();
  readonly aside = new Map<number, LaneList>();
  /** Offsets in all backlogs. */
  kept = 0;
  private readonly byHash = new Map<number, Lane>();
  private readonly holds = new Set<Lane>();
  private heap = new DueHeap();
  private asideTurn: MapIterator<number> | undefined;

  constructor(private readonly ground: LanePort) {}

  get size(): number {
    return this.byHash.size;
  }

  find(hash: number): Lane | undefined {
    return this.byHash.get(hash);
  }

  all(): Iterable<Lane> {
    return this.byHash.values();
  }

  // ---- folds -----------------------------------------------------------------------------------------------------

  /** What a delivery says of a lane, but for the messages that are handed out. `moved` must follow. */
  begin({ hash, taken, kept, spillFrom, spilled }: LaneDelivery): Lane {
    const lane = this.lane(hash);
    for (let left = taken; left > 0; left -= 1) lane.backlog?.shift();
    const added = kept.total();
    if (added > 0) keepAll((lane.backlog ??= new OffsetFifo()), kept);
    if (lane.kept === 0) lane.backlog = undefined;
    this.count(added - taken);
    if (taken > 0 || added > 0 || lane.spillFrom !== spillFrom || lane.spilled !== spilled) this.touch(lane);
    lane.spillFrom = spillFrom;
    lane.spilled = spilled;
    return lane;
  }

  /** An offset of the lane was handed out that was not open before. */
  opened(lane: Lane, offset: number): void {
    lane.batch.push(offset);
    lane.open += 1;
  }

  /** An open offset of the lane is done. */
  closed(hash: number, offset: number): void {
    const lane = this.byHash.get(hash);
    if (!lane) return;
    lane.open -= 1;
    if (lane.open > 0 && offset > (lane.batch[0] as number)) return; // Its time is that of an earlier one.
    if (lane.open === 0) lane.batch = [];
    this.moved(lane);
  }

  /** The lane's time, or what it has, changed. */
  moved(lane: Lane): void {
    lane.list?.remove(lane);
    if (lane.idle) {
      this.byHash.delete(lane.hash);
      return;
    }
    if (lane.open === 0 && lane.holdUntilMs === 0) {
      this.free(lane);
      return;
    }
    const dueMs = this.dueMs(lane);
    if (lane.queuedMs !== 0 && lane.queuedMs <= dueMs) return; // The heap finds the later time when it looks.
    // Deliveries that were acknowledged in time leave entries behind; now and then all are made anew.
    if (this.heap.size >= 64 && this.heap.size > 4 * this.byHash.size) this.requeue();
    if (lane.queuedMs !== 0 && lane.queuedMs <= dueMs) return;
    lane.queuedMs = dueMs;
    this.heap.push(dueMs, lane.hash);
    this.ground.laneQueued(dueMs);
  }

  /** Nobody from before `nowMs` is waited for any more. */
  endHolds(nowMs: number): void {
    for (const lane of this.holds) {
      const left = lane.holds.filter(({ untilMs }) => untilMs > nowMs);
      if (left.length === lane.holds.length) continue;
      this.setHolds(lane, left);
      this.moved(lane);
    }
  }

  /** Whoever held the offset through a reset, under this lease, is done with it. False: nobody did. */
  release(epoch: number, position: number, offset: number): boolean {
    if (this.holds.size === 0) return false;
    for (const lane of this.holds) {
      const hold = lane.holds.find(
        (each) => each.position === position && each.epoch === epoch && each.offsets.includes(offset),
      );
      if (!hold) continue;
      const left = { ...hold, offsets: hold.offsets.filter((each) => each !== offset) };
      const others = lane.holds.filter((each) => each !== hold);
      this.setHolds(lane, left.offsets.length > 0 ? [...others, left] : others);
      this.moved(lane);
      return true;
    }
    return false;
  }

  isHeldBy(epoch: number, position: number, offset: number): boolean {
    if (this.holds.size === 0) return false;
    for (const each of this.held()) {
      if (each.position === position && each.epoch === epoch && each.offsets.includes(offset)) return true;
    }
    return false;
  }

  /** What clients hold through a reset. */
  *held(): Iterable<LaneHold> {
    for (const { holds } of this.holds) yield* holds;
  }

  /** `endHolds` would change something. */
  holdsEnded(nowMs: number): boolean {
    for (const lane of this.holds) if (lane.holdUntilMs <= nowMs) return true;
    return false;
  }

  /** Messages below `first` are gone; those of batches were closed before. */
  expire(first: number): void {
    for (const lane of [...this.byHash.values()]) {
      const { backlog } = lane;
      const before = lane.kept;
      while (backlog && backlog.length > 0 && backlog.at(0) < first) backlog.shift();
      if (lane.kept === before && (lane.spillFrom < 0 || lane.spillFrom >= first)) continue;
      this.count(lane.kept - before);
      if (lane.kept === 0) lane.backlog = undefined;
      if (lane.spillFrom >= 0) lane.spillFrom = Math.max(lane.spillFrom, first);
      this.touch(lane);
      this.moved(lane);
    }
  }

  /** A message that waits for its lane's turn is not to be waited for. It may have been met before the group became orderly. */
  transferred(hash: number, offset: number): void {
    for (const lane of [this.byHash.get(hash), this.byHash.get(0)]) {
      if (!lane) continue;
      const before = lane.kept;
      if (before > 0) lane.backlog?.sift((each) => each !== offset);
      if (lane.kept === before && (lane.spillFrom < 0 || offset < lane.spillFrom)) continue;
      this.count(lane.kept - before);
      if (lane.kept === 0) lane.backlog = undefined;
      if (lane.kept === before) lane.spilled = Math.max(0, lane.spilled - 1);
      this.touch(lane);
      this.moved(lane);
      return;
    }
  }

  /** Somebody is at work on the lane, or its next time has not come. */
  isHeld(hash: number, nowMs: number): boolean {
    const lane = this.byHash.get(hash);
    return lane !== undefined && this.dueMs(lane) > nowMs;
  }

  /** Whether a message below the frontier, and in no block, waits for its lane's turn. */
  keeps(hash: number, offset: number): boolean {
    for (const lane of [this.byHash.get(hash), this.byHash.get(0)]) {
      if (!lane) continue;
      if (lane.spillFrom >= 0 && offset >= lane.spillFrom && lane.hash === hash) return true;
      for (let i = 0; i < lane.kept; i += 1) if (lane.backlog?.at(i) === offset) return true;
    }
    return false;
  }

  /** Nothing is kept any more. Lanes of which somebody holds something until after `nowMs` stay. */
  reset(nowMs: number, holdsOf: (lane: Lane) => readonly LaneHold[]): void {
    for (const lane of [...this.byHash.values()]) {
      const holds = [...lane.holds.filter(({ untilMs }) => untilMs > nowMs), ...holdsOf(lane)];
      this.clearWaiting(lane);
      this.setHolds(lane, holds);
      this.moved(lane);
    }
  }

  /** The whole queue is gone. */
  clear(): void {
    for (const lane of [...this.byHash.values()]) {
      this.clearWaiting(lane);
      this.setHolds(lane, noHolds);
      this.moved(lane);
    }
  }

  /** A message that was looked at before the group became orderly. */
  keepOld(hash: number, offset: number): void {
    const lane = this.lane(hash);
    (lane.backlog ??= new OffsetFifo()).push(offset);
    this.count(1);
    this.touch(lane);
  }

  lane(hash: number): Lane {
    let lane = this.byHash.get(hash);
    if (!lane) this.byHash.set(hash, (lane = new Lane(hash)));
    return lane;
  }

  /** The lane as a saved piece says. `requeue` must follow. */
  load(hash: number, backlog: OffsetRuns, spillFrom: number, spilled: number, holds: readonly LaneHold[]): void {
    const lane = this.lane(hash);
    if (backlog.length > 0) keepAll((lane.backlog = new OffsetFifo()), backlog);
    this.count(lane.kept);
    lane.spillFrom = spillFrom;
    lane.spilled = spilled;
    lane.saved = true;
    const wasDirty = lane.dirty;
    lane.dirty = true; // It is what was saved.
    this.setHolds(lane, holds);
    lane.dirty = wasDirty;
  }

  /** Finds every lane its place anew. */
  requeue(): void {
    this.heap = new DueHeap();
    for (const lane of this.byHash.values()) lane.queuedMs = 0;
    for (const lane of [...this.byHash.values()]) if (!lane.list) this.moved(lane);
  }

  // ---- what is due -----------------------------------------------------------------------------------------------

  /** Moves lanes that are due by now from the heap to the ready list. */
  advance(nowMs: number): void {
    const { heap } = this;
    while (heap.topMs <= nowMs) {
      const timeMs = heap.topMs;
      const lane = this.byHash.get(heap.topKey);
      heap.pop();
      if (!lane || lane.queuedMs !== timeMs) continue;
      lane.queuedMs = 0;
      if (lane.list) continue;
      if (this.dueMs(lane) > nowMs) this.moved(lane);
      else if (lane.open > 0 || lane.waits) this.ready.push(lane);
      if (lane.open > 0 && lane.list === this.ready) this.ground.laneDue(lane.batch[0] as number);
    }
  }

  /** How many messages of batches are due by now, of lanes that `advance` has found: the first of a batch says so for all. */
  dueBy(nowMs: number): number {
    let sum = this.dueIn(this.ready, nowMs) + this.dueIn(this.exhausted, nowMs);
    for (const list of this.aside.values()) sum += this.dueIn(list, nowMs);
    return sum;
  }

  /** When the lane may be handed out (again); 0: at once. */
  dueMs(lane: Lane): number {
    if (lane.open === 0) return lane.holdUntilMs;
    const { batch } = lane;
    let gone = 0;
    while (!this.ground.isOpen(batch[gone] as number)) gone += 1;
    if (gone > 0) batch.splice(0, gone);
    return this.ground.dueMsOf(batch[0] as number);
  }

  /** Nothing of the lane is in flight, kept or held: a fresh message may be handed out. */
  isFree(hash: number, nowMs: number): boolean {
    const lane = this.byHash.get(hash);
    return !lane || (lane.open === 0 && !lane.waits && lane.holdUntilMs <= nowMs);
  }

  /** Its first message is for a member with another filter. */
  setAside(lane: Lane, key: number): void {
    let list = this.aside.get(key);
    if (!list) this.aside.set(key, (list = new LaneList()));
    list.push(lane);
  }

  /** Another key of lanes set aside with each call, round and round. */
  nextAside(): number | undefined {
    let turn = this.asideTurn?.next();
    if (!turn || turn.done === true) {
      this.asideTurn = this.aside.keys();
      turn = this.asideTurn.next();
    }
    if (turn.done === true) return undefined;
    if (this.aside.get(turn.value)?.size === 0) this.aside.delete(turn.value);
    return turn.value;
  }

  /** The next time that a lane which is not in a list is due. */
  nextDueMs(): number | undefined {
    const { heap } = this;
    while (heap.size > 0) {
      const timeMs = heap.topMs;
      const lane = this.byHash.get(heap.topKey);
      const valid = lane?.queuedMs === timeMs && !lane.list;
      if (valid && this.dueMs(lane) <= timeMs) return timeMs;
      heap.pop();
      if (lane?.queuedMs !== timeMs) continue;
      lane.queuedMs = 0;
      if (valid) this.moved(lane);
    }
    return undefined;
  }

  /** Also of lanes with dead letters, which are due and wait to be moved. */
  earliestDueMs(): number | undefined {
    const nextMs = this.nextDueMs();
    const exhausted = this.exhausted.head && this.dueMs(this.exhausted.head);
    return exhausted === undefined ? nextMs : Math.min(exhausted, nextMs ?? Infinity);
  }

  // ---- figures ---------------------------------------------------------------------------------------------------

  /** The lowest offset that waits for its lane's turn; Infinity: none. */
  oldestKept(): number {
    let oldest = Infinity;
    for (const lane of this.byHash.values()) {
      const first = lane.backlog?.at(0) ?? lane.spillFrom;
      if (first >= 0 && first < oldest) oldest = first;
    }
    return oldest;
  }

  /** Messages that wait for their lane's turn, as far as they were looked at. */
  waitingCount(): number {
    let sum = this.kept;
    for (const lane of this.byHash.values()) sum += lane.spilled;
    return sum;
  }

  // ---- inside ----------------------------------------------------------------------------------------------------

  private free(lane: Lane): void {
    this.ready.push(lane);
    this.ground.freed();
  }

  private dueIn(list: LaneList, nowMs: number): number {
    let sum = 0;
    for (let lane = list.head; lane; lane = lane.after)
      if (lane.open > 0 && this.dueMs(lane) <= nowMs) sum += lane.open;
    return sum;
  }

  private setHolds(lane: Lane, holds: readonly LaneHold[]): void {
    if (lane.holds.length === 0 && holds.length === 0) return;
    lane.holds = holds;
    lane.holdUntilMs = 0;
    for (const { untilMs } of holds) if (untilMs > lane.holdUntilMs) lane.holdUntilMs = untilMs;
    if (holds.length > 0) this.holds.add(lane);
    else this.holds.delete(lane);
    this.ground.holdsChanged(this.holds.size > 0);
    this.touch(lane);
  }

  private clearWaiting(lane: Lane): void {
    if (!lane.waits) return;
    this.count(-lane.kept);
    lane.backlog = undefined;
    lane.spillFrom = -1;
    lane.spilled = 0;
    this.touch(lane);
  }

  private count(change: number): void {
    if (change === 0) return;
    this.kept += change;
    this.ground.countKept(change);
  }

  private touch(lane: Lane): void {
    if (lane.dirty) return;
    lane.dirty = true;
    this.ground.laneChanged(lane);
  }
}

function keepAll(backlog: OffsetFifo, runs: OffsetRuns): void {
  for (let run = 0; run < runs.length; run += 1) {
    const start = runs.starts[run] as number;
    const end = start + (runs.counts[run] as number);
    for (let offset = start; offset < end; offset += 1) backlog.push(offset);
  }
}
