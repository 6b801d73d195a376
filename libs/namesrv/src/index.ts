export { limits as metadataLimits } from './checks.js';
export { EtcdFigures } from './etcd-samples.js';
export { namesrvSamples } from './namesrv-metrics.js';
export * from './namesrv-service.js';
export * from './naming-service.js';
export * from './set-registry-door.js';
export * from './settings.js';
export * from './identity-door.js';
export * from './identity-registry.js';
