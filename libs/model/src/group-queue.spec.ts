import { hashText } from './envelope.js';
import { queueOfGroup } from './group-queue.js';
import { setOfHash } from './home-set.js';

const groups = Array.from({ length: 20_000 }, (_, i) => hashText(`order-${i}`));
const spread = (of: (group: number) => number): number[] => {
  const counts: number[] = [];
  for (const group of groups) counts[of(group)] = (counts[of(group)] ?? 0) + 1;
  return counts;
};

describe('the queue of a message group', () => {
  it('is one that is there, and all get their share', () => {
    for (const queues of [1, 2, 7, 8, 64]) {
      const counts = spread((group) => queueOfGroup(group, queues));
      expect(counts).toHaveLength(queues);
      for (const count of counts) expect(Math.abs(count * queues - groups.length)).toBeLessThan(groups.length / 3);
    }
    const sets = [hashText('broker-0'), hashText('broker-1'), hashText('broker-2')];
    for (const count of spread((group) => setOfHash(group, sets))) {
      expect(Math.abs(3 * count - groups.length)).toBeLessThan(groups.length / 10);
    }
  });

  it('stays where it is when queues or sets are added, but for what these take', () => {
    const moved = groups.filter((group) => {
      const now = queueOfGroup(group, 9);
      return now !== queueOfGroup(group, 8) && now !== 8;
    });
    expect(moved).toEqual([]);
    const sets = [hashText('broker-0'), hashText('broker-1')];
    const more = [...sets, hashText('broker-2')];
    const strays = groups.filter((group) => {
      const now = setOfHash(group, more);
      return now !== setOfHash(group, sets) && now !== 2;
    });
    expect(strays).toEqual([]);
  });

  it('never changes from release to release', () => {
    expect(groups.slice(0, 8).map((group) => queueOfGroup(group, 8))).toMatchInlineSnapshot(`
      [
        3,
        0,
        6,
        0,
        6,
        3,
        0,
        4,
      ]
    `);
    const sets = ['broker-0', 'broker-1'].map(hashText);
    expect(groups.slice(0, 8).map((group) => setOfHash(group, sets))).toMatchInlineSnapshot(`
      [
        0,
        1,
        1,
        1,
        0,
        0,
        1,
        1,
      ]
    `);
  });
});
