export * from './testing/fake-front-door.js';
