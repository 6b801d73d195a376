/**
 * What must hold all along, looked at after every step, and known only to who sees all members at once:
 * an epoch has one leader; what is committed lies synced on the disks of a write quorum at that moment; and below its commit
 * position every member's log says the same, now and for ever.
 */
import type { BrokerService } from '@cometmq/broker';
import type { MemoryDisk } from '@cometmq/store/testing';

import type { Flips } from './flips.js';
import { logBytes, rangeOf, segmentAt } from './log-bytes.js';

/** What is looked at of a member. */
export interface AuditedMember {
  readonly place: string;
  readonly disk: MemoryDisk;
  /** Undefined: it is down. */
  readonly broker: BrokerService | undefined;
}

/** What is known of one process of a member. */
interface Seen {
  readonly broker: AuditedMember['broker'];
  /** Compared up to here. */
  end: number;
}

export class Audit {
  readonly wrong: string[] = [];
  /** All that was ever committed, by position. */
  private committed = Buffer.alloc(64 * 1024);
  private end = 0;
  /** Commits that were looked at. */
  commits = 0;
  private readonly leaders = new Map<number, string>();
  private readonly seen = new Map<AuditedMember, Seen>();

  constructor(
    private readonly members: readonly AuditedMember[],
    /** Bits that are wrong on a disk since a fault turned them. */
    private readonly flips: Flips,
  ) {}

  look(): void {
    for (const member of this.members) {
      const { broker } = member;
      const leading = broker?.member.leading;
      if (!broker) continue;
      if (leading) {
        if (!leading.isOver) this.leads(member.place, leading.epoch);
        // One that stops still answers what it has committed.
        if (broker.store.commitEnd > this.end) this.commit(member, broker.store.commitEnd, leading.members);
      }
      this.compare(member);
    }
  }

  /** Who has led so far. */
  get epochs(): number {
    return this.leaders.size;
  }
  /** Up to where is committed. */
  get committedEnd(): number {
    return this.end;
  }
  /** What was committed between the two. */
  bytesOf(from: number, end: number): Buffer {
    return this.committed.subarray(from, end);
  }
  /** Whether these bytes were committed behind `from`. */
  holds(bytes: string, from: number): boolean {
    return this.committed.subarray(from, this.end).includes(bytes);
  }

  /** How often these bytes were committed. */
  copiesOf(bytes: string): number {
    const committed = this.committed.subarray(0, this.end);
    let found = 0;
    for (let at = committed.indexOf(bytes); at >= 0; at = committed.indexOf(bytes, at + 1)) found += 1;
    return found;
  }

  private leads(place: string, epoch: number): void {
    const known = this.leaders.get(epoch);
    if (known === undefined) this.leaders.set(epoch, place);
    else if (known !== place) this.wrong.push(`${place} and ${known} lead in epoch ${epoch}`);
  }

  /** Some quorum has the same bytes, synced. */
  private commit(
    leader: AuditedMember,
    end: number,
    rule: { readonly members: readonly string[]; readonly quorum: number },
  ): void {
    this.commits += 1;
    const counted = this.members.filter(({ place }) => rule.members.some((member) => member.startsWith(`${place}/`)));
    const copies = counted.map(({ disk }) => logBytes(disk, this.end, end, 'synced'));
    const agreed = copies.find(
      (copy) => copy !== undefined && copies.filter((other) => other?.equals(copy)).length >= rule.quorum,
    );
    if (agreed === undefined) {
      const has = copies.map((copy, i) => `${counted[i]?.place} ${copy ? describe(copy) : 'nothing'}`).join(', ');
      const range = `${this.end} to ${end}`;
      this.wrong.push(`${leader.place} committed ${range}, which is not synced on ${rule.quorum} members: ${has}`);
    }
    const bytes = agreed ?? logBytes(leader.disk, this.end, end, 'seen');
    if (bytes) this.keep(bytes);
    this.end = end;
  }

  private keep(bytes: Buffer): void {
    const end = this.end + bytes.byteLength;
    if (end > this.committed.byteLength) {
      const larger = Buffer.alloc(Math.max(end, 2 * this.committed.byteLength));
      this.committed.copy(larger, 0, 0, this.end);
      this.committed = larger;
    }
    this.committed.set(bytes, this.end);
  }

  /** What a member takes for committed is what was committed. */
  private compare(member: AuditedMember): void {
    const { broker, disk } = member;
    if (!broker) return;
    let seen = this.seen.get(member);
    if (seen?.broker !== broker) this.seen.set(member, (seen = { broker, end: 0 }));
    const { store } = broker;
    const end = Math.min(store.commitEnd, store.replication.durableEnd, this.end);
    if (end <= seen.end) return;
    for (let from = seen.end; from < end;) {
      const segment = segmentAt(disk, from, end);
      const bytes = segment && rangeOf(disk, segment.first, from, segment.to, 'seen');
      const wanted = this.committed.subarray(from, segment?.to);
      if (bytes && !bytes.equals(wanted) && !this.flips.explain(member, from, bytes, wanted)) {
        this.wrong.push(`${member.place} has other bytes than were committed between ${from} and ${segment.to}`);
      }
      from = segment?.to ?? end;
    }
    seen.end = end;
  }
}

const describe = (bytes: Buffer): string =>
  bytes.every((byte) => byte === 0) ? 'zeros' : `${bytes.byteLength} bytes, ${bytes.subarray(0, 8).toString('hex')}…`;
