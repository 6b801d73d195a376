import { systemClock } from '@cometmq/shared';

import { MemoryObjectStore } from './memory-object-store.js';
import { objectStoreContract } from './object-store-contract.js';

objectStoreContract('in memory', () =>
  Promise.resolve({ store: new MemoryObjectStore(systemClock), close: () => Promise.resolve() }),
);
