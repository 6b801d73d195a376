import assert from 'node:assert/strict';

import { MessageType, TransactionResolution, TransactionSource } from '@cometmq/proto';
import { timestampOf } from '../messages.js';
import { is, message, poll, send, take, textOf, topicOf, type Talk, type WireCheck } from '../talk.js';
import type { Wire } from '../wire.js';

const { COMMIT, ROLLBACK } = TransactionResolution;

async function half(
  talk: Talk,
  wire: Wire,
): Promise<{ topic: string; end: (resolution: number, id?: string) => Promise<number> }> {
  const topic = await talk.topic('transaction');
  const [entry] = await send(wire, [message(topic, 'half', { messageType: MessageType.TRANSACTION })]);
  assert(entry);
  assert.notEqual(entry.transactionId, '');
  const end = async (resolution: number, transactionId = entry.transactionId): Promise<number> => {
    const { messageId } = entry;
    const request = { topic: topicOf(topic), messageId, transactionId, resolution: resolution as typeof COMMIT };
    return (await talk.wire(talk.other).unary('endTransaction', request)).status?.code ?? 0;
  };
  return { topic, end };
}

export const decisions: readonly WireCheck[] = [
  {
    title: 'a transaction ended without a source, on another node, twice; not both ways',
    core: true,
    async check(talk) {
      const wire = talk.wire();
      const { topic, end } = await half(talk, wire);
      is(await end(TransactionResolution.TRANSACTION_RESOLUTION_UNSPECIFIED), 'OK');
      is(await end(COMMIT), 'OK');
      is(await end(COMMIT), 'OK');
      is(await end(ROLLBACK), 'BAD_REQUEST');
      const came = await take(wire, await talk.group(), topic, 1);
      assert.deepEqual(came.map(textOf), ['half']);
    },
  },
  {
    title: 'unknown transactions: INVALID_TRANSACTION_ID',
    core: true,
    async check(talk) {
      const wire = talk.wire();
      const { topic, end } = await half(talk, wire);
      is(await end(COMMIT, ''), 'INVALID_TRANSACTION_ID');
      is(await end(COMMIT, 'garbage'), 'INVALID_TRANSACTION_ID');
      const elsewhere = await talk.topic('transaction', 'elsewhere');
      const [entry] = await send(wire, [message(elsewhere, 'x', { messageType: MessageType.TRANSACTION })]);
      is(await end(COMMIT, entry?.transactionId), 'INVALID_TRANSACTION_ID');
      is(await end(ROLLBACK), 'OK');
      is((await poll(wire, await talk.group(), topic)).status.code, 'MESSAGE_NOT_FOUND');
      const request = { topic: topicOf(topic), messageId: 'x', transactionId: 'y', resolution: COMMIT };
      const answer = await wire.unary('endTransaction', { ...request, source: TransactionSource.SOURCE_SERVER_CHECK });
      is(answer.status?.code, 'INVALID_TRANSACTION_ID');
    },
  },
  {
    title: 'recall: twice, with garbage, of another topic, after delivery',
    core: true,
    async check(talk) {
      const topic = await talk.topic('delay');
      const wire = talk.wire();
      const delayed = (body: string, ms: number): ReturnType<typeof message> =>
        message(topic, body, { deliveryTimestamp: timestampOf(Date.now() + ms) });
      const [far, near] = await send(wire, [delayed('far', 60_000), delayed('near', 1_000)]);
      assert(far && near);
      const recall = async (recallHandle: string, name = topic): Promise<number | undefined> => {
        const node = talk.wire(talk.other);
        return (await node.unary('recallMessage', { topic: topicOf(name), recallHandle })).status?.code;
      };
      is(await recall(far.recallHandle), 'OK');
      is(await recall(far.recallHandle), 'OK');
      is(await recall('garbage'), 'BAD_REQUEST');
      is(await recall(near.recallHandle, await talk.topic('delay', 'another')), 'BAD_REQUEST');
      is(await recall(near.recallHandle, await talk.topic('normal', 'normal')), 'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE');
      const came = await take(wire, await talk.group(), topic, 1);
      assert.deepEqual(came.map(textOf), ['near']);
      is(await recall(near.recallHandle), 'MESSAGE_NOT_FOUND');
    },
  },
  {
    title: 'a delayed message says when it was due, and counts its attempts from 1',
    core: true,
    async check(talk) {
      const topic = await talk.topic('delay');
      const wire = talk.wire();
      const dueMs = Date.now() + 1_500;
      await send(wire, [message(topic, 'due', { deliveryTimestamp: timestampOf(dueMs), deliveryAttempt: 5_000 })]);
      const [came] = await take(wire, await talk.group(), topic, 1);
      const system = came?.systemProperties;
      assert(Date.now() >= dueMs);
      assert.deepEqual(system?.deliveryTimestamp, timestampOf(dueMs));
      assert.equal(system?.deliveryAttempt, 1);
      assert.equal(system.messageType, MessageType.DELAY);
    },
  },
];
