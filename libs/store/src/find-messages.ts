import { Envelope, hashText, RecordKind } from '@cometmq/model';
import type { TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { isPending } from './log/record.js';
import type { MessageStore } from './message-store.js';
import type { StoredMessage } from './store-types.js';

/** What of a store messages are found with. */
export type MessageSearch = Pick<MessageStore, 'findById' | 'findReferences' | 'readAll'>;

/** References to one message that are looked at: a release, and a dead letter a group. */
const referencesMax = 64;

/**
 * The topic's messages with this id, as they stand: one that was pending and has been released with the queue and offset
 * it became visible at, one that still waits as the pending record. Those that can't be read are left out.
 */
export async function findMessages(
  store: MessageSearch,
  topicId: TopicId,
  messageId: string,
  max: number,
): Promise<StoredMessage[]> {
  const candidates = await store.findById(topicId, hashText(messageId), max);
  const found: StoredMessage[] = [];
  for (const message of await store.readAll(candidates)) {
    if (message instanceof MqError || message.topicId !== topicId || new Envelope(message.payload).id !== messageId)
      continue;
    found.push(isPending(message.kind) ? ((await releaseOf(store, message)) ?? message) : message);
  }
  return found;
}

/** The reference that made it visible in its topic; one in another topic is a dead letter. */
async function releaseOf(store: MessageSearch, pending: StoredMessage): Promise<StoredMessage | undefined> {
  const candidates = await store.findReferences(pending.position, referencesMax);
  for (const message of await store.readAll(candidates)) {
    if (message instanceof MqError || message.kind !== RecordKind.reference) continue;
    if (message.topicId === pending.topicId && message.origin.position === pending.position) return message;
  }
  return undefined;
}
