// Goal: nothing committed is lost and the set comes to rest, whatever breaks. Method: from a seed, a set on faked time,
// network, disks and etcd goes through crashes, pauses, cuts, hung disks and an absent etcd while clients append; then
// all is healed, and it must be whole again.
import { seeds } from '@cometmq/shared/testing';

import { run } from './testing/simulated-run.js';
import type { Planted } from './testing/simulated-set.js';

describe('a simulated broker set', () => {
  for (const [members, count] of [
    [1, 5],
    [2, 30],
    [3, 40],
    [5, 10],
  ] as const) {
    it.each(seeds(count))(`of ${members} loses nothing and comes to rest (seed %i)`, (seed) => {
      expect(run(seed, { members }).acknowledged.size).toBeGreaterThan(500);
    });
  }

  it('does the same again with the same seed', () => {
    const [a, b] = [run(7, { members: 3 }), run(7, { members: 3 })];
    expect([...a.acknowledged]).toEqual([...b.acknowledged]);
    expect(a.elections).toBe(b.elections);
  });

  // A planted bug must be found by some seed, or the simulation proves nothing.
  it.each<[Planted, number]>([
    ['ackBeforeSync', 3],
    ['changeForgotten', 2],
    ['followOlderEpoch', 3],
  ])('finds %s (%i members)', (planted, members) => {
    const found = seeds(200).some((seed) => {
      try {
        run(seed, { members, planted });
        return false;
      } catch {
        return true;
      }
    });
    expect(found).toBe(true);
  });
});
