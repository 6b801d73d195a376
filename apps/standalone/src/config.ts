import {
  alertMailRule,
  alertTlsRule,
  localAdminSettings,
  oidcRule,
  oidcSettings,
  trustedProxiesRule,
} from '@cometmq/admin';
import { auditSettings, authSettings, loginSettings } from '@cometmq/auth';
import { backupRule, backupSettings } from '@cometmq/backup';
import { bodyRule, brokerSettings, segmentRule } from '@cometmq/broker';
import { namesrvSettings } from '@cometmq/namesrv';
import { advertisedRule, proxySettings } from '@cometmq/proxy';
import { declare, flag, text } from '@cometmq/shared';
import { telemetrySettings } from '@cometmq/telemetry';

export const standaloneConfig = declare(
  'standalone',
  'the whole of CometMQ in one process, on an embedded store',
  {
    ...telemetrySettings,
    ...proxySettings,
    ...brokerSettings,
    ...backupSettings,
    ...namesrvSettings,
    ...localAdminSettings,
    ...oidcSettings,
    ...authSettings,
    ...loginSettings,
    ...auditSettings,
    proxyHost: text({ default: '127.0.0.1', why: 'The address the clients’ gRPC protocol is served on.' }),
    metricsHost: text({ default: '127.0.0.1', why: 'The address of /metrics, /healthz and /readyz.' }),
    users: flag({
      default: false,
      why: 'Make an admin at the first start, whose key and secret are printed once and kept in the data folder: everybody has to log in from then on. Needed, or insecure, where a port listens on another address than a loopback one.',
    }),
    autoCreateTopics: flag({ default: true, why: 'Make a topic when a client first uses it.' }),
    autoCreateGroups: flag({ default: true, why: 'Make a consumer group when a client first uses it.' }),
  },
  alertMailRule,
  alertTlsRule,
  trustedProxiesRule,
  advertisedRule,
  segmentRule,
  bodyRule,
  oidcRule,
  backupRule,
);
