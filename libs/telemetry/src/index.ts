export * from './http-listener.js';
export * from './logger.js';
export * from './metric-names.js';
export * from './metric-source.js';
export * from './telemetry.js';
export { MessageTraces, type MessageSpan, messageTracesOf, sampledContext } from './message-traces.js';
export * from './settings.js';
export * from './program.js';
export * from './line-file.js';
