export { flag, frameType } from './http2/constants.js';
export * from './testing/echo.js';
export * from './testing/raw-h2-client.js';
export * from './testing/fake-kubernetes.js';
export { loopback } from './testing/loopback.js';
