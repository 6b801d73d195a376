/**
 * Everything that travels over gRPC, as generated from proto/. The clients' protocol lies open, as its names are the ones
 * that readers know; our own has a name of its own, `internal`, because it has a Subscription and a Filter too.
 *
 * Each message is a type and, under the same name, its codec: `Status.encode(status).finish()`, `Status.decode(bytes)`,
 * `Status.fromPartial({ code: Code.OK })`. Each service is a table of its methods: `MessagingServiceDefinition`.
 */
export * from './generated/index.apache.rocketmq.v2.js';
export * as internal from './generated/index.cometmq.v1.js';
export { Duration, Timestamp } from './generated/index.google.protobuf.js';
export { decodeCounted, TooManyFields } from './counted-decode.js';
export { fileDescriptorSet } from './generated/descriptors.js';
export * as externalScaler from './generated/index.externalscaler.js';
export * as health from './generated/index.grpc.health.v1.js';
export * as reflection from './generated/index.grpc.reflection.v1.js';
