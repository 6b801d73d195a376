/** A set of log positions, 16 bytes each at most: open addressing over one typed array. Nothing is taken out of it. */
export class PositionSet {
  size = 0;
  /** Below 0: free. A power of two of them, at most half taken. */
  private slots = new Float64Array(16).fill(-1);

  has(position: number): boolean {
    return (this.slots[this.slotOf(position)] as number) >= 0;
  }

  /** False: it was there. */
  add(position: number): boolean {
    const slot = this.slotOf(position);
    if ((this.slots[slot] as number) >= 0) return false;
    this.slots[slot] = position;
    this.size += 1;
    if (2 * this.size > this.slots.length) this.rehash();
    return true;
  }

  each(act: (position: number) => void): void {
    for (const position of this.slots) if (position >= 0) act(position);
  }

  private slotOf(position: number): number {
    const mask = this.slots.length - 1;
    for (let at = mix(position) & mask; ; at = (at + 1) & mask) {
      const found = this.slots[at] as number;
      if (found < 0 || found === position) return at;
    }
  }

  private rehash(): void {
    const old = this.slots;
    this.slots = new Float64Array(2 * old.length).fill(-1);
    for (const position of old) if (position >= 0) this.slots[this.slotOf(position)] = position;
  }
}

/** A hash of a whole number below 2^53. */
export function mix(value: number): number {
  let h = Math.imul(value | 0, 0x9e3779b1) ^ Math.imul((value / 2 ** 32) | 0, 0x27d4eb2f);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  return h ^ (h >>> 13);
}
