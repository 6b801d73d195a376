import type { LeadClaim, Naming } from '@cometmq/client';
import { epoch, type Epoch } from '@cometmq/model';
import { MqError, type Clock } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

/**
 * This broker's reign over its set: claimed from the name service with a new epoch, kept by saying so three times a
 * lease. The lease only notices silence; safety comes from the epoch. When another member has taken over, `onDeposed`
 * is called and the reign is over for good.
 */
export class Leadership {
  private claim: LeadClaim | undefined;
  private reign: Epoch | undefined;
  private stopped = false;
  private wake: (() => void) | undefined;
  private keeping: Promise<void> | undefined;

  constructor(
    private readonly naming: Naming,
    private readonly clock: Clock,
    private readonly log: Logger,
    private readonly writable: () => boolean,
    private readonly onDeposed: (error: MqError) => void,
  ) {}

  /** Claims the lead, waiting as long as the name service can't be reached or another member still lives. */
  async take(claim: LeadClaim): Promise<Epoch> {
    this.claim = claim;
    for (;;) {
      if (this.stopped) throw new MqError('CANCELLED', 'stopped before the lead was taken');
      try {
        const set = await this.naming.takeLead(claim);
        this.reign = epoch(set.epoch);
        return this.reign;
      } catch (caught) {
        const error = MqError.from(caught);
        if (!error.retry) throw error;
        this.log.warn({ reason: error.reason }, 'the lead can not be taken yet; trying again');
        await this.pause(500);
      }
    }
  }

  /** From now on the name service hears of this leader. */
  keep(): void {
    this.keeping = this.loop();
  }

  async leave(): Promise<void> {
    this.stopped = true;
    this.wake?.();
    await this.keeping;
    if (!this.claim || this.reign === undefined) return;
    await this.naming.leaveLead({ ...this.claim, epoch: this.reign }).catch((caught: unknown) => {
      this.log.warn({ reason: MqError.from(caught).reason }, 'the name service was not told of the leave');
    });
  }

  private async loop(): Promise<void> {
    const { claim, reign } = this;
    if (!claim || reign === undefined) return;
    while (!this.stopped) {
      try {
        await this.naming.keepLead({ ...claim, epoch: reign, writable: this.writable() });
      } catch (caught) {
        const error = MqError.from(caught);
        if (error.code === 'NOT_LEADER') {
          this.onDeposed(error);
          return;
        }
        this.log.warn({ reason: error.reason }, 'the name service does not answer; serving goes on');
      }
      await this.pause(claim.leaseMs / 3);
    }
  }

  /** Waits, but not past a stop. */
  private pause(waitMs: number): Promise<void> {
    if (this.stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.clock.after(waitMs, resolve);
      this.wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}
