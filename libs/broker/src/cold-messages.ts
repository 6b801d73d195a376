import type { MessageNeeded } from '@cometmq/consumption';
import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StorePorts, ReadMessage, StoredMessage } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import { ColdEntries } from './cold-entries.js';
import { tellUnreadable } from './unreadable.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'readAll' | 'scan' | 'damage'>;

/** Loaded messages that are kept for the decision that asked for them; the last batch stays whole. */
const bytesMax = 8 * 1024 * 1024;

/**
 * Messages that lie on disk and that a filter has to look at before anything can be decided about them. Loaded in small
 * batches, kept until the next few are.
 */
export class ColdMessages {
  private readonly messages = new Map<LogPosition, StoredMessage | undefined>();
  private readonly loading = new Map<LogPosition, Promise<void>>();
  private bytes = 0;
  /** The index entries that lead to messages, where those lie on disk too. */
  readonly entries: ColdEntries;

  constructor(
    private readonly store: Store,
    private readonly log: Logger,
  ) {
    this.entries = new ColdEntries(store);
  }

  /** Undefined: not loaded, or not to be read. */
  get(position: LogPosition): StoredMessage | undefined {
    return this.messages.get(position);
  }

  /** True: it was tried, and can't be read. */
  isUnreadable(position: LogPosition): boolean {
    return this.messages.has(position) && this.messages.get(position) === undefined;
  }

  /**
   * Resolves when the first messages of the list, as many as may be kept, are here. One that is being loaded for somebody
   * else is waited for. Never rejects.
   */
  async load(needed: readonly MessageNeeded[]): Promise<void> {
    const batch: MessageNeeded[] = [];
    const others = new Set<Promise<void>>();
    let batchBytes = 0;
    for (const message of needed) {
      const loading = this.loading.get(message.position);
      if (loading) {
        others.add(loading);
        continue;
      }
      if (batch.length > 0 && batchBytes + message.size > bytesMax) break;
      batch.push(message);
      batchBytes += message.size;
    }
    if (batch.length > 0) {
      const loading = this.read(batch, batchBytes);
      others.add(loading);
      for (const { position } of batch) this.loading.set(position, loading);
    }
    await Promise.all(others);
  }

  private async read(batch: readonly MessageNeeded[], batchBytes: number): Promise<void> {
    let found: readonly ReadMessage[];
    try {
      found = await this.store.readAll(batch);
    } finally {
      for (const { position } of batch) this.loading.delete(position);
    }
    if (this.bytes + batchBytes > bytesMax) {
      this.messages.clear();
      this.bytes = 0;
    }
    batch.forEach(({ position, size }, i) => {
      if (!this.messages.has(position)) this.bytes += size;
      this.messages.set(position, this.readable(position, found[i]));
    });
  }

  private readable(position: LogPosition, found: ReadMessage | undefined): StoredMessage | undefined {
    if (!(found instanceof MqError)) return found;
    tellUnreadable(this.log, position, found);
    return undefined;
  }
}
