/** A member that is told to stop: it stays until its set can do without it, and hands over first. */
import type { StopReason } from '@cometmq/client';
import { failureFacts, MqError, sleep } from '@cometmq/shared';

import type { HandOvers } from './hand-overs.js';
import type { MemberSelf } from './member-self.js';

/** How often it asks whether it may. */
const askLeaveMs = 200;
/** How often it asks why it is told to stop. */
const askReasonMs = 1_000;
/** So long it may take to lead, where it stands when it is told to stop. */
const settleMsMax = 2_000;
const settleLookMs = 10;

export class Leaving {
  constructor(
    private readonly self: MemberSelf,
    private readonly handOvers: HandOvers,
  ) {}

  /**
   * Hands the lead over, where it has it and somebody can take it. Before that it stays until its set can do without it, or,
   * where its set leaves the cluster, until nobody needs the set any more; how long is bounded for each reason.
   */
  async prepare(): Promise<void> {
    const { self } = this;
    const { log } = self.parts;
    if (!self.isOpened) return; // Its set is without it already.
    await this.awaitTurn();
    await this.settled();
    const { role } = self;
    if (role.is !== 'leading' || !role.term || role.leading.successors.length === 0) return;
    await this.handOvers.give().catch((caught: unknown) => {
      log.warn(failureFacts(caught), 'the lead could not be handed over');
    });
  }

  /** Who was promised an epoch keeps all others waiting: it takes the lead first where it can, or nobody leads for a while. */
  private async settled(): Promise<void> {
    const { self } = this;
    const { clock } = self.parts;
    const endMs = clock.monotonicMs() + settleMsMax;
    const isSettling = ({ role } = self): boolean => role.is === 'standing' || (role.is === 'leading' && !role.term);
    while (isSettling() && clock.monotonicMs() < endMs) await sleep(clock, settleLookMs);
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
  private async awaitTurn(): Promise<void> {
    const { self } = this;
    const { clock, log, settings, stopReason } = self.parts;
    const waitMs = { stopped: 0, restart: settings.restartWaitMs, scaledIn: settings.scaleInWaitMs };
    let [reason, askedMs, why, sinceMs] = ['restart' as StopReason, -Infinity, '', clock.monotonicMs()];
    for (; ; await sleep(clock, askLeaveMs)) {
      // It may change meanwhile: a set that is scaled in may be wanted again before it has left.
      if (clock.monotonicMs() - askedMs >= askReasonMs) {
        [reason, askedMs] = [await stopReason(), clock.monotonicMs()];
      }
      if (self.role.is === 'failed' || waitMs[reason] === 0) return;
      if (reason === 'restart' && this.isNoLoss) return;
      const whyNot = reason === 'restart' ? await this.whyStay() : this.whyHeld();
      if (whyNot === undefined) {
        if (reason !== 'restart' || self.role.is !== 'leading') return;
        await this.handOvers.give().catch((caught: unknown) => log.debug(failureFacts(caught), 'no hand-over yet'));
        continue;
      }
      if (whyNot !== why) {
        log.info({ why: whyNot, reason }, 'the broker is told to stop and goes on serving');
        [why, sinceMs] = [whyNot, clock.monotonicMs()];
      }
      if (clock.monotonicMs() - sinceMs >= waitMs[reason]) break;
    }
    log.warn({ why, reason }, 'the broker stops although it is needed: it has waited for long enough');
  }

  /** It is alone by its settings, or its set goes on without it already. */
  private get isNoLoss(): boolean {
    const { me, knowledge, parts } = this.self;
    const { members = [] } = knowledge.state ?? {};
    return parts.settings.membersWanted === 1 || members.length === 0 || (members.length === 1 && members[0] !== me);
  }

  /** Undefined: its set has left the cluster. */
  private whyHeld(): string | undefined {
    return this.self.parts.isRemoved() ? undefined : 'its set is scaled in, and still in the routes: it holds messages';
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
