export * from './testing/admin-fixture.js';
export * from './testing/fake-brokers.js';
export * from './testing/fake-name-service.js';
