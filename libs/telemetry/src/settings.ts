import { count, oneOf, text } from '@cometmq/shared';

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
  otlpEndpoint: text({
    default: '',
    secret: true,
    why: 'Base URL of an OTLP collector to push metrics to; empty: none.',
  }),
};

/** The value of `metricsPort` that opens no port. */
export const noMetricsPort = 65_536;
