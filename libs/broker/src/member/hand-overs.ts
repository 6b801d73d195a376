/** The lead goes from one member to another by consent: asked for by a person, or before a member leaves. */
import { NotLeader } from '@cometmq/client';
import type { Epoch, MemberId } from '@cometmq/model';
import { isMember } from '@cometmq/replication';
import { type Clock, failureFacts, MqError, sleep } from '@cometmq/shared';

import type { Leading } from './leading.js';
import type { MemberMoves, MemberSelf } from './member-self.js';
import type { LeadingRole } from './roles.js';

/** How long a hand-over may take, in which calls are held. */
const handOverMsMax = 3_000;
/** How long is waited for a member to be out of the set. */
const removeMsMax = 5_000;
const lookAgainMs = 50;
/** A member that keeps up lacks the last of what is committed now and then: so long it is waited for. */
const inSyncMsMax = 500;

export class HandOvers {
  /** Who handed over, and waits for this member to lead. */
  private readonly waiting: { readonly resolve: () => void; readonly reject: (error: MqError) => void }[] = [];

  constructor(
    private readonly self: MemberSelf,
    private readonly moves: Pick<MemberMoves, 'stand'>,
  ) {}

  /**
   * Asked by the leader, while it still serves: whom this member will ask is asked for something harmless now, so that the
   * connections are there when calls are held, and it is known that the registry can be reached from here.
   */
  async prepare(epoch: Epoch): Promise<void> {
    const { self } = this;
    const { peers, registry, settings } = self.parts;
    this.checkFollows(epoch);
    const others = self.otherAddresses().map((address) => peers.peer(address).status(settings.brokerSet));
    await Promise.all([registry.readSet(settings.brokerSet), Promise.allSettled(others)]);
    this.checkFollows(epoch);
  }

  /** Asked by the leader: stands at once. Resolves when it leads. */
  async take(epoch: Epoch): Promise<void> {
    const { self } = this;
    this.checkFollows(epoch);
    const leads = new Promise<void>((resolve, reject) => this.waiting.push({ resolve, reject }));
    this.moves.stand(self.turn.step('handedOver'));
    if (this.isFollowing()) this.refuse(new MqError('CONFLICT', 'this member may not stand for the lead now'));
    await leads;
  }

  /** This member leads. */
  taken(): void {
    for (const { resolve } of this.waiting.splice(0)) resolve();
  }
  /** It does not, after all. */
  refuse(why: MqError): void {
    for (const { reject } of this.waiting.splice(0)) reject(why);
  }

  /**
   * Has another member take over, by this one's consent: nothing is decided meanwhile, and nothing is lost.
   * @throws MqError CONFLICT where it does not lead, or no member is in sync; TIMEOUT: it goes on leading
   */
  async give(to?: MemberId): Promise<void> {
    const { self } = this;
    const { role } = self;
    if (role.is !== 'leading' || !role.term) throw this.notLeader();
    const { leading, term } = role;
    const { clock, peers, settings, log } = self.parts;
    const successor = await this.readySuccessor(role, to);
    const endMs = clock.monotonicMs() + handOverMsMax;
    log.info({ to: successor.member }, 'the lead is handed over');
    term.hold();
    let leads = false;
    try {
      while (!leading.hasAll(successor.member)) {
        if (clock.monotonicMs() > endMs) throw new MqError('TIMEOUT', `${successor.member} does not catch up`);
        if (!leading.isHeard(successor.member)) throw new MqError('CONFLICT', `${successor.member} has gone away`);
        await sleep(clock, 2);
        if (self.role !== role) break;
      }
      if (self.role === role) {
        const given = peers.peer(successor.address).handOver(settings.brokerSet, leading.epoch);
        leads = await within(clock, endMs, given);
      }
    } catch (caught) {
      if (self.role === role) {
        term.release();
        throw MqError.from(caught);
      }
    }
    if (self.role === role) {
      term.release();
      throw new MqError('TIMEOUT', `${successor.member} has not taken over`);
    }
    // Its consent ended this term; who waits is told where to go on, at once where that one has said that it leads: this member
    // itself may take long until it follows.
    while (!leads && !self.attachedTo && self.role.is !== 'failed' && clock.monotonicMs() < endMs)
      await sleep(clock, 2);
    term.refuseHeld(new NotLeader(`${successor.member} has taken over the lead`, self.knownLeader));
  }

  /** The best one that may be asked, and is ready. Nothing waits meanwhile. */
  private async readySuccessor(
    role: LeadingRole,
    to: MemberId | undefined,
  ): Promise<{ readonly member: MemberId; readonly address: string }> {
    const { peers, settings, log, clock } = this.self.parts;
    const { leading } = role;
    let whyNot: MqError | undefined;
    for (const endMs = clock.monotonicMs() + inSyncMsMax; ; await sleep(clock, 5)) {
      for (const successor of await this.asked(leading, to)) {
        whyNot = undefined;
        try {
          await peers.peer(successor.address).prepareHandOver(settings.brokerSet, leading.epoch);
        } catch (caught) {
          whyNot = MqError.from(caught);
        }
        if (this.self.role !== role) throw this.notLeader();
        if (!whyNot || whyNot.code === 'UNSUPPORTED') return successor; // Of an earlier release.
        log.warn({ to: successor.member, ...failureFacts(whyNot) }, 'a member is not ready to take over the lead');
      }
      if (this.self.role !== role) throw this.notLeader();
      const others = to === undefined ? leading.members.members : [to];
      const mayCome = others.some((member) => isMember(leading.members, member) && leading.isHeard(member));
      if (whyNot || !mayCome || clock.monotonicMs() > endMs) break;
    }
    const who = to === undefined ? 'no other member of the set is' : `${to} is not`;
    throw whyNot ?? new MqError('CONFLICT', to === this.self.me ? `${to} leads already` : `${who} in sync`);
  }

  /** Whom to ask, in this order. Where none is named those that take messages come first: one that takes none only where it must. */
  private async asked(
    { successors }: Leading,
    to: MemberId | undefined,
  ): Promise<readonly { readonly member: MemberId; readonly address: string }[]> {
    if (to !== undefined) return successors.filter(({ member }) => member === to);
    const { peers, settings } = this.self.parts;
    const asked = successors.map(async (successor) => {
      const status = await peers
        .peer(successor.address)
        .status(settings.brokerSet)
        .catch(() => undefined);
      return { successor, takesNone: status?.diskFull === true };
    });
    const all = await Promise.all(asked);
    return all.sort((a, b) => Number(a.takesNone) - Number(b.takesNone)).map(({ successor }) => successor);
  }

  /** An operator wants a member out of the set whose volume is lost. */
  async remove(member: MemberId): Promise<void> {
    const { self } = this;
    const { role } = self;
    const { clock } = self.parts;
    if (role.is !== 'leading') throw this.notLeader();
    const { leading } = role;
    if (member === self.me) {
      throw new MqError('CONFLICT', `${member} leads: let another one lead before it is removed`);
    }
    if (!isMember(leading.members, member)) throw new MqError('NOT_FOUND', `${member} is no member of the set`);
    leading.remove(member);
    const endMs = clock.monotonicMs() + removeMsMax;
    while (isMember(leading.members, member)) {
      if (self.role !== role) throw this.notLeader();
      if (clock.monotonicMs() > endMs) {
        throw new MqError(
          'TIMEOUT',
          'those that stay have not all that is committed yet; it is removed when they have',
        );
      }
      await sleep(clock, lookAgainMs);
    }
  }

  /** Whether the set can do without it now: why not, in words. */
  mayLeave(member: MemberId): string | undefined {
    const { role } = this.self;
    if (role.is !== 'leading' || !role.term) throw this.notLeader();
    return role.leading.mayLeave(member);
  }

  private checkFollows(epoch: Epoch): void {
    if (this.isFollowing() && this.self.attachedTo?.epoch === epoch && !this.self.stopped) return;
    throw new MqError('CONFLICT', `this member does not follow a leader of epoch ${epoch}`);
  }

  private isFollowing(): boolean {
    return this.self.role.is === 'following';
  }

  private notLeader(): NotLeader {
    const { role, knownLeader } = this.self;
    return new NotLeader('this member does not lead', role.is === 'leading' ? undefined : knownLeader);
  }
}

/** @returns whether it was done by then */
async function within(clock: Clock, endMs: number, done: Promise<unknown>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = clock.after(Math.max(0, endMs - clock.monotonicMs()), () => late.resolve(false));
  try {
    return await Promise.race([done.then(() => true), late.promise]);
  } finally {
    timer.cancel();
  }
}
