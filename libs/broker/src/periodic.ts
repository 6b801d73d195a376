import { type Clock, failureFacts, type Timer, ToldOnce } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

/** Work that comes again and again until it is stopped; what fails is told, and tried again the next time. */
export class Periodic {
  private readonly timers: Timer[] = [];
  private stopped = false;
  private readonly failures: ToldOnce<number>;

  constructor(
    private readonly clock: Clock,
    log: Logger,
  ) {
    const said = 'periodic work failed; trying again later';
    this.failures = new ToldOnce((caught) => log.error(failureFacts(caught), said));
  }

  every(periodMs: number, act: () => void): void {
    const index = this.timers.length;
    const again = (): void => {
      if (this.stopped) return;
      this.timers[index] = this.clock.after(periodMs, () => {
        try {
          act();
          this.failures.over(index);
        } catch (caught) {
          this.failures.failed(caught, index);
        }
        again();
      });
    };
    again();
  }

  stop(): void {
    this.stopped = true;
    for (const timer of this.timers) timer.cancel();
  }
}
