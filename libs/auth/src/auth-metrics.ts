import type { Sample } from '@cometmq/telemetry';

import type { Gate } from './gate.js';

/** Who was not let in, by why; none where there are no users. Plain numbers since the process began. */
export function* authSamples(users: Gate['users']): Iterable<Sample> {
  if (!users) return;
  const { anonymous, wrong, tooMany, time } = users.authenticator.refused;
  const reasons = { missing: anonymous, wrong, time, too_many: tooMany, token: users.tokens.refused };
  for (const [reason, value] of Object.entries(reasons)) {
    yield { metric: 'rocketmq_auth_failures_total', labels: { reason }, value };
  }
}
