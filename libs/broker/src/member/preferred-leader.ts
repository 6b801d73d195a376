/**
 * The lead belongs to the place of a set that comes first by name: where leaders are, and so the load, is what it was laid out
 * to be. After a failover it goes back there in the planned way, once the set has been whole and quiet for a while. A lead that
 * somebody has given to another member, though that one was there, stays with it for longer.
 */
import type { MemberId } from '@cometmq/model';
import { failureFacts } from '@cometmq/shared';

import type { HandOvers } from './hand-overs.js';
import type { Leading } from './leading.js';
import type { MemberSelf } from './member-self.js';

export const preferredLimits = {
  /** So long nothing may have been missing, behind or about to leave. */
  quietMs: 300_000,
  /** And so long where the preferred member was there when another one was given the lead; also between two moves by one member. */
  chosenMs: 3_600_000,
};

export class PreferredLeader {
  /** The term that is looked at, and what was seen of the preferred member in it. */
  private seen: { readonly leading: Leading; readonly bootId: string; wasAway: boolean } | undefined;
  private quietSinceMs = 0;
  private movedMs = -Infinity;
  private busy = false;

  constructor(
    private readonly self: MemberSelf,
    private readonly handOvers: HandOvers,
    private readonly limits = preferredLimits,
  ) {}

  async look(): Promise<void> {
    const { self } = this;
    const { role } = self;
    const { clock, log, settings } = self.parts;
    if (this.busy || role.is !== 'leading' || !role.term) return;
    const { leading } = role;
    const { members } = leading.members;
    const to = firstByPlace(members);
    if (to === undefined || to === self.me) return;
    const nowMs = clock.monotonicMs();
    const isWhole = members.length >= settings.membersWanted && leading.isQuiet;
    if (!this.waited(leading, to, isWhole, nowMs)) return;
    this.quietSinceMs = nowMs; // Whatever comes of it.
    this.busy = true;
    try {
      if (!(await this.mayLead(to)) || self.role !== role) return;
      log.info({ to }, 'the lead goes back to the place that comes first');
      this.movedMs = nowMs;
      await this.handOvers.give(to);
    } catch (caught) {
      log.warn(failureFacts(caught), 'the lead could not be given back; trying again later');
    } finally {
      this.busy = false;
    }
  }

  private waited(leading: Leading, to: MemberId, isWhole: boolean, nowMs: number): boolean {
    const bootId = leading.bootIdOf(to);
    if (this.seen?.leading !== leading) {
      this.seen = { leading, bootId, wasAway: this.self.parts.failovers.last?.reason !== 'handedOver' };
      this.quietSinceMs = nowMs;
    }
    const { seen, limits } = this;
    seen.wasAway ||= bootId !== seen.bootId;
    if (!isWhole) this.quietSinceMs = nowMs;
    const waitMs = seen.wasAway ? limits.quietMs : limits.chosenMs;
    return nowMs - this.quietSinceMs >= waitMs && nowMs - this.movedMs >= limits.chosenMs;
  }

  /** It has room for messages, and reaches the registry: or the lead would be handed over again. */
  private async mayLead(member: MemberId): Promise<boolean> {
    const { peers, settings } = this.self.parts;
    const address = this.self.knowledge.addressOf(member);
    if (address === undefined) return false;
    const status = await peers
      .peer(address)
      .status(settings.brokerSet)
      .catch(() => undefined);
    const ageMs = status?.registryAgeMs ?? Infinity;
    return status?.diskFull === false && ageMs < settings.leaseMs;
  }
}

/** Of a place only one member belongs to a set. */
function firstByPlace(members: readonly MemberId[]): MemberId | undefined {
  const placeOf = (member: MemberId): string => member.slice(0, member.indexOf('/'));
  return members.reduce<MemberId | undefined>(
    (first, each) => (first === undefined || placeOf(each) < placeOf(first) ? each : first),
    undefined,
  );
}
