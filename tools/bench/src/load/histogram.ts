/** Times in buckets of 2 % width: what any number of them takes stays small. */
const base = Math.log(1.02);
const leastMs = 0.01;

export class Histogram {
  private readonly counts: number[] = [];
  count = 0;

  add(ms: number): void {
    const bucket = ms <= leastMs ? 0 : Math.ceil(Math.log(ms / leastMs) / base);
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.count += 1;
  }

  clear(): void {
    this.counts.length = 0;
    this.count = 0;
  }

  /** The time below which this part of all lies. */
  at(part: number): number {
    let left = this.count * part;
    for (let bucket = 0; bucket < this.counts.length; bucket += 1) {
      left -= this.counts[bucket] ?? 0;
      if (left <= 0) return leastMs * Math.exp(bucket * base);
    }
    return 0;
  }
}
