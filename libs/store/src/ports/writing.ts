import type { DecidedRecord, Dropped, RecordKind, TopicId } from '@cometmq/model';

import type { Appended, MessageDraft, PendingKind, Placed, QueuedKind, ReferenceDraft } from '../store-types.js';

/** A leader's way in. What is appended is folded at once, and committed once `whenCommitted` says so. */
export interface StoreWriting {
  /** @throws MqError MESSAGE_TOO_LARGE, TOO_MANY_REQUESTS, STORAGE_FULL, DISK_FAILED, TOPIC_NOT_FOUND */
  appendMessage(draft: MessageDraft, kind?: QueuedKind): Appended;
  /**
   * Makes an earlier message visible in another queue. `following` goes in right behind it: of the two the log takes both,
   * or none. @throws MqError MESSAGE_NOT_FOUND when the target is gone
   */
  appendReference(draft: ReferenceDraft, following?: DecidedRecord): Appended;
  /**
   * A message that no queue shows until a reference to it does, for which its body is stored once. Found by id and key
   * meanwhile; kept however old it gets, until it is released or dropped.
   *
   * @throws MqError as `appendMessage`; TOO_MANY_REQUESTS also when the quota of pending messages is used up
   */
  appendPending(draft: MessageDraft, kind?: PendingKind): Placed;
  /** Pending messages will never be visible: their space comes free. May use the space kept for a full disk. */
  appendDropped(list: readonly Dropped[], timestampMs: number): Placed;
  /** A record of the state views' own. May use the space kept for a full disk. */
  append(kind: RecordKind, timestampMs: number, payload: Uint8Array): Placed;
  /** The same of several, at least one, one behind the other: the log takes all of them, or none. Answers where the last one is. */
  appendAll(records: readonly DecidedRecord[], timestampMs: number): Placed;
  /** Of the broker set: kinds of record that came later than this level are not written. Rises by a record. */
  readonly featureLevel: number;
  /** Once all members run a release that knows the level: `featureLevelMax` of model says what this one knows. */
  raiseFeatureLevel(level: number, timestampMs: number): Placed;
  /** The topic's queues are gone at once, and its space with its segments. Its id must never be used again. */
  deleteTopic(topicId: TopicId, timestampMs?: number): Placed;
  /** The queues of lite topics are gone, each with all its messages. Their numbers must never be used again. */
  deleteLiteQueues(record: DecidedRecord, timestampMs: number): Placed;
}
