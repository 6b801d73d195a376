import type {
  BrokerSet,
  BrokerSetStage,
  ConsumerGroup,
  Epoch,
  MemberId,
  Promised,
  SetState,
  Topic,
} from '@cometmq/model';
import type { FormerMember, RetiredKind } from '@cometmq/client';
import type { KeyValue } from '@cometmq/metadata';

/**
 * Where the metadata lies. In etcd all is below `/cometmq/<cluster>/`; values are JSON but for the two texts.
 *
 *   topics/<name>     Topic
 *   groups/<name>     ConsumerGroup
 *   sets/<name>       SetRecord: epoch, leader, members, write quorum; changed only by comparing its revision
 *   begun/<name>      BegunRecord: what the log of the set's leader is known to have
 *   stages/<name>     StageRecord; absent: serving
 *   words/<name>/<member>  WordRecord, while lost metadata comes back: what this member knows of who led
 *   doubts/<name>     DoubtRecord: a member knows a later state of this set; nobody takes it over before that is brought back
 *   beyond/<name>     who may lead beyond the members, on a lease of some minutes
 *   presence/<name>/<member>  PresenceRecord, on a lease: gone when the member is silent
 *   presence/<name>   the same of the leader alone, as it was before sets had several members
 *   ids               how many topics and groups were ever made; an id is taken in the transaction that makes its owner
 *   deletedTopics/<id>, deletedGroups/<id>  DeletedRecord, the latest 10,000: absence alone deletes nothing
 *   retired/<id>      RetiredRecord: a topic (t<id>) or group (g<id>) whose deletion can be taken back; no broker hears of it yet
 *   served            ServedRecord: time that has passed while deletions could be taken back
 *   adoption          there, on a lease of an hour, while brokers may bring what their logs know
 *   clusterId         text, made once
 *   clusterLineage    LineageRecord; absent: its first generation
 *   identities/users/<name>     User; its secret is sealed
 *   identities/policies/<name>  UserPolicies of that user
 *   identities/made             how many users were ever made; compared with each that is made, so that each counts the others
 *   identities/revoked/<id>     RevokedToken. What is below identities/ is told to no watcher of the directory.
 *   secret            32 bytes in base64, made once: receipt handles are signed with it
 */
export const keys = {
  topics: 'topics/',
  groups: 'groups/',
  sets: 'sets/',
  presences: 'presence/',
  begun: 'begun/',
  stages: 'stages/',
  ids: 'ids',
  deletedTopics: 'deletedTopics/',
  deletedGroups: 'deletedGroups/',
  retired: 'retired/',
  served: 'served',
  adoption: 'adoption',
  /** What both keys of the cluster's identity begin with. */
  cluster: 'cluster',
  clusterId: 'clusterId',
  lineage: 'clusterLineage',
  secret: 'secret',
  identities: 'identities/',
  users: 'identities/users/',
  usersMade: 'identities/made',
  policies: 'identities/policies/',
  revoked: 'identities/revoked/',
  user: (name: string) => `identities/users/${name}`,
  policiesOf: (name: string) => `identities/policies/${name}`,
  revokedToken: (id: string) => `identities/revoked/${id}`,
  retiredOf: (kind: RetiredKind, id: number) => `retired/${kind === 'topic' ? 't' : 'g'}${id}`,
  topic: (name: string) => `topics/${name}`,
  group: (name: string) => `groups/${name}`,
  set: (name: string) => `sets/${name}`,
  wordsOf: (name: string) => `words/${name}/`,
  stageOf: (name: string) => `stages/${name}`,
  doubtOf: (name: string) => `doubts/${name}`,
  beyondOf: (name: string) => `beyond/${name}`,
  begunOf: (name: string) => `begun/${name}`,
  presence: (name: string) => `presence/${name}`,
  presencesOf: (name: string) => `presence/${name}/`,
  presenceOf: (name: string, member: string) => `presence/${name}/${member}`,
} as const;

export type TopicRecord = Topic;
export type GroupRecord = ConsumerGroup;

export interface SetRecord {
  readonly name: string;
  readonly epoch: Epoch;
  /** The member that took this epoch; whether it lives is for its presence to say. */
  readonly leader: MemberId;
  /** In order. Empty: all were given up, and whoever comes next may lead. */
  readonly members: readonly MemberId[];
  readonly quorum: number;
  /** The revision on which this was decided: by it and the epoch its writer knows it again. */
  readonly from: number;
  readonly former: readonly FormerMember[];
  readonly registeredMs: number;
  /** How it was, and is again unless who may lead beyond the members takes the lead while it may. */
  readonly before?: Pick<SetRecord, 'leader' | 'members' | 'quorum' | 'former'> | undefined;
}

/** What a member knows of who led its set. */
export interface WordRecord {
  readonly member: MemberId;
  /** Of its log. */
  readonly epoch: Epoch;
  readonly state: Pick<SetState, 'epoch' | 'leader' | 'members' | 'quorum'>;
  /** Of the state. Absent in what older releases have written, and where only the log speaks. */
  readonly revision?: number | undefined;
  readonly promised: Promised;
}

/** This metadata was set back: by whose word, and in which generation. What is brought back begins another one. */
export interface DoubtRecord {
  readonly member: MemberId;
  readonly generation: number;
}

export interface StageRecord {
  readonly stage: BrokerSetStage;
  readonly groupless?: true | undefined;
  readonly sinceMs: number;
}

/** A set as it was kept while it had one member that led. */
export interface LoneSetRecord {
  readonly name: string;
  readonly epoch: number;
  readonly member: string;
  readonly inSync: readonly string[];
  readonly registeredMs: number;
  readonly begun?: BegunRecord | undefined;
}

/** The last epoch whose first record is known to be in the log of its leader: what comes back with less is older. */
export interface BegunRecord {
  readonly epoch: number;
  readonly member: string;
}

export interface PresenceRecord {
  readonly member: MemberId;
  readonly address: string;
  readonly bootId: string;
  /** Boots of the same member that this one has taken the place of. They do not come back. */
  readonly replaced: readonly string[];
  /** It leads in this epoch. Of another epoch than the set's it says nothing. */
  readonly leads?: Epoch | undefined;
  /** It has led in this epoch, and leads no longer. */
  readonly resigned?: Epoch | undefined;
  readonly writable: boolean;
  /** As the leader says. */
  readonly inSync: readonly MemberId[];
}

/** The presence of the one member that led. */
export interface LonePresenceRecord {
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

/** A topic or group that somebody deleted, as it was, until its grace is over. */
export interface RetiredRecord {
  readonly kind: RetiredKind;
  readonly record: TopicRecord | GroupRecord;
  readonly who: string;
  readonly deletedMs: number;
  /** By the clock of who deleted it: what people are told. Releases that write no `goneServedMs` go by it. */
  readonly goneMs: number;
  /** Its grace is over when so much time has been served. Absent in what older releases have written. */
  readonly goneServedMs?: number | undefined;
}

/**
 * Time that instances have served while anything could be taken back: it passes by their monotonic clocks, so that no clock
 * that is set wrong ends a grace.
 */
export interface ServedRecord {
  readonly ms: number;
  /** The instance that counted last, and for the how many-th time: by that it knows its own count again. */
  readonly by: string;
  readonly nth: number;
}

/** How this metadata came to be what it is. */
export interface LineageRecord {
  /** Rises each time what was lost is brought back from brokers' logs. */
  readonly generation: number;
  /** Cluster ids that this store had until then, when it had begun empty. */
  readonly replaced: readonly string[];
  /**
   * Until then brokers may bring what their logs know; absent: no operator has said so. Only what releases before
   * `adoptionLeased` have written counts: a clock may be wrong, and the store's leases are not.
   */
  readonly adoptUntilMs?: number | undefined;
  /** An operator's word stands under `adoption`. */
  readonly adoptionLeased?: true | undefined;
}

/**
 * What a record must have to be one, by the beginning of its key: fields that all releases have written. One without them would
 * be told to every process, and most of them would end by it.
 */
const shapes: readonly (readonly [
  key: string,
  fields: Readonly<Record<string, 'string' | 'number' | 'boolean' | 'object'>>,
])[] = [
  [
    keys.topics,
    {
      ...{ name: 'string', id: 'number', permission: 'string' },
      ...{ writeQueues: 'number', readQueues: 'number', layout: 'number', createdMs: 'number' },
    },
  ],
  [
    keys.groups,
    {
      ...{ name: 'string', id: 'number', fifo: 'boolean', attemptsMax: 'number' },
      ...{ retryPolicy: 'object', start: 'object', createdMs: 'number' },
    },
  ],
  [keys.deletedTopics, { id: 'number', name: 'string', createdMs: 'number' }],
  [keys.deletedGroups, { id: 'number', name: 'string', createdMs: 'number' }],
  [keys.retired, { kind: 'string', record: 'object', who: 'string' }],
  [keys.stages, { stage: 'string' }],
  [keys.ids, { topics: 'number', groups: 'number' }],
  [
    keys.users,
    {
      ...{ name: 'string', kind: 'string', enabled: 'boolean' },
      ...{ secret: 'object', secretVersion: 'number', createdMs: 'number' },
    },
  ],
  [keys.policies, { user: 'string', entries: 'object' }],
  [keys.revoked, { id: 'string', untilMs: 'number' }],
];

/** Undefined where there is no key, or somebody has written something else there by hand. */
export function recordOf<T>(pair: KeyValue | undefined): T | undefined {
  const record = pair && recordIn<T & object>(pair.value);
  return record && isWhole(pair.key, record) ? record : undefined;
}

function isWhole(key: string, record: object): boolean {
  const fields = shapes.find(([start]) => key.startsWith(start))?.[1] ?? {};
  return Object.entries(fields).every(([name, type]) => {
    const value = (record as Readonly<Record<string, unknown>>)[name];
    return typeof value === type && value !== null;
  });
}

export function recordIn<T>(text: string): T | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}

/** The set, also where it was written before sets had several members. */
export function setRecordOf(pair: KeyValue | undefined): SetRecord | undefined {
  const record = recordOf<SetRecord | LoneSetRecord>(pair);
  if (!record) return undefined;
  if ('members' in record) return Array.isArray(record.members) ? record : undefined;
  const { name, epoch, member, inSync, registeredMs } = record;
  if (!Array.isArray(inSync)) return undefined; // Somebody has written something else there by hand.
  const members = inSync.map((one) => one as MemberId).sort();
  return {
    name,
    epoch: epoch as Epoch,
    leader: member as MemberId,
    members,
    quorum: Math.min(1, members.length),
    from: 0,
    former: [],
    registeredMs,
  };
}

export function presenceRecordOf(pair: KeyValue | undefined): PresenceRecord | undefined {
  const record = recordOf<PresenceRecord | LonePresenceRecord>(pair);
  if (!record || 'bootId' in record) return record;
  const { member, epoch, address, writable } = record;
  const lone = { member: member as MemberId, address, bootId: '', replaced: [], writable };
  return { ...lone, leads: epoch as Epoch, inSync: [member as MemberId] };
}

/** The set as everybody shall see it. */
export function brokerSetOf(
  set: SetRecord,
  presenceOf: (member: MemberId) => PresenceRecord | undefined,
  { stage, groupless }: Pick<StageRecord, 'stage' | 'groupless'> = { stage: 'serving' },
): BrokerSet {
  const { name, epoch, leader, members, quorum, registeredMs } = set;
  const shown = presenceOf(leader);
  const present = shown?.leads === epoch && shown.member === leader ? shown : undefined;
  return {
    name,
    epoch,
    members: members.map((member) => ({ member, address: presenceOf(member)?.address ?? '' })),
    quorum,
    // While nobody leads, nobody says who keeps up, and it counts as writable: sends wait for the next leader.
    inSync: present?.inSync ?? members,
    writable: (stage === 'joining' || stage === 'serving') && (present?.writable ?? true),
    stage,
    ...(groupless && { groupless }),
    registeredMs,
    ...(present && { leader: present.address, leaderMember: present.member }),
  };
}
