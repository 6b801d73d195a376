// Goal: no order of events within the bounds loses what was committed, and each rule is needed. Method: every reachable
// state of the small model, each once; then the same with one rule switched off, which must show how a record is lost.
import { explore } from './explore.ts';
import type { Bounds, Trap } from './rules.ts';

const none = { stands: 0, appends: 0, changes: 0, crashes: 0, restores: 0, lateRestores: 0 };

describe('the rules of replication and leadership', () => {
  it.each<Bounds>([
    { ...none, members: 3, stands: 2, appends: 1, changes: 2, crashes: 2 },
    { ...none, members: 3, stands: 3, appends: 1 },
    { ...none, members: 3, stands: 2, appends: 1, restores: 1 },
    { ...none, members: 3, stands: 1, appends: 1, changes: 1, lateRestores: 1 },
    { ...none, members: 2, stands: 3, appends: 1, changes: 2, crashes: 2 },
    { ...none, members: 2, stands: 2, appends: 1, changes: 1, crashes: 1, lateRestores: 1 },
  ])(
    'lose nothing: $members members, $stands elections, $changes changes, $crashes crashes, $restores + $lateRestores restores',
    (bounds) => {
      const { states, story } = explore(bounds);
      expect(story).toBeUndefined();
      expect(states).toBeGreaterThan(400);
    },
    300_000,
  );

  it.each<[Trap, Omit<Bounds, keyof typeof none> & Partial<Bounds>]>([
    ['shrinkBeforeCaughtUp', { members: 3, stands: 1, appends: 1, changes: 1 }],
    ['dropLeaderOfThree', { members: 3, stands: 2, appends: 1 }],
    ['promiseTwice', { members: 3, stands: 2, appends: 1, restores: 1 }],
    ['countBeforeStart', { members: 3, stands: 3, appends: 1 }],
    ['newRuleAtOnce', { members: 3, stands: 1, appends: 1, changes: 2 }],
    ['noCompare', { members: 3, stands: 2, appends: 1, changes: 1 }],
    ['ownLogIsBest', { members: 3, stands: 1, appends: 1 }],
    ['olderEtcdTaken', { members: 2, stands: 1, appends: 1, changes: 1, lateRestores: 1 }],
    ['standOutsideSet', { members: 2, stands: 1, appends: 1, changes: 1 }],
  ])('lose a committed record without their rule against %s', (trap, bounds) => {
    const { story } = explore({ ...none, ...bounds }, trap);
    expect(story?.at(-1)).toMatch(/lacks|commits/);
  });
});
