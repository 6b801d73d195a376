const firstMs = 1_000;

/** When things that failed are tried again: after a second, and after twice as long as before each time, up to a bound. */
export class TryingAgain<K> {
  private readonly failures = new Map<K, { waitMs: number; dueMs: number }>();

  constructor(private readonly waitMsMax: number) {}

  /** How many failed the last time that they were tried. */
  get size(): number {
    return this.failures.size;
  }

  /** How long to wait; `first`: it had not failed before. */
  failed(key: K, nowMs: number): { readonly waitMs: number; readonly first: boolean } {
    const before = this.failures.get(key);
    const waitMs = before ? Math.min(before.waitMs * 2, this.waitMsMax) : firstMs;
    this.failures.set(key, { waitMs, dueMs: nowMs + waitMs });
    return { waitMs, first: before === undefined };
  }

  isDue(key: K, nowMs: number): boolean {
    return (this.failures.get(key)?.dueMs ?? 0) <= nowMs;
  }

  /** It is done, or nobody wants it any more. True: it had failed. */
  over(key: K): boolean {
    return this.failures.delete(key);
  }

  keys(): IterableIterator<K> {
    return this.failures.keys();
  }
}
