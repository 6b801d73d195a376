/**
 * What members of a broker set say to each other, on the wire and back, for both ends. A batch of the log travels as it
 * lies there, behind a few bytes written by hand.
 */
import { memberId } from '@cometmq/model';
import type { Epoch, GroupId, LogOutline, LogPosition, LogTail, QueueId, Refusal, SetState } from '@cometmq/model';
import type { LetterFacts, PendingPast, StandReason, TopicId } from '@cometmq/model';
import { internal } from '@cometmq/proto';
import { MqError, fieldBytes, putLength, putVarint, varintBytes } from '@cometmq/shared';

import { errorToWire } from './link-frames.js';
import type { ReadMessage } from './read-message.js';
import type { LogBytes } from './peer-door.js';
import type {
  FailoverPhases,
  Attached,
  FetchedPart,
  FetchRequest,
  FollowHello,
  Heartbeat,
  MemberStatus,
  PromiseAnswer,
  TransferCall,
} from './peers.js';

const service = '/cometmq.v1.ReplicationService';
export const replicationPaths = {
  follow: `${service}/Follow`,
  askPromise: `${service}/AskPromise`,
  fetch: `${service}/Fetch`,
  snapshot: `${service}/Snapshot`,
  segmentBytes: `${service}/SegmentBytes`,
  digest: `${service}/Digest`,
  prepareHandOver: `${service}/PrepareHandOver`,
  handOver: `${service}/HandOver`,
  elect: `${service}/Elect`,
  removeMember: `${service}/RemoveMember`,
  mayLeave: `${service}/MayLeave`,
  readMessages: `${service}/ReadMessages`,
  takeTransfer: `${service}/TakeTransfer`,
  status: `${service}/Status`,
} as const;

/** LeaderSays with a batch: its bytes are not copied. */
export function encodeBatch({ from, pieces }: LogBytes): Uint8Array[] {
  let length = 0;
  for (const piece of pieces) length += piece.byteLength;
  const inner = logBytesBytes(from, length);
  const head = Buffer.allocUnsafe(fieldBytes(inner) - length);
  let at = putLength(head, 0, 0x12, inner);
  at = putFrom(head, at, 0x08, from);
  if (length > 0) putLength(head, at, 0x12, length);
  return [head, ...pieces];
}

function logBytesBytes(from: number, length: number): number {
  return (from === 0 ? 0 : 1 + varintBytes(from)) + (length === 0 ? 0 : fieldBytes(length));
}

function putFrom(out: Buffer, at: number, tag: number, from: number): number {
  if (from === 0) return at;
  out[at] = tag;
  return putVarint(out, at + 1, from);
}

/** Of a stream of parts. */
export function encodeLogBytes(bytes: Uint8Array): Uint8Array[] {
  const head = Buffer.alloc(fieldBytes(bytes.byteLength) - bytes.byteLength);
  putLength(head, 0, 0x12, bytes.byteLength);
  return [head, bytes];
}

export function encodeFetchedPart({ commonEnd, from, bytes }: FetchedPart): Uint8Array[] {
  const head = internal.FetchedPart.encode({ commonEnd, from, bytes: new Uint8Array(0) }).finish();
  const length = Buffer.alloc(fieldBytes(bytes.byteLength) - bytes.byteLength);
  putLength(length, 0, 0x1a, bytes.byteLength);
  return [head, length, bytes];
}

/** A message's bytes are not copied. */
export function encodeReadMessage({ position, body }: ReadMessage): Uint8Array[] {
  if (body instanceof MqError) {
    return [internal.ReadMessagesPart.encode({ ...noBody, position, error: errorToWire(body) }).finish()];
  }
  const { payload, storedMs, originTopicId } = body;
  const head = Buffer.alloc(fieldBytes(payload.byteLength) - payload.byteLength);
  putLength(head, 0, 0x0a, payload.byteLength);
  return [
    head,
    payload,
    internal.ReadMessagesPart.encode({ ...noBody, position, storedMs, originTopicId, error: undefined }).finish(),
  ];
}

const noBody = { payload: new Uint8Array(0), storedMs: 0, originTopicId: 0 };

export function fetchedPartFromWire({ commonEnd, from, bytes }: internal.FetchedPart): FetchedPart {
  return { commonEnd: commonEnd as LogPosition, from: from as LogPosition, bytes };
}

export function helloToWire({ log, ...hello }: FollowHello): internal.FollowHello {
  return { ...hello, log: { ...log } };
}

export function helloFromWire({ member, salt, log, ...rest }: internal.FollowHello): FollowHello {
  if (member === '') throw new MqError('BAD_REQUEST', 'a member that follows says who it is');
  return { ...rest, member: memberId(member), salt, log: tailFromWire(log) };
}

export function attachedToWire({ log, state, ...rest }: Attached): internal.FollowAttached {
  return { ...rest, log: outlineToWire(log), state: setToWire(state) };
}

export function attachedFromWire(wire: internal.FollowAttached): Attached {
  return {
    session: wire.session,
    leader: memberId(wire.leader),
    epoch: wire.epoch as Epoch,
    log: outlineFromWire(wire.log),
    salt: wire.salt,
    state: setFromWire(wire.state),
    featureLevel: wire.featureLevel,
  };
}

export function heartbeatToWire({ state, addresses, ...rest }: Heartbeat): internal.LeaderHeartbeat {
  return { ...rest, state: setToWire(state), addresses: [...addresses] };
}

export function heartbeatFromWire(wire: internal.LeaderHeartbeat): Heartbeat {
  return {
    epoch: wire.epoch as Epoch,
    commitEnd: wire.commitEnd as LogPosition,
    durableEnd: wire.durableEnd as LogPosition,
    progress: wire.progress,
    state: setFromWire(wire.state),
    addresses: wire.addresses.map(({ member, address }) => ({ member: memberId(member), address })),
  };
}

const standReasons: readonly StandReason[] = ['start', 'closed', 'silent', 'handedOver'];

export function reasonFromWire(said: string): StandReason {
  const found = standReasons.find((each) => each === said);
  if (!found) throw new MqError('BAD_REQUEST', `"${said}" is no reason to stand: one of ${standReasons.join(', ')}`);
  return found;
}

export function promiseToWire(answer: PromiseAnswer): internal.PromiseResponse {
  const { from } = answer;
  if (answer.kind === 'promised') return { from, answer: { $case: 'promised', value: { ...answer.log } } };
  return { from, answer: { $case: 'refused', value: { ...answer.refusal } } };
}

export function promiseFromWire({ from, answer }: internal.PromiseResponse): PromiseAnswer {
  const who = memberId(from);
  switch (answer?.$case) {
    case 'promised':
      return { kind: 'promised', from: who, log: tailFromWire(answer.value) };
    case 'refused':
      return { kind: 'refused', from: who, refusal: refusalFromWire(answer.value) };
    case undefined:
      throw new MqError('UNSUPPORTED', `${from} answers a question for a promise with what this version does not know`);
  }
}

function refusalFromWire({ why, epoch }: internal.PromiseRefusal): Refusal {
  return { why: why === 'leaderProgresses' ? why : 'promised', epoch: epoch as Epoch };
}

export function fetchToWire({ log, ...rest }: FetchRequest): internal.FetchRequest {
  return { ...rest, log: outlineToWire(log) };
}

export function fetchFromWire({ brokerSet, candidate, epoch, log }: internal.FetchRequest): FetchRequest {
  return { brokerSet, candidate: memberId(candidate), epoch: epoch as Epoch, log: outlineFromWire(log) };
}

export function statusToWire({
  state,
  followers,
  lastFailover,
  failovers,
  leader,
  ...rest
}: MemberStatus): internal.MemberStatus {
  return {
    ...rest,
    leader,
    state: state && setToWire(state),
    followers: followers.map((each) => ({ ...each })),
    lastFailover: lastFailover && { ...lastFailover },
    failovers: failovers.map((each) => ({ ...each })),
  };
}

export function transferToWire({ messages, ...rest }: TransferCall): internal.TakeTransferRequest {
  return {
    ...rest,
    messages: messages.map(({ audience, payload, past, letter, ...each }) => ({
      ...each,
      letter: letter && { ...letter },
      past: past && { ...past, places: [...past.places] },
      only: audience.only,
      groups: audience.groups.map((group) => ({ ...group })),
      payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
    })),
  };
}

export function transferFromWire({ messages, ...rest }: internal.TakeTransferRequest): TransferCall {
  return {
    ...rest,
    transfer: rest.transfer as LogPosition,
    messages: messages.map(({ only, groups, topicId, queueId, past, letter, ...each }) => ({
      ...each,
      ...(past && { past: pastFromWire(past) }),
      ...(letter && { letter: letterFromWire(letter) }),
      topicId: topicId as TopicId,
      queueId: queueId as QueueId,
      audience: { only, groups: groups.map(({ groupId, attempts }) => ({ groupId: groupId as GroupId, attempts })) },
    })),
  };
}

function letterFromWire({ groupId, originTopicId, ...rest }: internal.LetterFacts): LetterFacts {
  return { ...rest, groupId: groupId as GroupId, originTopicId: originTopicId as TopicId };
}

function pastFromWire({ places, ...past }: internal.PendingPast): PendingPast {
  return { ...past, places: places.map((place) => ({ ...place, position: place.position as LogPosition })) };
}

export function statusFromWire(wire: internal.MemberStatus): MemberStatus {
  const { lastFailover } = wire;
  return {
    brokerSet: wire.brokerSet,
    member: memberId(wire.member),
    role: roles.find((each) => each === wire.role) ?? 'opening',
    says: wire.says,
    epoch: wire.epoch as Epoch,
    leader: wire.leader === undefined ? undefined : memberId(wire.leader),
    appendEnd: wire.appendEnd as LogPosition,
    durableEnd: wire.durableEnd as LogPosition,
    commitEnd: wire.commitEnd as LogPosition,
    state: wire.state && setFromWire(wire.state),
    membersWanted: wire.membersWanted,
    stalled: wire.stalled,
    registryAgeMs: wire.registryAgeMs,
    diskFull: wire.diskFull,
    followers: wire.followers.map(({ member, ...rest }) => ({ ...rest, member: memberId(member) })),
    lastFailover: lastFailover && failoverFromWire(lastFailover),
    failovers: wire.failovers.map(failoverFromWire),
  };
}

export function failoverFromWire({ reason, epoch, ...rest }: internal.FailoverPhases): FailoverPhases {
  return { ...rest, reason: standReasons.find((each) => each === reason) ?? 'start', epoch: epoch as Epoch };
}

const roles: readonly MemberStatus['role'][] = ['opening', 'standing', 'following', 'leading', 'failed'];

function tailFromWire(wire: internal.LogTail | undefined): LogTail {
  return { lastEpoch: (wire?.lastEpoch ?? 0) as Epoch, end: (wire?.end ?? 0) as LogPosition };
}

function outlineToWire({ epochs, end }: LogOutline): internal.LogOutline {
  return { epochs: epochs.map((each) => ({ ...each })), end };
}

function outlineFromWire(wire: internal.LogOutline | undefined): LogOutline {
  return {
    epochs: (wire?.epochs ?? []).map(({ epoch, start }) => ({ epoch: epoch as Epoch, start: start as LogPosition })),
    end: (wire?.end ?? 0) as LogPosition,
  };
}

function setToWire({ members, ...rest }: SetState): internal.MemberSet {
  return { ...rest, members: [...members] };
}

function setFromWire(wire: internal.MemberSet | undefined): SetState {
  return {
    revision: wire?.revision ?? 0,
    epoch: (wire?.epoch ?? 0) as Epoch,
    leader: memberId(wire?.leader ?? ''),
    members: (wire?.members ?? []).map(memberId),
    quorum: wire?.quorum ?? 0,
  };
}
