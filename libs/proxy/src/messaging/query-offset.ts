/** QueryOffset: the offset of a queue's beginning, of its end, or of the first message stored at or after a time. */
import type { OffsetsCall } from '@cometmq/client';
import { QueryOffsetPolicy, QueryOffsetRequest, QueryOffsetResponse } from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import type { ProxyContext } from '../proxy-context.js';
import { rules } from '../rules.js';
import { coldCall, okStatus } from './cold-call.js';
import { askOffset, pullQueue } from './pull-queue.js';
import { durationMs } from './receive-request.js';
import { latestMs } from './send-checks.js';

export function queryOffset(context: ProxyContext): UnaryHandler {
  return coldCall(
    context,
    'QueryOffset',
    QueryOffsetRequest,
    QueryOffsetResponse,
    (caller, { messageQueue }) => rules.readQueue(caller, messageQueue?.topic?.name ?? ''),
    async (request, { call }) => {
      const ask = questionOf(request);
      const { offset } = await askOffset(context, await pullQueue(context, request.messageQueue, call.peer), call, ask);
      return { status: okStatus(), offset: offset ?? 0 };
    },
  );
}

function questionOf({ queryOffsetPolicy, timestamp }: QueryOffsetRequest): OffsetsCall['ask'] {
  switch (queryOffsetPolicy) {
    case QueryOffsetPolicy.BEGINNING:
      return { kind: 'first' };
    case QueryOffsetPolicy.END:
      return { kind: 'end' };
    case QueryOffsetPolicy.TIMESTAMP:
      if (!timestamp) throw new MqError('BAD_REQUEST', 'the policy TIMESTAMP needs a timestamp');
      return { kind: 'time', atMs: Math.min(latestMs, Math.max(0, durationMs(timestamp.seconds, timestamp.nanos))) };
    default:
      throw new MqError('BAD_REQUEST', 'the policy is unknown; allowed are BEGINNING (0), END (1) and TIMESTAMP (2)');
  }
}
