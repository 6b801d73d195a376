import { setRegistryContract } from '@cometmq/client/testing';
import { MemoryStore } from '@cometmq/metadata';
import { ManualClock } from '@cometmq/shared/testing';

import { NamesrvService } from './namesrv-service.js';

setRegistryContract('namesrv before a store in memory', async () => {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  await store.start();
  const open = async () => {
    const service = new NamesrvService({ store, clock, autoCreateTopics: true, autoCreateGroups: true });
    await service.start();
    return service;
  };
  const services = await Promise.all([open(), open()]);
  return {
    registry: services[0].sets,
    other: services[1].sets,
    pass: async (ms) => clock.advance(ms),
    close: async () => {
      await Promise.all(services.map((service) => service.stop()));
      await store.stop();
    },
  };
});
