import assert from 'node:assert/strict';
import { isIP } from 'node:net';

import { AddressScheme, MessageType, Permission } from '@cometmq/proto';
import { is, queuesOf, topicOf, type WireCheck } from '../talk.js';

export const routes: readonly WireCheck[] = [
  {
    title: 'a route names broker 0, permission, types, one address, and queue 0 of each broker, in a stable order',
    core: true,
    async check(talk) {
      const topic = await talk.topic();
      const wire = talk.wire();
      const queues = await queuesOf(wire, topic);
      assert(queues.length > 0);
      const ip = isIP(talk.target.endpoints.split(':')[0] ?? '');
      for (const queue of queues) {
        assert.equal(queue.topic?.name, topic);
        assert.equal(queue.permission, Permission.READ_WRITE);
        assert.deepEqual(queue.acceptMessageTypes, [MessageType.NORMAL]);
        assert.equal(queue.broker?.id, 0);
        assert.notEqual(queue.broker.name, '');
        assert.equal(queue.broker.endpoints?.addresses.length, 1);
        assert.equal(queue.broker.endpoints.scheme, ip === 4 ? AddressScheme.IPv4 : AddressScheme.DOMAIN_NAME);
      }
      const brokers = new Set(queues.map(({ broker }) => broker?.name));
      assert.equal(queues.filter(({ id }) => id === 0).length, brokers.size);
      assert.deepEqual(await queuesOf(wire, topic), queues);
    },
  },
  {
    title: 'a route names the types that a topic takes',
    core: true,
    async check(talk) {
      const wire = talk.wire();
      const types = {
        fifo: [MessageType.FIFO],
        delay: [MessageType.DELAY],
        transaction: [MessageType.TRANSACTION],
        priority: [MessageType.PRIORITY],
        lite: [MessageType.LITE],
        mixed: [MessageType.NORMAL, MessageType.FIFO, MessageType.DELAY, MessageType.TRANSACTION],
      } as const;
      for (const [type, accepted] of Object.entries(types)) {
        const topic = await talk.topic(type as keyof typeof types, type);
        for (const queue of await queuesOf(wire, topic)) assert.deepEqual(queue.acceptMessageTypes, accepted, type);
      }
    },
  },
  {
    title: 'no route: TOPIC_NOT_FOUND, ILLEGAL_TOPIC',
    core: true,
    async check(talk) {
      const wire = talk.wire();
      const code = async (name: string): Promise<number | undefined> =>
        (await wire.unary('queryRoute', { topic: topicOf(name) })).status?.code;
      is(await code(talk.named('nowhere')), 'TOPIC_NOT_FOUND');
      for (const name of ['', 'no good!', 'x'.repeat(128), 'TBW102']) is(await code(name), 'ILLEGAL_TOPIC');
      // With users this one may read all topics, which the system's own are none of.
      is(await code('rmq_sys_secret'), talk.target.user === undefined ? 'ILLEGAL_TOPIC' : 'UNAUTHORIZED');
    },
  },
  {
    title: 'assignments: queue -1 of each broker, or every queue for an orderly group',
    core: true,
    async check(talk) {
      const wire = talk.wire();
      const topic = await talk.topic('fifo');
      const assigned = async (group: string): Promise<readonly (number | undefined)[]> => {
        const { assignments } = await wire.ok('queryAssignment', { topic: topicOf(topic), group: topicOf(group) });
        for (const { messageQueue } of assignments) {
          assert.equal(messageQueue?.topic?.name, topic);
          assert.notEqual(messageQueue.permission, Permission.PERMISSION_UNSPECIFIED);
          assert.equal(messageQueue.broker?.endpoints?.addresses.length, 1);
        }
        return assignments.map(({ messageQueue }) => messageQueue?.id);
      };
      assert.deepEqual(await assigned(await talk.group()), [-1]);
      const orderly = await assigned(await talk.group({ fifo: true }, 'orderly'));
      assert.deepEqual(
        orderly,
        (await queuesOf(wire, topic)).map(({ id }) => id),
      );
    },
  },
];
