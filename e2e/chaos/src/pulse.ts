/**
 * What clients see of a broker set: when its sends were answered, and how many failed for good, after all retries of the
 * client's own. The longest time without an answer around a fault is what it was away for.
 */
interface Beats {
  /** Of answered sends, in order. */
  times: number[];
  /** How long each of them took. */
  tookMs: number[];
  answered: number;
  failed: number;
}

/** Older beats are forgotten: no fault is looked at for so long. */
const keepMs = 180_000;

export class Pulse {
  private readonly sets = new Map<string, Beats>();

  beat(set: string, nowMs: number, tookMs = 0): void {
    const beats = this.of(set);
    const { times, tookMs: took } = beats;
    beats.answered += 1;
    times.push(nowMs);
    took.push(tookMs);
    if (times.length % 10_000 !== 0) return;
    const from = times.findIndex((time) => time >= nowMs - keepMs);
    times.splice(0, Math.max(0, from));
    took.splice(0, Math.max(0, from));
  }

  failed(set: string): void {
    this.of(set).failed += 1;
  }

  /** How many sends have been answered. */
  answered(set: string): number {
    return this.of(set).answered;
  }

  failures(set: string): number {
    return this.of(set).failed;
  }

  /** The time of the first answer after `fromMs`. */
  firstAfter(set: string, fromMs: number): number | undefined {
    return this.of(set).times.find((time) => time > fromMs);
  }

  /** The longest time without an answer that ended after `fromMs`, and when it began, which may have been before. */
  longestGap(set: string, fromMs: number): { readonly ms: number; readonly atMs: number } {
    const { times } = this.of(set);
    let longest = { ms: 0, atMs: fromMs };
    for (let i = 1; i < times.length; i += 1) {
      const [before = 0, after = 0] = [times[i - 1], times[i]];
      if (after > fromMs && after - before > longest.ms) longest = { ms: after - before, atMs: before };
    }
    return longest;
  }

  /** The longest that a send took which was answered after `fromMs`. */
  longestSend(set: string, fromMs: number): number {
    const { times, tookMs } = this.of(set);
    let longest = 0;
    for (let i = times.length - 1; i >= 0 && (times[i] ?? 0) > fromMs; i -= 1)
      longest = Math.max(longest, tookMs[i] ?? 0);
    return longest;
  }

  private of(set: string): Beats {
    const known = this.sets.get(set) ?? { times: [], tookMs: [], answered: 0, failed: 0 };
    this.sets.set(set, known);
    return known;
  }
}

/** @param part 0.5 for the median. @returns undefined where there is nothing */
export function quantile(values: readonly number[], part: number): number | undefined {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))];
}
