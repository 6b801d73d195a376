import type { Clock } from '@cometmq/shared';

import { LocalStore, type Journal } from './local/local-store.js';

/** Keeps nothing: what a test or the simulation gives its name service. */
const nowhere: Journal = {
  open: () => Promise.resolve({ snapshot: undefined, entries: [] }),
  append: () => Promise.resolve(),
  snapshotDue: false,
  snapshot: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/** The embedded store without its disk: same decisions, gone with the process. */
export class MemoryStore extends LocalStore {
  constructor(clock: Clock) {
    super('memory metadata', nowhere, clock);
  }
}
