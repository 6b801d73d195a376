export * from './testing/client-traits.js';
export * from './testing/fake-network.js';
export * from './testing/fake-proxy.js';
export * from './testing/memory-set-registry.js';
export * from './testing/peers-contract.js';
export * from './testing/scripted-door.js';
export * from './testing/set-registry-contract.js';
