import { brokerProcessSettings, brokerSettings, memberRule, segmentRule } from '@cometmq/broker';
import { namingSettings } from '@cometmq/client';
import { declare } from '@cometmq/shared';
import { telemetrySettings } from '@cometmq/telemetry';

export const brokerConfig = declare(
  'broker',
  'keeps the messages of one broker set',
  { ...telemetrySettings, ...namingSettings, ...brokerSettings, ...brokerProcessSettings },
  segmentRule,
  memberRule,
);
