export * from './disk/bad-sectors.js';
export * from './disk/faulty-disk.js';
export * from './disk/memory-disk.js';
export { DiskCheckpointStore } from './views/disk-checkpoint-store.js';
export * from './views/memory-checkpoint-store.js';
export { segmentFile, segmentName } from './log/segment.js';
export { resting } from './yield-to-loop.js';
