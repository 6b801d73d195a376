import assert from 'node:assert/strict';

import { bodiesOf, bodyOf } from '../scene.js';
import type { Feature } from './feature.js';

export const timed: readonly Feature[] = [
  {
    id: 'delay',
    title: 'delayed messages, never early',
    core: true,
    async check(scene) {
      const topic = await scene.topic('delay');
      const sender = await scene.producer(topic);
      const late = scene.dueIn(5_000);
      const soon = scene.dueIn(2_500);
      await sender.sendOne('late', { deliverAtMs: late });
      await sender.sendOne('soon', { deliverAtMs: soon });
      await sender.sendOne('past', { deliverAtMs: scene.dueIn(-60_000) });
      const came = await (await scene.simple(await scene.group(), topic)).drain(3);
      assert.deepEqual(bodiesOf(came), ['past', 'soon', 'late']);
      const at = new Map(came.map((message) => [bodyOf(message), message.atMs]));
      assert((at.get('soon') ?? 0) >= soon, `due at ${soon}, came at ${at.get('soon')}`);
      assert((at.get('late') ?? 0) >= late, `due at ${late}, came at ${at.get('late')}`);
      assert(came.every(({ attempt }) => attempt === 1));
    },
  },
  {
    id: 'recall',
    title: 'recall of a delayed message',
    core: true,
    async check(scene) {
      const topic = await scene.topic('delay');
      const sender = await scene.producer(topic);
      const { messageId, recallHandle } = await sender.sendOne('recalled', { deliverAtMs: scene.dueIn(4_000) });
      assert(recallHandle, 'no recall handle');
      await sender.sendOne('after', { deliverAtMs: scene.dueIn(5_000) });
      assert.equal((await sender.recall(recallHandle)).messageId, messageId);
      const reader = await scene.simple(await scene.group(), topic);
      // The one that is due later has come: the recalled one would have come before.
      assert.deepEqual(bodiesOf(await reader.drain(1)), ['after']);
      assert.deepEqual(bodiesOf(await reader.poll()), []);
    },
  },
];
