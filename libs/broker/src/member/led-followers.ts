/** Who follows in a term: by which stream, and what each has said last. Nothing is decided here. */
import type { FollowerStatus, FollowHello } from '@cometmq/client';
import type { LogPosition, MemberId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { LeadingParts } from './leading-parts.js';
import type { LedFollower } from './set-member.js';

interface Led {
  readonly session: number;
  readonly follower: LedFollower;
  readonly bootId: string;
  end: LogPosition;
  heardMs: number;
  /** When it last had all that was written. */
  caughtUpMs: number;
}

export class LedFollowers {
  private readonly led = new Map<MemberId, Led>();
  private readonly hellos = new Map<number, FollowHello>();
  private sessions = 0;
  /** Members that were told of as set up for another number of members. */
  private readonly toldOf = new Set<MemberId>();

  constructor(private readonly parts: Pick<LeadingParts, 'me' | 'store' | 'clock' | 'log' | 'limits'>) {}

  get members(): Iterable<MemberId> {
    return this.led.keys();
  }
  /** @param end what it has to have of the log */
  has(member: MemberId, end = 0 as LogPosition): boolean {
    return (this.led.get(member)?.end ?? -1) >= end;
  }
  addressesOf(counts: (member: MemberId) => boolean): string[] {
    return this.ofMost(counts).flatMap(({ address }) => (address === '' ? [] : [address]));
  }
  bootIdOf(member: MemberId): string {
    return this.led.get(member)?.bootId ?? '';
  }
  /** It has said something within so long. */
  hears(member: MemberId, withinMs: number): boolean {
    const led = this.led.get(member);
    return led !== undefined && this.nowMs - led.heardMs < withinMs;
  }
  /** Whether it has all that is written here. */
  hasAll(member: MemberId): boolean {
    return (this.led.get(member)?.end ?? -1) >= this.parts.store.appendEnd;
  }

  /** Those with the most first. */
  ofMost(counts: (member: MemberId) => boolean): { readonly member: MemberId; readonly address: string }[] {
    return [...this.led]
      .filter(([member]) => counts(member))
      .sort(([, a], [, b]) => b.end - a.end)
      .map(([member, { follower }]) => ({ member, address: follower.address }));
  }

  statuses(isInSync: (member: MemberId) => boolean): FollowerStatus[] {
    const { appendEnd } = this.parts.store;
    return [...this.led].map(([member, { end, caughtUpMs }]) => ({
      member,
      inSync: isInSync(member),
      lagBytes: Math.max(0, appendEnd - end),
      lagMs: end >= appendEnd ? 0 : Math.max(0, this.nowMs - caughtUpMs),
    }));
  }

  /** @returns its session. @throws MqError DATA_FOLDER, UNSUPPORTED where it can't follow here */
  admit(hello: FollowHello): number {
    const { store, me } = this.parts;
    if (hello.member === me) {
      throw new MqError('DATA_FOLDER', `${me} leads: another process has a copy of its data folder`);
    }
    if (hello.salt !== undefined && hello.salt !== store.salt) {
      throw new MqError('DATA_FOLDER', `the log of ${hello.member} is no copy of the one that this set has`);
    }
    if (hello.featureLevel < store.featureLevel) {
      throw new MqError('UNSUPPORTED', `${hello.member} can not read what ${me} writes: upgrade it first`);
    }
    this.compareSettings(hello);
    const session = (this.sessions += 1);
    // A member's newer stream says more than an older one, of which the end may be told to nobody.
    for (const [older, { member }] of this.hellos) if (member === hello.member) this.hellos.delete(older);
    this.hellos.set(session, hello);
    return session;
  }

  /** Once of each: who leads goes by its own setting, so the set's size would change with its leader. */
  private compareSettings({ member, membersWanted }: FollowHello): void {
    const { limits, log } = this.parts;
    if (membersWanted === 0 || membersWanted === limits.membersWanted) this.toldOf.delete(member);
    else if (!this.toldOf.has(member)) {
      this.toldOf.add(member);
      const facts = { member, wants: membersWanted, leaderWants: limits.membersWanted };
      log.warn(facts, 'members of the set differ in membersWanted: give all of them the same');
    }
  }

  /** Whether the member's stream is the one of this session. */
  isOf(member: MemberId, session: number): boolean {
    return this.hellos.get(session)?.member === member;
  }

  joined(member: MemberId, session: number, follower: LedFollower): void {
    const { nowMs } = this;
    const bootId = this.hellos.get(session)?.bootId ?? '';
    const end = 0 as LogPosition;
    this.led.set(member, { session, follower, bootId, end, heardMs: nowMs, caughtUpMs: nowMs });
  }

  /** @returns whether it has more than it had said before */
  acked(member: MemberId, session: number, end: LogPosition): boolean {
    const led = this.led.get(member);
    if (led?.session !== session) return false;
    led.heardMs = this.nowMs;
    if (end >= this.parts.store.replication.durableEnd) led.caughtUpMs = led.heardMs;
    if (end <= led.end) return false;
    led.end = end;
    return true;
  }

  /** @returns whether it followed by that stream */
  left(member: MemberId, session: number): boolean {
    this.hellos.delete(session);
    return this.led.get(member)?.session === session && this.led.delete(member);
  }

  private get nowMs(): number {
    return this.parts.clock.monotonicMs();
  }
}
