import type { Clock, Timer } from '@cometmq/shared';

/** Calls that wait for something to be over, while it lasts; then each is made, in the order in which they came. */
export class HeldCalls {
  private calls: (() => void)[] | undefined;

  /** Calls are to wait. */
  get isOn(): boolean {
    return this.calls !== undefined;
  }

  begin(): void {
    this.calls ??= [];
  }

  /** Made at once where nothing is held any more. */
  add(call: () => void): void {
    if (this.calls) this.calls.push(call);
    else call();
  }

  /** For a call that can be taken back, by the function answered. */
  addWait(call: () => () => void): () => void {
    let cancel: (() => void) | undefined;
    let over = false;
    this.add(() => {
      if (!over) cancel = call();
    });
    return () => {
      over = true;
      cancel?.();
    };
  }

  release(): void {
    const { calls = [] } = this;
    this.calls = undefined;
    for (const call of calls) call();
  }
}

/** Clients wait for an answer meanwhile. */
const holdMsMax = 10_000;

/** Those of a leader: while it takes the lead up, and while it hands it over. */
export class CallsHeldByLeader extends HeldCalls {
  private timer: Timer | undefined;

  constructor(private readonly clock: Clock) {
    super();
  }

  /**
   * The set is its, and its first record is not committed yet. Who asks learned of it by the name service and would ask again
   * and again; but where the others do not come, it should hear so.
   */
  beginTerm(msMax: number): void {
    this.begin();
    this.timer = this.clock.after(msMax, () => this.release());
  }

  override release(): void {
    this.timer?.cancel();
    super.release();
  }
}

/** Held for a time, and no longer: as long as one of those who want it does. */
export class CallsHeldForATime extends HeldCalls {
  private timer: Timer | undefined;
  /** Who wants it, and until when. */
  private readonly wanted = new Map<string, number>();

  constructor(private readonly clock: Clock) {
    super();
  }

  /** From now on for so long, at most 10 seconds; 0: no longer, unless others want it still. */
  holdFor(holdMs: number, owner = ''): void {
    const nowMs = this.clock.monotonicMs();
    if (holdMs === 0) this.wanted.delete(owner);
    else this.wanted.set(owner, nowMs + Math.min(holdMs, holdMsMax));
    let untilMs = nowMs;
    for (const [who, endMs] of this.wanted) {
      if (endMs <= nowMs) this.wanted.delete(who);
      untilMs = Math.max(untilMs, endMs);
    }
    if (untilMs === nowMs) return this.release();
    this.begin();
    this.timer?.cancel();
    this.timer = this.clock.after(untilMs - nowMs, () => this.release());
  }

  override release(): void {
    this.timer?.cancel();
    this.wanted.clear();
    super.release();
  }
}
