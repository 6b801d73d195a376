/**
 * ForwardMessageToDeadLetterQueue: the consumer has given up on a message. Clients repeat it every second until it is
 * OK, so the broker answers a second one like the first.
 */
import type { BrokerLink, Done } from '@cometmq/client';
import type { Receipt } from '@cometmq/model';
import { ForwardMessageToDeadLetterQueueRequest, ForwardMessageToDeadLetterQueueResponse } from '@cometmq/proto';
import type { UnaryHandler } from '@cometmq/rpc';
import { MqError } from '@cometmq/shared';

import { type FrontDoor, LeaderCall } from '../front-door.js';
import { coldCall, okStatus } from './cold-call.js';
import { checkNames, readReceipt } from './receipts.js';

export function forwardToDeadLetter(door: FrontDoor): UnaryHandler {
  return coldCall(
    door,
    'ForwardMessageToDeadLetterQueue',
    ForwardMessageToDeadLetterQueueRequest,
    ForwardMessageToDeadLetterQueueResponse,
    async (request, { call }) => {
      const group = request.group?.name ?? '';
      const topic = request.topic?.name ?? '';
      checkNames(door, group, topic);
      if (request.receiptHandle === '') {
        // The C++ client may leave it out, and takes this code as done.
        throw new MqError(
          'INVALID_RECEIPT_HANDLE',
          'the receipt handle is empty; the handle of the delivery is needed',
        );
      }
      const receipt = readReceipt(door, request.receiptHandle, group, topic);
      await new Promise<void>((resolve, reject) => {
        door.enter();
        new DeadLetter(door, door.giveUpMs(call), receipt, (error) => {
          door.calls -= 1;
          if (error) reject(error);
          else resolve();
        }).start();
      });
      if (door.parts.directory.topic(topic) && door.parts.directory.group(group)) {
        door.counters.groupOut(topic, group).deadLetters += 1;
      }
      return { status: okStatus() };
    },
  );
}

class DeadLetter extends LeaderCall<void> {
  constructor(
    door: FrontDoor,
    giveUpMs: number,
    private readonly receipt: Receipt,
    private readonly done: (error: MqError | undefined) => void,
  ) {
    super(door, giveUpMs);
  }

  protected get broker(): string {
    return this.receipt.broker;
  }

  protected ask(link: BrokerLink, done: Done<void>): void {
    link.deadLetter({ receipt: this.receipt }, done);
  }

  protected answered(error: MqError | undefined): void {
    this.done(error);
  }
}
