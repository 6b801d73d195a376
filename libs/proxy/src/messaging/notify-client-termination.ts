/**
 * NotifyClientTermination: the client stops. Its polls end, its leases end soon, and every broker set hears of it.
 * Answered OK for unknownMembers too, as it may come twice.
 */
import { NotifyClientTerminationRequest, NotifyClientTerminationResponse } from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';

import type { ProxyContext } from '../proxy-context.js';
import { rules } from '../rules.js';
import { sayGoodBye } from '../good-bye.js';
import { coldCall, okStatus } from './cold-call.js';

export function notifyClientTermination(context: ProxyContext): UnaryHandler {
  return coldCall(
    context,
    'NotifyClientTermination',
    NotifyClientTerminationRequest,
    NotifyClientTerminationResponse,
    (caller, { group }) => {
      if (group && group.name !== '') rules.join(caller, group.name);
    },
    ({ group }, { clientId, call }) => {
      sayGoodBye(context, clientId, call.connection, group?.name);
      return { status: okStatus() };
    },
  );
}
