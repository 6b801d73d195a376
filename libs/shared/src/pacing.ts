/**
 * Long work beside short calls on one event loop. Whoever goes through much data works in slices of half a millisecond and
 * rests between them. A rest is one turn of the event loop; how late that turn comes tells how busy the others are, and
 * while they are, a rest is many times as long as the slice before it. With nobody else about, work goes on at full speed.
 *
 *   idle   | slice | slice | slice | slice | …
 *   busy   | slice |  others  | …………… rest: only others …………… | slice |  others  | …
 *
 * Invariants: all work of one `Pacing` together rests as if it were one; each rest ends, so work always goes on.
 */
import { sleep, type Clock } from './clock.js';

/** A call that comes while a slice runs waits for no longer. */
const sliceMs = 0.5;
/** A turn that is later than this was taken by somebody's work, not by the event loop itself. */
const lateMsMin = 0.1;
/** Rest for each millisecond of work, while others are busy: a 25th of the time is left for work. */
const restPerWork = 24;
/** However long one slice was. */
const restMsMax = 100;

/** What all long work of a process shares. */
interface Shared {
  /** Work of all slices so far. */
  workedMs: number;
  /** Nobody works before, while others are busy. */
  freeAtMs: number;
}

export class Pacing {
  private readonly shared: Shared = { workedMs: 0, freeAtMs: 0 };

  constructor(private readonly clock: Clock) {}

  begin(): Pace {
    return new Pace(this.shared, this.clock);
  }
}

/** One piece of long work. */
export class Pace {
  private beganMs: number;
  /** In this slice, before it last waited. */
  private workedMs = 0;

  constructor(
    private readonly shared: Shared,
    private readonly clock: Clock,
  ) {
    this.beganMs = clock.monotonicMs();
  }

  /** The slice has had its time: whoever works asks after each step, and rests. */
  get isOver(): boolean {
    return this.workedMs + this.clock.monotonicMs() - this.beganMs >= sliceMs;
  }

  /** Gives way to all others. */
  async rest(): Promise<void> {
    const { clock, shared } = this;
    this.stop();
    const { workedMs } = this;
    this.workedMs = 0;
    const fromMs = clock.monotonicMs();
    const before = shared.workedMs;
    await new Promise<void>((resolve) => clock.soon(resolve));
    const nowMs = clock.monotonicMs();
    const lateMs = nowMs - fromMs - (shared.workedMs - before);
    if (workedMs > 0 && lateMs > lateMsMin) {
      shared.freeAtMs =
        Math.max(shared.freeAtMs, nowMs) + Math.min(restMsMax, restPerWork * Math.min(workedMs, lateMs));
      await sleep(clock, shared.freeAtMs - nowMs);
    }
    this.beganMs = clock.monotonicMs();
  }

  /** Waits for something that is no work of the event loop, such as a read: that is no part of the slice. */
  async during<T>(wait: T | Promise<T>): Promise<T> {
    if (!(wait instanceof Promise)) return wait;
    this.stop();
    try {
      return await wait;
    } finally {
      this.beganMs = this.clock.monotonicMs();
    }
  }

  private stop(): void {
    const ms = this.clock.monotonicMs() - this.beganMs;
    this.workedMs += ms;
    this.shared.workedMs += ms;
  }
}
