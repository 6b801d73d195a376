import type { BrokerSet, ConsumerGroup, Topic } from '@cometmq/model';
import type { KeyValue } from '@cometmq/metadata';

/**
 * Where the metadata lies. In etcd all is below `/cometmq/<cluster>/`; values are JSON but for the two texts.
 *
 *   topics/<name>     Topic
 *   groups/<name>     ConsumerGroup
 *   sets/<name>       SetRecord: epoch, leader, in-sync set; changed only by comparing its revision
 *   presence/<name>   PresenceRecord of the set's leader, on its lease: gone when the leader is silent
 *   ids               how many topics and groups were ever made; an id is taken in the transaction that makes its owner
 *   deletedTopics/<id>, deletedGroups/<id>  DeletedRecord, the latest 10,000: absence alone deletes nothing
 *   clusterId         text, made once
 *   clusterLineage    LineageRecord; absent: its first generation
 *   identities/users/<name>     User; its secret is sealed
 *   identities/policies/<name>  UserPolicies of that user. What is below identities/ is told to no watcher of the directory.
 *   secret            32 bytes in base64, made once: receipt handles are signed with it
 */
export const keys = {
  topics: 'topics/',
  groups: 'groups/',
  sets: 'sets/',
  presences: 'presence/',
  ids: 'ids',
  deletedTopics: 'deletedTopics/',
  deletedGroups: 'deletedGroups/',
  /** What both keys of the cluster's identity begin with. */
  cluster: 'cluster',
  clusterId: 'clusterId',
  lineage: 'clusterLineage',
  secret: 'secret',
  identities: 'identities/',
  users: 'identities/users/',
  policies: 'identities/policies/',
  user: (name: string) => `identities/users/${name}`,
  policiesOf: (name: string) => `identities/policies/${name}`,
  topic: (name: string) => `topics/${name}`,
  group: (name: string) => `groups/${name}`,
  set: (name: string) => `sets/${name}`,
  presence: (name: string) => `presence/${name}`,
} as const;

export type TopicRecord = Topic;
export type GroupRecord = ConsumerGroup;

export interface SetRecord {
  readonly name: string;
  readonly epoch: number;
  /** The member that took this epoch; whether it lives is for its presence to say. */
  readonly member: string;
  readonly inSync: readonly string[];
  readonly registeredMs: number;
  /** The last epoch whose first record is known to be in the log of its leader: what comes back with less is older. */
  readonly begun?: { readonly epoch: number; readonly member: string } | undefined;
}

export interface PresenceRecord {
  readonly member: string;
  /** A presence of another epoch than the set's says nothing. */
  readonly epoch: number;
  readonly address: string;
  readonly writable: boolean;
}

export interface IdsRecord {
  readonly topics: number;
  readonly groups: number;
}

/** A topic or group that somebody deleted. */
export interface DeletedRecord {
  readonly id: number;
  readonly name: string;
  readonly createdMs: number;
  readonly deletedMs: number;
}

/** How this metadata came to be what it is. */
export interface LineageRecord {
  /** Rises each time what was lost is brought back from brokers' logs. */
  readonly generation: number;
  /** Cluster ids that this store had until then, when it had begun empty. */
  readonly replaced: readonly string[];
  /** Until then brokers may bring what their logs know; absent: no operator has said so. */
  readonly adoptUntilMs?: number | undefined;
}

/** Undefined where there is no key, or somebody has written something else there by hand. */
export function recordOf<T>(pair: KeyValue | undefined): T | undefined {
  return pair && recordIn(pair.value);
}

export function recordIn<T>(text: string): T | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}

/** The set as everybody shall see it. */
export function brokerSetOf(set: SetRecord, presence: PresenceRecord | undefined): BrokerSet {
  const { name, epoch, inSync, registeredMs } = set;
  const present = presence?.epoch === epoch && presence.member === set.member ? presence : undefined;
  // While nobody leads it counts as writable: sends wait for the next leader.
  const shown = { name, epoch, inSync, registeredMs, writable: present?.writable ?? true };
  return present ? { ...shown, leader: present.address, leaderMember: present.member } : shown;
}
