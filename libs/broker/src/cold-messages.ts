import type { MessageNeeded } from '@cometmq/consumption';
import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StorePorts, ReadMessage, StoredMessage } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import { ColdEntries } from './cold-entries.js';
import { tellUnreadable } from './unreadable.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'readSome' | 'scan' | 'damage'>;

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
    for (const message of needed) {
      const loading = this.loading.get(message.position);
      if (loading) {
        others.add(loading);
        continue;
      }
      batch.push(message);
    }
    if (batch.length > 0) {
      const loading = this.read(batch);
      others.add(loading);
      for (const { position } of batch) this.loading.set(position, loading);
    }
    await Promise.all(others);
  }

  private async read(batch: readonly MessageNeeded[]): Promise<void> {
    let found: readonly ReadMessage[];
    try {
      found = await this.store.readSome(batch, bytesMax);
    } finally {
      for (const { position } of batch) this.loading.delete(position);
    }
    const foundBytes = found.reduce((sum, message) => sum + bytesOf(message), 0);
    if (this.bytes + foundBytes > bytesMax) {
      this.messages.clear();
      this.bytes = 0;
    }
    for (const [i, message] of found.entries()) {
      const { position } = batch[i] as MessageNeeded;
      if (!this.messages.has(position)) this.bytes += bytesOf(message);
      this.messages.set(position, this.readable(position, message));
    }
  }

  private readable(position: LogPosition, found: ReadMessage): StoredMessage | undefined {
    if (!(found instanceof MqError)) return found;
    tellUnreadable(this.log, position, found);
    return undefined;
  }
}

/** What it holds in memory: an entry of a queue may be small, and what it refers to large. */
function bytesOf(message: ReadMessage): number {
  return message instanceof MqError ? 0 : message.payload.length;
}
