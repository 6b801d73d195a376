/**
 * A leader that can't reach the registry deposes nobody and goes on; but who belongs to its set can't change meanwhile. Where
 * another member reaches it, that one had better lead: the lead is handed over in the planned way.
 */
import type { MemberId } from '@cometmq/model';
import { failureFacts } from '@cometmq/shared';

import type { HandOvers } from './hand-overs.js';
import type { MemberSelf } from './member-self.js';
import type { SetReader } from './set-reader.js';

/** So long it lacks the registry before it looks for somebody who does not. */
const lacksMs = 5_000;

export class CutOff {
  private busy = false;

  constructor(
    private readonly self: MemberSelf,
    private readonly reader: SetReader,
    private readonly handOvers: HandOvers,
  ) {}

  async look(): Promise<void> {
    const { self } = this;
    const { role } = self;
    const { clock, log } = self.parts;
    if (this.busy || role.is !== 'leading' || !role.term) return;
    const sinceMs = Math.max(this.reader.readMs, role.leading.beganMs);
    if (clock.monotonicMs() - sinceMs < lacksMs) return;
    this.busy = true;
    try {
      const to = await this.whoReachesIt();
      if (to === undefined || self.role !== role) return;
      log.warn({ to }, 'the name service can not be reached from here, and can from another member: it is to lead');
      await this.handOvers.give(to);
    } catch (caught) {
      log.warn(failureFacts(caught), 'the lead could not be handed over; trying again');
    } finally {
      this.busy = false;
    }
  }

  private async whoReachesIt(): Promise<MemberId | undefined> {
    const { peers, settings } = this.self.parts;
    for (const { member, address } of this.self.leading?.successors ?? []) {
      const status = await peers
        .peer(address)
        .status(settings.brokerSet)
        .catch(() => undefined);
      // A follower asks three times a lease.
      if (status?.registryAgeMs !== undefined && status.registryAgeMs < settings.leaseMs) return member;
    }
    return undefined;
  }
}
