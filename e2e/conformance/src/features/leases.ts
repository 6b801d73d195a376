import assert from 'node:assert/strict';

import { bodiesOf, bodyOf, invisibleMsMin, numbered, sorted } from '../scene.js';
import type { Feature } from './feature.js';

export const leases: readonly Feature[] = [
  {
    id: 'ack',
    title: 'acknowledged messages do not come again',
    async check(scene) {
      const topic = await scene.topic('normal');
      await (await scene.producer(topic)).send(numbered('m', 10));
      const reader = await scene.simple(await scene.group(), topic);
      const came = await reader.take(10, 32, invisibleMsMin);
      const [left, ...done] = came;
      assert(left);
      for (const message of done) await reader.ack(message);
      // The one that was left comes back when its time is over: whatever else would come has had its time as well.
      const [again] = await reader.drain(1);
      assert.equal(again && bodyOf(again), bodyOf(left));
      assert.deepEqual(bodiesOf(await reader.poll()), []);
    },
  },
  {
    id: 'redelivery',
    title: 'redelivery after the invisible time',
    async check(scene) {
      const topic = await scene.topic('normal');
      await (await scene.producer(topic)).sendOne('x');
      const reader = await scene.simple(await scene.group(), topic);
      const [first] = await reader.take(1, 1, invisibleMsMin);
      const [second] = await reader.drain(1);
      assert(first && second);
      assert.equal(second.messageId, first.messageId);
      assert.deepEqual([first.attempt, second.attempt], [1, 2]);
      // The time runs from the delivery, which is before the arrival here.
      assert(second.atMs - first.atMs >= invisibleMsMin - 1000, `again after ${second.atMs - first.atMs} ms`);
    },
  },
  {
    id: 'invisible-duration',
    title: 'change of the invisible duration',
    core: true,
    async check(scene) {
      const topic = await scene.topic('normal');
      await (await scene.producer(topic)).sendOne('x');
      const reader = await scene.simple(await scene.group(), topic);
      const [first] = await reader.take(1, 1, 60_000);
      assert(first);
      await reader.changeInvisible(first, 2_000);
      const changedMs = Date.now();
      const [second] = await reader.take(1, 1, 60_000);
      assert(second);
      assert.equal(second.messageId, first.messageId);
      assert.equal(second.attempt, 2);
      assert(second.atMs - changedMs >= 1_000, `again after ${second.atMs - changedMs} ms`);
      // The handle that the change gave back is good for the acknowledgement.
      await reader.changeInvisible(second, 30_000);
      await reader.ack(second);
      assert.deepEqual(bodiesOf(await reader.poll()), []);
    },
  },
  {
    id: 'competing-consumers',
    title: 'members of a group share its messages',
    async check(scene) {
      const topic = await scene.topic('normal');
      const group = await scene.group();
      const readers = [await scene.simple(group, topic), await scene.simple(group, topic)];
      await (await scene.producer(topic)).send(numbered('m', 60));
      const bodies: string[] = [];
      const share = async (reader: (typeof readers)[number]): Promise<void> => {
        while (bodies.length < 60) {
          const some = await reader.poll(4, 60_000);
          for (const message of some) await reader.ack(message);
          bodies.push(...bodiesOf(some));
        }
      };
      await Promise.all(readers.map(share));
      assert.deepEqual(sorted(bodies), numbered('m', 60));
    },
  },
  {
    id: 'subscribe-later',
    title: 'subscribe to a second topic, and unsubscribe',
    async check(scene) {
      const [one, two] = [await scene.topic('normal', 'one'), await scene.topic('normal', 'two')];
      const reader = await scene.simple(await scene.group(), one);
      await reader.subscribe(two);
      await (await scene.producer(two)).sendOne('two');
      assert.deepEqual(bodiesOf(await reader.drain(1)), ['two']);
      await reader.unsubscribe(two);
      await (await scene.producer(two)).sendOne('unheard');
      await (await scene.producer(one)).sendOne('one');
      assert.deepEqual(bodiesOf(await reader.drain(1)), ['one']);
      assert.deepEqual(bodiesOf(await reader.poll()), []);
    },
  },
];
