import { etcdRule, etcdSettings } from '@cometmq/metadata';
import { namesrvSettings } from '@cometmq/namesrv';
import { internalPortSettings, processTlsRule, processTlsSettings } from '@cometmq/rpc';
import { declare, port, text } from '@cometmq/shared';
import { telemetrySettings } from '@cometmq/telemetry';

export const namesrvConfig = declare(
  'namesrv',
  'the name service: topics, groups, routes; etcd is the truth',
  {
    ...telemetrySettings,
    ...namesrvSettings,
    ...etcdSettings,
    ...processTlsSettings,
    ...internalPortSettings,
    host: text({ default: '0.0.0.0', why: 'The address listened on.' }),
    port: port({ default: 9876, why: 'The internal gRPC service, called by brokers, proxies and the dashboard API.' }),
  },
  etcdRule,
  processTlsRule,
);
