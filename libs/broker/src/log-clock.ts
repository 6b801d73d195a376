import type { Clock } from '@cometmq/shared';

/**
 * Log time: what records are stamped with and every lease and wait of consumption runs on. It starts at the later of
 * the last record's time and the wall's, never goes back, advances with the monotonic clock and slews towards the
 * wall: at double speed while it is behind, at half speed while it is ahead. So a wall clock that jumps neither
 * hands everything out again nor holds anything back for ever.
 */
export class LogClock {
  private atMonotonicMs: number;
  private valueMs: number;

  constructor(
    private readonly clock: Clock,
    lastRecordMs: number,
  ) {
    this.atMonotonicMs = clock.monotonicMs();
    this.valueMs = Math.max(clock.wallMs(), lastRecordMs);
  }

  /** Whole milliseconds since 1970; never less than the last answer. */
  nowMs(): number {
    const monotonicMs = this.clock.monotonicMs();
    const passedMs = monotonicMs - this.atMonotonicMs;
    if (passedMs > 0) {
      this.atMonotonicMs = monotonicMs;
      const steady = this.valueMs + passedMs;
      const offMs = this.clock.wallMs() - steady;
      this.valueMs = steady + Math.max(-passedMs / 2, Math.min(passedMs, offMs));
    }
    return Math.floor(this.valueMs);
  }
}
