/**
 * QueryAssignment: which queues a push consumer polls. Every member of a group gets the whole list; leases make that
 * safe. Groups that don't keep order get one assignment for each broker set, id −1: any queue.
 */
import { type Assignment, QueryAssignmentRequest, QueryAssignmentResponse } from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import type { ProxyContext } from '../proxy-context.js';
import { rules } from '../rules.js';
import { coldCall, okStatus } from './cold-call.js';
import { endpointsFor } from './endpoints.js';
import { named, permissionOf, servingSets } from './query-route.js';

export function queryAssignment(context: ProxyContext): UnaryHandler {
  return coldCall(
    context,
    'QueryAssignment',
    QueryAssignmentRequest,
    QueryAssignmentResponse,
    (caller, { group, topic }) => rules.consume(caller, group?.name ?? '', topic?.name ?? ''),
    async (request, { call }) => {
      const resource = named(request.topic, context.limits);
      const endpoints = endpointsFor(context, request.endpoints, call);
      const [topic, group] = await Promise.all([
        context.names.topic(request.topic?.name, call.peer),
        context.names.group(request.group?.name, call.peer),
      ]);
      if (topic.readQueues < 1 || topic.permission === 'write' || topic.permission === 'none') {
        throw new MqError('FORBIDDEN', `topic "${topic.name}" has no readable queue`);
      }
      const assignments: Assignment[] = [];
      for (const { name } of await servingSets(context, topic, context.giveUpMs(call))) {
        const ids = group.fifo && !group.lite ? Array.from({ length: topic.readQueues }, (_, id) => id) : [-1];
        for (const id of ids) {
          assignments.push({
            messageQueue: {
              topic: resource,
              id,
              permission: permissionOf(topic, true, id < topic.writeQueues),
              broker: { name, id: 0, endpoints },
              acceptMessageTypes: [],
            },
          });
        }
      }
      return { status: okStatus(), assignments };
    },
  );
}
