/**
 * ForwardMessageToDeadLetterQueue: the consumer has given up on a message. Clients repeat it every second until it is
 * OK, so the broker answers a second one like the first.
 */
import type { BrokerLink, DeadLetterCall, Done } from '@cometmq/client';
import type { Receipt } from '@cometmq/model';
import { ForwardMessageToDeadLetterQueueRequest, ForwardMessageToDeadLetterQueueResponse } from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import { type ProxyContext, LeaderCall } from '../proxy-context.js';
import { rules } from '../rules.js';
import { coldCall, okStatus } from './cold-call.js';
import { checkNames, readReceipt } from './receipts.js';

export function forwardToDeadLetter(context: ProxyContext): UnaryHandler {
  return coldCall(
    context,
    'ForwardMessageToDeadLetterQueue',
    ForwardMessageToDeadLetterQueueRequest,
    ForwardMessageToDeadLetterQueueResponse,
    (caller, { group, topic }) => rules.consume(caller, group?.name ?? '', topic?.name ?? ''),
    async (request, { clientId, call }) => {
      const group = request.group?.name ?? '';
      const topic = request.topic?.name ?? '';
      checkNames(context, group, topic);
      const { messageId, receiptHandle } = request;
      const ask =
        receiptHandle === ''
          ? await heldAsk(context, { group, topic, messageId, clientId }, call.peer)
          : receiptAsk(readReceipt(context, receiptHandle, group, topic));
      await context.asks<void>((done) =>
        forward(context, context.giveUpMs(call), ask, 0, (error) => done(error, undefined)),
      );
      return { status: okStatus() };
    },
  );
}

/** What is asked, and of which broker sets, one after the other until one knows the message. */
interface Ask {
  readonly call: DeadLetterCall;
  readonly sets: readonly string[];
}

function receiptAsk(receipt: Receipt): Ask {
  return { call: { receipt }, sets: [receipt.broker] };
}

/** The C++ client may leave the handle out: whoever holds the message for this client is looked for. */
async function heldAsk(
  context: ProxyContext,
  { group, topic, messageId, clientId }: { group: string; topic: string; messageId: string; clientId: string },
  peer: string,
): Promise<Ask> {
  if (messageId === '')
    throw new MqError('INVALID_RECEIPT_HANDLE', 'neither a receipt handle nor a message id is given');
  const [found, owner] = await Promise.all([context.names.topic(topic, peer), context.names.group(group, peer)]);
  const sets = [...context.parts.directory.brokerSets()].map(({ name }) => name);
  return { call: { held: { groupId: owner.id, topicId: found.id, messageId, clientId } }, sets };
}

function forward(
  context: ProxyContext,
  giveUpMs: number,
  ask: Ask,
  index: number,
  done: (error: MqError | undefined) => void,
): void {
  const set = ask.sets[index];
  if (set === undefined) {
    done(new MqError('UNAVAILABLE', 'there is no broker set to ask'));
    return;
  }
  new DeadLetter(context, giveUpMs, set, ask.call, (error) => {
    const elsewhere = error?.code === 'INVALID_RECEIPT_HANDLE' && index + 1 < ask.sets.length;
    if (elsewhere) forward(context, giveUpMs, ask, index + 1, done);
    else done(error);
  }).start();
}

class DeadLetter extends LeaderCall<void> {
  constructor(
    context: ProxyContext,
    giveUpMs: number,
    protected readonly broker: string,
    private readonly call: DeadLetterCall,
    private readonly done: (error: MqError | undefined) => void,
  ) {
    super(context, giveUpMs);
  }

  protected ask(link: BrokerLink, done: Done<void>): void {
    link.deadLetter(this.call, done);
  }

  protected answered(error: MqError | undefined): void {
    this.done(error);
  }
}
