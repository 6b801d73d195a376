import assert from 'node:assert/strict';

import { until } from '../../../support/until.js';
import { bodyOf } from '../scene.js';
import type { Feature } from './feature.js';

/** Not with the others: all clients of a run live through one restart together. */
export const surviving: Feature = {
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
    await scene.restart();
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
