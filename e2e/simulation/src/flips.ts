/**
 * Bits that flip on a disk, below the commit position and while all other members have the same bytes whole. Whoever reads
 * them has to notice, nobody may be given them, and they have to be made anew of what another member has.
 */
import type { Prng } from '@cometmq/shared';
import { RecordBlock } from '@cometmq/store';
import type { MemoryDisk } from '@cometmq/store/testing';

import { flipBit, rangeOf, segmentAt, syncedBytes } from './log-bytes.js';

/** On whose disk bits flip. */
interface FlippedMember {
  readonly place: string;
  readonly disk: MemoryDisk;
}

interface Flip {
  readonly member: FlippedMember;
  /** In the log. */
  readonly position: number;
  readonly mask: number;
}

/** What is known to be committed. */
interface Committed {
  readonly committedEnd: number;
  bytesOf(from: number, end: number): Buffer;
}

/** The newest bytes, which lie in the segment that is being written. */
const newestBytes = 16 * 1024;

export class Flips {
  private all: Flip[] = [];

  constructor(private readonly members: readonly FlippedMember[]) {}

  /** False: it can't be now, as another member may be the only one that has what would be damaged. */
  flip(member: FlippedMember, committed: Committed, chance: Prng): boolean {
    this.forgetMended(committed);
    const end = committed.committedEnd;
    if (end === 0 || this.members.length === 1 || this.all.some((flip) => flip.member !== member)) return false;
    const at = chance.below(2) === 0 ? chance.below(end) : Math.max(0, end - 1 - chance.below(newestBytes));
    const segment = segmentAt(member.disk, at, end);
    if (!segment) return false;
    const { first, to } = segment;
    const wanted = committed.bytesOf(first, to);
    const wholeBytes = Math.min(...this.members.map(({ disk }) => sameBytes(disk, segment, wanted)));
    if (wholeBytes === 0) return false;
    const records = new RecordBlock(wanted);
    let happened = false;
    for (let count = 1 + chance.below(3); count > 0; count -= 1) {
      // Of a record that all have.
      let from = 0;
      const upTo = chance.below(wholeBytes);
      while (from + records.sizeAt(from) <= upTo) from += records.sizeAt(from);
      const size = records.sizeAt(from);
      const position = first + from + chance.below(size);
      if (from + size > wholeBytes || this.all.some((flip) => flip.position === position)) continue;
      const mask = 1 << chance.below(8);
      flipBit(member.disk, first, position, mask);
      this.all.push({ member, position, mask });
      happened = true;
    }
    return happened;
  }

  /** Who has bits on its disk that are wrong. */
  damaged(committed: Committed): FlippedMember | undefined {
    this.forgetMended(committed);
    return this.all[0]?.member;
  }
  isDamaged(member: FlippedMember): boolean {
    return this.all.some((flip) => flip.member === member);
  }

  /** Whether they all lie in the segment that is being written, which nobody looks at before it is read. */
  areNewest({ disk }: FlippedMember): boolean {
    return this.all.every(({ position }) => segmentAt(disk, position, Infinity)?.to === Infinity);
  }
  /** For people. */
  says(): string {
    return this.all.map(({ member, position, mask }) => `${member.place} ${position} ^ ${mask}`).join(', ');
  }

  /**
   * It has copied another one's files. What of them was damaged there is damaged here, too, and it knows that: it asks the others
   * for it.
   */
  tookSnapshot(member: FlippedMember, committed: Committed): void {
    this.forgetMended(committed);
    for (const { member: of, position, mask } of [...this.all]) {
      if (of === member || this.all.some((flip) => flip.member === member && flip.position === position)) continue;
      const segment = segmentAt(member.disk, position, position + 1);
      const here = segment && rangeOf(member.disk, segment.first, position, position + 1, 'seen')?.[0];
      const wanted = committed.bytesOf(position, position + 1)[0] ?? 0;
      if (here === (wanted ^ mask)) this.all.push({ member, position, mask });
    }
  }

  /** Whether bytes of a disk differ from what was committed by nothing but what was flipped there. */
  explain(member: FlippedMember, from: number, bytes: Buffer, wanted: Buffer): boolean {
    const mended = Buffer.from(bytes);
    for (const flip of this.all) {
      const at = flip.position - from;
      const byte = flip.member === member ? mended[at] : undefined;
      if (byte !== undefined && byte !== wanted[at]) mended[at] = byte ^ flip.mask;
    }
    return mended.equals(wanted);
  }

  /** A file that was made anew, or is gone, has none of it. */
  private forgetMended(committed: Committed): void {
    this.all = this.all.filter(({ member: { disk }, position }) => {
      const segment = segmentAt(disk, position, position + 1);
      const bytes = segment && rangeOf(disk, segment.first, position, position + 1, 'seen');
      return bytes && !bytes.equals(committed.bytesOf(position, position + 1));
    });
  }
}

/** How many bytes of this segment no power cut takes from the disk any more, and are those that were committed. */
function sameBytes(disk: FlippedMember['disk'], { first, to }: { first: number; to: number }, wanted: Buffer): number {
  if (segmentAt(disk, first, to)?.first !== first) return 0;
  const bytes = syncedBytes(disk, first);
  if (!bytes) return 0;
  const both = Math.min(bytes.byteLength, wanted.byteLength);
  if (bytes.subarray(0, both).equals(wanted.subarray(0, both))) return both;
  let same = 0;
  while (same < both && bytes[same] === wanted[same]) same += 1;
  return same;
}
