import type { LogPosition, QueueId, TopicId } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';

/** How far the log has got, and who is told of it. */
export interface StoreCommits {
  readonly appendEnd: LogPosition;
  /** All below it is visible. */
  readonly commitEnd: LogPosition;
  /** Calls `act` when all below `end` is committed, in order of `end`; with the error when that can't come any more. */
  whenCommitted(end: LogPosition, act: (error?: MqError) => void): void;
  /** Called right before each batch is cut; may append, so that what has gathered becomes one record. Answers how to end it. */
  beforeBatch(act: () => void): () => void;
  /** Has a batch cut soon even if nothing is appended until then. */
  requestBatch(): void;
  /**
   * Called after a commit with each queue that has newly visible messages, once, before those who wait for it. Answers how
   * to end it.
   */
  onArrival(listener: (topicId: TopicId, queueId: QueueId) => void): () => void;
}
