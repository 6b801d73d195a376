/** A member that is told to stop: it stays until its set can do without it, and hands over first. */
import { failureFacts, MqError, sleep } from '@cometmq/shared';

import type { HandOvers } from './hand-overs.js';
import type { MemberSelf } from './member-self.js';

/** How often it asks whether it may. */
const askLeaveMs = 200;

export class Leaving {
  constructor(
    private readonly self: MemberSelf,
    private readonly handOvers: HandOvers,
  ) {}

  /**
   * Hands the lead over, where it has it and somebody can take it. With a `restartWaitMs` it stays until its set can do
   * without it, but not longer than that for the same reason.
   */
  async prepare(): Promise<void> {
    const { self } = this;
    const { settings, log } = self.parts;
    if (settings.restartWaitMs > 0) await this.awaitTurn(settings.restartWaitMs);
    const { role } = self;
    if (role.is !== 'leading' || !role.term || role.leading.successors.length === 0) return;
    await this.handOvers.give().catch((caught: unknown) => {
      log.warn(failureFacts(caught), 'the lead could not be handed over');
    });
  }

  /** What was decided in the term may still become durable, and be answered. */
  async endTerm(): Promise<void> {
    const { role, parts } = this.self;
    if (role.is !== 'leading') return;
    role.leading.end();
    await parts.registry.resignLeadership(this.self.claim(), role.leading.epoch).catch((caught: unknown) => {
      parts.log.warn(failureFacts(caught), 'the name service could not be told that the broker leaves');
    });
  }

  /** Who leads lets one go at a time; a leader that may go hands over, and then asks as a follower. */
  private async awaitTurn(waitMs: number): Promise<void> {
    const { self } = this;
    const { clock, log } = self.parts;
    let why: string | undefined;
    for (let sinceMs = clock.monotonicMs(); clock.monotonicMs() - sinceMs < waitMs; await sleep(clock, askLeaveMs)) {
      if (self.role.is === 'failed' || (self.knowledge.state?.members.length ?? 1) === 1) return;
      const whyNot = await this.whyStay();
      if (whyNot === undefined) {
        if (self.role.is !== 'leading') return;
        await this.handOvers.give().catch((caught: unknown) => log.debug(failureFacts(caught), 'no hand-over yet'));
        continue;
      }
      if (whyNot === why) continue;
      log.info({ why: whyNot }, 'the broker is told to stop and goes on serving: its set needs it');
      why = whyNot;
      sinceMs = clock.monotonicMs();
    }
    log.warn({ why }, 'the broker stops although its set needs it: it has waited for long enough');
  }

  /** Undefined: the set can do without this member now. */
  private async whyStay(): Promise<string | undefined> {
    const { self } = this;
    const { peers, settings } = self.parts;
    if (self.role.is === 'leading') return self.role.leading.mayLeave(self.me);
    const leader = self.attachedTo;
    if (!leader) return 'nobody leads its set';
    try {
      return await peers.peer(leader.address).mayLeave(settings.brokerSet, self.me);
    } catch (caught) {
      return `${leader.member} leads and does not answer: ${MqError.from(caught).code}`;
    }
  }
}
