import assert from 'node:assert/strict';

import { DigestType, FilterType, type Message } from '@cometmq/proto';
import { durationOf, md5Of } from '../messages.js';
import {
  attemptOf,
  change,
  handleOf,
  idOf,
  is,
  message,
  poll,
  queuesOf,
  send,
  take,
  textOf,
  topicOf,
  type WireCheck,
} from '../talk.js';

export const receives: readonly WireCheck[] = [
  {
    title: 'nothing there: MESSAGE_NOT_FOUND before the deadline, whatever is said of the polling time',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const group = await talk.group();
      const wire = talk.wire();
      // As long as the deadline, as Rust says; nothing, as Go and C++ say; a second; none at all.
      const polls = [durationOf(3_000), undefined, durationOf(1_000), durationOf(0)];
      const answers = await Promise.all(
        polls.map((longPollingTimeout) => poll(wire, group, topic, { longPollingTimeout }, 3_000)),
      );
      for (const { status, messages, sentAtMs } of answers) {
        is(status.code, 'MESSAGE_NOT_FOUND');
        assert.deepEqual(messages, []);
        assert(sentAtMs !== undefined, 'no time of delivery');
      }
    },
  },
  {
    title: 'a delivered message has all that a client asks for, also after a retry',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const group = await talk.group();
      const wire = talk.wire();
      await send(wire, [message(topic, 'whole', { tag: 'T', keys: ['k'], traceContext: 'trace' })]);
      const [first] = await take(wire, group, topic, 1);
      assert(first);
      checkWhole(first, topic, 1);
      is((await change(wire, group, topic, first, 0)).code, 'OK');
      const [second] = await take(wire, group, topic, 1);
      assert(second);
      checkWhole(second, topic, 2);
      assert.equal(idOf(second), idOf(first));
      assert.equal(second.systemProperties?.traceContext, 'trace');
    },
  },
  {
    title: 'broker name and queue id are hints: no message is out of reach',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const group = await talk.group();
      const wire = talk.wire();
      await send(
        wire,
        Array.from({ length: 16 }, (_, i) => message(topic, `h${i}`)),
      );
      const [queue] = await queuesOf(wire, topic);
      assert(queue);
      const strange = { ...queue, id: 9_999, broker: { ...queue.broker, name: 'elsewhere' } };
      assert.equal((await take(wire, group, topic, 16, { messageQueue: strange })).length, 16);
    },
  },
  {
    title: 'batch size 0 is 1',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const wire = talk.wire();
      await send(
        wire,
        ['a', 'b', 'c'].map((body) => message(topic, body)),
      );
      assert.equal((await poll(wire, await talk.group(), topic, { batchSize: 0 })).messages.length, 1);
    },
  },
  {
    title: 'what is wrong with a receive, each with its code',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const group = await talk.group();
      const wire = talk.wire();
      const code = async (more: Parameters<typeof poll>[3]): Promise<number> =>
        (await poll(wire, group, topic, { longPollingTimeout: durationOf(0), ...more })).status.code;
      is(await code({ invisibleDuration: durationOf(9_000) }), 'ILLEGAL_INVISIBLE_TIME');
      is(await code({ invisibleDuration: durationOf(13 * 3_600_000) }), 'ILLEGAL_INVISIBLE_TIME');
      is(await code({ group: topicOf('no good!') }), 'ILLEGAL_CONSUMER_GROUP');
      is(await code({ filterExpression: { type: FilterType.SQL, expression: 'a >' } }), 'ILLEGAL_FILTER_EXPRESSION');
      is(await code({ filterExpression: { type: FilterType.SQL, expression: '' } }), 'ILLEGAL_FILTER_EXPRESSION');
    },
  },
  {
    title: 'a poll that was given up takes no message with it',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const group = await talk.group();
      const [queue] = await queuesOf(talk.wire(), topic);
      const request = {
        group: topicOf(group),
        messageQueue: queue,
        filterExpression: { type: FilterType.TAG, expression: '*' },
        batchSize: 32,
        invisibleDuration: durationOf(60_000),
        longPollingTimeout: durationOf(10_000),
      };
      // The polls wait; their connections go; then the message comes.
      const gone = Array.from({ length: 4 }, () => talk.wire());
      const polls = gone.map((wire) => wire.receive(request, 15_000).catch(() => undefined));
      await poll(talk.wire(), group, topic, { longPollingTimeout: durationOf(500) });
      for (const wire of gone) wire.close();
      await Promise.all(polls);
      await send(talk.wire(), [message(topic, 'not lost')]);
      const [came] = await take(talk.wire(), group, topic, 1);
      assert(came);
      assert.equal(textOf(came), 'not lost');
      assert.equal(attemptOf(came), 1);
    },
  },
  {
    title: 'FIFO: the same attempt id gets the same batch again, another waits',
    core: true,
    async check(talk) {
      const topic = await talk.topic('fifo');
      const group = await talk.group({ fifo: true });
      const wire = talk.wire();
      await send(
        wire,
        ['one', 'two', 'three'].map((body) => message(topic, body, { messageGroup: 'g' })),
      );
      const first = await poll(wire, group, topic, { attemptId: 'attempt-1', batchSize: 2 });
      const again = await poll(wire, group, topic, { attemptId: 'attempt-1', batchSize: 2 });
      assert.deepEqual(again.messages.map(textOf), ['one', 'two']);
      assert.deepEqual(first.messages.map(textOf), ['one', 'two']);
      assert.deepEqual(again.messages.map(attemptOf), [1, 1]);
      is((await poll(wire, group, topic, { attemptId: 'attempt-2' })).status.code, 'MESSAGE_NOT_FOUND');
      const entries = again.messages.map((held) => ({ messageId: idOf(held), receiptHandle: handleOf(held) }));
      await wire.ok('ackMessage', { group: topicOf(group), topic: topicOf(topic), entries });
      assert.deepEqual((await poll(wire, group, topic, { attemptId: 'attempt-3' })).messages.map(textOf), ['three']);
    },
  },
];

function checkWhole({ topic, body, systemProperties: system }: Message, name: string, attempt: number): void {
  assert.equal(topic?.name, name);
  assert(system);
  assert.equal(system.deliveryAttempt, attempt);
  assert.equal(system.bodyEncoding, 1);
  assert.deepEqual([system.bodyDigest?.type, system.bodyDigest?.checksum], [DigestType.MD5, md5Of(body)]);
  assert(system.bornTimestamp && system.storeTimestamp);
  assert.notEqual(system.bornHost, '');
  assert.notEqual(system.storeHost, '');
  assert(system.queueId >= 0);
  assert(system.queueOffset !== undefined);
  assert.deepEqual([system.tag, system.keys], ['T', ['k']]);
  assert.equal(system.messageGroup, undefined);
  const handle = system.receiptHandle ?? '';
  assert(/^[\x21-\x7e]{1,255}$/.test(handle), `a handle such as ${handle}`);
}
