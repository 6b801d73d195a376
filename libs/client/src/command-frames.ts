import type { TopicId } from '@cometmq/model';
import type { internal } from '@cometmq/proto';

import type { ClientCommand } from './broker-link.js';
import { deliveredFromWire, deliveredToWire } from './link-frames.js';
import { placeFromWire, placeToWire } from './pending-frames.js';

/** What a broker wants said to clients, on the wire and back. */
export function commandToWire(command: ClientCommand): internal.ClientCommand {
  return { clientId: command.clientId, command: caseOf(command) };
}

/** Undefined: a command that this version does not know. */
export function commandFromWire({ clientId, command }: internal.ClientCommand): ClientCommand | undefined {
  switch (command?.$case) {
    case 'recoverOrphan': {
      const { place, payload, storedMs } = command.value;
      return { clientId, kind: 'recoverOrphan', place: placeFromWire(place), payload, storedMs };
    }
    case 'unsubscribeLite': {
      const { topicId, liteTopic } = command.value;
      return { clientId, kind: 'unsubscribeLite', topicId: topicId as TopicId, liteTopic };
    }
    case 'printStack':
    case 'reconnect':
      return { clientId, kind: command.$case, nonce: command.value.nonce };
    case 'verify': {
      const { nonce, message } = command.value;
      return message && { clientId, kind: 'verify', nonce, message: deliveredFromWire(message) };
    }
    case undefined:
      return undefined;
  }
}

function caseOf(command: ClientCommand): internal.ClientCommand['command'] {
  switch (command.kind) {
    case 'recoverOrphan': {
      const { place, payload, storedMs } = command;
      return { $case: 'recoverOrphan', value: { place: placeToWire(place), payload, storedMs } };
    }
    case 'unsubscribeLite': {
      const { topicId, liteTopic } = command;
      return { $case: 'unsubscribeLite', value: { topicId, liteTopic } };
    }
    case 'printStack':
    case 'reconnect':
      return { $case: command.kind, value: { nonce: command.nonce } };
    case 'verify':
      return { $case: 'verify', value: { nonce: command.nonce, message: deliveredToWire(command.message) } };
  }
}
