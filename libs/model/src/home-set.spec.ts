import { homeOfGroup, homeSets } from './home-set.js';

const names = Array.from({ length: 20_000 }, (_, i) => `session-${i}`);

test('message groups are spread over sets that serve, and those that drain and had groups', () => {
  const sets = [
    { name: 'c', stage: 'draining' },
    { name: 'a', stage: 'serving' },
    { name: 'd', stage: 'joining' },
    { name: 'b', stage: 'gone' },
    { name: 'e', stage: 'draining', groupless: true },
  ] as const;
  expect(homeSets(sets)).toEqual(['a', 'c']);
  expect(homeSets(sets.slice(2))).toEqual(['d', 'e']); // Nobody else is there.
  expect(homeSets(sets.slice(3, 4))).toEqual([]);
});

describe('the home of a lite topic', () => {
  it('is one of the sets, the same for everybody, and none where there are none', () => {
    for (const name of names.slice(0, 100)) {
      const home = homeOfGroup(name, ['broker-0', 'broker-1', 'broker-2']);
      expect(homeOfGroup(name, ['broker-2', 'broker-0', 'broker-1'])).toBe(home);
    }
    expect(homeOfGroup('x', [])).toBeUndefined();
  });

  it('spreads evenly, and moves only to a new set', () => {
    const before = ['broker-0', 'broker-1', 'broker-2'];
    const counts = new Map<string, number>();
    for (const name of names) {
      const home = homeOfGroup(name, before) as string;
      counts.set(home, (counts.get(home) ?? 0) + 1);
      const after = homeOfGroup(name, [...before, 'broker-3']);
      if (after !== home) expect(after).toBe('broker-3');
    }
    for (const count of counts.values()) expect(Math.abs(count / names.length - 1 / 3)).toBeLessThan(0.03);
  });
});
