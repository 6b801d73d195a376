/** Moves the border between near and far delayed messages ahead of the clock. */
import type { StorePorts } from '@cometmq/store';
import type { TimersView } from '@cometmq/timers';

/** Timers that come near in one step, about; and how far ahead of their time. */
const stepMax = 50_000;
export const aheadMs = 60_000;
/** With so many near ones, no more come near before their time; and while some of them are due, none at all. */
export const nearMax = 200_000;
const piecesPerTurn = 16;

export interface BorderParts {
  readonly store: Pick<StorePorts, 'coldPiece'>;
  readonly timers: TimersView;
  /** What time it is where delayed messages are delivered. */
  readonly nowMs: () => number;
}

export class TimersBorder {
  /** How far the border is on its way to. */
  private target: number | undefined;

  constructor(private readonly parts: BorderParts) {}

  /** Towards where it should be, a few pieces at a time. True: it is not there yet. */
  approach(): boolean {
    const { store, timers } = this.parts;
    const nowMs = this.parts.nowMs();
    if (this.target === undefined) {
      const hasRoom = timers.nearSize < nearMax;
      // A backlog of any size goes through memory a part at a time: those that are near go first.
      const isNeeded = timers.nearEndMs <= nowMs && (hasRoom || timers.firstDueMs > nowMs);
      const isWanted = timers.nearEndMs < nowMs + aheadMs / 2 && hasRoom;
      if (!isNeeded && !isWanted) return false;
      this.target = timers.reach(Math.max(timers.nearEndMs + 1, nowMs + aheadMs), stepMax);
    }
    const keys = timers.wanted(this.target);
    for (const key of keys.slice(0, piecesPerTurn)) timers.stage(key, store.coldPiece(timers, key));
    if (keys.length <= piecesPerTurn) {
      timers.advance(this.target);
      this.target = undefined;
    }
    return true;
  }
}
