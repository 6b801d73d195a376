import {
  adminSettings,
  alertMailRule,
  alertTlsRule,
  controllerRule,
  controllerSettings,
  oidcRule,
  oidcSettings,
  scalingSettings,
  trustedProxiesRule,
} from '@cometmq/admin';
import { authFileSettings, gateRule, loginSettings } from '@cometmq/auth';
import { namingSettings } from '@cometmq/client';
import { internalPortSettings, processTlsRule, processTlsSettings } from '@cometmq/rpc';
import { declare, port } from '@cometmq/shared';
import { telemetrySettings } from '@cometmq/telemetry';

export const dashboardApiConfig = declare(
  'dashboard-api',
  'the administrators’ way in: REST with an OpenAPI document and its pages',
  {
    ...telemetrySettings,
    ...namingSettings,
    ...processTlsSettings,
    ...internalPortSettings,
    ...authFileSettings,
    ...loginSettings,
    ...adminSettings,
    ...oidcSettings,
    ...scalingSettings,
    ...controllerSettings,
    kedaPort: port({ default: 0, why: 'KEDA’s external scaler, by gRPC in plain text within the cluster; 0: none.' }),
  },
  (config) => config.namesrvAddresses.length > 0 || 'namesrvAddresses: must name at least one name server',
  alertMailRule,
  alertTlsRule,
  controllerRule,
  gateRule,
  oidcRule,
  processTlsRule,
  trustedProxiesRule,
);
