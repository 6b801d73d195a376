export { sentences } from './api/problem-sentences.js';
export * from './testing/admin-fixture.js';
export * from './testing/fake-brokers.js';
export * from './testing/real-oidc-provider.js';
