import { internal } from '@cometmq/proto';
import {
  brokerSetStages,
  memberId,
  type BrokerSet,
  type ConsumerGroup,
  type Epoch,
  type GroupId,
  type GroupName,
  type GroupStart,
  type MessageType,
  type Permission,
  type RetryPolicy,
  type Topic,
  type TopicId,
  type TopicName,
} from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type {
  DirectoryUpdate,
  GroupChange,
  GroupDraft,
  MetadataKnowledge,
  TopicChange,
  TopicDraft,
} from './name-service.js';
import { memberClaimFromWire, memberClaimToWire, setStateFromWire, setStateToWire } from './set-registry-frames.js';

/** The words of `NameService` on the wire and back, for both ends. */
export const namingServiceName = 'cometmq.v1.NamingService';
export const namingPath = (method: string): string => `/${namingServiceName}/${method}`;

/** A snapshot goes out in parts of this many entries, so that no message grows with the system. */
const partEntriesMax = 500;

export function topicToWire(topic: Topic): internal.Topic {
  return {
    ...topic,
    retentionMs: topic.retentionMs,
    retentionBytes: topic.retentionBytes,
    liteExpirationMs: topic.liteExpirationMs,
    bodyMask: topic.bodyMask,
  };
}

export function topicFromWire(wire: internal.Topic | undefined): Topic {
  const { name, id, type, permission, retentionMs, retentionBytes, liteExpirationMs, bodyMask, ...rest } = whole(wire);
  return {
    ...rest,
    name: name as TopicName,
    id: id as TopicId,
    type: type as MessageType,
    permission: permission as Permission,
    ...(retentionMs !== undefined && { retentionMs }),
    ...(retentionBytes !== undefined && { retentionBytes }),
    ...(liteExpirationMs !== undefined && { liteExpirationMs }),
    ...(bodyMask !== undefined && { bodyMask }),
  };
}

export function groupToWire(group: ConsumerGroup): internal.ConsumerGroup {
  return {
    ...group,
    retryPolicy: retryPolicyToWire(group.retryPolicy),
    start: startToWire(group.start),
    pausedUntilMs: group.pausedUntilMs,
    priorityFactor: group.priorityFactor,
    lite: group.lite && { ...group.lite },
  };
}

export function groupFromWire(wire: internal.ConsumerGroup | undefined): ConsumerGroup {
  const { name, id, retryPolicy, start, pausedUntilMs, priorityFactor, lite, ...rest } = whole(wire);
  return {
    ...rest,
    name: name as GroupName,
    id: id as GroupId,
    retryPolicy: retryPolicyFromWire(whole(retryPolicy)),
    start: startFromWire(whole(start)),
    ...(pausedUntilMs !== undefined && { pausedUntilMs }),
    ...(priorityFactor !== undefined && { priorityFactor }),
    ...(lite && { lite: { ...lite, topic: lite.topic as TopicName } }),
  };
}

export function brokerSetToWire(set: BrokerSet): internal.BrokerSet {
  const { leader, leaderMember, inSync, members } = set;
  return {
    ...set,
    leader,
    leaderMember,
    groupless: set.groupless ?? false,
    inSync: [...inSync],
    members: members.map((one) => ({ ...one })),
  };
}

export function brokerSetFromWire(wire: internal.BrokerSet | undefined): BrokerSet {
  const { leader, leaderMember, members, stage, groupless, ...rest } = whole(wire);
  return {
    ...rest,
    members,
    stage: brokerSetStages.find((known) => known === stage) ?? 'serving',
    ...(leader !== undefined && { leader }),
    ...(leaderMember !== undefined && { leaderMember }),
    ...(groupless && { groupless }),
  };
}

export function topicDraftToWire(draft: TopicDraft | (TopicChange & { readonly name: string })): internal.TopicDraft {
  return internal.TopicDraft.fromPartial({ ...draft });
}

export function topicDraftFromWire(wire: internal.TopicDraft): TopicDraft {
  const { type, permission, ...rest } = wire;
  return {
    ...present(rest),
    name: wire.name,
    ...(type !== undefined && { type: type as MessageType }),
    ...(permission !== undefined && { permission: permission as Permission }),
  };
}

export function groupDraftToWire(draft: GroupDraft | (GroupChange & { readonly name: string })): internal.GroupDraft {
  return {
    name: draft.name,
    fifo: draft.fifo,
    attemptsMax: draft.attemptsMax,
    retryPolicy: draft.retryPolicy && retryPolicyToWire(draft.retryPolicy),
    start: draft.start && startToWire(draft.start),
    pausedUntilMs: draft.pausedUntilMs,
    priorityFactor: draft.priorityFactor,
    lite: draft.lite && internal.LiteGroupDraft.fromPartial({ ...draft.lite }),
  };
}

export function groupDraftFromWire(wire: internal.GroupDraft): GroupDraft {
  const { retryPolicy, start, lite, ...rest } = wire;
  return {
    ...present(rest),
    name: wire.name,
    ...(lite && { lite: { ...present(lite), topic: lite.topic } }),
    ...(retryPolicy && { retryPolicy: retryPolicyFromWire(retryPolicy) }),
    ...(start && { start: startFromWire(start) }),
  };
}

export function knowledgeToWire(knowledge: MetadataKnowledge): internal.MetadataKnowledge {
  return {
    ...knowledge,
    claim: memberClaimToWire(knowledge.claim),
    set: setStateToWire(knowledge.set?.state),
    promisedEpoch: knowledge.set?.promised.epoch ?? 0,
    promisedTo: knowledge.set?.promised.to ?? '',
    topics: knowledge.topics.map(topicToWire),
    groups: knowledge.groups.map(groupToWire),
    deletedTopics: [...knowledge.deletedTopics],
    deletedGroups: [...knowledge.deletedGroups],
  };
}

export function knowledgeFromWire(wire: internal.MetadataKnowledge): MetadataKnowledge {
  const { set, promisedEpoch, promisedTo, ...rest } = wire;
  const state = setStateFromWire(set);
  const to = promisedTo === '' ? undefined : memberId(promisedTo);
  return {
    ...rest,
    claim: memberClaimFromWire(wire.claim),
    ...(state && { set: { state, promised: { epoch: promisedEpoch as Epoch, to } } }),
    topics: wire.topics.map(topicFromWire),
    groups: wire.groups.map(groupFromWire),
  };
}

/** One frame, or for a snapshot as many as it takes. */
export function updateToWire(update: DirectoryUpdate): internal.DirectoryUpdate[] {
  const { revision } = update;
  const recorded = 'recorded' in update && update.recorded;
  switch (update.kind) {
    case 'snapshot':
      return snapshotParts(update).map((value) => ({ revision, recorded, update: { $case: 'snapshot', value } }));
    case 'topic':
    case 'topicDeleted':
      return [{ revision, recorded, update: { $case: update.kind, value: topicToWire(update.topic) } }];
    case 'group':
    case 'groupDeleted':
      return [{ revision, recorded, update: { $case: update.kind, value: groupToWire(update.group) } }];
    case 'broker':
    case 'brokerDeleted':
      return [{ revision, recorded, update: { $case: update.kind, value: brokerSetToWire(update.broker) } }];
  }
}

/** Puts a stream of frames together again. One for each stream. */
export class UpdateReader {
  private parts: internal.SnapshotPart[] = [];

  /** Undefined: a part of something, or a kind of update that this version does not know. */
  read(frame: internal.DirectoryUpdate): DirectoryUpdate | undefined {
    const { revision, recorded, update } = frame;
    switch (update?.$case) {
      case undefined:
        return undefined;
      case 'snapshot':
        return this.snapshot(revision, update.value);
      case 'topic':
        return { kind: 'topic', revision, topic: topicFromWire(update.value) };
      case 'topicDeleted':
        return { kind: 'topicDeleted', revision, topic: topicFromWire(update.value), recorded };
      case 'group':
        return { kind: 'group', revision, group: groupFromWire(update.value) };
      case 'groupDeleted':
        return { kind: 'groupDeleted', revision, group: groupFromWire(update.value), recorded };
      case 'broker':
      case 'brokerDeleted':
        return { kind: update.$case, revision, broker: brokerSetFromWire(update.value) };
    }
  }

  private snapshot(revision: number, part: internal.SnapshotPart): DirectoryUpdate | undefined {
    this.parts.push(part);
    if (!part.last) return undefined;
    const parts = this.parts;
    this.parts = [];
    const first = whole(parts[0]);
    return {
      kind: 'snapshot',
      revision,
      clusterId: first.clusterId,
      secret: first.secret.slice(), // A view would keep the whole frame.
      topics: parts.flatMap((one) => one.topics.map(topicFromWire)),
      groups: parts.flatMap((one) => one.groups.map(groupFromWire)),
      brokers: parts.flatMap((one) => one.brokers.map(brokerSetFromWire)),
      generation: first.generation,
      replaced: first.replaced,
      deletedTopics: parts.flatMap((one) => one.deletedTopics),
      deletedGroups: parts.flatMap((one) => one.deletedGroups),
    };
  }
}

function snapshotParts(update: Extract<DirectoryUpdate, { kind: 'snapshot' }>): internal.SnapshotPart[] {
  const { clusterId, secret, generation, topics, groups, brokers } = update;
  const replaced = [...update.replaced];
  const empty = (): internal.SnapshotPart =>
    internal.SnapshotPart.fromPartial({ clusterId, secret, generation, replaced });
  const parts = [{ ...empty(), brokers: brokers.map(brokerSetToWire) }];
  for (const some of slices(topics)) parts.push({ ...empty(), topics: some.map(topicToWire) });
  for (const some of slices(groups)) parts.push({ ...empty(), groups: some.map(groupToWire) });
  for (const some of slices(update.deletedTopics)) parts.push({ ...empty(), deletedTopics: [...some] });
  for (const some of slices(update.deletedGroups)) parts.push({ ...empty(), deletedGroups: [...some] });
  const last = parts.at(-1);
  if (last) last.last = true;
  return parts;
}

function* slices<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += partEntriesMax) yield all.slice(from, from + partEntriesMax);
}

function retryPolicyToWire(policy: RetryPolicy): internal.RetryPolicy {
  if (policy.kind === 'customized') return { policy: { $case: 'customized', value: { nextMs: [...policy.nextMs] } } };
  const { initialMs, maxMs, multiplier } = policy;
  return { policy: { $case: 'exponential', value: { initialMs, maxMs, multiplier } } };
}

function retryPolicyFromWire({ policy }: internal.RetryPolicy): RetryPolicy {
  const given = whole(policy);
  if (given.$case === 'customized') return { kind: 'customized', nextMs: given.value.nextMs };
  return { kind: 'exponential', ...given.value };
}

function startToWire(start: GroupStart): internal.GroupStart {
  return { at: start.at, timeMs: start.at === 'time' ? start.timeMs : 0 };
}

function startFromWire({ at, timeMs }: internal.GroupStart): GroupStart {
  if (at === 'time') return { at, timeMs };
  return { at: at as 'auto' | 'first' | 'end' };
}

function whole<T>(part: T | undefined): T {
  if (part === undefined) throw new MqError('BAD_REQUEST', 'a message of the name service lacks a part');
  return part;
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the keys that are there but undefined. */
function present<T extends object>(all: T): Present<T> {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Present<T>;
}
