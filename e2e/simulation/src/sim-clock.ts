import type { Clock, Prng, Timer } from '@cometmq/shared';

interface Pending {
  readonly atMs: number;
  readonly order: number;
  readonly act: () => void;
}

/** Wall time at which every run begins. */
const startWallMs = 1_700_000_000_000;
/** How likely time goes on although something is ready: a real machine is slow at times. */
const timeFirst = 1 / 32;

/**
 * Time and the order of turns for all processes of a simulation. Turns of one process keep their order, as Node.js keeps
 * it; which process is next, chance says. Time stands still while anything is ready, nearly always.
 */
export class SimClock {
  private readonly processes: SimProcess[] = [];
  private timers: Pending[] = [];
  private made = 0;
  nowMs = 0;

  constructor(private readonly chance: Prng) {}

  /** A process, with a clock of its own. */
  process(name: string): SimProcess {
    const made = new SimProcess(name, this);
    this.processes.push(made);
    return made;
  }

  after(delayMs: number, act: () => void): Timer {
    const entry: Pending = { atMs: this.nowMs + Math.max(0, delayMs), order: (this.made += 1), act };
    this.timers.push(entry);
    return { cancel: () => void (this.timers = this.timers.filter((other) => other !== entry)) };
  }

  /** Lets one thing happen. False: nothing is ready, and no timer waits. */
  step(): boolean {
    for (let i = this.processes.length - 1; i >= 0; i -= 1) {
      if (this.processes[i]?.isOver) this.processes.splice(i, 1);
    }
    const ready = this.processes.filter(({ turns }) => turns.length > 0);
    const next = this.earliest();
    if (ready.length > 0 && !(next && this.chance.next() < timeFirst)) {
      ready[this.chance.below(ready.length)]?.turns.shift()?.();
      return true;
    }
    if (!next) return ready.length > 0;
    this.timers = this.timers.filter((other) => other !== next);
    this.nowMs = Math.max(this.nowMs, next.atMs);
    next.act();
    return true;
  }

  private earliest(): Pending | undefined {
    let best: Pending | undefined;
    for (const entry of this.timers) {
      if (!best || entry.atMs < best.atMs || (entry.atMs === best.atMs && entry.order < best.order)) best = entry;
    }
    return best;
  }
}

/** What a process knows of time. When the process is over, nothing of it happens any more. */
export class SimProcess implements Clock {
  readonly turns: (() => void)[] = [];
  isOver = false;
  /** How far its wall clock is from the others'. */
  wallOffsetMs = 0;

  constructor(
    readonly name: string,
    private readonly clock: SimClock,
  ) {}

  /** `kill -9`. */
  end(): void {
    this.isOver = true;
    this.turns.length = 0;
  }
  wallMs(): number {
    return Math.floor(startWallMs + this.clock.nowMs + this.wallOffsetMs);
  }
  monotonicMs(): number {
    return this.clock.nowMs;
  }
  after(delayMs: number, act: () => void): Timer {
    return this.clock.after(delayMs, () => {
      if (!this.isOver) act();
    });
  }
  soon(act: () => void): void {
    if (!this.isOver) this.turns.push(act);
  }
}
