export * from './broker-link.js';
export * from './broker-links.js';
export * from './directory.js';
export * from './naming.js';
export * from './grpc-broker-link.js';
export * from './link-frames.js';
