import { Prng } from './prng.js';
import { RecentNumbers } from './recent-numbers.js';
import { seeds } from './testing.js';

// Goal: the last so many are known, nobody else, over restarts. Method: add by chance, compare with a plain list.
it.each(seeds(20))('remembers the newest 2,048 and no others (seed %i)', (seed) => {
  const chance = new Prng(seed);
  let recent = new RecentNumbers(2);
  const pages = new Map<number, Uint8Array>();
  const list: [number, number][] = [];
  for (let round = 0; round < 6; round += 1) {
    for (let i = chance.below(1500); i > 0; i -= 1) {
      const entry: [number, number] = [2 ** 40 + list.length, chance.below(3)];
      list.push(entry);
      recent.add(...entry);
    }
    for (const { page, value } of recent.takePages()) pages.set(page, value);
    if (chance.chance(0.5)) {
      recent = new RecentNumbers(2);
      for (const [page, value] of [...pages].reverse()) recent.loadPage(page, value);
    }
    expect(recent.takePages()).toEqual([]);
    const known = list.map(([number]) => recent.get(number));
    expect(known).toEqual(list.map(([, value], i) => (i >= list.length - 2048 ? value : undefined)));
  }
});

it('knows the newest value of a number that came twice', () => {
  const recent = new RecentNumbers(1);
  recent.add(7, 1);
  recent.add(7, 2);
  for (let i = 0; i < 1022; i += 1) recent.add(100 + i, 0);
  recent.add(5000, 0); // Forgets the older entry of 7, not the newer.
  expect(recent.get(7)).toBe(2);
});
