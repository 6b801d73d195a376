export * from './testing/client-traits.js';
export * from './testing/fake-proxy.js';
