import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { containing } from './containing.js';

// Goal: found is what the platform's search finds. Method: texts of few letters, so that parts of them come again and again.
it.each(seeds(30))('finds what is there, and nothing else (seed %i)', (seed) => {
  const chance = new Prng(seed);
  const word = (length: number): string => Array.from({ length }, () => (chance.next() < 0.9 ? 'a' : 'b')).join('');
  for (let count = 0; count < 300; count += 1) {
    const text = word(Math.floor(chance.next() * 400));
    const sought =
      chance.next() < 0.5
        ? word(60 + Math.floor(chance.next() * 20))
        : text.slice(Math.floor(chance.next() * 100)).slice(0, 60 + Math.floor(chance.next() * 200));
    expect([sought, text, containing(sought)(text)]).toEqual([sought, text, text.includes(sought)]);
  }
});

// By the product of the lengths this would take minutes.
it('takes no longer for texts that are made to be slow', () => {
  const half = 'a'.repeat(15_000);
  const search = containing(`${half}b${half}`);
  for (let count = 0; count < 20; count += 1) expect(search('a'.repeat(1_000_000))).toBe(false);
  expect(search(`${half}${half}b${half}`)).toBe(true);
});
