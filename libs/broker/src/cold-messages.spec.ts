import { logPosition } from '@cometmq/model';
import type { QueueId, QueueOffset, TopicId } from '@cometmq/model';
import type { DamageNotes, ReadMessage } from '@cometmq/store';
import { IndexEntries } from '@cometmq/store';
import { silentLogger } from '@cometmq/telemetry';

import { ColdEntries } from './cold-entries.js';
import { ColdMessages } from './cold-messages.js';

it('reads a message once, however many ask for it meanwhile', async () => {
  const read: number[] = [];
  const cold = new ColdMessages(
    {
      readSome: async (wanted) => {
        read.push(...wanted.map(({ position }) => position));
        await Promise.resolve();
        return wanted.map((place) => ({ ...place, payload: new Uint8Array(100) }) as ReadMessage);
      },
      scan: () => {
        throw new Error('not asked for');
      },
      damage: {} as DamageNotes,
    },
    silentLogger,
  );
  const places = [0, 100, 200].map((at) => ({ position: logPosition(at), size: 100 }));
  await Promise.all([cold.load(places.slice(0, 2)), cold.load(places), cold.load(places.slice(1))]);
  expect(read).toEqual([0, 100, 200]);
  expect(places.map(({ position }) => cold.get(position))).toMatchObject(places);
});

// Goal: what is kept is bounded by the messages themselves; an entry that refers to one is small.
it('keeps few of those that are large and were referred to', async () => {
  const bytesMax = 8 * 1024 * 1024;
  const large = new Uint8Array(bytesMax / 4);
  const cold = new ColdMessages(
    {
      readSome: (wanted) => wanted.slice(0, 2).map((place) => ({ ...place, payload: large }) as unknown as ReadMessage),
      scan: () => {
        throw new Error('not asked for');
      },
      damage: {} as DamageNotes,
    },
    silentLogger,
  );
  const places = Array.from({ length: 20 }, (_, i) => ({ position: logPosition(i * 100), size: 100 }));
  for (let at = 0; at < places.length; at += 2) {
    await cold.load(places.slice(at));
    expect(places.slice(at, at + 2).every(({ position }) => cold.get(position))).toBe(true);
    const kept = places.filter(({ position }) => cold.get(position)).length;
    expect(kept * large.length).toBeLessThanOrEqual(bytesMax);
  }
});

// Goal: what stands for messages that are in no index is no more once those may have come back.
it('forgets entries of messages that were missed when something was made anew', async () => {
  const damage = { lostPlace: logPosition(-1) };
  const [topic, queue, from] = [1 as TopicId, 0 as QueueId, 5 as QueueOffset];
  const cold = new ColdEntries({
    scan: () => new IndexEntries(from, 2, damage.lostPlace, new Uint32Array(16), 0),
    damage: damage as DamageNotes,
  });
  await cold.load(topic, queue, from);
  expect(cold.get(topic, queue, from)?.count).toBe(2);
  damage.lostPlace = logPosition(-2);
  expect(cold.get(topic, queue, from)).toBeUndefined();
  await cold.load(topic, queue, from);
  expect(cold.get(topic, queue, from)?.count).toBe(2);
});
