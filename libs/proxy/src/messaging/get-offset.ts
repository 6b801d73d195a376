/** GetOffset: where a group that pulls has got to in a queue, as it said itself. */
import { GetOffsetRequest, GetOffsetResponse } from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import type { ProxyContext } from '../proxy-context.js';
import { rules } from '../rules.js';
import { coldCall, okStatus } from './cold-call.js';
import { askOffset, pullQueue } from './pull-queue.js';

export function getOffset(context: ProxyContext): UnaryHandler {
  return coldCall(
    context,
    'GetOffset',
    GetOffsetRequest,
    GetOffsetResponse,
    (caller, { group, messageQueue }) => rules.readProgress(caller, group?.name ?? '', messageQueue?.topic?.name ?? ''),
    async (request, { call }) => {
      const [queue, group] = await Promise.all([
        pullQueue(context, request.messageQueue, call.peer),
        context.names.group(request.group?.name, call.peer),
      ]);
      const { offset } = await askOffset(context, queue, call, { kind: 'ofGroup', groupId: group.id });
      if (offset === undefined) {
        const { topic, queueId } = queue;
        throw new MqError(
          'OFFSET_NOT_FOUND',
          `group "${group.name}" has no offset in queue ${queueId} of "${topic.name}"`,
        );
      }
      return { status: okStatus(), offset };
    },
  );
}
