import assert from 'node:assert/strict';

import { bodiesOf, bodyOf, numbered, sorted, type Producer, type Scene } from '../scene.js';
import type { View } from '../calls.js';
import type { Feature } from './feature.js';

const groups = ['red', 'green', 'blue'];
const retryPolicy = { kind: 'customized', nextMs: [1_000] } as const;

/** A few messages for each message group, interleaved as they would come. */
async function sendOrdered(sender: Producer, count: number): Promise<void> {
  for (const number of numbered('', count)) {
    for (const group of groups) await sender.sendOne(`${group}-${number}`, { group });
  }
}

const ofGroup = (messages: readonly View[], group: string): string[] =>
  bodiesOf(messages).filter((body) => body.startsWith(`${group}-`));
const expected = (group: string, count: number): string[] => numbered(`${group}-`, count);

async function ready(scene: Scene): Promise<{ topic: string; group: string; sender: Producer }> {
  const topic = await scene.topic('fifo');
  const group = await scene.group({ fifo: true, attemptsMax: 3, retryPolicy });
  return { topic, group, sender: await scene.producer(topic) };
}

export const ordered: readonly Feature[] = [
  {
    id: 'fifo',
    title: 'FIFO: order within a message group, push',
    core: true,
    async check(scene) {
      const { topic, group, sender } = await ready(scene);
      const listener = await scene.push(group, topic);
      await sendOrdered(sender, 12);
      const taken = await listener.taken(3 * 12);
      for (const name of groups) assert.deepEqual(ofGroup(taken, name), expected(name, 12));
      assert(taken.every((message) => message.group === bodyOf(message).split('-')[0]));
    },
  },
  {
    id: 'fifo-simple',
    title: 'FIFO: order within a message group, simple',
    core: true,
    async check(scene) {
      const { topic, group, sender } = await ready(scene);
      await sendOrdered(sender, 6);
      const reader = await scene.simple(group, topic);
      const [held] = await reader.take(1, 1, 30_000);
      assert(held?.group);
      // While one of a group is out, the group's next are kept back.
      const meanwhile = await reader.poll(32, 30_000);
      assert.deepEqual(ofGroup(meanwhile, held.group), []);
      for (const message of meanwhile) await reader.ack(message);
      await reader.ack(held);
      const rest = await reader.drain(3 * 6 - 1 - meanwhile.length, 4);
      const all = [held, ...meanwhile, ...rest];
      for (const name of groups) assert.deepEqual(ofGroup(all, name), expected(name, 6));
    },
  },
  {
    id: 'fifo-retry',
    title: 'FIFO: a failed message is tried again before its next',
    core: true,
    async check(scene) {
      const { topic, group, sender } = await ready(scene);
      const listener = await scene.push(group, topic, { fail: { 'green-001': 2 } });
      await sendOrdered(sender, 4);
      await listener.taken(3 * 4);
      const heard = listener.heard().map(({ message }) => message);
      assert.deepEqual(ofGroup(heard, 'green'), [
        ...['green-000', 'green-001', 'green-001', 'green-001'],
        ...['green-002', 'green-003'],
      ]);
      for (const name of ['red', 'blue']) assert.deepEqual(ofGroup(heard, name), expected(name, 4));
    },
  },
  {
    id: 'fifo-dead-letter',
    title: 'FIFO: after the last attempt a dead letter, and on',
    async check(scene) {
      const { topic, group, sender } = await ready(scene);
      const listener = await scene.push(group, topic, { fail: { 'green-001': 99 } });
      await sendOrdered(sender, 3);
      const taken = await listener.taken(3 * 3 - 1);
      assert.deepEqual(ofGroup(taken, 'green'), ['green-000', 'green-002']);
      const heard = listener.heard().map(({ message }) => message);
      assert.deepEqual(ofGroup(heard, 'green'), ['green-000', 'green-001', 'green-001', 'green-001', 'green-002']);
      assert.deepEqual(sorted(bodiesOf(await (await scene.deadLetters(group)).drain(1))), ['green-001']);
    },
  },
];
