import { localAdminSettings } from '@cometmq/admin';
import { bodyRule, brokerSettings, segmentRule } from '@cometmq/broker';
import { namesrvSettings } from '@cometmq/namesrv';
import { advertisedRule, proxySettings } from '@cometmq/proxy';
import { declare, flag } from '@cometmq/shared';
import { telemetrySettings } from '@cometmq/telemetry';

export const standaloneConfig = declare(
  'standalone',
  'the whole of CometMQ in one process, on an embedded store',
  {
    ...telemetrySettings,
    ...proxySettings,
    ...brokerSettings,
    ...namesrvSettings,
    ...localAdminSettings,
    autoCreateTopics: flag({ default: true, why: 'Make a topic when a client first uses it.' }),
    autoCreateGroups: flag({ default: true, why: 'Make a consumer group when a client first uses it.' }),
  },
  advertisedRule,
  segmentRule,
  bodyRule,
);
