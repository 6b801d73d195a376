/** Transactions as a client's library does them; `PublicClient` has none. */
import {
  Code,
  Encoding,
  EndTransactionRequest,
  EndTransactionResponse,
  MessageType,
  SendMessageRequest,
  SendMessageResponse,
  TransactionResolution,
} from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import type { Sent } from './ledger.js';
import { call } from './raw-call.js';
import type { SimClient } from './world.js';

export interface Half {
  readonly messageId: string;
  readonly transactionId: string;
}

/** @throws MqError */
export async function sendHalf(client: SimClient, { topic, body }: Sent): Promise<Half> {
  const messageId = `01${client.process.name.replace(/\W/g, '')}${body.split('.', 1)[0]}`;
  const systemProperties = { messageId, messageType: MessageType.TRANSACTION, bodyEncoding: Encoding.IDENTITY };
  const messages = [{ topic: { name: topic }, body: Buffer.from(body), systemProperties }];
  const request = SendMessageRequest.encode(SendMessageRequest.fromPartial({ messages })).finish();
  const answer = SendMessageResponse.decode(await call(client, 'SendMessage', request));
  const [entry] = answer.entries;
  if (answer.status?.code !== Code.OK || !entry) {
    throw new MqError('UNAVAILABLE', answer.status?.message ?? 'no answer');
  }
  return { messageId, transactionId: entry.transactionId };
}

/** @throws MqError */
export async function endTransaction(client: SimClient, topic: string, half: Half, rollBack: boolean): Promise<void> {
  const resolution = rollBack ? TransactionResolution.ROLLBACK : TransactionResolution.COMMIT;
  const wanted = EndTransactionRequest.fromPartial({ topic: { name: topic }, ...half, resolution });
  const { status } = EndTransactionResponse.decode(
    await call(client, 'EndTransaction', EndTransactionRequest.encode(wanted).finish()),
  );
  if (status?.code !== Code.OK) throw new MqError('UNAVAILABLE', status?.message ?? 'no answer');
}
