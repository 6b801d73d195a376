/** How long somebody waits after failures: the first ones cost nothing, then each doubles the wait, up to the longest. */
export interface DelayPolicy {
  readonly free: number;
  readonly firstMs: number;
  readonly longestMs: number;
  /** After each such time without a failure one less counts. */
  readonly oneLessMs: number;
}

interface Failures {
  count: number;
  lastMs: number;
}

/**
 * Failures by key, and the growing delay that they make. What is tried while somebody has to wait is not looked at and does not make
 * the wait longer; whoever says the same key first when it is over is looked at.
 *
 * Bounded: the keys that failed longest ago go first, a tenth at once, so that a flood of keys costs little each.
 */
export class GrowingDelays {
  private readonly failures = new Map<string, Failures>();

  constructor(
    private readonly policy: DelayPolicy,
    private readonly keysMax: number,
  ) {}

  /** 0: now. */
  waitMs(key: string, nowMs: number): number {
    const failures = this.failures.get(key);
    if (!failures) return 0;
    const count = this.countNow(failures, nowMs);
    if (count === 0) this.failures.delete(key);
    return Math.max(0, failures.lastMs + this.delayMs(count) - nowMs);
  }

  failed(key: string, nowMs: number): void {
    const before = this.failures.get(key);
    const count = (before ? this.countNow(before, nowMs) : 0) + 1;
    this.failures.delete(key); // To stand last.
    if (this.failures.size >= this.keysMax) this.makeRoom();
    this.failures.set(key, { count, lastMs: nowMs });
  }

  forget(key: string): void {
    this.failures.delete(key);
  }

  private countNow({ count, lastMs }: Failures, nowMs: number): number {
    return Math.max(0, count - Math.floor((nowMs - lastMs) / this.policy.oneLessMs));
  }

  private delayMs(count: number): number {
    const { free, firstMs, longestMs } = this.policy;
    return count < free ? 0 : Math.min(longestMs, firstMs * 2 ** Math.min(count - free, 40));
  }

  private makeRoom(): void {
    const enough = this.keysMax - Math.ceil(this.keysMax / 10);
    for (const key of this.failures.keys()) {
      if (this.failures.size <= enough) return;
      this.failures.delete(key);
    }
  }
}
