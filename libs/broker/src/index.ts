export * from './broker-door.js';
export * from './broker-metrics.js';
export * from './broker-reports.js';
export * from './broker-service.js';
export { inspectGrpcService } from './inspect/inspect-door.js';
export { InspectReports } from './inspect/inspect-reports.js';
export { LinkMeter } from './link-meter.js';
export * from './settings.js';
