/**
 * Long work beside short calls on one event loop. Whoever goes through much data works in slices of a fraction of a
 * millisecond and rests between them. A rest is one turn of the event loop, and while others are busy it is many times as
 * long as the slice before it. How busy they are is known by what the event loop's thread does meanwhile, over the last tenth
 * of a second; not by the clock, as on a machine with too much to do everybody is late. With nobody else about, work goes on
 * at full speed.
 *
 *   idle   | slice | slice | slice | slice | …
 *   busy   | slice |  others  | …………… rest: only others …………… | slice |  others  | …
 *
 * Invariants: all work of one `Pacing` together rests as if it were one; each rest ends, so work always goes on.
 */
import { sleep, type Clock } from './clock.js';

/** A call that comes while a slice runs waits for no longer. */
const sliceMs = 0.2;
/** What a turn of the event loop takes by itself. */
const turnMs = 0.02;
/**
 * Rest for each millisecond of a slice, while others are busy. About as much as the slices is what reads and the collector do
 * for them elsewhere: a 25th of the time in all.
 */
const restPerWork = 49;
/** Others are busy whose work is so much of all that is done: on a machine with too much to do, that may be little in all. */
const busyShare = 0.1;
/** As if nobody else were about: the garbage of the work itself is collected, too. Between the two, rests are shorter. */
const idleShare = 0.03;
/** Whoever works for less of the time is nobody: a process always does a little. */
const nobodyRate = 0.01;
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
  /** Work of others, and own work, for each millisecond that passes. */
  othersRate: number;
  ownRate: number;
  seenMs: number;
  seenWorkedMs: number;
}

export class Pacing {
  private readonly shared: Shared;

  constructor(
    private readonly clock: Clock,
    /** How long the event loop's thread has worked so far; left out: others are never seen, and a rest is one turn. */
    private readonly activeMs: () => number = () => 0,
  ) {
    this.shared = {
      ...{ workedMs: 0, freeAtMs: 0, othersRate: 0, ownRate: 0 },
      ...{ seenMs: clock.monotonicMs(), seenWorkedMs: 0 },
    };
  }

  begin(): Pace {
    return new Pace(this.shared, this.clock, this.activeMs);
  }
}

/** One piece of long work. */
export class Pace {
  private beganMs = 0;
  private beganActiveMs = 0;
  /** Of this slice, before it last waited. */
  private tookMs = 0;

  constructor(
    private readonly shared: Shared,
    private readonly clock: Clock,
    private readonly activeMs: () => number,
  ) {
    this.goOn();
  }

  /** The slice has had its time: whoever works asks after each step, and rests. */
  get isOver(): boolean {
    return this.tookMs + this.clock.monotonicMs() - this.beganMs >= sliceMs;
  }

  /** Gives way to all others. */
  async rest(): Promise<void> {
    const { clock, shared } = this;
    this.halt();
    const { tookMs } = this;
    this.tookMs = 0;
    await this.seeing(turnMs, () => new Promise<void>((resolve) => clock.soon(resolve)));
    const { othersRate, ownRate } = shared;
    const share = othersRate > nobodyRate ? othersRate / (othersRate + ownRate) : 0;
    const busy = Math.min(1, (share - idleShare) / (busyShare - idleShare));
    if (tookMs > 0 && busy > 0) {
      const nowMs = clock.monotonicMs();
      shared.freeAtMs = Math.max(shared.freeAtMs, nowMs) + Math.min(restMsMax, tookMs * restPerWork * busy);
      await this.seeing(0, () => sleep(clock, shared.freeAtMs - nowMs));
    }
    this.goOn();
  }

  /** Waits for something that is no work of the event loop, such as a read: that is no part of the slice. */
  async during<T>(wait: T | Promise<T>): Promise<T> {
    if (!(wait instanceof Promise)) return wait;
    this.halt();
    try {
      return await wait;
    } finally {
      this.goOn();
    }
  }

  /** Sees how much others work while it waits. */
  private async seeing(ownMs: number, wait: () => Promise<void>): Promise<void> {
    const { shared, clock } = this;
    const activeBefore = this.activeMs();
    const workedBefore = shared.workedMs;
    await wait();
    const othersMs = this.activeMs() - activeBefore - (shared.workedMs - workedBefore) - ownMs;
    const nowMs = clock.monotonicMs();
    const sinceMs = nowMs - shared.seenMs;
    if (sinceMs <= 0) return;
    const weight = 1 - Math.exp(-sinceMs / lookBackMs);
    shared.othersRate += (Math.max(0, othersMs) / sinceMs - shared.othersRate) * weight;
    shared.ownRate += ((shared.workedMs - shared.seenWorkedMs) / sinceMs - shared.ownRate) * weight;
    shared.seenMs = nowMs;
    shared.seenWorkedMs = shared.workedMs;
  }

  private goOn(): void {
    this.beganMs = this.clock.monotonicMs();
    this.beganActiveMs = this.activeMs();
  }

  private halt(): void {
    this.tookMs += this.clock.monotonicMs() - this.beganMs;
    this.shared.workedMs += this.activeMs() - this.beganActiveMs;
  }
}
