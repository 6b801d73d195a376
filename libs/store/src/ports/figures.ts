import type { QueueId, TopicId } from '@cometmq/model';

import type { StoreSizes, TopicSize } from '../store-types.js';

/** How much there is. */
export interface StoreFigures {
  /** New messages are refused. */
  readonly diskFull: boolean;
  readonly sizes: StoreSizes;
  topicSize(topicId: TopicId): TopicSize;
  /** Of the topic's pending messages that live. */
  pendingSize(topicId: TopicId): TopicSize;
  /** Every topic of which something is kept. */
  topicIds(): TopicId[];
  /** Every queue of the topic that anything was ever appended to, in their order. */
  queueIds(topicId: TopicId): QueueId[];
  /** What the file system can still take. */
  freeBytes(): Promise<number>;
}
