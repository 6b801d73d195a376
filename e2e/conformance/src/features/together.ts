import assert from 'node:assert/strict';

import { until } from '../../../support/until.js';
import { bodyOf, sorted } from '../scene.js';
import type { Feature } from './feature.js';

const restart: Feature = {
  id: 'restart',
  title: 'goes on after the server was killed and started again',
  async check(scene) {
    const topic = await scene.topic('normal');
    const group = await scene.group();
    const sender = await scene.producer(topic);
    const came: string[] = [];
    let hear: () => Promise<void>;
    if (scene.traits.noPush) {
      const reader = await scene.simple(group, topic);
      hear = async () => {
        for (const message of await reader.poll()) {
          await reader.ack(message);
          came.push(bodyOf(message));
        }
      };
    } else {
      const listener = await scene.push(group, topic);
      hear = async () => void came.splice(0, came.length, ...listener.heard().map(({ message }) => bodyOf(message)));
    }
    const heard = (body: string): Promise<boolean> =>
      until(
        `"${body}" to come`,
        async () =>
          await hear().then(
            () => came.includes(body),
            () => false,
          ),
        90_000,
      );
    await sender.sendOne('before');
    await heard('before');
    await scene.meet();
    await until(
      'a send to succeed',
      () =>
        sender.sendOne('after').then(
          () => true,
          () => false,
        ),
      90_000,
    );
    await heard('after');
    assert.equal(came.filter((body) => body === 'before').length, 1);
  },
};

const interop: Feature = {
  id: 'interop',
  title: 'reads what all other clients have sent',
  async check(scene) {
    const { sharedTopic: topic } = scene;
    const said = { tag: 'T', keys: ['k1', 'k2'], properties: { text: 'grün 🚀', number: '7' } };
    await (await scene.producer(topic)).sendOne(scene.named('hello'), said);
    const senders = await scene.meet();
    const came = await (await scene.simple(await scene.group(), topic)).drain(senders);
    assert.equal(new Set(came.map(bodyOf)).size, senders);
    for (const { tag, keys, properties } of came) {
      assert.deepEqual({ tag, keys: sorted(keys), properties }, said);
    }
  },
};

/** What all clients of a run go through together, and not beside the other checks. */
export const together: readonly Feature[] = [interop, restart];
