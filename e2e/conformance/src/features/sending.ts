import assert from 'node:assert/strict';

import { bodiesOf, bodyOf, numbered, sorted } from '../scene.js';
import type { Feature } from './feature.js';

export const sending: readonly Feature[] = [
  {
    id: 'send',
    title: 'send and receive',
    core: true,
    async check(scene) {
      const topic = await scene.topic('normal');
      const receipts = await (await scene.producer(topic)).send(numbered('m', 40));
      assert.equal(new Set(receipts.map(({ messageId }) => messageId)).size, 40);
      const messages = await (await scene.simple(await scene.group(), topic)).drain(40);
      assert.deepEqual(sorted(bodiesOf(messages)), numbered('m', 40));
      const sent = receipts.map(({ messageId }) => messageId);
      assert.deepEqual(sorted(messages.map(({ messageId }) => messageId)), sorted(sent));
    },
  },
  {
    id: 'send-async',
    title: 'send asynchronously',
    core: true,
    async check(scene) {
      const topic = await scene.topic('normal');
      const messages = numbered('a', 40).map((body) => ({ body }));
      const receipts = await (await scene.producer(topic)).sendAll(messages, true);
      assert.equal(new Set(receipts.map(({ messageId }) => messageId)).size, 40);
      const came = await (await scene.simple(await scene.group(), topic)).drain(40);
      assert.deepEqual(sorted(bodiesOf(came)), numbered('a', 40));
    },
  },
  {
    id: 'round-trip',
    title: 'tag, keys, properties and binary body come back',
    core: true,
    async check(scene) {
      const topic = await scene.topic('normal');
      const body = Buffer.from(Array.from({ length: 512 }, (_, i) => i % 256));
      const properties = { colour: 'grün', empty: 'x y', emoji: '🚀', 'dotted.name': '1' };
      const sentMs = Date.now();
      const sender = await scene.producer(topic);
      const receipt = await sender.sendOne(body, { tag: 'T-1', keys: ['k1', 'k2'], properties });
      const [message] = await (await scene.simple(await scene.group(), topic)).drain(1);
      assert(message);
      assert.equal(message.topic, topic);
      assert.equal(message.messageId, receipt.messageId);
      assert.deepEqual(Buffer.from(message.body, 'base64'), body);
      assert.equal(message.tag, 'T-1');
      assert.deepEqual(sorted(message.keys), ['k1', 'k2']);
      assert.deepEqual(message.properties, properties);
      assert.equal(message.attempt, 1);
      // Some clients tell whole seconds.
      if (message.bornAtMs !== undefined && message.bornAtMs !== null) {
        assert(message.bornAtMs >= sentMs - 1000 && message.bornAtMs <= Date.now(), `born at ${message.bornAtMs}`);
      }
    },
  },
  {
    id: 'big-body',
    title: 'the largest body',
    async check(scene) {
      const topic = await scene.topic('normal');
      const body = Buffer.from(Array.from({ length: scene.traits.bodyBytesMax }, (_, i) => (i * 31) % 251));
      await (await scene.producer(topic)).sendOne(body);
      const [message] = await (await scene.simple(await scene.group(), topic)).drain(1);
      assert(message);
      assert(Buffer.from(message.body, 'base64').equals(body), 'the body is another one');
    },
  },
  {
    id: 'tags',
    title: 'filter by tags',
    core: true,
    async check(scene) {
      const topic = await scene.topic('normal');
      const sender = await scene.producer(topic);
      for (const tag of ['A', 'B', 'C', 'a', 'A']) await sender.sendOne(tag, { tag });
      await sender.sendOne('none');
      const reader = await scene.simple(await scene.group(), topic, 'A || C');
      assert.deepEqual(sorted(bodiesOf(await reader.drain(3))), ['A', 'A', 'C']);
      assert.deepEqual(bodiesOf(await reader.poll()), []);
    },
  },
  {
    id: 'sql',
    title: 'filter by SQL',
    core: true,
    async check(scene) {
      const topic = await scene.topic('normal');
      const sender = await scene.producer(topic);
      await sender.sendAll([
        { body: 'yes', properties: { price: '12', region: 'eu' } },
        { body: 'cheap', properties: { price: '3', region: 'eu' } },
        { body: 'far', properties: { price: '12', region: 'us' } },
        { body: 'tagged', tag: 'T', properties: { price: '1' } },
        { body: 'bare' },
      ]);
      const filter = "(price > 10 AND region IN ('eu', 'ch')) OR (TAGS = 'T' AND region IS NULL)";
      const reader = await scene.simple(await scene.group(), topic, filter, 'sql');
      assert.deepEqual(sorted(bodiesOf(await reader.drain(2))), ['tagged', 'yes']);
      assert.deepEqual(bodiesOf(await reader.poll()), []);
    },
  },
  {
    id: 'priority',
    title: 'priority messages',
    core: true,
    async check(scene) {
      const topic = await scene.topic('priority');
      const sender = await scene.producer(topic);
      for (const priority of [1, 5, 3, 2, 5, 1]) await sender.sendOne(`p${priority}`, { priority });
      const came = await (await scene.simple(await scene.group(), topic)).drain(6, 2);
      assert.deepEqual(came.map(bodyOf), ['p5', 'p5', 'p3', 'p2', 'p1', 'p1']);
      // Not every client shows it.
      const shown = came.map(({ priority }) => priority ?? undefined);
      if (shown.some((priority) => priority !== undefined)) assert.deepEqual(shown, [5, 5, 3, 2, 1, 1]);
    },
  },
];
