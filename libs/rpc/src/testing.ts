export { flag, frameType } from './http2/constants.js';
export { HpackDecoder } from './http2/hpack-decoder.js';
export * from './testing/echo.js';
export * from './testing/raw-h2-client.js';
export * from './testing/fake-kubernetes.js';
export { loopback } from './testing/loopback.js';
export { GrpcJsServer } from './testing/grpc-js-server.js';
export type { GrpcJsServerOptions } from './testing/grpc-js-server.js';
export * from './testing/fake-kubernetes-server.js';
