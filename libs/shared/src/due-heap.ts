/**
 * Times and what is due at them, earliest first: a binary heap of (time in ms, key) pairs in one typed array. Entries
 * are never taken out of the middle; whoever takes one looks whether it still holds.
 */
export class DueHeap {
  private pairs = new Float64Array(8);
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Infinity when empty. */
  get topMs(): number {
    return this.count === 0 ? Infinity : (this.pairs[0] as number);
  }

  /** Only when not empty. */
  get topKey(): number {
    return this.pairs[1] as number;
  }

  push(timeMs: number, key: number): void {
    if (2 * this.count === this.pairs.length) {
      const larger = new Float64Array(4 * this.count);
      larger.set(this.pairs);
      this.pairs = larger;
    }
    const pairs = this.pairs;
    let at = this.count++;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const aboveMs = pairs[2 * above] as number;
      if (aboveMs <= timeMs) break;
      pairs[2 * at] = aboveMs;
      pairs[2 * at + 1] = pairs[2 * above + 1] as number;
      at = above;
    }
    pairs[2 * at] = timeMs;
    pairs[2 * at + 1] = key;
  }

  /** All pairs, in no order; it is empty then. */
  drain(): Float64Array {
    const pairs = this.pairs.subarray(0, 2 * this.count);
    this.pairs = new Float64Array(8);
    this.count = 0;
    return pairs;
  }

  /** Takes the earliest away. */
  pop(): void {
    const pairs = this.pairs;
    const last = --this.count;
    const timeMs = pairs[2 * last] as number;
    const key = pairs[2 * last + 1] as number;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= last) break;
      if (below + 1 < last && (pairs[2 * below + 2] as number) < (pairs[2 * below] as number)) below += 1;
      if ((pairs[2 * below] as number) >= timeMs) break;
      pairs[2 * at] = pairs[2 * below] as number;
      pairs[2 * at + 1] = pairs[2 * below + 1] as number;
      at = below;
    }
    pairs[2 * at] = timeMs;
    pairs[2 * at + 1] = key;
    if (this.pairs.length > 64 && 8 * this.count < this.pairs.length)
      this.pairs = this.pairs.slice(0, this.pairs.length >> 1);
  }
}
