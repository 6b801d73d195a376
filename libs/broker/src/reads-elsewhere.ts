import type { LogPosition } from '@cometmq/model';
import type { Candidate, StorePorts } from '@cometmq/store';

/** What is used of the store. */
type Store = Pick<StorePorts, 'appendEnd' | 'payloadInMemory'>;

/** Addresses of members that have the log up to `end`, beside the leader. */
export type MembersWith = (end: LogPosition) => readonly string[];

const none: readonly string[] = [];

/**
 * Which messages the leader leaves to other members to read: those far behind the end of its log, that it would have to
 * fetch from its disk, beside the writing, and put into memory in place of what is new. What it decided stands either way.
 */
export class ReadsElsewhere {
  constructor(
    private readonly store: Store,
    private readonly membersWith: MembersWith,
    /** How far behind the end, in bytes of the log; 0: none is left to others. */
    private readonly behindBytes: number,
  ) {}

  /** Who may read these, all of them; none: this member does. */
  membersFor(messages: readonly Candidate[]): readonly string[] {
    if (this.behindBytes === 0) return none;
    const farEnd = this.store.appendEnd - this.behindBytes;
    let end = 0;
    for (const { position, size } of messages) {
      if (position + size > farEnd || size === 0) return none; // One of no size stands for one that was lost.
      end = Math.max(end, position + size);
    }
    const [first] = messages;
    if (!first || this.store.payloadInMemory(first.position, first.size)) return none;
    return this.membersWith(end as LogPosition);
  }
}
