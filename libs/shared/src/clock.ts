/**
 * The only way to the next turn of the event loop, so that a simulation owns the order in which things happen. Micro tasks
 * need no port: their order follows from the turn they are made in.
 */
export interface Turns {
  /** Runs `act` in a later turn, after all that is ready now. */
  soon(act: () => void): void;
}

/**
 * The only way to the time of day and to timers. Everything that waits or stamps is given a `Clock`, so that a test
 * and the simulation own time.
 */
export interface Clock extends Turns {
  /** Milliseconds since 1970-01-01 UTC. May jump either way. */
  wallMs(): number;
  /** Milliseconds since some fixed moment of this process. Never goes back; fractions allowed. */
  monotonicMs(): number;
  /** Runs `act` once after `delayMs` (any length; below 0 counts as 0). Does not keep the process alive by itself. */
  after(delayMs: number, act: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

/** Node.js turns a longer timeout into 1 ms. */
const timeoutMsMax = 2 ** 31 - 1;

class SystemTimer implements Timer {
  private handle: NodeJS.Timeout | undefined;

  constructor(delayMs: number, act: () => void) {
    this.arm(Math.max(0, delayMs), act);
  }

  private arm(leftMs: number, act: () => void): void {
    const stepMs = Math.min(leftMs, timeoutMsMax);
    this.handle = setTimeout(() => {
      if (leftMs > stepMs) this.arm(leftMs - stepMs, act);
      else act();
    }, stepMs);
    this.handle.unref();
  }

  cancel(): void {
    clearTimeout(this.handle);
  }
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, act) => new SystemTimer(delayMs, act),
  soon: (act) => void setImmediate(act),
};

/** How long the event loop of this process has been at work so far, not waiting. */
export const systemActiveMs = (): number => performance.eventLoopUtilization().active;

/** Resolves after `delayMs` of the clock given. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve));
}
