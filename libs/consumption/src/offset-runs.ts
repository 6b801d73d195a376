import type { ByteReader, ByteWriter } from '@cometmq/shared';

/** Offsets of one queue as runs of consecutive ones, each run with one value (an attempt, a park key, or nothing). */
export class OffsetRuns {
  readonly starts: number[] = [];
  readonly counts: number[] = [];
  readonly values: number[] = [];
  /** Where the last run ends. */
  private end = -1;
  private ascending = true;

  get length(): number {
    return this.starts.length;
  }

  push(offset: number, value: number): void {
    const last = this.starts.length - 1;
    if (offset === this.end && this.values[last] === value) {
      (this.counts[last] as number)++;
    } else {
      if (offset < this.end) this.ascending = false;
      this.starts.push(offset);
      this.counts.push(1);
      this.values.push(value);
    }
    this.end = offset + 1;
  }

  /** How many offsets all runs hold. */
  total(): number {
    let sum = 0;
    for (const count of this.counts) sum += count;
    return sum;
  }

  sort(): void {
    if (this.ascending) return;
    const order = this.starts.map((_, i) => i).sort((a, b) => (this.starts[a] as number) - (this.starts[b] as number));
    for (const column of [this.starts, this.counts, this.values]) {
      const sorted = order.map((i) => column[i] as number);
      for (let i = 0; i < sorted.length; i += 1) column[i] = sorted[i] as number;
    }
    this.ascending = true;
  }

  /** | runs | (gap to the run before, signed | count | value) × runs | */
  write(out: ByteWriter): void {
    out.whole(this.starts.length);
    let at = 0;
    for (let i = 0; i < this.starts.length; i += 1) {
      const start = this.starts[i] as number;
      const count = this.counts[i] as number;
      out.signed(start - at);
      out.whole(count);
      out.whole(this.values[i] as number);
      at = start + count;
    }
  }

  /** Not to be changed. */
  static read(from: ByteReader): OffsetRuns {
    const length = from.whole();
    if (length === 0) return none;
    const runs = new OffsetRuns();
    let at = 0;
    for (let i = 0; i < length; i += 1) {
      const start = at + from.signed();
      const count = from.whole();
      runs.starts.push(start);
      runs.counts.push(count);
      runs.values.push(from.whole());
      at = start + count;
    }
    return runs;
  }
}

const none = new OffsetRuns();

/** Every offset of the runs with its value, run by run. */
export function eachRun(runs: OffsetRuns, act: (offset: number, value: number) => void): void {
  for (let run = 0; run < runs.length; run += 1) {
    const start = runs.starts[run] as number;
    const end = start + (runs.counts[run] as number);
    const value = runs.values[run] as number;
    for (let offset = start; offset < end; offset += 1) act(offset, value);
  }
}
