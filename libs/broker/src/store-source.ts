import type { QueueEntries, QueueSource } from '@cometmq/consumption';
import type { LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import type { StorePorts } from '@cometmq/store';

import type { ColdMessages } from './cold-messages.js';
import { unreadable } from './group-filters.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'committedOf' | 'firstOf' | 'payloadInMemory' | 'scanInMemory'>;

/** One queue as a decision sees it: committed bounds; entries and messages where they are in memory. */
export class StoreSource implements QueueSource {
  constructor(
    private readonly store: Store,
    private readonly cold: ColdMessages,
    private readonly topicId: TopicId,
    private readonly queueId: QueueId,
  ) {}

  get first(): QueueOffset {
    return this.store.firstOf(this.topicId, this.queueId);
  }
  get next(): QueueOffset {
    return this.store.committedOf(this.topicId, this.queueId);
  }
  get everExpired(): boolean {
    return this.first > 0;
  }
  entries(from: QueueOffset, max: number): QueueEntries | undefined {
    const { topicId, queueId } = this;
    return this.store.scanInMemory(topicId, queueId, from, max) ?? this.cold.entries.get(topicId, queueId, from);
  }
  payload(position: LogPosition, size: number): Uint8Array | undefined {
    const found = this.store.payloadInMemory(position, size) ?? this.cold.get(position)?.payload;
    return found ?? (this.cold.isUnreadable(position) ? unreadable : undefined);
  }
}
