import assert from 'node:assert/strict';

import { bodiesOf, bodyOf, numbered, sorted, type Scene } from '../scene.js';
import type { Feature } from './feature.js';

async function ready(scene: Scene): Promise<{ topic: string; group: string }> {
  const topic = await scene.topic('lite');
  return { topic, group: await scene.group({ lite: { topic } }) };
}

export const lite: readonly Feature[] = [
  {
    id: 'lite-push',
    title: 'lite topics: push',
    core: true,
    async check(scene) {
      const { topic, group } = await ready(scene);
      const sender = await scene.producer(topic);
      const listener = await scene.litePush(group, topic);
      for (const liteTopic of ['one', 'two']) await listener.subscribeLite(liteTopic);
      for (const liteTopic of ['one', 'two', 'other']) await sender.send(numbered(`${liteTopic}-`, 8), { liteTopic });
      const taken = await listener.taken(16);
      for (const liteTopic of ['one', 'two']) {
        const those = taken.filter((message) => message.liteTopic === liteTopic);
        assert.deepEqual(bodiesOf(those), numbered(`${liteTopic}-`, 8));
      }
      await listener.unsubscribeLite('two');
      await sender.sendOne('unheard', { liteTopic: 'two' });
      await sender.sendOne('last', { liteTopic: 'one' });
      assert.equal(bodyOf((await listener.taken(17))[16] ?? assert.fail()), 'last');
      assert.equal(listener.heard().length, 17);
    },
  },
  {
    id: 'lite-simple',
    title: 'lite topics: simple',
    async check(scene) {
      const { topic, group } = await ready(scene);
      const sender = await scene.producer(topic);
      const reader = await scene.liteSimple(group, topic);
      for (const liteTopic of ['one', 'two']) await reader.subscribeLite(liteTopic);
      for (const liteTopic of ['one', 'two', 'other']) await sender.send(numbered(`${liteTopic}-`, 4), { liteTopic });
      const came = await reader.drain(8);
      assert.deepEqual(sorted(bodiesOf(came)), sorted([...numbered('one-', 4), ...numbered('two-', 4)]));
      assert.deepEqual(bodiesOf(await reader.poll()), []);
    },
  },
];
