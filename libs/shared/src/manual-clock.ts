import type { Clock, Timer } from './clock.js';

interface Pending {
  readonly atMs: number;
  readonly order: number;
  readonly act: () => void;
}

/** A clock that stands still until told to move. Timers fire in the order of their time, then of their making. */
export class ManualClock implements Clock {
  private pending: Pending[] = [];
  private made = 0;
  private elapsedMs = 0;
  private wallOffsetMs: number;

  constructor(startWallMs = 1_700_000_000_000) {
    this.wallOffsetMs = startWallMs;
  }

  wallMs(): number {
    return Math.floor(this.wallOffsetMs + this.elapsedMs);
  }

  monotonicMs(): number {
    return this.elapsedMs;
  }

  after(delayMs: number, act: () => void): Timer {
    const entry: Pending = { atMs: this.elapsedMs + Math.max(0, delayMs), order: (this.made += 1), act };
    this.pending.push(entry);
    return { cancel: () => (this.pending = this.pending.filter((other) => other !== entry)) };
  }

  /** As it is: specs own time, not the order of turns. */
  soon(act: () => void): void {
    setImmediate(act);
  }

  /** Moves time on and fires what falls due on the way, timers set by timers included. */
  advance(byMs: number): void {
    const untilMs = this.elapsedMs + byMs;
    for (;;) {
      const next = this.nextDue(untilMs);
      if (!next) break;
      this.elapsedMs = Math.max(this.elapsedMs, next.atMs);
      next.act();
    }
    this.elapsedMs = untilMs;
  }

  /** As if the process were stopped: what fell due meanwhile fires at the next `advance`, late. */
  standStill(forMs: number): void {
    this.elapsedMs += forMs;
  }

  /** The wall clock is set to another time; the monotonic one takes no notice. */
  jumpWall(byMs: number): void {
    this.wallOffsetMs += byMs;
  }

  /** How many timers wait: a leak shows here. */
  get timersWaiting(): number {
    return this.pending.length;
  }

  private nextDue(untilMs: number): Pending | undefined {
    let best: Pending | undefined;
    for (const entry of this.pending) {
      if (entry.atMs > untilMs) continue;
      if (!best || entry.atMs < best.atMs || (entry.atMs === best.atMs && entry.order < best.order)) best = entry;
    }
    if (best) this.pending = this.pending.filter((entry) => entry !== best);
    return best;
  }
}
