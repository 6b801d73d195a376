/**
 * Long work beside short calls on one event loop. Whoever goes through much data works in slices of a fraction of a
 * millisecond and rests between them. A rest is one turn of the event loop, and while others are busy it is many times as
 * long as the slice before it. How busy they are is known by how late a turn comes and by what the event loop does during
 * rests, over the last tenth of a second. With nobody else about, work goes on at full speed.
 *
 *   idle   | slice | slice | slice | slice | …
 *   busy   | slice |  others  | …………… rest: only others …………… | slice |  others  | …
 *
 * Invariants: all work of one `Pacing` together rests as if it were one; each rest ends, so work always goes on.
 */
import { sleep, type Clock } from './clock.js';

/** A call that comes while a slice runs waits for no longer. */
const sliceMs = 0.2;
/** A turn that is later than this was taken by somebody's work, not by the event loop itself. */
const lateMsMin = 0.05;
/** Rest for each millisecond of work, while others are busy: a 25th of the time is left for work. */
const restPerWork = 24;
/** Others who use so much of the time are busy. */
const busyShare = 0.1;
/** As if nobody else were about: the garbage of the work itself is collected, too. Between the two, rests are shorter. */
const idleShare = 0.03;
/** Others are as busy as they were on average over so long. */
const lookBackMs = 100;
/** However long one slice was. */
const restMsMax = 100;

/** What all long work of a process shares. */
interface Shared {
  /** Work of all slices so far. */
  workedMs: number;
  /** Nobody works before, while others are busy. */
  freeAtMs: number;
  /** Of the time, used by others. */
  othersShare: number;
  seenMs: number;
}

export class Pacing {
  private readonly shared: Shared;

  constructor(
    private readonly clock: Clock,
    /** How long the event loop has been at work so far; left out: only its delays tell. */
    private readonly activeMs: () => number = () => 0,
  ) {
    this.shared = { workedMs: 0, freeAtMs: 0, othersShare: 0, seenMs: clock.monotonicMs() };
  }

  begin(): Pace {
    return new Pace(this.shared, this.clock, this.activeMs);
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
    private readonly activeMs: () => number,
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
    this.seen(lateMs > lateMsMin ? lateMs : 0);
    const busy = Math.min(1, (shared.othersShare - idleShare) / (busyShare - idleShare));
    if (workedMs > 0 && busy > 0) {
      const restMs = Math.min(restMsMax, workedMs * restPerWork * busy);
      shared.freeAtMs = Math.max(shared.freeAtMs, nowMs) + restMs;
      const activeBefore = this.activeMs();
      const workedBefore = shared.workedMs;
      await sleep(clock, shared.freeAtMs - nowMs);
      this.seen(this.activeMs() - activeBefore - (shared.workedMs - workedBefore));
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

  /** Others have worked for so long since somebody looked last. */
  private seen(othersMs: number): void {
    const { shared } = this;
    const nowMs = this.clock.monotonicMs();
    const sinceMs = nowMs - shared.seenMs;
    if (sinceMs <= 0) return;
    shared.seenMs = nowMs;
    const share = Math.min(1, Math.max(0, othersMs) / sinceMs);
    shared.othersShare += (share - shared.othersShare) * (1 - Math.exp(-sinceMs / lookBackMs));
  }

  private stop(): void {
    const ms = this.clock.monotonicMs() - this.beganMs;
    this.workedMs += ms;
    this.shared.workedMs += ms;
  }
}
