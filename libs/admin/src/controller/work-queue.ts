/**
 * Keys that are to be worked on: each once, however often it is asked for, and never by two at once. What fails comes again,
 * later each time; what is asked for while it is worked on is worked on again.
 */
import type { Chance, Clock, Timer } from '@cometmq/shared';

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly atOnce: number;
  /** @returns after how long to look again though nobody asks for it. What it throws is a failure. */
  readonly work: (key: string) => Promise<number | undefined>;
  readonly failed: (key: string, caught: unknown, waitMs: number) => void;
}

const waitMsMin = 500;
const waitMsMax = 300_000;

export class WorkQueue {
  private readonly ready = new Set<string>();
  /** Worked on, and whether it was asked for again meanwhile. */
  private readonly working = new Map<string, boolean>();
  private readonly later = new Map<string, Timer>();
  private readonly failures = new Map<string, number>();
  private isStopped = false;
  private idle: (() => void) | undefined;

  constructor(private readonly options: WorkQueueOptions) {}

  /** How many wait for a worker. */
  get size(): number {
    return this.ready.size;
  }

  add(key: string): void {
    if (this.isStopped) return;
    this.later.get(key)?.cancel();
    this.later.delete(key);
    if (this.working.has(key)) this.working.set(key, true);
    else this.ready.add(key);
    this.begin();
  }

  /** It does not exist any more. */
  forget(key: string): void {
    this.failures.delete(key);
    this.later.get(key)?.cancel();
    this.later.delete(key);
  }

  /** Resolves when what is under way is over. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.ready.clear();
    for (const timer of this.later.values()) timer.cancel();
    this.later.clear();
    if (this.working.size > 0) await new Promise<void>((resolve) => (this.idle = resolve));
  }

  private begin(): void {
    for (const key of this.ready) {
      if (this.working.size >= this.options.atOnce) return;
      this.ready.delete(key);
      this.working.set(key, false);
      void this.work(key);
    }
  }

  private async work(key: string): Promise<void> {
    const { chance, work, failed } = this.options;
    let againMs: number | undefined;
    try {
      againMs = await work(key);
      this.failures.delete(key);
    } catch (caught) {
      const failures = this.failures.get(key) ?? 0;
      this.failures.set(key, failures + 1);
      againMs = Math.min(waitMsMax, waitMsMin * 2 ** Math.min(failures, 12)) * (0.5 + chance.next() / 2);
      failed(key, caught, againMs);
    }
    const again = this.working.get(key) === true;
    this.working.delete(key);
    if (this.isStopped) {
      if (this.working.size === 0) this.idle?.();
      return;
    }
    if (again) this.ready.add(key);
    else if (againMs !== undefined) this.addLater(key, againMs);
    this.begin();
  }

  private addLater(key: string, ms: number): void {
    this.later.get(key)?.cancel();
    this.later.set(
      key,
      this.options.clock.after(ms, () => this.add(key)),
    );
  }
}
