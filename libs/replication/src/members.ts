/**
 * Who belongs to a broker set, and whose word is enough.
 *
 *   S, W      the members and how many of them must have a record for it to be committed
 *   promises  |S| − W + 1 members have, between them, every committed record
 */
import type { MemberId, SetRule, SetState } from '@cometmq/model';

/** Alone one is enough, two are both needed, of more it is the majority. */
export function ruleOf(members: readonly MemberId[]): SetRule {
  const ordered = [...members].sort();
  return { members: ordered, quorum: Math.floor(ordered.length / 2) + 1 };
}

export function isMember(rule: SetRule, member: MemberId): boolean {
  return rule.members.includes(member);
}

/** How many promises, one's own included, hold everything that was committed under the rule. */
export function promisesNeeded({ members, quorum }: SetRule): number {
  return members.length - quorum + 1;
}

/** What holds after `leader` has taken the set over: two become one, whose copy then is the only one that counts. */
export function ruleAfterTakeOver(set: SetState, leader: MemberId): SetRule {
  if (set.members.length === 2 && set.leader !== leader) return ruleOf([leader]);
  return { members: set.members, quorum: set.quorum };
}

export function withMember({ members }: SetRule, member: MemberId): SetRule {
  return ruleOf([...members, member]);
}

export function withoutMember({ members }: SetRule, member: MemberId): SetRule {
  return ruleOf(members.filter((each) => each !== member));
}
