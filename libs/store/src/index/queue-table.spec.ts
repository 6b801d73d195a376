import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { QueueTable } from './queue-table.js';

// Goal: the table is a map. Method: add, find and remove by chance beside a Map, in a small space so that slots collide.
it.each(seeds(15))('numbers queues as a map would (seed %i)', (seed) => {
  const chance = new Prng(seed);
  const table = new QueueTable();
  const map = new Map<string, number>();
  for (let step = 0; step < 1500; step += 1) {
    const [topic, queue] = [chance.below(20) * (chance.chance(0.5) ? 1 : 0x7fffffff), chance.below(30)];
    const key = `${topic >>> 0}/${queue}`;
    const known = map.get(key);
    const found = table.find(topic >>> 0, queue);
    if (found !== (known ?? -1)) throw new Error(`${key}: ${found} instead of ${known}`);
    if (known === undefined) {
      const number = table.add(topic >>> 0, queue);
      const taken = new Set(map.values());
      for (let lower = 0; lower < number; lower += 1) {
        if (!taken.has(lower)) throw new Error(`${lower} was free, and ${number} was given`);
      }
      if (taken.has(number)) throw new Error(`number ${number} is taken`);
      map.set(key, number);
    } else if (chance.chance(0.4)) {
      table.remove(topic >>> 0, queue);
      map.delete(key);
    }
  }
  expect(table.size).toBe(map.size);
  for (const [key, number] of map) expect(`${table.topicOf(number)}/${table.queueOf(number)}`).toBe(key);
});
