// Goal: bounds never say no to what was noted, and say no to most of the rest. Method: ranges by chance, narrow and wide.
import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { DecisionBounds } from './decision-bounds.js';

it.each(seeds(20))('say yes to whatever was noted (seed %i)', (seed) => {
  const chance = new Prng(seed);
  const bounds = new DecisionBounds();
  const noted: [topic: number, queue: number, first: number, last: number][] = [];
  for (let i = 0; i < 2_000; i += 1) {
    const first = chance.below(1_000_000);
    const span = chance.chance(0.1) ? chance.below(10 ** 9) : chance.below(32);
    const entry = [chance.below(2 ** 32), chance.below(16), first, first + span] as (typeof noted)[number];
    noted.push(entry);
    bounds.note(...entry);
  }
  const copy = new DecisionBounds(Float64Array.from(bounds.values));
  expect(noted.filter((entry) => !copy.mayHold(...entry))).toEqual([]);
});

it('say no to other offsets and queues, also beside an expiry of all that came before', () => {
  const bounds = new DecisionBounds();
  for (let queue = 0; queue < 8; queue += 1) {
    for (let offset = 5_000_000; offset < 5_100_000; offset += 32) bounds.note(7, queue, offset, offset + 31);
    bounds.note(7, queue, 0, 1_000_000);
  }
  expect(bounds.mayHold(7, 3, 5_000_040, 5_000_040)).toBe(true);
  expect(bounds.mayHold(7, 3, 999_999, 999_999)).toBe(true); // It expired.
  expect(bounds.mayHold(7, 3, 3_000_000, 3_000_000)).toBe(false);
  expect(bounds.mayHold(7, 3, 5_200_000, 5_200_000)).toBe(false);
  expect(bounds.mayHold(7, 8, 5_000_040, 5_000_040)).toBe(false);
});
