import { authFileSettings, gateRule } from '@cometmq/auth';
import { namingSettings } from '@cometmq/client';
import { advertisedRule, drainSettings, proxySettings } from '@cometmq/proxy';
import { processTlsRule, processTlsSettings } from '@cometmq/rpc';
import { declare } from '@cometmq/shared';
import { telemetrySettings } from '@cometmq/telemetry';

export const proxyConfig = declare(
  'proxy',
  'the front door: the clients’ gRPC protocol, stateless',
  {
    ...telemetrySettings,
    ...namingSettings,
    ...processTlsSettings,
    ...authFileSettings,
    ...proxySettings,
    ...drainSettings,
  },
  advertisedRule,
  gateRule,
  processTlsRule,
);
