export * from './broker-link.js';
export * from './directory.js';
export * from './naming.js';
