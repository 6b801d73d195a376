import type { Clock } from '@cometmq/shared';

import { LocalStore, type Journal } from './local/local-store.js';
import type { Entry } from './local/state.js';

/** Keeps what was written, for as long as the process lives. */
function inMemory(entries: Entry[]): Journal {
  return {
    open: () => Promise.resolve({ snapshot: undefined, entries: [...entries] }),
    append: (more) => {
      entries.push(...more);
      return Promise.resolve();
    },
    snapshotDue: false,
    snapshot: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** The embedded store without its disk: same decisions, gone with the process. What a test or the simulation gives its name service. */
export class MemoryStore extends LocalStore {
  constructor(
    private readonly ownClock: Clock,
    private readonly entries: Entry[] = [],
  ) {
    super('memory metadata', inMemory(entries), ownClock);
  }

  /** How much was written so far: a backup of now is `asOf` it. */
  get written(): number {
    return this.entries.length;
  }

  /** Another store, with what was there when so much was written. */
  asOf(written: number): MemoryStore {
    return new MemoryStore(this.ownClock, this.entries.slice(0, written));
  }
}
