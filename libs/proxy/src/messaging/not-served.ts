/**
 * Calls that this release does not serve, each refused by name with NOT_IMPLEMENTED in the answer's status, which
 * clients take as final.
 */
import type { GrpcMethod } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import { type FrontDoor, RpcMeter, clientIdOf } from '../front-door.js';
import { type Outcome, outcomeOf, statusOnly } from '../status.js';
import { Code } from '@cometmq/proto';

export function notServedUnary(door: FrontDoor, method: string, feature: string): GrpcMethod {
  const refuse = refusal(door, method, feature);
  return {
    kind: 'unary',
    handler: (_request, call, reply) => reply.send(refuse(() => clientIdOf(call))),
  };
}

function refusal(door: FrontDoor, method: string, feature: string): (check: () => void) => Buffer {
  const meter = new RpcMeter(method, door);
  const refused: Outcome = { code: Code.NOT_IMPLEMENTED, message: `${feature} not served by this release` };
  return (check) => {
    const startMs = door.clock.monotonicMs();
    let outcome = refused;
    try {
      check();
    } catch (caught) {
      outcome = outcomeOf(MqError.from(caught));
    }
    meter.done(startMs, outcome.code);
    return statusOnly(outcome);
  };
}
