import { monitorEventLoopDelay } from 'node:perf_hooks';

const resolutionMs = 20;

/** What Node.js measures is the time from one tick of a timer to the next: the lag is what is beyond the timer's own. */
export function lagMsOf(tickNs: number): number {
  return Math.max(0, tickNs / 1e6 - resolutionMs);
}

/** How late the event loop is. */
export class LoopLag {
  private readonly ticks = monitorEventLoopDelay({ resolution: resolutionMs });

  start(): void {
    this.ticks.enable();
  }

  stop(): void {
    this.ticks.disable();
  }

  /** Since the last call. */
  *take(quantiles: readonly number[]): Iterable<readonly [quantile: number, lagMs: number]> {
    for (const quantile of quantiles) yield [quantile, lagMsOf(this.ticks.percentile(quantile * 100))];
    this.ticks.reset();
  }
}
