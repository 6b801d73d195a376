import type { MetricName } from './metric-names.js';

/**
 * Where the figures come from: parts count in plain numbers and are asked for them when somebody looks. Nothing of
 * OpenTelemetry runs while a message passes (its counters cost 2 µs an update).
 */
export type MetricSource = () => Iterable<Sample>;

export interface Sample {
  readonly metric: MetricName;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number | Buckets;
}

/** A histogram in plain numbers: `counts[i]` for values up to `bounds[i]`, the last one for all above. */
export class Buckets {
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(readonly bounds: readonly number[]) {
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  record(value: number): void {
    let i = 0;
    while (i < this.bounds.length && value > (this.bounds[i] ?? 0)) i += 1;
    this.counts[i] = (this.counts[i] ?? 0) + 1;
    this.sum += value;
    this.count += 1;
  }
}
