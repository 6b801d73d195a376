import assert from 'node:assert/strict';

import { bodiesOf, bodyOf, numbered, sorted } from '../scene.js';
import type { Feature } from './feature.js';

/** Whole seconds, as some clients know no others. */
const retryPolicy = { kind: 'customized', nextMs: [1_000, 2_000] } as const;

export const pushing: readonly Feature[] = [
  {
    id: 'push',
    title: 'push consumer',
    core: true,
    async check(scene) {
      const topic = await scene.topic('normal');
      const sender = await scene.producer(topic);
      await sender.send(numbered('before', 10));
      const listener = await scene.push(await scene.group(), topic);
      await sender.send(numbered('later', 40));
      const taken = await listener.taken(50);
      assert.deepEqual(sorted(bodiesOf(taken)), sorted([...numbered('before', 10), ...numbered('later', 40)]));
      assert(taken.every(({ attempt }) => attempt === 1));
    },
  },
  {
    id: 'push-retry',
    title: 'push consumer: what failed comes again, with back-off',
    core: true,
    async check(scene) {
      const topic = await scene.topic('normal');
      const listener = await scene.push(await scene.group({ retryPolicy }), topic, { fail: { bad: 2 } });
      await (await scene.producer(topic)).send(['good', 'bad', 'fine']);
      assert.deepEqual(sorted(bodiesOf(await listener.taken(3))), ['bad', 'fine', 'good']);
      const tries = listener.heard().filter(({ message }) => bodyOf(message) === 'bad');
      assert.deepEqual(
        tries.map(({ message }) => message.attempt),
        [1, 2, 3],
      );
      const [first, second, third] = tries.map(({ message }) => message.atMs) as [number, number, number];
      assert(second - first >= 900, `the second came after ${second - first} ms`);
      assert(third - second >= 900, `the third came after ${third - second} ms`);
    },
  },
  {
    id: 'dead-letter',
    title: 'dead letters after the last attempt',
    core: true,
    async check(scene) {
      const topic = await scene.topic('normal');
      const group = await scene.group({ attemptsMax: 3, retryPolicy: { kind: 'customized', nextMs: [1_000] } });
      const sender = await scene.producer(topic);
      const { messageId } = await sender.sendOne('poison', { tag: 'T', keys: ['k'], properties: { p: 'v' } });
      const calls = async (): Promise<number[]> => {
        if (!scene.traits.noPush) {
          const listener = await scene.push(group, topic, { fail: { poison: 99 } });
          return (await listener.called(3)).map(({ attempt }) => attempt);
        }
        const reader = await scene.simple(group, topic);
        const attempts: number[] = [];
        while (attempts.length < 3) attempts.push(...(await reader.poll(1)).map(({ attempt }) => attempt));
        // Who takes it to its grave is a poll after the last lease has ended.
        while ((await reader.poll(1)).length > 0 || !(await scene.admin.hasTopic(`%DLQ%${group}`)));
        return attempts;
      };
      assert.deepEqual(await calls(), [1, 2, 3]);
      const [dead] = await (await scene.deadLetters(group)).drain(1);
      assert(dead);
      assert.equal(bodyOf(dead), 'poison');
      assert.equal(dead.messageId, messageId);
      assert.deepEqual([dead.tag, dead.keys, dead.properties['p']], ['T', ['k'], 'v']);
    },
  },
];
