/**
 * The lead that this member has had. The registry shows it as the present leader until it hears that the term is over, and in
 * a set of two that keeps the other one from leading. So it is told until it has heard it, whatever ended the term.
 */
import type { MemberClaim, SetRegistry } from '@cometmq/client';
import type { Epoch } from '@cometmq/model';
import { type Clock, failureFacts } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

export interface EndedLeadParts {
  readonly registry: SetRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  readonly claim: () => MemberClaim;
  /** Of the set, as far as it is known here. */
  readonly epoch: () => Epoch | undefined;
}

export class EndedLead {
  /** Of the term of which the registry has not heard that it is over; undefined: there is none. */
  private epoch: Epoch | undefined;
  private dueMs = 0;
  private telling: Promise<void> | undefined;

  constructor(private readonly parts: EndedLeadParts) {}

  /** `inMs`: when to tell, as far as nobody has taken the lead by then. */
  over(epoch: Epoch, inMs: number): void {
    this.epoch = epoch;
    this.dueMs = this.parts.clock.monotonicMs() + inMs;
    if (inMs === 0) void this.tell();
  }

  get isDue(): boolean {
    return this.isOwed && this.parts.clock.monotonicMs() >= this.dueMs;
  }

  /** Never rejects: what was not heard is told again. */
  tell(): Promise<void> {
    if (!this.isOwed) return Promise.resolve();
    this.telling ??= this.resign().finally(() => (this.telling = undefined));
    return this.telling;
  }

  private get isOwed(): boolean {
    return this.epoch !== undefined && (this.parts.epoch() ?? 0) <= this.epoch;
  }

  private async resign(): Promise<void> {
    const { registry, log, claim } = this.parts;
    const { epoch } = this;
    if (epoch === undefined) return;
    try {
      await registry.resignLeadership(claim(), epoch);
      if (this.epoch === epoch) this.epoch = undefined;
    } catch (caught) {
      log.debug(failureFacts(caught), 'the name service could not be told that the broker does not lead any more');
    }
  }
}
