import type { LogPosition, QueueId, RecordKind, TopicId } from '@cometmq/model';

/** What the view is given of a record of the log. The last four are the queue's, of `pending` and `reference`. */
export interface FoldedRecord {
  readonly kind: RecordKind;
  readonly position: LogPosition;
  readonly size: number;
  readonly timestampMs: number;
  readonly payload: Uint8Array;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly tagHash: number;
  readonly groupHash: number;
}

/** A delayed message that waits: where it lies, when it is due, and all that its entry in the queue will say. */
export interface Timer {
  readonly position: LogPosition;
  /** Of the whole record. */
  readonly size: number;
  /** Since 1970, by the wall clock. */
  readonly dueMs: number;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly tagHash: number;
  readonly groupHash: number;
}
