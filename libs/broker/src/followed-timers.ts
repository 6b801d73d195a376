/**
 * Delayed messages on a member that does not lead. They come near there too before they are due, so that each is forgotten when the
 * leader's log says that it was delivered, wherever it lies; and so whoever leads next delivers what is due at once.
 */
import { failureFacts, ToldOnce, type Clock } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import { TimersBorder, type BorderParts } from './timers-border.js';

/** A log in which nothing is written for longer says no more what time it is. */
const quietMsMax = 600_000;

export interface FollowedTimersParts extends Omit<BorderParts, 'nowMs'> {
  readonly store: BorderParts['store'] & Pick<StorePorts, 'lastTimestampMs'>;
  readonly clock: Clock;
  /** Somebody else decides, and what was folded here is whole. */
  readonly follows: () => boolean;
  readonly log: Logger;
}

export class FollowedTimers {
  private running = false;
  private readonly failures: ToldOnce;

  constructor(private readonly parts: FollowedTimersParts) {
    const said = 'delayed messages that are due soon can not be read; trying again later';
    this.failures = new ToldOnce((caught) => parts.log.error(failureFacts(caught), said));
  }

  /** There may be something that is due soon. Comes back at once. */
  look(): void {
    if (this.running) return;
    this.running = true;
    const nowMs = this.nowMs();
    this.turn(new TimersBorder({ ...this.parts, nowMs: () => nowMs }));
  }

  /**
   * By the leader's clock, which the log tells: by one that is behind it, all that is delivered would be far here, and noted one by
   * one; by one that is ahead, all that is sent would be near.
   */
  private nowMs(): number {
    const { store, clock } = this.parts;
    const loggedMs = store.lastTimestampMs;
    return loggedMs === 0 ? clock.wallMs() : Math.min(Math.max(clock.wallMs(), loggedMs), loggedMs + quietMsMax);
  }

  private turn(border: TimersBorder): void {
    if (this.parts.follows() && this.moves(border)) this.parts.clock.soon(() => this.turn(border));
    else this.running = false;
  }

  private moves(border: TimersBorder): boolean {
    try {
      const more = border.approach();
      this.failures.over();
      return more;
    } catch (caught) {
      this.failures.failed(caught);
      return false;
    }
  }
}
