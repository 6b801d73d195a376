/**
 * Deadlines of very many calls behind one timer: a ring of slots, each a linked list through the calls themselves.
 * Adding and removing cost a few pointer writes and no memory. Fires late by up to one slot, never early.
 */

/** What may wait in a wheel; the fields belong to the wheel. */
export interface WheelEntry {
  dueMs: number;
  wheelSlot: number;
  wheelNext: WheelEntry | undefined;
  wheelBefore: WheelEntry | undefined;
}

/** `wheelSlot` of an entry that waits nowhere. */
export const noSlot = -1;

const slotCount = 2_048; // 102 s at 50 ms; what is due later passes by once a turn.

export class DeadlineWheel<T extends WheelEntry> {
  private readonly slots: (WheelEntry | undefined)[] = new Array<WheelEntry | undefined>(slotCount).fill(undefined);
  /** The last slot time that has been looked at. */
  private passed: number;
  private waiting = 0;

  constructor(
    private readonly slotMs: number,
    nowMs: number,
  ) {
    this.passed = Math.floor(nowMs / slotMs);
  }

  get size(): number {
    return this.waiting;
  }

  add(entry: T, dueMs: number): void {
    const slot = Math.max(this.passed + 1, Math.ceil(dueMs / this.slotMs)) % slotCount;
    const first = this.slots[slot];
    entry.dueMs = dueMs;
    entry.wheelSlot = slot;
    entry.wheelBefore = undefined;
    entry.wheelNext = first;
    if (first !== undefined) first.wheelBefore = entry;
    this.slots[slot] = entry;
    this.waiting += 1;
  }

  remove(entry: T): void {
    if (entry.wheelSlot === noSlot) return;
    const { wheelNext, wheelBefore } = entry;
    if (wheelBefore === undefined) this.slots[entry.wheelSlot] = wheelNext;
    else wheelBefore.wheelNext = wheelNext;
    if (wheelNext !== undefined) wheelNext.wheelBefore = wheelBefore;
    entry.wheelNext = undefined;
    entry.wheelBefore = undefined;
    entry.wheelSlot = noSlot;
    this.waiting -= 1;
  }

  /** Takes out all that is due by `nowMs` and gives it to `fire`, which may add and remove. */
  advance(nowMs: number, fire: (entry: T) => void): void {
    const until = Math.floor(nowMs / this.slotMs);
    const due: T[] = [];
    const turns = Math.min(until - this.passed, slotCount);
    for (let i = 0; i < turns; i += 1) {
      for (let entry = this.slots[(until - i) % slotCount]; entry !== undefined; entry = entry.wheelNext) {
        if (entry.dueMs <= nowMs) due.push(entry as T);
      }
    }
    this.passed = Math.max(this.passed, until);
    for (const entry of due) {
      if (entry.wheelSlot === noSlot) continue; // An earlier one's end took it out.
      this.remove(entry);
      fire(entry);
    }
  }
}
