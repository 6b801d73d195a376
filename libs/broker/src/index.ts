export * from './broker-service.js';
export * from './link-door.js';
export * from './settings.js';
