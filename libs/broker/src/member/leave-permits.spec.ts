import { memberId } from '@cometmq/model';

import { LeavePermits } from './leave-permits.js';

const [a, b, c] = ['a/1', 'b/1', 'c/1'].map(memberId) as [
  ReturnType<typeof memberId>,
  ReturnType<typeof memberId>,
  ReturnType<typeof memberId>,
];
const all = [a, b, c];

describe('members that are told to stop', () => {
  const away = new Set<string>();
  const isInSync = (member: string): boolean => !away.has(member);
  let permits: LeavePermits;
  beforeEach(() => {
    away.clear();
    permits = new LeavePermits();
  });
  const set = { members: all, wanted: 3, isInSync };
  const ask = (member: typeof a, nowMs = 0): string | undefined => permits.ask(member, set, nowMs);

  it('go one at a time, the next one when the one before is back in sync', () => {
    expect(ask(a)).toBeUndefined();
    expect(ask(a)).toBeUndefined(); // Its first answer was lost.
    expect(ask(b)).toBe('a/1 restarts and is not back in sync');
    away.add(a);
    expect(ask(b)).toBe('a/1 restarts and is not back in sync');
    away.clear();
    expect(ask(b)).toBeUndefined();
    expect(ask(c)).toBe('b/1 restarts and is not back in sync');
  });

  it('stay while another one is not in sync, whyever', () => {
    away.add(c);
    expect(ask(a)).toBe('c/1 is not in sync');
    away.add(b);
    expect(ask(a)).toBe('b/1, c/1 are not in sync');
    away.clear();
    expect(ask(a)).toBeUndefined();
  });

  it('and lead go last: they listen first, and wait for all others that ask', () => {
    const askAsLeader = (nowMs: number): string | undefined => permits.askAsLeader(a, set, nowMs);
    expect(askAsLeader(0)).toBe('others that leave go first');
    expect(ask(b, 200)).toBeUndefined();
    expect(askAsLeader(1_100)).toBe('b/1 leaves first, as it does not lead');
    away.add(b);
    expect(askAsLeader(1_300)).toBe('b/1 restarts and is not back in sync');
    away.clear();
    expect(ask(c, 1_400)).toBeUndefined();
    expect(askAsLeader(2_000)).toBe('c/1 leaves first, as it does not lead');
    away.add(c);
    expect(askAsLeader(3_000)).toBe('c/1 restarts and is not back in sync');
    away.clear();
    expect(askAsLeader(3_200)).toBeUndefined();
  });

  it('that do not stop after all keep nobody waiting for ever', () => {
    expect(ask(a, 0)).toBeUndefined();
    expect(ask(b, 29_000)).toBeDefined();
    expect(ask(b, 31_000)).toBeUndefined();
  });
});
