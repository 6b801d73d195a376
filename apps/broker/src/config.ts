import { backupRule, backupSettings } from '@cometmq/backup';
import { brokerAddressRule, brokerProcessSettings, brokerSettings, memberRule, segmentRule } from '@cometmq/broker';
import { namingSettings } from '@cometmq/client';
import { internalPortSettings, processTlsRule, processTlsSettings } from '@cometmq/rpc';
import { declare } from '@cometmq/shared';
import { telemetrySettings } from '@cometmq/telemetry';

export const brokerConfig = declare(
  'broker',
  'keeps the messages of one broker set',
  {
    ...telemetrySettings,
    ...namingSettings,
    ...processTlsSettings,
    ...internalPortSettings,
    ...brokerSettings,
    ...brokerProcessSettings,
    ...backupSettings,
  },
  segmentRule,
  memberRule,
  brokerAddressRule,
  processTlsRule,
  backupRule,
);
