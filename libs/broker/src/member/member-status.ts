import type { MemberStatus } from '@cometmq/client';
import { memberId } from '@cometmq/model';
import { isMember } from '@cometmq/replication';

import type { MemberSelf } from './member-self.js';
import { statusWords } from './status-words.js';

/** How it stands with a member and its set. `still`: why nobody may stand for the lead; `readMs`: when the registry was read last. */
export function memberStatus(self: MemberSelf, still: string | undefined, readMs: number): MemberStatus {
  const { store, settings, clock, writable, failovers } = self.parts;
  const { role, knowledge, leading, knownLeader: leader } = self;
  const me = self.isOpened ? self.me : undefined;
  return {
    brokerSet: settings.brokerSet,
    member: me ?? memberId(`${settings.place}/?`),
    role: role.is,
    says: statusWords({
      role: role.is,
      failed: role.is === 'failed' ? role.why.reason : undefined,
      copying: self.copying,
      still,
      protection: leading?.protection,
      begun: role.is === 'leading' && role.term !== undefined,
      attached: role.is === 'following' && role.stream?.attached === true,
      isMember: knowledge.state === undefined || me === undefined || isMember(knowledge.state, me),
      noLeaderMs: clock.monotonicMs() - self.noLeaderSinceMs,
      leader: leader?.member ?? knowledge.state?.leader,
      members: knowledge.state?.members ?? [],
      missing: leading
        ? leading.members.members.filter((one) => one !== me && !(leading.isInSync(one) && leading.isHeard(one)))
        : [],
    }),
    epoch: leading?.epoch ?? store.epoch,
    leader: leader && memberId(leader.member),
    appendEnd: store.appendEnd,
    durableEnd: store.replication.durableEnd,
    commitEnd: store.commitEnd,
    state: leading?.members ?? knowledge.state,
    followers: leading?.followers() ?? [],
    lastFailover: failovers.last,
    failovers: failovers.all,
    registryAgeMs: Number.isFinite(readMs) ? clock.monotonicMs() - readMs : undefined,
    diskFull: !writable(),
    membersWanted: settings.membersWanted,
    stalled: role.is === 'leading' && (role.term === undefined || leading?.serves === false),
  };
}
