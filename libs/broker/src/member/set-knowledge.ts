import type { Heartbeat, KnownLeader, SetReading } from '@cometmq/client';
import type { Epoch, MemberId, SetState } from '@cometmq/model';

/** Where a member looks for its leader. */
export interface LeaderAt {
  readonly member: MemberId;
  readonly address: string;
  readonly epoch: Epoch;
}

/**
 * What a member has heard of its set, from whomever: of two states the one with the higher epoch is right, of two of one
 * epoch the one with the higher revision. Revisions alone say nothing across stores: metadata that was lost and brought back
 * counts from the beginning, under an epoch above all that were. It never decides anything; it says where to ask.
 */
export class SetKnowledge {
  /** The highest epoch that anybody has spoken of. */
  heard: Epoch;
  private known: SetState | undefined;
  private readonly addresses = new Map<MemberId, string>();
  /** Not confirmed by the set's state: a candidate that was promised an epoch, or the word of another member. */
  private hint: LeaderAt | undefined;

  constructor(state: SetState | undefined, heard: Epoch) {
    this.known = state;
    this.heard = heard;
  }

  get state(): SetState | undefined {
    return this.known;
  }

  hear(epoch: Epoch): void {
    if (epoch > this.heard) this.heard = epoch;
  }

  /** @returns whether this is news */
  saw(state: SetState): boolean {
    this.hear(state.epoch);
    const { known } = this;
    if (known && (state.epoch < known.epoch || (state.epoch === known.epoch && state.revision <= known.revision))) {
      return false;
    }
    this.known = state;
    return true;
  }

  read({ present }: SetReading): void {
    for (const { member, address } of present) this.addresses.set(member, address);
  }

  heartbeat({ state, addresses }: Heartbeat): void {
    this.saw(state);
    for (const { member, address } of addresses) this.addresses.set(member, address);
  }

  addressOf(member: MemberId): string | undefined {
    return this.addresses.get(member);
  }
  setAddress(member: MemberId, address: string): void {
    this.addresses.set(member, address);
  }

  /** Somebody may lead. */
  told(leader: LeaderAt): void {
    this.hear(leader.epoch);
    if (!this.hint || leader.epoch >= this.hint.epoch) this.hint = leader;
    this.addresses.set(leader.member, leader.address);
  }

  /** It does not, after all. */
  forgetHint(member: MemberId): void {
    if (this.hint?.member === member) this.hint = undefined;
  }

  /** Who may be the leader, the likeliest first. */
  leaders(except: MemberId): LeaderAt[] {
    const found: LeaderAt[] = [];
    if (this.hint && this.hint.member !== except) found.push(this.hint);
    const { known } = this;
    if (!known || known.leader === except) return found;
    const address = this.addresses.get(known.leader);
    if (address === undefined || found.some(({ member }) => member === known.leader)) return found;
    const confirmed = { member: known.leader, address, epoch: known.epoch };
    return known.epoch >= (this.hint?.epoch ?? 0) ? [confirmed, ...found] : [...found, confirmed];
  }
}

export function asKnownLeader({ member, address, epoch }: LeaderAt): KnownLeader {
  return { member, address, epoch };
}
