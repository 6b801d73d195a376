import { ManualClock } from '@cometmq/shared/testing';

import { LogClock } from './log-clock.js';

describe('log time', () => {
  it('starts at the later of the last record and the wall', () => {
    const clock = new ManualClock(1000);
    expect(new LogClock(clock, 500).nowMs()).toBe(1000);
    expect(new LogClock(clock, 5000).nowMs()).toBe(5000);
  });

  it('goes with the monotonic clock when the wall jumps back, and never back itself', () => {
    const clock = new ManualClock(100_000);
    const log = new LogClock(clock, 0);
    clock.jumpWall(-3_600_000);
    let last = log.nowMs();
    for (let i = 0; i < 100; i += 1) {
      clock.advance(100);
      const now = log.nowMs();
      expect(now).toBeGreaterThanOrEqual(last + 49);
      last = now;
    }
    expect(last).toBe(100_000 + 5_000);
  });

  it('catches up with a wall that jumped ahead at no more than double speed', () => {
    const clock = new ManualClock(100_000);
    const log = new LogClock(clock, 0);
    clock.jumpWall(2_000);
    clock.advance(1_000);
    expect(log.nowMs()).toBe(102_000);
    clock.advance(1_000);
    expect(log.nowMs()).toBe(104_000);
    clock.advance(1_000);
    expect(log.nowMs()).toBe(105_000);
  });
});
