/**
 * Who gets a place, and whose it was: so many in all, so many for an address, so many new ones a second, and no more than
 * the process may have. When all places are taken, the address that has the most gives one up, if the newcomer's would still have fewer.
 */
import type { SocketPlaces } from '@cometmq/shared';

import type { AddressBook, Member, PeerAddress } from './address-book.js';

/** Why a connection was closed as soon as it was made. */
export const refusalReasons = ['full', 'address', 'rate', 'stopping'] as const;
export type RefusalReason = (typeof refusalReasons)[number];

export interface AdmissionLimits {
  readonly connectionsMax: number;
  readonly addressConnectionsMax: number;
}

/** Members that make room at the same time. */
const displacedMax = 256;
/** The same where it is the process that has no place left: they keep theirs until they are gone. */
const displacedOfProcessMax = 32;

export class Admission {
  /** They make room and are not gone yet. */
  private readonly displaced = new Set<Member>();
  private taken = 0;

  constructor(
    private readonly limits: AdmissionLimits,
    private readonly addresses: AddressBook,
    private readonly places: SocketPlaces,
  ) {}

  /** @param address undefined while a balancer has not said for whom it speaks */
  refusal(address: PeerAddress | undefined, nowMs: number): RefusalReason | undefined {
    const ofAddress = address && this.refusalOf(address, nowMs);
    if (ofAddress !== undefined) return ofAddress;
    const free = this.taken - this.displaced.size < this.limits.connectionsMax;
    if (this.places.full()) {
      return this.displaced.size < displacedOfProcessMax && this.makeRoom(address) ? undefined : 'full';
    }
    return free || this.makeRoom(address) ? undefined : 'full';
  }

  refusalOf(address: PeerAddress, nowMs: number): RefusalReason | undefined {
    if (address.connections >= this.limits.addressConnectionsMax) return 'address';
    return address.admissions.spend(1, nowMs) ? undefined : 'rate';
  }

  /** A socket has a place, whatever becomes of it. */
  enter(): void {
    this.taken += 1;
    this.places.take();
  }

  leave(member: Member): void {
    this.taken -= 1;
    this.places.give();
    this.displaced.delete(member);
  }

  private makeRoom(newcomer: PeerAddress | undefined): boolean {
    if (this.displaced.size >= displacedMax) return false;
    const heaviest = this.addresses.heaviest();
    if (heaviest === undefined || heaviest.connections <= (newcomer?.connections ?? 0) + 1) return false;
    const member = heaviest.leastMissed();
    if (member === undefined) return false;
    heaviest.members.delete(member);
    this.displaced.add(member);
    member.displace(); // Some are gone with this, and have left.
    return true;
  }
}
