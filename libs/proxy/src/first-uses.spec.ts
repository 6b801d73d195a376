import { ManualClock } from '@cometmq/shared/testing';

import { FirstUses } from './first-uses.js';

describe('what clients of one address have made', () => {
  it('is bounded, comes back with time, and takes nothing from others', () => {
    const clock = new ManualClock();
    const uses = new FirstUses(clock, 3);
    const use = (peer: string): void => uses.take(peer);
    for (let i = 0; i < 3; i += 1) use(`10.0.0.1:${1_000 + i}`);
    expect(() => use('10.0.0.1:2000')).toThrow(/10\.0\.0\.1 had 3 topics and groups/);
    use('10.0.0.2:1');
    for (let i = 0; i < 3; i += 1) use(`[2001:db8::${i}]:1`);
    expect(() => use('[2001:db8::9]:1')).toThrow('TOO_MANY_REQUESTS');
    clock.advance(20_000);
    use('10.0.0.1:2000');
    expect(() => use('10.0.0.1:2000')).toThrow('TOO_MANY_REQUESTS');
    clock.advance(3_600_000);
    for (let i = 0; i < 3; i += 1) use('10.0.0.1:2000');
    expect(() => use('10.0.0.1:2000')).toThrow('TOO_MANY_REQUESTS');
  });

  it('is remembered of so many addresses, and of one that used it up among them', () => {
    const clock = new ManualClock();
    const uses = new FirstUses(clock, 2);
    for (let i = 0; i < 12_000; i += 1) uses.take(`10.1.${i >> 8}.${i & 255}:1`);
    expect(uses['budgets'].size).toBe(10_000);
    clock.advance(60_000);
    uses.take('10.9.9.9:1');
    expect(uses['budgets'].size).toBe(1);
  });

  it('has no bound where none is set', () => {
    const uses = new FirstUses(new ManualClock(), 0);
    for (let i = 0; i < 1_000; i += 1) uses.take('10.0.0.1:1');
  });

  it('does not count what was not made', () => {
    const uses = new FirstUses(new ManualClock(), 2);
    for (let i = 0; i < 10; i += 1) {
      uses.take('10.0.0.1:1');
      uses.giveBack('10.0.0.1:1');
    }
    expect(uses['budgets'].size).toBe(0);
    uses.take('10.0.0.1:1');
    uses.take('10.0.0.1:1');
    expect(() => uses.take('10.0.0.1:1')).toThrow('TOO_MANY_REQUESTS');
  });
});
