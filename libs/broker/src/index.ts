export * from './broker-door.js';
export * from './broker-metrics.js';
export * from './broker-reports.js';
export * from './broker-service.js';
export { LinkMeter } from './link-meter.js';
export * from './settings.js';
