/** UpdateOffset: a group that pulls says where it has got to in a queue. */
import { queueOffset } from '@cometmq/model';
import { UpdateOffsetRequest, UpdateOffsetResponse } from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import type { ProxyContext } from '../proxy-context.js';
import { rules } from '../rules.js';
import { coldCall, okStatus } from './cold-call.js';
import { askOffset, pullQueue } from './pull-queue.js';

export function updateOffset(context: ProxyContext): UnaryHandler {
  return coldCall(
    context,
    'UpdateOffset',
    UpdateOffsetRequest,
    UpdateOffsetResponse,
    (caller, { group, messageQueue }) => rules.consume(caller, group?.name ?? '', messageQueue?.topic?.name ?? ''),
    async (request, { call }) => {
      const { offset } = request;
      if (!Number.isSafeInteger(offset) || offset < 0) {
        throw new MqError('ILLEGAL_OFFSET', `the offset ${offset} is not allowed; offsets begin at 0`);
      }
      const [queue, group] = await Promise.all([
        pullQueue(context, request.messageQueue, call.peer),
        context.names.group(request.group?.name, call.peer),
      ]);
      await askOffset(context, queue, call, { kind: 'setForGroup', groupId: group.id, offset: queueOffset(offset) });
      return { status: okStatus() };
    },
  );
}
