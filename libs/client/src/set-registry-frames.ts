import type { internal } from '@cometmq/proto';
import { memberId, type Epoch, type LogPosition, type SetState, type StandReason } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { BeyondElection } from './set-admin.js';
import type {
  FormerMember,
  KeptLead,
  MemberClaim,
  PresentMember,
  SetReading,
  WantedLead,
  WantedMembers,
} from './set-registry.js';

/** The words of `SetRegistry` on the wire and back, for both ends. */
export const setRegistryServiceName = 'cometmq.v1.SetRegistryService';
export const setRegistryPath = (method: string): string => `/${setRegistryServiceName}/${method}`;

const reasons: readonly StandReason[] = ['start', 'closed', 'silent', 'handedOver'];

export function memberClaimToWire(claim: MemberClaim): internal.MemberClaim {
  const { log } = claim;
  return { ...claim, log: log && { epoch: log.epoch, end: log.end, metadata: log.metadata } };
}

export function memberClaimFromWire(wire: internal.MemberClaim | undefined): MemberClaim {
  const { log, member, ...rest } = whole(wire);
  const claim = { ...rest, member: memberId(member) };
  if (!log) return claim;
  const { metadata } = log;
  const tail = { epoch: log.epoch as Epoch, end: log.end as LogPosition };
  return { ...claim, log: metadata ? { ...tail, metadata } : tail };
}

export function wantedLeadToWire(claim: MemberClaim, wanted: WantedLead): internal.AcquireLeadershipRequest {
  const { rule, ...rest } = wanted;
  const { members, quorum } = rule;
  return {
    ...rest,
    claim: memberClaimToWire(claim),
    members: [...members],
    quorum,
    commitEnd: wanted.commitEnd,
  };
}

export function wantedLeadFromWire(wire: internal.AcquireLeadershipRequest): WantedLead {
  const { epoch, members, quorum, revision, commitEnd } = wire;
  const reason = reasons.find((known) => known === wire.reason);
  if (!reason) throw new MqError('BAD_REQUEST', `the reason to stand must be one of ${reasons.join(', ')}`);
  const rule = { members: members.map(memberId), quorum };
  const wanted = { epoch: epoch as Epoch, rule, revision, reason };
  return commitEnd === undefined ? wanted : { ...wanted, commitEnd: commitEnd as LogPosition };
}

export function keptLeadToWire(claim: MemberClaim, kept: KeptLead): internal.RenewLeadershipRequest {
  return { ...kept, claim: memberClaimToWire(claim), inSync: [...kept.inSync] };
}

export function keptLeadFromWire(wire: internal.RenewLeadershipRequest): KeptLead {
  const { epoch, writable, progress, inSync } = wire;
  return { epoch: epoch as Epoch, writable, progress, inSync: inSync.map(memberId) };
}

export function wantedMembersToWire(claim: MemberClaim, wanted: WantedMembers): internal.ChangeMembersRequest {
  const { epoch, rule, revision, left, joined = [] } = wanted;
  return {
    ...{ claim: memberClaimToWire(claim), epoch, revision },
    ...{ members: [...rule.members], quorum: rule.quorum, left: [...left], joined: [...joined] },
  };
}

export function wantedMembersFromWire(wire: internal.ChangeMembersRequest): WantedMembers {
  const { epoch, members, quorum, revision, left, joined } = wire;
  return {
    epoch: epoch as Epoch,
    rule: { members: members.map(memberId), quorum },
    revision,
    left: left.map(formerFromWire),
    joined: joined.map(({ member, bootId }) => ({ member: memberId(member), bootId })),
  };
}

export function setStateToWire(state: SetState | undefined): internal.MemberSet | undefined {
  return state && { ...state, members: [...state.members] };
}

export function setStateFromWire(wire: internal.MemberSet | undefined): SetState | undefined {
  if (!wire) return undefined;
  const { revision, epoch, leader, members, quorum } = wire;
  return { revision, epoch: epoch as Epoch, leader: memberId(leader), members: members.map(memberId), quorum };
}

export function setReadingToWire(reading: SetReading): internal.SetReading {
  const { storeId, generation, state, present, former, doubtedBy } = reading;
  return {
    doubtedBy,
    ...{ storeId, generation, state: setStateToWire(state) },
    present: present.map((one) => ({ ...one, leads: one.leads })),
    former: [...former],
  };
}

export function setReadingFromWire(wire: internal.SetReading): SetReading {
  const { storeId, generation, state, present, former, doubtedBy } = wire;
  return {
    ...(doubtedBy !== undefined && { doubtedBy: memberId(doubtedBy) }),
    ...{ storeId, generation, state: setStateFromWire(state) },
    present: present.map(presentFromWire),
    former: former.map(formerFromWire),
  };
}

export function beyondElectionToWire({ grade, from, untilMs }: BeyondElection): internal.BeyondElection {
  return { grade, from, untilMs };
}

export function beyondElectionFromWire({ grade, from, untilMs }: internal.BeyondElection): BeyondElection {
  return { grade: grade === 'nothingMissing' ? grade : 'unclean', from: from as LogPosition | undefined, untilMs };
}

function presentFromWire({ member, address, bootId, leads }: internal.PresentMember): PresentMember {
  const shown = { member: memberId(member), address, bootId };
  return leads === undefined ? shown : { ...shown, leads: leads as Epoch };
}

function formerFromWire({ member, commitEnd }: internal.FormerMember): FormerMember {
  return { member: memberId(member), commitEnd: commitEnd as LogPosition };
}

function whole<T>(part: T | undefined): T {
  if (part === undefined) throw new MqError('BAD_REQUEST', 'a message of the set registry lacks a part');
  return part;
}
