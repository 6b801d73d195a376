export * from './testing/admin-fixture.js';
export * from './testing/fake-brokers.js';
