import type { GroupId, LogPosition, QueueId, QueueOffset, RecordKind, TopicId } from '@cometmq/model';

/** What a member of a group wants: judged by the hash of a message's tag (0: none), then by the message itself. */
export interface Matcher {
  /** True: everything is wanted, the rest means nothing. */
  readonly all: boolean;
  /** The hashes of the tags that are wanted; empty where tags alone never say. Messages are kept for it under these. */
  readonly hashes: readonly number[];
  /** Messages are kept for it under this, too, where the tag does not say whose they are. Unlikely to be another's. */
  readonly key: number;
  /** False is sure. True may be a mistake where `wantsMessage` is given. */
  wants(tagHash: number): boolean;
  /** The last word, by what the record of the message says. Left out: the tag's hash says all. */
  readonly wantsMessage?: ((payload: Uint8Array) => boolean) | undefined;
  /** What `wantsMessage` costs, in looks at an entry. */
  readonly cost?: number;
}

/** One queue, as the store's index knows it. Asked by decisions only, never by a fold. */
export interface QueueSource {
  /** The lowest offset not yet expired. */
  readonly first: QueueOffset;
  /** One past the last offset that may be handed out. */
  readonly next: QueueOffset;
  /**
   * The entries from `from`, at most `max` and at least one. Undefined: not in memory; the caller of the decision loads
   * them and decides again. Only read before the next call of `entries`, so one object may serve for ever.
   */
  entries(from: QueueOffset, max: number): QueueEntries | undefined;
  /** What the record of a message says. Undefined: not in memory; the caller loads it and decides again. */
  payload(position: LogPosition, size: number): Uint8Array | undefined;
}

/** A run of consecutive entries; `index` counts from 0 at offset `from`. */
export interface QueueEntries {
  readonly from: QueueOffset;
  readonly count: number;
  position(index: number): LogPosition;
  /** Bytes of the record. */
  size(index: number): number;
  tagHash(index: number): number;
  /** Hash of the message group; 0: none. */
  groupHash(index: number): number;
}

/** Whom messages of a queue are for, where that is not everybody. */
export interface AudienceSource {
  /** False: the group is done with the message, or never was to have it. */
  isFor(groupId: GroupId, offset: number): boolean;
  /** Deliveries before the message came here. */
  attemptsOf(groupId: GroupId, offset: number): number;
}

/** Whom messages are for, of all queues. */
export interface Audiences {
  /** Nearly always: then nothing is asked. */
  readonly isEmpty: boolean;
  /** Undefined: all that is in the queue is for whoever comes. */
  of(topicId: TopicId, queueId: QueueId): AudienceSource | undefined;
}

/** What a view is given of a record of the log. */
export interface FoldedRecord {
  readonly kind: RecordKind;
  readonly position: LogPosition;
  readonly epoch: number;
  readonly timestampMs: number;
  readonly payload: Uint8Array;
}

/** One message of one queue. */
export interface QueuedMessage {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly offset: QueueOffset;
}

/** One group's progress in one queue. */
export interface QueueOfGroup {
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
}
