import type { ClientQuestion, CommandAnswer, Delivered } from '@cometmq/client';
import { epoch, logPosition, type GroupId, type TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import { findMessages, type StorePorts } from '@cometmq/store';

import type { ClientCommands } from './client-commands.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'findById' | 'findReferences' | 'readAll'>;

/** Messages with the same hash of their id. */
const sameIdMax = 16;
const said: CommandAnswer = { nonce: '', code: 0, message: '', text: '' };

/** What operators ask clients. A message to be tried is looked up here, and goes as whole as a delivered one. */
export class ClientQuestions {
  constructor(
    private readonly store: Store,
    private readonly commands: ClientCommands,
    private readonly brokerName: string,
  ) {}

  /** @throws MqError NOT_FOUND, MESSAGE_NOT_FOUND, TIMEOUT */
  async ask(question: ClientQuestion): Promise<CommandAnswer> {
    const { clientId } = question;
    switch (question.kind) {
      case 'printStack':
        return this.commands.ask({ kind: 'printStack', clientId });
      case 'verify': {
        const { groupId, topicId, messageId } = question;
        const message = await this.find(groupId, topicId, messageId);
        return this.commands.ask({ kind: 'verify', clientId, message });
      }
      case 'reconnect':
        // No client answers this.
        if (this.commands.tell({ kind: 'reconnect', clientId, nonce: '' })) return said;
        throw new MqError('NOT_FOUND', `no proxy holds an open stream of client "${clientId}"`);
    }
  }

  /** Under no lease: acknowledging it has no effect. */
  private async find(groupId: GroupId, topicId: TopicId, messageId: string): Promise<Delivered> {
    for (const message of await findMessages(this.store, topicId, messageId, sameIdMax)) {
      const { payload, timestampMs, queueId, queueOffset, originTopicId } = message;
      const receipt = {
        broker: this.brokerName,
        groupId,
        topicId,
        queueId,
        offset: queueOffset,
        leaseEpoch: epoch(0),
        leasePosition: logPosition(0),
        generation: 0,
        attempt: 1,
      };
      return { receipt, payload, storedMs: timestampMs, originTopicId };
    }
    throw new MqError('MESSAGE_NOT_FOUND', `this broker set has no message "${messageId}" of the topic`);
  }
}
