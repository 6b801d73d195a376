/** What a broker wants said to a client, in the words of its Telemetry stream. */
import type { ClientCommand } from '@cometmq/client';
import { Code, ReceiveMessageResponse, type TelemetryCommand } from '@cometmq/proto';

import type { FrontDoor } from '../front-door.js';
import { deliveredItem } from './delivered-message.js';

type Word = TelemetryCommand['command'];

/** Undefined: this release has no word for it. */
export function commandWord(door: FrontDoor, command: ClientCommand): Word {
  switch (command.kind) {
    case 'printStack':
      return { $case: 'printThreadStackTraceCommand', value: { nonce: command.nonce } };
    case 'reconnect':
      return { $case: 'reconnectEndpointsCommand', value: { nonce: command.nonce } };
    case 'unsubscribeLite':
      return { $case: 'notifyUnsubscribeLiteCommand', value: { liteTopic: command.liteTopic } };
    case 'verify': {
      // As whole as a delivered one: C# ends its process over a message that lacks something.
      const item = Buffer.concat(
        deliveredItem(command.message, door.handles.write(command.message.receipt), undefined),
      );
      const { content } = ReceiveMessageResponse.decode(item);
      const message = content?.$case === 'message' ? content.value : undefined;
      return { $case: 'verifyMessageCommand', value: { nonce: command.nonce, message } };
    }
    case 'recoverOrphan': // Transactions are refused at the door, so nobody asks.
      return undefined;
  }
}

/** A client's answer to a command with a nonce; undefined: the command is none. */
export function commandAnswer({ status, command }: TelemetryCommand) {
  const code = status?.code ?? Code.OK;
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
