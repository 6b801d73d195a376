import assert from 'node:assert/strict';

import { ClientType } from '@cometmq/proto';
import { durationOf } from '../messages.js';
import {
  ack,
  attemptOf,
  change,
  handleOf,
  idOf,
  is,
  message,
  poll,
  send,
  settle,
  take,
  textOf,
  topicOf,
  type Talk,
  type WireCheck,
} from '../talk.js';
import type { Wire } from '../wire.js';

async function ready(talk: Talk, bodies: readonly string[]): Promise<{ topic: string; group: string; wire: Wire }> {
  const topic = await talk.topic();
  const wire = talk.wire();
  await send(
    wire,
    bodies.map((body) => message(topic, body)),
  );
  return { topic, group: await talk.group(), wire };
}

export const leases: readonly WireCheck[] = [
  {
    title: 'acknowledge by a good handle, a used one, and one from before a change; garbage is refused for good',
    core: true,
    async check(talk) {
      const { topic, group, wire } = await ready(talk, ['a', 'b']);
      const [one, two] = await take(wire, group, topic, 2);
      assert(one && two);
      is(await ack(wire, group, topic, handleOf(one)), 'OK');
      is(await ack(wire, group, topic, handleOf(one)), 'OK');
      const changed = await change(wire, group, topic, two, 30_000);
      is(changed.code, 'OK');
      is(await ack(wire, group, topic, handleOf(two)), 'OK');
      is(await ack(wire, group, topic, changed.handle), 'OK');
      for (const garbage of ['', 'garbage', 'x'.repeat(500), `${handleOf(one)}x`, handleOf(one).slice(1)]) {
        is(await ack(wire, group, topic, garbage), 'INVALID_RECEIPT_HANDLE');
      }
      const stranger = await talk.group({}, 'stranger');
      is(await ack(wire, stranger, topic, handleOf(two)), 'INVALID_RECEIPT_HANDLE');
    },
  },
  {
    title: 'an acknowledgement of several answers for each; of none is refused',
    core: true,
    async check(talk) {
      const { topic, group, wire } = await ready(talk, ['a']);
      const [held] = await take(wire, group, topic, 1);
      assert(held);
      const names = { group: topicOf(group), topic: topicOf(topic) };
      const entries = [handleOf(held), 'garbage'].map((receiptHandle, i) => ({ messageId: `m${i}`, receiptHandle }));
      const answer = await wire.unary('ackMessage', { ...names, entries });
      is(answer.status?.code, 'MULTIPLE_RESULTS');
      assert.deepEqual(
        answer.entries.map(({ messageId }) => messageId),
        ['m0', 'm1'],
      );
      is(answer.entries[0]?.status?.code, 'OK');
      is(answer.entries[1]?.status?.code, 'INVALID_RECEIPT_HANDLE');
      is((await wire.unary('ackMessage', { ...names, entries: [] })).status?.code, 'BAD_REQUEST');
    },
  },
  {
    title: 'change of the invisible duration: from 0 to 12 hours; a refusal gives the handle back',
    core: true,
    async check(talk) {
      const { topic, group, wire } = await ready(talk, ['a']);
      const [held] = await take(wire, group, topic, 1);
      assert(held);
      const tooLong = await change(wire, group, topic, held, 12 * 3_600_000 + 1_000);
      is(tooLong.code, 'ILLEGAL_INVISIBLE_TIME');
      is((await change(wire, group, topic, held, 12 * 3_600_000)).code, 'OK');
      is((await change(wire, group, topic, held, 0)).code, 'OK');
      const [again] = await take(wire, group, topic, 1);
      assert.equal(again && attemptOf(again), 2);
    },
  },
  {
    title: 'after seventeen deliveries a dead letter, with where it came from',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const group = await talk.group();
      const wire = talk.wire();
      await send(wire, [message(topic, 'poison', { tag: 'T', keys: ['k'] })]);
      for (let attempt = 1; attempt <= 17; attempt += 1) {
        const [held] = await take(wire, group, topic, 1);
        assert(held);
        assert.equal(attemptOf(held), attempt);
        is((await change(wire, group, topic, held, 0)).code, 'OK');
      }
      is((await poll(wire, group, topic)).status.code, 'MESSAGE_NOT_FOUND');
      const grave = `%DLQ%${group}`;
      const [dead] = await take(wire, await talk.group({}, 'undertaker'), grave, 1);
      assert(dead);
      assert.equal(textOf(dead), 'poison');
      assert.equal(dead.topic?.name, grave);
      assert.deepEqual([dead.systemProperties?.tag, dead.systemProperties?.keys], ['T', ['k']]);
      assert.equal(dead.systemProperties?.deadLetterQueue?.topic, topic);
      assert.equal(dead.systemProperties.deadLetterQueue.messageId, idOf(dead));
    },
  },
  {
    title: 'a client sends to the dead letters: once, twice, and without a handle as C++ does',
    core: true,
    async check(talk) {
      const { topic, group, wire } = await ready(talk, ['a', 'b']);
      const [one, two] = await take(wire, group, topic, 2);
      assert(one && two);
      const forward = async (held: typeof one, receiptHandle: string): Promise<number | undefined> => {
        const names = { group: topicOf(group), topic: topicOf(topic) };
        const attempts = { deliveryAttempt: 18, maxDeliveryAttempts: 17 };
        const request = { ...names, ...attempts, receiptHandle, messageId: idOf(held) };
        return (await wire.unary('forwardMessageToDeadLetterQueue', request)).status?.code;
      };
      is(await forward(one, handleOf(one)), 'OK');
      is(await forward(one, handleOf(one)), 'OK');
      is(await forward(two, ''), 'OK');
      is(await forward(two, 'garbage'), 'INVALID_RECEIPT_HANDLE');
      const undertaker = await talk.group({}, 'undertaker');
      const dead = await take(wire, undertaker, `%DLQ%${group}`, 2);
      assert.deepEqual(dead.map(textOf).sort(), ['a', 'b']);
    },
  },
  {
    title: 'what a push consumer held is back soon after its goodbye',
    core: true,
    async check(talk) {
      const { topic, group } = await ready(talk, ['held']);
      const leaver = talk.wire(talk.other);
      const said = { type: ClientType.PUSH_CONSUMER, group, topics: [topic] };
      const { telemetry } = await settle(leaver, said);
      const [held] = await take(leaver, group, topic, 1, { autoRenew: true, invisibleDuration: undefined });
      assert(held);
      is((await leaver.unary('notifyClientTermination', { group: topicOf(group) })).status?.code, 'OK');
      telemetry.close();
      // Its lease would have lasted a minute; the wait is for the message, however long.
      const wire = talk.wire();
      const [again] = await take(wire, group, topic, 1);
      assert.equal(again && textOf(again), 'held');
    },
  },
  {
    title: 'the handle of a renewed lease stays good',
    async check(talk) {
      const { topic, group, wire } = await ready(talk, ['long']);
      await settle(wire, { type: ClientType.PUSH_CONSUMER, group, topics: [topic] });
      const [held] = await take(wire, group, topic, 1, { autoRenew: true, invisibleDuration: undefined });
      assert(held);
      // Past the first minute only a renewal keeps it from the others.
      const endMs = performance.now() + 75_000;
      const other = talk.wire();
      while (performance.now() < endMs) {
        await wire.ok('heartbeat', { clientType: ClientType.PUSH_CONSUMER, group: topicOf(group) });
        const { messages } = await poll(other, group, topic, { longPollingTimeout: durationOf(5_000) }, 8_000);
        assert.deepEqual(messages.map(textOf), []);
      }
      is(await ack(wire, group, topic, handleOf(held)), 'OK');
    },
  },
];
