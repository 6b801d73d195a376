import { assert } from '@cometmq/shared';

/**
 * Every message that is neither done nor still ahead of its group, 16 bytes each, in blocks of 32 consecutive offsets:
 *
 *   | state 2 bits, marks 6 bits, attempt 24 bits | lease slot or park key u32 | own due time f64 |
 *
 * A block is a row number; its columns are typed arrays, its words lie in chunks of 256 blocks that never move. A bit of
 * `open` says whether the offset counts at all: done ones are bits that are 0, and a block without any 1 is given back.
 * So memory follows what is unfinished, not how far apart it lies. Blocks of one owner (a queue's progress) are found by
 * a hash table and linked in order of offsets.
 */
export const blockOffsets = 32;

export const DeliveryState = {
  /** Handed out; due when its lease is. */
  held: 1,
  /** Delivered without success, or handed back: due at its own time. */
  waiting: 2,
  /** Kept, under a key, for members with another filter. */
  parked: 3,
} as const;

/** Soft marks: they help to find things, and are not part of the state. */
export const Mark = {
  /** Its queue's due list has an entry for it. */
  dueListed: 4,
  /** In flight, and due when its queue was last looked at. */
  due: 8,
} as const;

const stateMask = 3;
const markMask = 0xfc;
const chunkBlocks = 256;
const wordsPerBlock = 4 * blockOffsets;
const noOwner = 0xffff_ffff;

export class BlockTable {
  private numbers = new Float64Array(64);
  private owners = new Uint32Array(64).fill(noOwner);
  private opens = new Uint32Array(64);
  private flags = new Uint8Array(64);
  private prevs = new Int32Array(64);
  private nexts = new Int32Array(64);
  private readonly words: Uint32Array[] = [];
  private readonly dues: Float64Array[] = [];
  /** Rows in use or free are below this. */
  private end = 0;
  private freeHead = -1;
  private used = 0;
  /** Open addressing; holds row + 1, 0 is empty. Twice the rows at least. */
  private slots = new Int32Array(128);
  private lastOwner = noOwner;
  private lastNumber = -1;
  private lastRow = -1;
  private dirty: number[] = [];

  get count(): number {
    return this.used;
  }

  /** -1: none, so all its offsets below the frontier are done. */
  find(owner: number, number: number): number {
    if (owner === this.lastOwner && number === this.lastNumber) return this.lastRow;
    const mask = this.slots.length - 1;
    for (let slot = hash(owner, number) & mask; ; slot = (slot + 1) & mask) {
      const row = (this.slots[slot] as number) - 1;
      if (row < 0) return -1;
      if (this.owners[row] === owner && this.numbers[row] === number) {
        this.lastOwner = owner;
        this.lastNumber = number;
        this.lastRow = row;
        return row;
      }
    }
  }

  /** A new block, not linked yet, with nothing open. */
  add(owner: number, number: number): number {
    let row = this.freeHead;
    if (row >= 0) {
      this.freeHead = this.nexts[row] as number;
    } else {
      row = this.end;
      this.end += 1;
      if (row === this.numbers.length) this.grow();
      if (row >> 8 === this.words.length) {
        const chunk = new ArrayBuffer(4 * wordsPerBlock * chunkBlocks);
        this.words.push(new Uint32Array(chunk));
        this.dues.push(new Float64Array(chunk));
      }
    }
    this.used += 1;
    this.numbers[row] = number;
    this.owners[row] = owner;
    this.opens[row] = 0;
    this.flags[row] = (this.flags[row] as number) & dirtyFlag;
    this.prevs[row] = -1;
    this.nexts[row] = -1;
    this.insert(row);
    return row;
  }

  /** The caller has unlinked it. True: a piece of it was saved before. */
  remove(row: number): boolean {
    const mask = this.slots.length - 1;
    let hole = hash(this.owner(row), this.number(row)) & mask;
    while (this.slots[hole] !== row + 1) hole = (hole + 1) & mask;
    // Whoever was pushed past the hole moves back into it, so that no search ends too early.
    for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
      const other = (this.slots[slot] as number) - 1;
      if (other < 0) break;
      const home = hash(this.owner(other), this.number(other)) & mask;
      if (((slot - home) & mask) >= ((slot - hole) & mask)) {
        this.slots[hole] = other + 1;
        hole = slot;
      }
    }
    this.slots[hole] = 0;
    if (row === this.lastRow) this.lastOwner = noOwner;
    const saved = ((this.flags[row] as number) & savedFlag) !== 0;
    this.owners[row] = noOwner;
    this.nexts[row] = this.freeHead;
    this.freeHead = row;
    this.used -= 1;
    return saved;
  }

  number(row: number): number {
    return this.numbers[row] as number;
  }
  owner(row: number): number {
    return this.owners[row] as number;
  }
  prev(row: number): number {
    return this.prevs[row] as number;
  }
  next(row: number): number {
    return this.nexts[row] as number;
  }
  setPrev(row: number, prev: number): void {
    this.prevs[row] = prev;
  }
  setNext(row: number, next: number): void {
    this.nexts[row] = next;
  }

  /** A bit for each offset that is not done. */
  open(row: number): number {
    return this.opens[row] as number;
  }
  isOpen(row: number, index: number): boolean {
    return (((this.opens[row] as number) >>> index) & 1) === 1;
  }
  /** The lowest offset that is not done; the block has one. */
  firstOpen(row: number): number {
    const open = this.opens[row] as number;
    return (this.numbers[row] as number) * blockOffsets + 31 - Math.clz32(open & -open);
  }
  close(row: number, index: number): void {
    this.opens[row] = (this.opens[row] as number) & ~(1 << index);
  }

  /** Opens an offset, with no marks. */
  openAt(row: number, index: number, state: number, attempt: number, detail: number): void {
    this.opens[row] = (this.opens[row] as number) | (1 << index);
    const words = this.words[row >> 8] as Uint32Array;
    const at = wordAt(row, index);
    words[at] = state | (attempt << 8);
    words[at + 1] = detail;
  }

  /** Changes an open offset; its marks stay. */
  setAt(row: number, index: number, state: number, attempt: number, detail: number): void {
    const words = this.words[row >> 8] as Uint32Array;
    const at = wordAt(row, index);
    words[at] = ((words[at] as number) & markMask) | state | (attempt << 8);
    words[at + 1] = detail;
  }

  state(row: number, index: number): number {
    return ((this.words[row >> 8] as Uint32Array)[wordAt(row, index)] as number) & stateMask;
  }
  attempt(row: number, index: number): number {
    return ((this.words[row >> 8] as Uint32Array)[wordAt(row, index)] as number) >>> 8;
  }
  /** held, waiting: the lease's slot. parked: the key it is kept under. */
  detail(row: number, index: number): number {
    return (this.words[row >> 8] as Uint32Array)[wordAt(row, index) + 1] as number;
  }
  /** Only of a waiting offset. */
  dueMs(row: number, index: number): number {
    return (this.dues[row >> 8] as Float64Array)[(wordAt(row, index) + 2) >> 1] as number;
  }
  setDueMs(row: number, index: number, dueMs: number): void {
    (this.dues[row >> 8] as Float64Array)[(wordAt(row, index) + 2) >> 1] = dueMs;
  }

  hasMark(row: number, index: number, mark: number): boolean {
    return (((this.words[row >> 8] as Uint32Array)[wordAt(row, index)] as number) & mark) !== 0;
  }
  mark(row: number, index: number, mark: number): void {
    const words = this.words[row >> 8] as Uint32Array;
    const at = wordAt(row, index);
    words[at] = (words[at] as number) | mark;
  }
  unmark(row: number, index: number, mark: number): void {
    const words = this.words[row >> 8] as Uint32Array;
    const at = wordAt(row, index);
    words[at] = (words[at] as number) & ~mark;
  }

  touch(row: number): void {
    const flags = this.flags[row] as number;
    if ((flags & dirtyFlag) !== 0) return;
    this.flags[row] = flags | dirtyFlag;
    this.dirty.push(row);
  }

  /** The blocks that have changed since the last call and still are. From now on they count as saved. */
  takeDirty(): number[] {
    const taken = this.dirty;
    this.dirty = [];
    const found: number[] = [];
    for (const row of taken) {
      if (this.owners[row] === noOwner) {
        this.flags[row] = 0;
      } else {
        this.flags[row] = savedFlag;
        found.push(row);
      }
    }
    return found;
  }

  setSaved(row: number): void {
    this.flags[row] = savedFlag;
  }

  /** Every block in use, in no order. */
  rows(): number[] {
    const rows: number[] = [];
    for (let row = 0; row < this.end; row += 1) if (this.owners[row] !== noOwner) rows.push(row);
    return rows;
  }

  private insert(row: number): void {
    if (4 * this.used > 3 * this.slots.length) {
      this.slots = new Int32Array(2 * this.slots.length);
      for (let other = 0; other < this.end; other += 1) {
        if (other !== row && this.owners[other] !== noOwner) this.place(other);
      }
    }
    this.place(row);
  }

  private place(row: number): void {
    const mask = this.slots.length - 1;
    let slot = hash(this.owner(row), this.number(row)) & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = row + 1;
  }

  private grow(): void {
    const size = 2 * this.numbers.length;
    assert(size <= 2 ** 30, 'fewer than 2^30 blocks');
    this.numbers = grown(this.numbers, new Float64Array(size));
    this.owners = grown(this.owners, new Uint32Array(size).fill(noOwner));
    this.opens = grown(this.opens, new Uint32Array(size));
    this.flags = grown(this.flags, new Uint8Array(size));
    this.prevs = grown(this.prevs, new Int32Array(size));
    this.nexts = grown(this.nexts, new Int32Array(size));
  }
}

const dirtyFlag = 1;
const savedFlag = 2;

function wordAt(row: number, index: number): number {
  return ((row & 255) << 7) | (index << 2);
}

function hash(owner: number, number: number): number {
  let mixed = Math.imul(owner, 0x9e3779b1) ^ Math.imul(number >>> 0, 0x85ebca6b);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

/** Copies the old column to the front of the new one. */
export function grown<T extends { set(from: ArrayLike<number>): void } & ArrayLike<number>>(from: T, to: T): T {
  to.set(from);
  return to;
}
