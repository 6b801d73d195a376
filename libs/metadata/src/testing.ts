export * from './testing/contract.js';
export * from './testing/crashing-files.js';
export * from './testing/cut-line.js';
export * from './testing/etcd-process.js';
export * from './testing/faulty-store.js';
export * from './testing/until.js';
