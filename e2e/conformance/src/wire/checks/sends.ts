import assert from 'node:assert/strict';
import { deflateSync } from 'node:zlib';

import { Encoding, MessageType, type Message } from '@cometmq/proto';
import type { SaidMessage } from '../../calls.js';
import { cpp, csharp } from '../dialects.js';
import { md5Of, messageOf } from '../messages.js';
import { idOf, is, message, poll, queuesOf, send, take, textOf, topicOf, type WireCheck } from '../talk.js';
import type { Loose } from '../wire.js';

export const sends: readonly WireCheck[] = [
  {
    title: 'a batch is answered with an entry for each message, in order',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const wire = talk.wire();
      const batch = Array.from({ length: 5 }, (_, i) => message(topic, `b${i}`));
      const { entries } = await wire.ok('sendMessage', { messages: batch });
      assert.deepEqual(
        entries.map(({ messageId }) => messageId),
        batch.map(({ systemProperties }) => systemProperties?.messageId),
      );
      for (const { status } of entries) is(status?.code, 'OK');
      const group = await talk.group();
      assert.equal((await take(wire, group, topic, 5)).length, 5);
    },
  },
  {
    title: 'messages of two topics in one request: MESSAGE_CORRUPTED',
    core: true,
    async check(talk) {
      const topics = [await talk.topic('normal', 'one'), await talk.topic('normal', 'two')];
      const answer = await talk.wire().unary('sendMessage', { messages: topics.map((topic) => message(topic, 'x')) });
      is(answer.status?.code, 'MESSAGE_CORRUPTED');
      is((await talk.wire().unary('sendMessage', { messages: [] })).status?.code, 'MESSAGE_CORRUPTED');
    },
  },
  {
    title: 'what is wrong with a message, each with its code',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const wire = talk.wire();
      const codeOf = async (bad: Loose<Message>): Promise<number | undefined> => {
        const answer = await wire.unary('sendMessage', { messages: [bad] });
        assert.equal(
          answer.entries.length === 0 ? answer.status?.code : answer.entries[0]?.status?.code,
          answer.status?.code,
        );
        return answer.status?.code;
      };
      const many = new Map(Array.from({ length: 129 }, (_, i) => [`k${i}`, 'v']));
      const long = new Map([['k', 'v'.repeat(16 * 1024)]]);
      is(await codeOf(message(topic, '')), 'MESSAGE_BODY_EMPTY');
      is(await codeOf(message(topic, Buffer.alloc(4 * 1024 * 1024 + 1))), 'MESSAGE_BODY_TOO_LARGE');
      is(await codeOf({ ...message(topic, 'x'), userProperties: many }), 'MESSAGE_PROPERTIES_TOO_LARGE');
      is(await codeOf({ ...message(topic, 'x'), userProperties: long }), 'MESSAGE_PROPERTIES_TOO_LARGE');
      is(
        await codeOf({ ...message(topic, 'x'), userProperties: new Map([['KEYS', 'v']]) }),
        'ILLEGAL_MESSAGE_PROPERTY_KEY',
      );
      is(
        await codeOf({ ...message(topic, 'x'), userProperties: new Map([['k', 'a\u0001']]) }),
        'ILLEGAL_MESSAGE_PROPERTY_KEY',
      );
      is(await codeOf(message(topic, 'x', { tag: 'a|b' })), 'ILLEGAL_MESSAGE_TAG');
      is(await codeOf(message(topic, 'x', { tag: '  ' })), 'ILLEGAL_MESSAGE_TAG');
      is(await codeOf(message(topic, 'x', { keys: [' '] })), 'ILLEGAL_MESSAGE_KEY');
      is(await codeOf(message(topic, 'x', { messageId: '' })), 'ILLEGAL_MESSAGE_ID');
      const fifo = await talk.topic('fifo', 'fifo');
      is(await codeOf(message(fifo, 'x', { messageGroup: 'g'.repeat(64) })), 'ILLEGAL_MESSAGE_GROUP');
      is(await codeOf(message(fifo, 'x', { messageGroup: 'g'.repeat(63) })), 'OK');
      is(await codeOf(message(fifo, 'x')), 'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE');
      is(await codeOf(message(topic, 'x', { messageGroup: 'g' })), 'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE');
      is(await codeOf(message(talk.named('nowhere'), 'x')), 'TOPIC_NOT_FOUND');
      is(await codeOf(message('no good!', 'x')), 'ILLEGAL_TOPIC');
    },
  },
  {
    title: 'ids of any form come back unchanged',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const wire = talk.wire();
      const ids = ['7F00000100002A9F0000000000000001', '01abCDef', 'id with spaces', 'ü'.repeat(100)];
      await send(
        wire,
        ids.map((messageId) => message(topic, 'x', { messageId })),
      );
      assert.deepEqual((await take(wire, await talk.group(), topic, ids.length)).map(idOf).sort(), [...ids].sort());
    },
  },
  {
    title: 'a body that the client compressed is delivered as it came',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const wire = talk.wire();
      const body = deflateSync(Buffer.from('squeezed'.repeat(100)));
      await send(wire, [message(topic, body, { bodyEncoding: Encoding.GZIP })]);
      const [came] = await take(wire, await talk.group(), topic, 1);
      assert(came && Buffer.from(came.body).equals(body));
      assert.equal(came.systemProperties?.bodyEncoding, Encoding.GZIP);
      assert.equal(came.systemProperties?.bodyDigest?.checksum, md5Of(body));
    },
  },
  {
    title: 'one message group from two languages: one queue, one order',
    core: true,
    async check(talk) {
      const topic = await talk.topic('fifo');
      const wires = [talk.wire(), talk.wire(talk.other)] as const;
      const queues = await queuesOf(wires[0], topic);
      // Each language hashes the group in its own way, and says so.
      for (let i = 0; i < 10; i += 1) {
        const said: SaidMessage = { topic, body: Buffer.from(`f${i}`).toString('base64'), group: 'one' };
        const made = messageOf(said, i % 2 === 0 ? cpp : csharp);
        const queueId = queues[i % queues.length]?.id ?? 0;
        const system = { ...made.systemProperties, queueId };
        await wires[i % 2 === 0 ? 0 : 1].ok('sendMessage', { messages: [{ ...made, systemProperties: system }] });
      }
      const group = await talk.group({ fifo: true });
      const came = (await poll(talk.wire(), group, topic)).messages;
      assert.deepEqual(
        came.map(textOf),
        Array.from({ length: 10 }, (_, i) => `f${i}`),
      );
      assert.equal(new Set(came.map(({ systemProperties }) => systemProperties?.queueId)).size, 1);
    },
  },
  {
    title: 'requests for one node’s queue work on every node',
    needsOther: true,
    async check(talk) {
      const [here, there] = [talk.wire(), talk.wire(talk.other)];
      const topic = await talk.topic();
      const group = await talk.group();
      const [queue] = await queuesOf(here, topic);
      await there.ok('sendMessage', { messages: [message(topic, 'x')] });
      const { messages } = await there.receive(
        { group: topicOf(group), messageQueue: queue, batchSize: 1, invisibleDuration: { seconds: 30, nanos: 0 } },
        5_000,
      );
      const [held] = messages;
      assert(held);
      const entry = { messageId: idOf(held), receiptHandle: held.systemProperties?.receiptHandle ?? '' };
      const answer = await here.ok('ackMessage', { group: topicOf(group), topic: topicOf(topic), entries: [entry] });
      is(answer.entries[0]?.status?.code, 'OK');
      is((await poll(there, group, topic)).status.code, 'MESSAGE_NOT_FOUND');
    },
  },
  {
    title: 'a mixed topic takes all types but lite and priority',
    async check(talk) {
      const topic = await talk.topic('mixed');
      const wire = talk.wire();
      const code = async (one: Loose<Message>): Promise<number | undefined> =>
        (await wire.unary('sendMessage', { messages: [one] })).status?.code;
      is(await code(message(topic, 'normal')), 'OK');
      is(await code(message(topic, 'fifo', { messageGroup: 'g', messageType: MessageType.FIFO })), 'OK');
      is(await code(message(topic, 'lite', { liteTopic: 'l' })), 'MESSAGE_PROPERTY_CONFLICT_WITH_TYPE');
      const soon = { seconds: Math.floor(Date.now() / 1000) + 1, nanos: 0 };
      is(await code(message(topic, 'delay', { deliveryTimestamp: soon })), 'OK');
      is(await code(message(topic, 'half', { messageType: MessageType.TRANSACTION })), 'OK');
    },
  },
];
