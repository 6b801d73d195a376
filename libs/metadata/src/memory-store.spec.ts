import { ManualClock } from '@cometmq/shared/testing';

import { MemoryStore } from './memory-store.js';
import { metadataStoreContract } from './testing.js';

metadataStoreContract('memory', async () => {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  await store.start();
  return {
    store,
    pass: async (ms) => clock.advance(ms),
    forgetHistory: async () => {
      const write = { compare: [], puts: [{ key: 'z', value: '' }] };
      await Promise.all(Array.from({ length: 20_001 }, () => store.commit(write)));
    },
    close: () => store.stop(),
  };
});

describe('MemoryStore', () => {
  it('leaves no timer behind', async () => {
    const clock = new ManualClock();
    const store = new MemoryStore(clock);
    await store.start();
    await store.grantLease(1_000);
    await store.grantLease(2_000);
    expect(clock.timersWaiting).toBe(1);
    await store.stop();
    expect(clock.timersWaiting).toBe(0);
  });
});
