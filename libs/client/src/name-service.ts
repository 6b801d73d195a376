import type {
  BrokerSet,
  ConsumerGroup,
  GroupStart,
  LiteGroup,
  MessageType,
  Permission,
  Promised,
  RetryPolicy,
  SetState,
  Topic,
} from '@cometmq/model';

import type { MemberClaim } from './set-registry.js';

/**
 * How every process speaks to the name service: the metadata is changed here and watched from here. The namesrv
 * role has this shape itself (one process); across processes an adapter calls any of the equal instances.
 */
export interface NameService {
  /**
   * Gives the whole directory first, then every change in order, until the returned function is called. After a broken
   * connection the whole comes again (`snapshot`). `listener` is never called from inside `watch`.
   */
  watch(listener: (update: DirectoryUpdate) => void): () => void;
  /** @throws MqError ALREADY_EXISTS, ILLEGAL_TOPIC, BAD_REQUEST */
  createTopic(draft: TopicDraft, asker?: Asker): Promise<Topic>;
  /** Makes the topic on first use where that is allowed, else TOPIC_NOT_FOUND. Many callers at once get the same topic. */
  ensureTopic(name: string): Promise<Topic>;
  /** The first message of a topic made on first use fixes its type; later calls return the topic as it is. */
  fixTopicType(name: string, type: MessageType): Promise<Topic>;
  updateTopic(name: string, change: TopicChange, asker?: Asker): Promise<Topic>;
  /** It can be restored for a grace time, and nothing stored of it is deleted before that. */
  deleteTopic(name: string, how?: DeletionCall, asker?: Asker): Promise<void>;
  createGroup(draft: GroupDraft, asker?: Asker): Promise<ConsumerGroup>;
  /** Makes the group on first use where that is allowed, else CONSUMER_GROUP_NOT_FOUND. */
  ensureGroup(name: string): Promise<ConsumerGroup>;
  updateGroup(name: string, change: GroupChange, asker?: Asker): Promise<ConsumerGroup>;
  /** As `deleteTopic`. */
  deleteGroup(name: string, how?: DeletionCall, asker?: Asker): Promise<void>;
  /** What was deleted and can be brought back, newest first. */
  retired(): Promise<RetiredList>;
  /** Takes a deletion back. @throws MqError NOT_FOUND, ALREADY_EXISTS where another one has its name now, and may keep it */
  restore(kind: RetiredKind, id: number, how?: RestoreCall, asker?: Asker): Promise<void>;
  /** The system's own topics (dead letters), made without asking whether creation on use is allowed. */
  ensureInnerTopic(name: string): Promise<Topic>;
  /**
   * An operator's word that all members of a broker set are lost, and its messages with them: whoever takes the lead next
   * may, with an empty log. @throws MqError NOT_FOUND, CONFLICT while one of them leads
   */
  forgetMembers(brokerSet: string): Promise<BrokerSet>;
  /**
   * An operator's word that the metadata was lost, wholly or in part: for some time, brokers whose logs belong to other or
   * newer metadata may bring theirs. @returns until when, wall time
   */
  allowAdoption(): Promise<number>;
  /**
   * A broker brings what its log knows, in parts; each may come again. After the last one its lead can be taken, or kept.
   * @throws MqError METADATA_MISMATCH while no operator has allowed it, or where another cluster lives
   */
  adoptMetadata(part: MetadataKnowledge): Promise<void>;
}

/**
 * Who waits for an answer. Once nobody does nothing is begun: who gave up has asked another instance, and what that did may have
 * been undone since.
 */
export interface Asker {
  readonly cancelled: boolean;
}

export interface DeletionCall {
  /** It can not be taken back. */
  readonly now?: boolean | undefined;
  readonly who?: string | undefined;
}

export interface RestoreCall {
  /** Another one that has the name now is deleted instead, and can be restored in its turn. */
  readonly replace?: boolean | undefined;
  readonly who?: string | undefined;
}

export type RetiredKind = 'topic' | 'group';

export interface Retired {
  readonly kind: RetiredKind;
  readonly name: string;
  readonly id: number;
  readonly who: string;
  readonly deletedMs: number;
  /** From then on it is gone for good. */
  readonly goneMs: number;
}

export interface RetiredList {
  readonly retired: readonly Retired[];
  /** How long a deletion can be taken back; 0: not at all. */
  readonly graceMs: number;
}

export type DirectoryUpdate =
  | {
      readonly kind: 'snapshot';
      readonly revision: number;
      readonly clusterId: string;
      /** 32 bytes; receipt handles are signed with it. */
      readonly secret: Uint8Array;
      readonly topics: readonly Topic[];
      readonly groups: readonly ConsumerGroup[];
      readonly brokers: readonly BrokerSet[];
      /** Rises when metadata that was lost is brought back from brokers' logs. */
      readonly generation: number;
      /** Ids that this cluster had until then. */
      readonly replaced: readonly string[];
      /** The latest of those that were deleted, and known to be. */
      readonly deletedTopics: readonly Deleted[];
      readonly deletedGroups: readonly Deleted[];
    }
  | { readonly kind: 'topic'; readonly revision: number; readonly topic: Topic }
  | { readonly kind: 'topicDeleted'; readonly revision: number; readonly topic: Topic; readonly recorded: boolean }
  | { readonly kind: 'group'; readonly revision: number; readonly group: ConsumerGroup }
  | {
      readonly kind: 'groupDeleted';
      readonly revision: number;
      readonly group: ConsumerGroup;
      /** Somebody asked for it. False: it is just not there any more, which deletes nothing anywhere else. */
      readonly recorded: boolean;
    }
  | { readonly kind: 'broker'; readonly revision: number; readonly broker: BrokerSet }
  | { readonly kind: 'brokerDeleted'; readonly revision: number; readonly broker: BrokerSet };

/** A topic or group that was deleted: absence alone never says so. */
export interface Deleted {
  readonly id: number;
  readonly createdMs: number;
}

export interface TopicDraft {
  readonly name: string;
  readonly type?: MessageType | undefined;
  readonly writeQueues?: number | undefined;
  readonly readQueues?: number | undefined;
  readonly permission?: Permission | undefined;
  readonly retentionMs?: number | undefined;
  readonly retentionBytes?: number | undefined;
  /** 0 in a change: idle lite topics stay. */
  readonly liteExpirationMs?: number | undefined;
  /** Empty in a change: bodies are shown. */
  readonly bodyMask?: string | undefined;
}

/** What may be changed of a topic; its type may not. */
export type TopicChange = Omit<TopicDraft, 'name' | 'type'>;

export interface GroupDraft {
  readonly name: string;
  readonly fifo?: boolean | undefined;
  readonly attemptsMax?: number | undefined;
  readonly retryPolicy?: RetryPolicy | undefined;
  readonly start?: GroupStart | undefined;
  /** 0 in a change: resumed. */
  readonly pausedUntilMs?: number | undefined;
  readonly priorityFactor?: number | undefined;
  /** What it leaves out keeps its value, or gets the default. A group can't be bound to another topic. */
  readonly lite?: LiteGroupDraft | undefined;
}

export type LiteGroupDraft = { readonly topic: string } & {
  readonly [Key in keyof Omit<LiteGroup, 'topic'>]?: LiteGroup[Key] | undefined;
};

export type GroupChange = Omit<GroupDraft, 'name'>;

/** What a member knows of who led its set, beside its log. */
export interface KnownTerm {
  readonly state: SetState;
  readonly promised: Promised;
}

/** What the log of a broker knows of the metadata that it belongs to. */
export interface MetadataKnowledge {
  readonly claim: MemberClaim;
  /** Under what the member last acted, and what it has promised; left out: it never has. */
  readonly set?: KnownTerm | undefined;
  readonly topics: readonly Topic[];
  readonly groups: readonly ConsumerGroup[];
  /** The highest ids that the log knows to have been given. */
  readonly topicIdMax: number;
  readonly groupIdMax: number;
  /** Topics and groups that the metadata shows though the log says that they were deleted. */
  readonly deletedTopics: readonly number[];
  readonly deletedGroups: readonly number[];
  /** Told to do so at the broker itself: no other permission is needed. */
  readonly insist: boolean;
  readonly last: boolean;
}
