import { count, flag, oneOf, text, type Values } from '@cometmq/shared';

import type { HttpConnections } from './http-listener.js';

/** What every process of the system can be told about how it is watched. */
export const telemetrySettings = {
  logLevel: oneOf(['debug', 'info', 'warn', 'error', 'silent'], {
    default: 'info',
    why: 'What is written to the log.',
  }),
  clusterName: text({ default: 'DefaultCluster', why: 'The label `cluster` on every metric.' }),
  metricsHost: text({ default: '0.0.0.0', why: 'The address of /metrics, /healthz and /readyz.' }),
  metricsPort: count({
    default: 5557,
    min: 0,
    max: 65_536,
    why: 'Port of /metrics, /healthz and /readyz; 0: any free one; 65536: none.',
  }),
  httpConnectionsMax: count({
    default: 1_000,
    min: 1,
    max: 1_000_000,
    why: 'Connections at once to each port that speaks HTTP/1: metrics and health, and the REST API where there is one. When all are taken, the address that has the most gives one up for another.',
  }),
  httpConnectionsPerAddressMax: count({
    default: 500,
    min: 1,
    max: 1_000_000,
    why: 'Connections at once to such a port from one IPv4 address or one IPv6 /64. Raise it behind a balancer or a NAT that hides who calls.',
  }),
  otlpEndpoint: text({
    default: '',
    secret: true,
    why: 'Base URL of an OTLP collector to push metrics to; empty: none.',
  }),
};

/** Of processes that messages go through. */
export const traceSettings = {
  otlpTraces: flag({
    default: false,
    why: 'Push spans to otlpEndpoint for each message that carries a sampled W3C trace context, in its property traceparent or its own field: sent, received and acknowledged by a proxy; stored, delivered and moved to the dead letters by a broker.',
  }),
};

/** The value of `metricsPort` that opens no port. */
export const noMetricsPort = 65_536;

export function httpConnections(
  config: Pick<Values<typeof telemetrySettings>, 'httpConnectionsMax' | 'httpConnectionsPerAddressMax'>,
): HttpConnections {
  const connectionsMax = config.httpConnectionsMax;
  return { connectionsMax, addressConnectionsMax: Math.min(connectionsMax, config.httpConnectionsPerAddressMax) };
}
