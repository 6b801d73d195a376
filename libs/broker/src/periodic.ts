import { type Clock, failureFacts, type Timer } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

/** Work that comes again and again until it is stopped; what fails is told, and tried again the next time. */
export class Periodic {
  private readonly timers: Timer[] = [];
  private stopped = false;

  constructor(
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {}

  every(periodMs: number, act: () => void): void {
    const index = this.timers.length;
    const again = (): void => {
      if (this.stopped) return;
      this.timers[index] = this.clock.after(periodMs, () => {
        try {
          act();
        } catch (caught) {
          this.log.error(failureFacts(caught), 'periodic work failed; trying again later');
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
