import assert from 'node:assert/strict';

import { until } from '../../../support/until.js';
import { bodiesOf } from '../scene.js';
import type { Feature } from './feature.js';

export const transactions: readonly Feature[] = [
  {
    id: 'transaction-commit',
    title: 'transaction: commit',
    core: true,
    async check(scene) {
      const topic = await scene.topic('transaction');
      const sender = await scene.producer(topic, 'unknown');
      const { messageId } = await sender.transaction('kept', 'commit');
      const [message] = await (await scene.simple(await scene.group(), topic)).drain(1);
      assert.equal(message?.messageId, messageId);
    },
  },
  {
    id: 'transaction-rollback',
    title: 'transaction: rollback',
    core: true,
    async check(scene) {
      const topic = await scene.topic('transaction');
      const sender = await scene.producer(topic, 'unknown');
      await sender.transaction('dropped', 'rollback');
      await sender.transaction('kept', 'commit');
      const reader = await scene.simple(await scene.group(), topic);
      assert.deepEqual(bodiesOf(await reader.drain(1)), ['kept']);
      assert.deepEqual(bodiesOf(await reader.poll()), []);
    },
  },
  {
    id: 'transaction-check',
    title: 'transaction: an orphan is asked about',
    async check(scene) {
      const [kept, dropped] = [await scene.topic('transaction', 'kept'), await scene.topic('transaction', 'dropped')];
      const committer = await scene.producer(kept, 'commit');
      const canceller = await scene.producer(dropped, 'rollback');
      await committer.transaction('to keep', 'leave');
      await canceller.transaction('to drop', 'leave');
      const group = await scene.group();
      assert.deepEqual(bodiesOf(await (await scene.simple(group, kept)).drain(1)), ['to keep']);
      assert.deepEqual(new Set(committer.checked()), new Set(['to keep']));
      await until('the other was asked about', () => canceller.checked().length > 0, 60_000);
      assert.deepEqual(bodiesOf(await (await scene.simple(group, dropped)).poll()), []);
    },
  },
];
