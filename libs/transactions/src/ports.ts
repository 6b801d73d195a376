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

/** Half of a transaction: a message that is stored, and that nobody has decided on yet. */
export interface HalfMessage {
  readonly position: LogPosition;
  /** Of the whole record. */
  readonly size: number;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly tagHash: number;
  readonly groupHash: number;
  readonly storedMs: number;
  /** When a producer is asked next, by log time. Means nothing once it is parked. */
  readonly nextCheckMs: number;
  /** How often a producer was asked. */
  readonly checks: number;
  /** 0: never. */
  readonly lastCheckMs: number;
  /** Nobody answered for it as often as it was asked about: an operator shall decide, or a late producer. */
  readonly parked: boolean;
}

export type Resolution = 'commit' | 'rollback';

/** An operator's decision. */
export interface Audit {
  readonly atMs: number;
  readonly who: string;
  readonly resolution: Resolution;
  readonly topicId: TopicId;
  readonly position: LogPosition;
}
