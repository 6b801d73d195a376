/**
 * SyncLiteSubscription: what lite topics a client subscribes to. It may come to any node, or to each of them; every broker
 * set hears of it, as a lite topic lives on one and its client does not know on which. A set without a leader hears of it
 * when it has one.
 */
import type { LiteStart, LiteSyncCall } from '@cometmq/client';
import { groupName, liteTopicName } from '@cometmq/model';
import { type OffsetOption, SyncLiteSubscriptionRequest, SyncLiteSubscriptionResponse } from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import { type ProxyContext, passes } from '../proxy-context.js';
import { rules } from '../rules.js';
import { coldCall, okStatus } from './cold-call.js';
import { liteGroup, liteParent } from './lite-group.js';

const policies: readonly ('last' | 'first' | 'end' | undefined)[] = ['last', 'first', 'end'];
const actions: readonly (LiteSyncCall['action'] | undefined)[] = ['add', 'remove', 'setAll', 'removeAll'];

export function syncLiteSubscription(context: ProxyContext): UnaryHandler {
  return coldCall(
    context,
    'SyncLiteSubscription',
    SyncLiteSubscriptionRequest,
    SyncLiteSubscriptionResponse,
    (caller, { group, topic }) => rules.consume(caller, group?.name ?? '', topic?.name ?? ''),
    async (request, { clientId, principal, peer }) => {
      const action = actions[request.action];
      if (!action) throw new MqError('BAD_REQUEST', `action ${request.action} is unknown; 0 to 3 are allowed`);
      const names = request.liteTopicSet.map((name) => liteTopicName(name, context.limits.liteTopicBytesMax));
      const group = await liteGroup(context, groupName(request.group?.name), request.topic?.name);
      const topic = await liteParent(context, group, request.topic?.name, peer);
      const start = action === 'add' ? startOf(request.offsetOption) : undefined;
      const call = { clientId, groupId: group.id, topicId: topic.id, action, liteTopics: names, start };
      const session = context.sessions.open(clientId, principal.name);
      context.sessions.join(session, group.name);
      await tellAll(context, call);
      if (context.sessions.get(clientId) === session) context.lite.synced(call); // It may have said good-bye meanwhile.
      return { status: okStatus() };
    },
    context.limits.listFieldsMax,
  );
}

async function tellAll(context: ProxyContext, call: LiteSyncCall): Promise<void> {
  const { directory, links } = context.parts;
  const told: Promise<void>[] = [];
  for (const { name } of directory.brokerSets()) {
    const link = links.link(name);
    if (!link) continue;
    told.push(
      new Promise((resolve, reject) => {
        link.syncLite(call, (error) => (error && !passes(error) ? reject(error) : resolve()));
      }),
    );
  }
  if (told.length === 0) throw new MqError('UNAVAILABLE', 'no broker is there at the moment; try again');
  await Promise.all(told);
}

/** @throws MqError BAD_REQUEST */
function startOf(option: OffsetOption | undefined): LiteStart | undefined {
  const type = option?.offsetType;
  switch (type?.$case) {
    case undefined:
      return undefined;
    case 'policy': {
      const at = policies[type.value];
      if (!at) throw new MqError('BAD_REQUEST', `offset policy ${type.value} is unknown; 0 to 2 are allowed`);
      return { at };
    }
    case 'offset':
      return { at: 'offset', value: whole('offset', type.value) };
    case 'tailN':
      return { at: 'tail', value: whole('tail_n', type.value) };
    case 'timestamp':
      return { at: 'time', value: whole('timestamp', type.value) };
  }
}

function whole(what: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new MqError('BAD_REQUEST', `${what} ${value} of the offset option: 0 and above are allowed`);
}
