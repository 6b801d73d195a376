/** A source of chance. Given in, never reached for, so that a seed repeats a run. */
export interface Chance {
  /** A number in [0, 1). */
  next(): number;
}

export const systemChance: Chance = { next: () => Math.random() };

/** A small seeded generator (xorshift on 128 bits): the same seed gives the same numbers, for ever. */
export class Prng implements Chance {
  private a: number;
  private b: number;
  private c = 0x9e3779b9;
  private d = 0x243f6a88;

  constructor(seed: number) {
    this.a = seed >>> 0;
    this.b = Math.floor(seed / 2 ** 32) >>> 0 || 0x85ebca6b;
    for (let i = 0; i < 16; i += 1) this.next();
  }

  next(): number {
    let t = this.d;
    t ^= t << 11;
    t ^= t >>> 8;
    this.d = this.c;
    this.c = this.b;
    this.b = this.a;
    this.a = (t ^ this.a ^ (this.a >>> 19)) >>> 0;
    return this.a / 2 ** 32;
  }

  /** A whole number from 0 to below `bound`. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    const found = list[this.below(list.length)];
    if (found === undefined) throw new RangeError('pick from an empty list');
    return found;
  }
}
