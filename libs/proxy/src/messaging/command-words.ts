/** What a broker wants said to a client, in the words of its Telemetry stream. */
import type { ClientCommand, Delivered } from '@cometmq/client';
import { deliveredMessage, epoch, groupId, logPosition, queueId, queueOffset } from '@cometmq/model';
import { Code, type Message, ReceiveMessageResponse, type TelemetryCommand } from '@cometmq/proto';
import { throwAssertion } from '@cometmq/shared';

import type { ProxyContext } from '../proxy-context.js';
import { messageTag } from './receive-message.js';

type Word = TelemetryCommand['command'];

/** @param broker the broker set that says it */
export function commandWord(context: ProxyContext, command: ClientCommand, broker: string): Word {
  switch (command.kind) {
    case 'printStack':
      return { $case: 'printThreadStackTraceCommand', value: { nonce: command.nonce } };
    case 'reconnect':
      return { $case: 'reconnectEndpointsCommand', value: { nonce: command.nonce } };
    case 'unsubscribeLite':
      context.lite.forget(command.clientId, command.topicId, command.liteTopic);
      return { $case: 'notifyUnsubscribeLiteCommand', value: { liteTopic: command.liteTopic } };
    case 'verify': {
      const message = wholeMessage(context, command.message, context.handles.write(command.message.receipt));
      return message && { $case: 'verifyMessageCommand', value: { nonce: command.nonce, message } };
    }
    case 'recoverOrphan': {
      const message = wholeMessage(context, halfDelivered(command, broker), '');
      if (!message) return undefined;
      const transactionId = context.pendingHandles.write('transaction', { broker, place: command.place });
      return { $case: 'recoverOrphanedTransactionCommand', value: { message, transactionId } };
    }
  }
}

/**
 * As whole as a delivered one: C# ends its process over a message that lacks something. Undefined: it can't be made of what was
 * sent, which may hold numbers that no client can read. Whoever speaks for the broker must not fail over it.
 */
function wholeMessage(context: ProxyContext, delivered: Delivered, handle: string): Message | undefined {
  try {
    const item = Buffer.concat(deliveredMessage(messageTag, delivered, handle, undefined));
    const { content } = ReceiveMessageResponse.decode(item);
    return content?.$case === 'message' ? content.value : undefined;
  } catch (caught) {
    throwAssertion(caught);
    context.parts.log(`a client can't be asked about a message of topic ${delivered.originTopicId}`, caught);
    return undefined;
  }
}

/** Half a message as it would look if it were delivered now. */
function halfDelivered(half: Extract<ClientCommand, { kind: 'recoverOrphan' }>, broker: string): Delivered {
  const { topicId } = half.place;
  return {
    payload: half.payload,
    storedMs: half.storedMs,
    originTopicId: topicId,
    receipt: {
      broker,
      groupId: groupId(0),
      topicId,
      queueId: queueId(0),
      offset: queueOffset(0),
      leaseEpoch: epoch(0),
      leasePosition: logPosition(0),
      generation: 0,
      attempt: 1,
    },
  };
}

/** A client's answer to a command with a nonce; undefined: the command is none. */
export function commandAnswer({ status, command }: TelemetryCommand) {
  const code: number = Math.max(0, status?.code ?? Code.OK); // Any number may come.
  const message = status?.message ?? '';
  switch (command?.$case) {
    case 'threadStackTrace':
      return { nonce: command.value.nonce, code, message, text: command.value.threadStackTrace ?? '' };
    case 'verifyMessageResult':
    case 'verifyMessageCommand': // So says the official Node.js client.
    case 'printThreadStackTraceCommand':
    case 'reconnectEndpointsCommand':
      return { nonce: command.value.nonce, code, message, text: '' };
    default:
      return undefined;
  }
}
