import { logPosition } from '@cometmq/model';
import type { ReadMessage } from '@cometmq/store';
import { silentLogger } from '@cometmq/telemetry';

import { ColdMessages } from './cold-messages.js';

it('reads a message once, however many ask for it meanwhile', async () => {
  const read: number[] = [];
  const cold = new ColdMessages(
    {
      readAll: async (wanted) => {
        read.push(...wanted.map(({ position }) => position));
        await Promise.resolve();
        return wanted.map((place) => place as ReadMessage);
      },
      scan: () => {
        throw new Error('not asked for');
      },
    },
    silentLogger,
  );
  const places = [0, 100, 200].map((at) => ({ position: logPosition(at), size: 100 }));
  await Promise.all([cold.load(places.slice(0, 2)), cold.load(places), cold.load(places.slice(1))]);
  expect(read).toEqual([0, 100, 200]);
  expect(places.map(({ position }) => cold.get(position))).toEqual(places);
});
