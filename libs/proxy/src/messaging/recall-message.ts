/**
 * RecallMessage: a delayed message is taken back before its time. The handle names the broker set that took it, so any
 * node will do, also where that set has left and another one has the message; OK is a promise that it is never delivered.
 */
import { whereItIs, type BrokerLink, type Done, type RecallResult } from '@cometmq/client';
import { MessageType, messageTypeName, type PendingPlace, printable, topicName } from '@cometmq/model';
import { RecallMessageRequest, RecallMessageResponse } from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import { type ProxyContext, LeaderCall } from '../proxy-context.js';
import { rules } from '../rules.js';
import { coldCall, okStatus } from './cold-call.js';

export function recallMessage(context: ProxyContext): UnaryHandler {
  return coldCall(
    context,
    'RecallMessage',
    RecallMessageRequest,
    RecallMessageResponse,
    (caller, { topic }) => rules.publish(caller, topic?.name ?? ''),
    async (request, { call }) => {
      const name = topicName(request.topic?.name ?? '');
      const topic = context.parts.directory.topic(name);
      if (!topic) throw new MqError('TOPIC_NOT_FOUND', `topic "${printable(name)}" does not exist`);
      if (topic.type !== MessageType.delay && topic.type !== MessageType.mixed) {
        const type = messageTypeName(topic.type).toUpperCase();
        throw new MqError(
          'MESSAGE_TYPE_CONFLICT',
          `topic "${name}" takes ${type} messages; only delayed ones are recalled`,
        );
      }
      const { broker, place } = context.pendingHandles.read('recall', request.recallHandle);
      if (place.topicId !== topic.id) {
        throw new MqError('BAD_REQUEST', `the recall handle was issued for another topic than "${name}"`);
      }
      const giveUpMs = context.giveUpMs(call);
      const recalled = await whereItIs(context.parts.directory, { broker, place }, (brokerSet, at) =>
        context.asks<RecallResult>((done) => new Recall(context, giveUpMs, brokerSet, at, done).start()),
      );
      const messageId = recalled?.messageId ?? '';
      return { status: okStatus(), messageId };
    },
  );
}

class Recall extends LeaderCall<RecallResult> {
  constructor(
    context: ProxyContext,
    giveUpMs: number,
    protected readonly broker: string,
    private readonly place: PendingPlace,
    private readonly done: Done<RecallResult>,
  ) {
    super(context, giveUpMs);
  }

  protected ask(link: BrokerLink, done: Done<RecallResult>): void {
    link.recall({ place: this.place }, done);
  }

  protected answered(error: MqError | undefined, result: RecallResult | undefined): void {
    this.done(error, result);
  }
}
