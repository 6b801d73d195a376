/** How long somebody waits after failures: the first ones cost nothing, then each doubles the wait, up to the longest. */
export interface DelayPolicy {
  readonly free: number;
  readonly firstMs: number;
  readonly longestMs: number;
  /** After so long without a failure, none is remembered. */
  readonly forgottenMs: number;
}

interface Failures {
  count: number;
  lastMs: number;
}

/**
 * Failures by key, and the growing delay that they make. What is tried while somebody has to wait is not looked at and does not make
 * the wait longer, so that who is in the right gets in after the longest wait at the latest, whoever else guesses.
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
    if (nowMs - failures.lastMs >= this.policy.forgottenMs) {
      this.failures.delete(key);
      return 0;
    }
    return Math.max(0, failures.lastMs + this.delayMs(failures.count) - nowMs);
  }

  failed(key: string, nowMs: number): void {
    const count = (this.failures.get(key)?.count ?? 0) + 1;
    this.failures.delete(key); // To stand last.
    if (this.failures.size >= this.keysMax) this.makeRoom();
    this.failures.set(key, { count, lastMs: nowMs });
  }

  forget(key: string): void {
    this.failures.delete(key);
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
