/**
 * A leader whose disk is full takes no messages, while another member may have room: then that one had better lead. The lead is
 * handed over in the planned way, to a member that is in sync and says that its disk takes messages; where there is none, this
 * one goes on, and refuses new messages until space comes free.
 */
import type { MemberId } from '@cometmq/model';
import { failureFacts, sleep } from '@cometmq/shared';

import type { HandOvers } from './hand-overs.js';
import type { MemberSelf } from './member-self.js';

/** Where all disks are nearly full, the lead does not go round. */
const againMs = 5_000;
/** So long a member may take to acknowledge the last of what is written. */
const ackMsMax = 300;
const lookAgainMs = 5;

export class FullDisk {
  private looking: Promise<void> | undefined;
  private lookedMs = -Infinity;

  constructor(
    private readonly self: MemberSelf,
    private readonly handOvers: HandOvers,
  ) {}

  /** Resolves when another one leads, or it is known that none can. */
  look(): Promise<void> {
    const { role, parts } = this.self;
    const nowMs = parts.clock.monotonicMs();
    if (role.is !== 'leading' || !role.term || parts.writable() || nowMs - this.lookedMs < againMs) {
      return this.looking ?? Promise.resolve();
    }
    this.lookedMs = nowMs;
    this.looking ??= this.leave().finally(() => (this.looking = undefined));
    return this.looking;
  }

  private async leave(): Promise<void> {
    const { self } = this;
    const { role } = self;
    const { log, writable } = self.parts;
    try {
      const to = await this.whoHasRoom();
      if (to === undefined || self.role !== role || writable()) return;
      log.warn({ to }, 'the disk is full, and another member has room: it is to lead');
      await this.handOvers.give(to);
    } catch (caught) {
      log.warn(failureFacts(caught), 'the lead could not be handed over; trying again');
    }
  }

  /** Who acknowledges what was written until now has had room for it; what comes meanwhile is waited for by the hand-over. */
  private async whoHasRoom(): Promise<MemberId | undefined> {
    const { peers, settings, store, clock } = this.self.parts;
    const { leading } = this.self;
    const end = store.appendEnd;
    const untilMs = clock.monotonicMs() + ackMsMax;
    for (const { member, address } of leading?.successors ?? []) {
      const status = await peers
        .peer(address)
        .status(settings.brokerSet)
        .catch(() => undefined);
      if (status?.diskFull !== false) continue;
      while (leading?.has(member, end) === false && clock.monotonicMs() < untilMs) await sleep(clock, lookAgainMs);
      if (leading?.has(member, end) === true) return member;
    }
    return undefined;
  }
}
