import type { Clock, Prng, Timer } from '@cometmq/shared';

/** Wall time at which every run begins. */
export const startWallMs = 1_700_000_000_000;
/** How likely time goes on although something is ready: a real machine is slow at times. */
const timeFirst = 1 / 32;

/** One thing that is to happen at a time. */
class Waiting implements Timer {
  /** Undefined: cancelled. */
  act: (() => void) | undefined;

  constructor(
    readonly atMs: number,
    readonly order: number,
    act: () => void,
  ) {
    this.act = act;
  }

  cancel(): void {
    this.act = undefined;
  }

  isBefore(other: Waiting): boolean {
    return this.atMs < other.atMs || (this.atMs === other.atMs && this.order < other.order);
  }
}

/**
 * Time and the order of turns for all processes of a simulation. Turns of one process keep their order, as Node.js keeps
 * it; which process is next, chance says. Time stands still while anything is ready, nearly always.
 */
export class SimClock {
  /** A heap: each is before those at twice its place plus one and two. */
  private readonly timers: Waiting[] = [];
  /** Processes with turns, each once. */
  private readonly ready: SimProcess[] = [];
  private made = 0;
  /** A timer's turn has begun, and nothing of any process has happened in it yet. */
  private isIdle = false;
  nowMs = 0;

  constructor(private readonly chance: Prng) {}

  /** A process, with a clock of its own. */
  process(name: string): SimProcess {
    return new SimProcess(name, this);
  }

  after(delayMs: number, act: () => void): Timer {
    const entry = new Waiting(this.nowMs + Math.max(0, delayMs), (this.made += 1), act);
    this.push(entry);
    return entry;
  }

  /** @internal */
  becameReady(process: SimProcess): void {
    this.ready.push(process);
  }
  /** Whether a turn of a process may happen in this step: true once in a step. @internal */
  takeTurn(): boolean {
    const { isIdle } = this;
    this.isIdle = false;
    return isIdle;
  }

  /** Lets one thing happen. False: nothing is ready, and no timer waits. */
  step(): boolean {
    const { ready, timers } = this;
    const goesOn = ready.length === 0 || this.chance.next() < timeFirst;
    while (goesOn && timers.length > 0) {
      const next = this.shift();
      if (next?.act === undefined) continue;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.isIdle = true;
      next.act();
      this.isIdle = false;
      return true;
    }
    if (ready.length === 0) return false;
    const at = ready.length === 1 ? 0 : this.chance.below(ready.length);
    const process = ready[at] as SimProcess;
    const turn = process.take();
    if (!process.isReady) {
      process.isListed = false;
      ready[at] = ready.at(-1) as SimProcess;
      ready.pop();
    }
    turn?.();
    return true;
  }

  private push(entry: Waiting): void {
    const { timers } = this;
    let at = timers.length;
    timers.push(entry);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = timers[above] as Waiting;
      if (other.isBefore(entry)) break;
      timers[at] = other;
      at = above;
    }
    timers[at] = entry;
  }

  private shift(): Waiting | undefined {
    const { timers } = this;
    const first = timers[0];
    const last = timers.pop();
    if (last === undefined || last === first) return first;
    const { length } = timers;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= length) break;
      const right = below + 1;
      if (right < length && (timers[right] as Waiting).isBefore(timers[below] as Waiting)) below = right;
      const other = timers[below] as Waiting;
      if (last.isBefore(other)) break;
      timers[at] = other;
      at = below;
    }
    timers[at] = last;
    return first;
  }
}

/** What a process knows of time. When the process is over, nothing of it happens any more. */
export class SimProcess implements Clock {
  isOver = false;
  /** It has turns, and is on the list of those. @internal */
  isListed = false;
  /** How far its wall clock is from the others'. */
  wallOffsetMs = 0;
  /** That wait. */
  timers = 0;
  private turns: (() => void)[] = [];
  private taken = 0;
  /** @internal */
  isPaused = false;

  constructor(
    readonly name: string,
    private readonly clock: SimClock,
  ) {}

  /** `kill -9`. */
  end(): void {
    this.isOver = true;
    this.turns = [];
    this.taken = 0;
  }
  /** SIGSTOP: time goes on, and nothing of it happens until it is resumed. */
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
    this.list();
  }

  wallMs(): number {
    return Math.floor(startWallMs + this.clock.nowMs + this.wallOffsetMs);
  }
  monotonicMs(): number {
    return this.clock.nowMs;
  }
  after(delayMs: number, act: () => void): Timer {
    return new ProcessTimer(this, this.clock, delayMs, act);
  }
  soon(act: () => void): void {
    if (this.isOver) return;
    this.turns.push(act);
    this.list();
  }

  /** Something arrives from outside: at once, where this process waits for nothing else and the step is free; else in its turn. */
  arrives(act: () => void): void {
    if (this.isOver) return;
    if (this.isPaused || this.taken < this.turns.length || !this.clock.takeTurn()) this.soon(act);
    else act();
  }

  /** @internal */
  get isReady(): boolean {
    return this.taken < this.turns.length && !this.isPaused;
  }
  /** @internal */
  take(): (() => void) | undefined {
    if (!this.isReady) return undefined;
    const turn = this.turns[this.taken];
    this.taken += 1;
    if (this.taken === this.turns.length) {
      this.turns = [];
      this.taken = 0;
    }
    return turn;
  }

  private list(): void {
    if (this.isListed || !this.isReady) return;
    this.isListed = true;
    this.clock.becameReady(this);
  }
}

/** One of a process that may be paused or over when it is time. */
class ProcessTimer implements Timer {
  private counts = true;
  private cancelled = false;
  private readonly timer: Timer;

  constructor(
    private readonly process: SimProcess,
    private readonly clock: SimClock,
    delayMs: number,
    private readonly act: () => void,
  ) {
    process.timers += 1;
    this.timer = clock.after(delayMs, () => this.isTime());
  }

  cancel(): void {
    this.cancelled = true;
    this.over();
    this.timer.cancel();
  }

  private isTime(): void {
    const { process, clock, act } = this;
    this.over();
    if (process.isPaused) process.soon(() => this.cancelled || act());
    else if (!process.isOver) {
      clock.takeTurn();
      act();
    }
  }

  private over(): void {
    if (this.counts) this.process.timers -= 1;
    this.counts = false;
  }
}
