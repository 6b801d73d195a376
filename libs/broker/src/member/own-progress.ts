/** A leader's life is not enough: it moves on only when its event loop has turned and a sync has finished. */
import { failureFacts } from '@cometmq/shared';

import type { LeadingParts } from './leading-parts.js';

/** An idle leader shows that its disk answers, so often. */
const probeMs = 1_000;

export class OwnProgress {
  /** Moves with each look at which the disk has answered since the one before. */
  count = 0;
  private probing = false;
  private probedMs = 0;
  private durableSeen = 0;

  constructor(private readonly parts: Pick<LeadingParts, 'store' | 'clock' | 'log'>) {}

  look(nowMs: number, isAlone: boolean): void {
    const { store } = this.parts;
    const { durableEnd } = store.replication;
    const moved = durableEnd > this.durableSeen;
    this.durableSeen = durableEnd;
    if (moved) this.probedMs = nowMs;
    // Whoever is alone has nobody to show it to who could do better.
    if (moved || (isAlone && store.appendEnd === durableEnd)) this.count += 1;
    else if (!this.probing && nowMs - this.probedMs >= probeMs && store.appendEnd === durableEnd) void this.probe();
  }

  private async probe(): Promise<void> {
    this.probing = true;
    try {
      await this.parts.store.term.rewrite();
      this.count += 1;
    } catch (caught) {
      this.parts.log.warn(failureFacts(caught), 'the disk does not take a note; trying again');
    } finally {
      this.probing = false;
      this.probedMs = this.parts.clock.monotonicMs();
    }
  }
}
