import type { QueueId, QueueOffset, TopicId } from '@cometmq/model';
import type { IndexEntries, StorePorts } from '@cometmq/store';

/** What is used of the store. */
type Store = Pick<StorePorts, 'scan' | 'damage'>;

/** Entries read at a time. */
const entriesMax = 64;
/** Queues whose last loaded entries are kept: a kilobyte each. */
const queuesMax = 8_192;

/**
 * Index entries that were fetched from disk for a decision, kept until it is made: the pages they came from may have had
 * to make room for others by then, and a group that waits its turn must get further with every load.
 */
export class ColdEntries {
  /** Of each queue those loaded last, the longest unused queue first. */
  private readonly loaded = new Map<string, IndexEntries>();
  private readonly loading = new Map<string, Promise<void>>();

  constructor(private readonly store: Store) {}

  /** Undefined: not loaded. */
  get(topicId: TopicId, queueId: QueueId, from: QueueOffset): IndexEntries | undefined {
    const entries = this.loaded.get(`${topicId}/${queueId}`);
    if (!entries || from < entries.from || from >= entries.end) return undefined;
    // What stands for messages that were missed is no more once those may have come back.
    const isLost = entries.size(0) === 0;
    return isLost && entries.position(0) !== this.store.damage.lostPlace ? undefined : entries;
  }

  /** Resolves when they are here; who asks for the same meanwhile waits for the same. @throws MqError when they can't be read */
  load(topicId: TopicId, queueId: QueueId, from: QueueOffset): Promise<void> {
    const key = `${topicId}/${queueId}/${from}`;
    const known = this.loading.get(key);
    if (known) return known;
    const loading = this.read(topicId, queueId, from).finally(() => this.loading.delete(key));
    this.loading.set(key, loading);
    return loading;
  }

  private async read(topicId: TopicId, queueId: QueueId, from: QueueOffset): Promise<void> {
    const entries = await this.store.scan(topicId, queueId, from, entriesMax);
    const key = `${topicId}/${queueId}`;
    this.loaded.delete(key);
    if (entries.count === 0) return;
    this.loaded.set(key, entries.copy());
    if (this.loaded.size <= queuesMax) return;
    for (const oldest of this.loaded.keys()) {
      this.loaded.delete(oldest);
      return;
    }
  }
}
