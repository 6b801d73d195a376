/**
 * NotifyClientTermination: the client stops. Its polls end, its leases end soon, and every broker set hears of it.
 * Answered OK for strangers too, as it may come twice.
 */
import { NotifyClientTerminationRequest, NotifyClientTerminationResponse } from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';

import type { FrontDoor } from '../front-door.js';
import { sayGoodBye } from '../good-bye.js';
import { coldCall, okStatus } from './cold-call.js';

export function notifyClientTermination(door: FrontDoor): UnaryHandler {
  return coldCall(
    door,
    'NotifyClientTermination',
    NotifyClientTerminationRequest,
    NotifyClientTerminationResponse,
    ({ group }, { clientId, call }) => {
      sayGoodBye(door, clientId, call.connection, group?.name);
      return { status: okStatus() };
    },
  );
}
