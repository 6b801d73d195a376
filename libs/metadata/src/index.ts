export * from './embedded/embedded-store.js';
export type { MetadataFiles } from './embedded/files.js';
export * from './embedded/node-files.js';
export type { EtcdAddress } from './etcd/etcd-client.js';
export * from './etcd/etcd-store.js';
export * from './etcd/etcd-users.js';
export * from './memory-store.js';
export * from './metadata-store.js';
export * from './settings.js';
