/** Heartbeat: the client lives. It also tells producers that a node they avoided is well again. */
import { ClientType, HeartbeatRequest, HeartbeatResponse } from '@cometmq/proto';
import { type UnaryHandler, grpcStatus } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import type { ProxyContext } from '../proxy-context.js';
import { rules } from '../rules.js';
import { traitOf } from '../sessions.js';
import type { Caller } from '../caller.js';
import { coldCall, okStatus } from './cold-call.js';

const knownTypes = new Set<number>([
  ClientType.PRODUCER,
  ClientType.PUSH_CONSUMER,
  ClientType.SIMPLE_CONSUMER,
  ClientType.PULL_CONSUMER,
  ClientType.LITE_PUSH_CONSUMER,
  ClientType.LITE_SIMPLE_CONSUMER,
]);

export function heartbeat(context: ProxyContext): UnaryHandler {
  const beat = coldCall(
    context,
    'Heartbeat',
    HeartbeatRequest,
    HeartbeatResponse,
    (caller, { clientType, group }) => {
      if (isConsumer(clientType) && group && group.name !== '') rules.join(caller, group.name);
    },
    async (request, caller) => {
      if (!knownTypes.has(request.clientType)) {
        throw new MqError(
          'UNRECOGNIZED_CLIENT_TYPE',
          `client type ${request.clientType} is unknown; allowed are 1 to 6`,
        );
      }
      const groupText = request.group?.name ?? '';
      // Go and Rust producers may send an empty group, or one that means nothing.
      const group =
        isConsumer(request.clientType) && groupText !== ''
          ? await context.names.group(groupText, caller.call.peer)
          : undefined;
      const session = openSession(context, caller, request.clientType);
      if (group) context.sessions.join(session, group.name);
      return { status: okStatus() };
    },
  );
  return (request, call, reply) => {
    // While this node goes, its clients shall look elsewhere: only a failure of the transport makes them.
    if (context.draining) reply.fail(grpcStatus.UNAVAILABLE, 'this node is stopping');
    else beat(request, call, reply);
  };
}

export function isConsumer(clientType: number): boolean {
  return knownTypes.has(clientType) && clientType !== ClientType.PRODUCER;
}

export function openSession(
  context: ProxyContext,
  { clientId, principal, call }: Caller,
  clientType: number,
): ReturnType<ProxyContext['sessions']['open']> {
  const session = context.sessions.open(clientId, principal.name);
  if (knownTypes.has(clientType)) session.clientType = clientType;
  session.language = traitOf(call, 'x-mq-language') ?? session.language;
  session.version = traitOf(call, 'x-mq-client-version') ?? session.version;
  return session;
}
