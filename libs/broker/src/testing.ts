import type { CheckpointStore } from '@cometmq/store';
import { MemoryCheckpointStore } from '@cometmq/store/testing';

export * from './fake-set-registry.js';
export { SetViews } from './set-views.js';

/** Checkpoints on no disk; the one of a folder is found again by whoever opens the folder again. */
export function memoryCheckpoints(): (folder: string) => CheckpointStore {
  const byFolder = new Map<string, MemoryCheckpointStore>();
  return (folder) => {
    let store = byFolder.get(folder);
    if (!store) byFolder.set(folder, (store = new MemoryCheckpointStore()));
    return store;
  };
}
