/**
 * Looks at what nobody reads, a little at a time: every sealed segment, record by record, so that damage is found while
 * another member still has what was lost. What is found goes where damage goes that is found on reading.
 */
import { MqError } from '@cometmq/shared';
import type { Clock, Timer } from '@cometmq/shared';

import type { DamageNotes } from './damage-notes.js';
import type { CommitLog } from './log/commit-log.js';
import type { SegmentInfo } from './log/segment.js';

export interface ScrubLimits {
  /** Read at the most; 0: nothing is looked at. */
  readonly scrubBytesPerSecond: number;
  /** From the beginning of one pass over the log to the next one's. */
  readonly scrubEveryMs: number;
}

/** Not while everything else starts. */
const firstMs = 60_000;

export class Scrub {
  /** Passes over all sealed segments. */
  passes = 0;
  private timer: Timer | undefined;
  private running: Promise<void> | undefined;
  private wake: (() => void) | undefined;
  private stopping = false;

  constructor(
    private readonly log: CommitLog,
    private readonly damage: DamageNotes,
    private readonly limits: ScrubLimits,
    private readonly clock: Clock,
    private readonly onTrouble: (caught: unknown) => void,
  ) {}

  begin(): void {
    if (this.limits.scrubBytesPerSecond > 0) this.beginIn(Math.min(firstMs, this.limits.scrubEveryMs));
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.timer?.cancel();
    this.wake?.();
    await this.running;
  }

  private beginIn(ms: number): void {
    if (this.stopping) return;
    this.timer = this.clock.after(ms, () => {
      const beganMs = this.clock.monotonicMs();
      this.running = this.pass()
        .catch((caught: unknown) => this.onTrouble(caught))
        .finally(() => {
          this.running = undefined;
          this.beginIn(Math.max(firstMs, beganMs + this.limits.scrubEveryMs - this.clock.monotonicMs()));
        });
    });
  }

  /** Looks at every sealed segment once. */
  private async pass(): Promise<void> {
    for (const segment of this.log.segments()) {
      if (segment.sealed && !segment.lost && !this.stopping) await this.look(segment);
    }
    if (!this.stopping) this.passes += 1;
  }

  private rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
      this.timer = this.clock.after(ms, resolve);
    });
  }

  private async look(segment: SegmentInfo): Promise<void> {
    const { first, end } = segment;
    let from = first;
    try {
      await this.log.check(
        first,
        end,
        () => undefined,
        async (position) => {
          if (this.stopping) throw new Stopped();
          await this.rest(((position - from) * 1000) / this.limits.scrubBytesPerSecond);
          from = position;
        },
      );
    } catch (caught) {
      if (caught instanceof Stopped) return;
      if (!(caught instanceof MqError) || caught.code !== 'CORRUPT_RECORD') throw caught;
      await this.damage.lookThrough(segment);
    }
  }
}

/** Ends a look. */
class Stopped extends Error {}
