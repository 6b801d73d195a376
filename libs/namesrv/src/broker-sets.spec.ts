import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { setRegistryContract, type OpenedRegistry } from '@cometmq/client/testing';
import { EmbeddedStore, MemoryStore, NodeFiles, type MetadataStore } from '@cometmq/metadata';
import { ManualClock } from '@cometmq/shared/testing';

import { NamesrvService } from './namesrv-service.js';

async function opened(store: MetadataStore, clock: ManualClock): Promise<OpenedRegistry> {
  await store.start();
  const open = async (): Promise<NamesrvService> => {
    const service = new NamesrvService({ store, clock, autoCreateTopics: true, autoCreateGroups: true });
    await service.start();
    return service;
  };
  const [one, other] = [await open(), await open()];
  return {
    registry: one.sets,
    other: other.sets,
    pass: async (ms) => clock.advance(ms),
    close: async () => {
      await Promise.all([one.stop(), other.stop()]);
      await store.stop();
    },
  };
}

setRegistryContract('namesrv before a store in memory', () => {
  const clock = new ManualClock();
  return opened(new MemoryStore(clock), clock);
});

setRegistryContract('namesrv before the embedded store', async () => {
  const clock = new ManualClock();
  const folder = mkdtempSync(join(tmpdir(), 'cometmq-sets-'));
  const registry = await opened(new EmbeddedStore(new NodeFiles(folder), clock), clock);
  return {
    ...registry,
    close: async () => {
      await registry.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
});
