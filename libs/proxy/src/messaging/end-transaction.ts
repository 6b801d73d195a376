/**
 * EndTransaction: a producer says, by itself or because it was asked, what becomes of half a message. The transaction id
 * names the broker set that took it, so any node will do, also where that set has left and another one has it. What does no harm is answered OK: the official C# client
 * ends its process over anything else that follows a check.
 */
import { whereItIs, type BrokerLink, type Done, type EndTransactionCall } from '@cometmq/client';
import {
  EndTransactionRequest,
  EndTransactionResponse,
  TransactionResolution,
  TransactionSource,
} from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import { type ProxyContext, LeaderCall } from '../proxy-context.js';
import { rules } from '../rules.js';
import { coldCall, okStatus } from './cold-call.js';

export function endTransaction(context: ProxyContext): UnaryHandler {
  return coldCall(
    context,
    'EndTransaction',
    EndTransactionRequest,
    EndTransactionResponse,
    (caller, { topic }) => rules.publish(caller, topic?.name ?? ''),
    async (request, { call }) => {
      if (request.transactionId === '') {
        throw new MqError('INVALID_TRANSACTION_ID', 'the transaction id is empty; the one of the send is needed');
      }
      const { broker, place } = context.pendingHandles.read('transaction', request.transactionId);
      const topic = request.topic?.name ?? '';
      // What the directory doesn't know (yet, or any more) is for the broker to judge.
      const origin = context.parts.directory.topicById(place.topicId)?.name ?? topic;
      if (origin !== topic) {
        throw new MqError('INVALID_TRANSACTION_ID', `the transaction id was issued for topic "${origin}"`);
      }
      const resolution = resolutionOf(request.resolution);
      const checked = request.source === TransactionSource.SOURCE_SERVER_CHECK;
      const giveUpMs = context.giveUpMs(call);
      await whereItIs(context.parts.directory, { broker, place }, (brokerSet, at) =>
        context.asks<void>((done) => {
          const ending = { place: at, resolution, checked };
          new Ending(context, giveUpMs, brokerSet, ending, (error) => done(error, undefined)).start();
        }),
      );
      return { status: okStatus() };
    },
  );
}

/** Not set is what a checker says that does not know yet. */
function resolutionOf(resolution: TransactionResolution): EndTransactionCall['resolution'] {
  if (resolution === TransactionResolution.COMMIT) return 'commit';
  return resolution === TransactionResolution.ROLLBACK ? 'rollback' : 'unknown';
}

class Ending extends LeaderCall<void> {
  constructor(
    context: ProxyContext,
    giveUpMs: number,
    protected readonly broker: string,
    private readonly ending: EndTransactionCall,
    private readonly done: (error: MqError | undefined) => void,
  ) {
    super(context, giveUpMs);
  }

  protected ask(link: BrokerLink, done: Done<void>): void {
    link.endTransaction(this.ending, done);
  }

  protected answered(error: MqError | undefined): void {
    this.done(error);
  }
}
