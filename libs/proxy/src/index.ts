export * from './counters.js';
export * from './limits.js';
export { MessagingService, createMessagingService, type MessagingParts } from './messaging/messaging-service.js';
export { ClientSession, SessionRegistry } from './sessions.js';
export { Drain, drainSettings, type DrainParts } from './drain.js';
export { clientPort, type ClientPortParts } from './client-port.js';
export { clientPortMetrics, proxyMetrics } from './metrics.js';
export * from './settings.js';
