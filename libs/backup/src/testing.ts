export { MemoryObjectStore } from './testing/memory-object-store.js';
export { listed, objectStoreContract } from './testing/object-store-contract.js';
