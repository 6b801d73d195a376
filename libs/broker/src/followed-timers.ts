/**
 * Delayed messages on a member that does not lead. They come near there too before they are due, so that each is forgotten when the
 * leader's log says that it was delivered, wherever it lies; and so whoever leads next delivers what is due at once.
 */
import type { Logger } from '@cometmq/telemetry';
import { failureFacts, ToldOnce } from '@cometmq/shared';

import { TimersBorder, type BorderParts } from './timers-border.js';

export interface FollowedTimersParts extends BorderParts {
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
    const border = new TimersBorder(this.parts, false);
    this.turn(border);
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
