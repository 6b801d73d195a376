/**
 * Calls that nobody can take at the moment (no leader, an older layout) wait here in the order of their arrival and
 * are tried again whenever the directory changes and every few milliseconds, until shortly before their deadline.
 *
 * How many wait is bounded by whoever parks: each parked call counts as in flight.
 *
 * Sends of one message group keep their order: whoever comes while an earlier one is parked parks behind it.
 */
import type { Clock, Timer } from '@cometmq/shared';

export interface Parked {
  /** Monotonic time after which it is too late to try. */
  readonly giveUpMs: number;
  /** Whose order is kept among themselves; left out: it does not matter. */
  readonly lane?: string | undefined;
  /** Counts up; 0 where there is no lane. */
  readonly arrival?: number;
  /** May park itself again. */
  retry(): void;
  giveUp(): void;
}

const retryMs = 50;

export class Parking {
  private waiting: Parked[] = [];
  private readonly lanes = new Set<string>();
  private ordered = false;
  private timer: Timer | undefined;
  private soon: Timer | undefined;

  constructor(private readonly clock: Clock) {}

  get size(): number {
    return this.waiting.length;
  }

  /** Calls are parked whose order is kept. */
  get holdsAny(): boolean {
    return this.lanes.size > 0;
  }

  /** An earlier call of the lane is parked. */
  holds(lane: string | undefined): boolean {
    return lane !== undefined && this.lanes.has(lane);
  }

  park(call: Parked): void {
    this.waiting.push(call);
    if (call.lane !== undefined) {
      this.lanes.add(call.lane);
      this.ordered = true;
    }
    this.timer ??= this.clock.after(retryMs, () => {
      this.timer = undefined;
      this.tryAll();
    });
  }

  /** Something changed. Tries a moment later: whoever told us may still be telling others. */
  wake(): void {
    if (this.waiting.length === 0) return;
    this.soon ??= this.clock.after(0, () => {
      this.soon = undefined;
      this.tryAll();
    });
  }

  private tryAll(): void {
    const calls = this.waiting;
    this.waiting = [];
    this.lanes.clear(); // Whoever parks again holds those behind it.
    // They failed in any order.
    if (this.ordered) calls.sort((one, other) => (one.arrival ?? 0) - (other.arrival ?? 0));
    this.ordered = false;
    const nowMs = this.clock.monotonicMs();
    for (const call of calls) {
      if (nowMs >= call.giveUpMs) call.giveUp();
      else call.retry();
    }
  }
}

/** When a call with this deadline is answered at the latest: late answers are lost ones. */
export function giveUpMs(nowMs: number, deadlineMs: number | undefined, otherwiseMs: number): number {
  if (deadlineMs === undefined) return nowMs + otherwiseMs;
  return deadlineMs - marginMs(deadlineMs - nowMs);
}

export function marginMs(remainingMs: number): number {
  return Math.min(500, Math.max(0, remainingMs) / 10);
}
