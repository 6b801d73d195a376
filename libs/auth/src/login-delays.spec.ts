import { GrowingDelays } from './login-delays.js';

const policy = { free: 3, firstMs: 10, longestMs: 70, oneLessMs: 1_000 };

it('lets some fail at once, and then doubles the wait up to the longest', () => {
  const delays = new GrowingDelays(policy, 10);
  let nowMs = 0;
  const waits: number[] = [];
  for (let i = 0; i < 8; i += 1) {
    delays.failed('ann', nowMs);
    waits.push(delays.waitMs('ann', nowMs));
    nowMs += waits.at(-1) ?? 0;
    expect(delays.waitMs('ann', nowMs)).toBe(0);
  }
  expect(waits).toEqual([0, 0, 10, 20, 40, 70, 70, 70]);
  expect(delays.waitMs('bob', nowMs)).toBe(0);
});

it('forgets by a right login, and by time', () => {
  const delays = new GrowingDelays(policy, 10);
  for (let i = 0; i < 3; i += 1) delays.failed('ann', 0);
  delays.forget('ann');
  expect(delays.waitMs('ann', 0)).toBe(0);
  for (let i = 0; i < 9; i += 1) delays.failed('ann', 0);
  expect(delays.waitMs('ann', 1)).toBe(69);
  expect(delays.waitMs('ann', 1_000)).toBe(0);
  delays.failed('ann', 6_000); // Six less count: the fourth.
  expect(delays.waitMs('ann', 6_000)).toBe(20);
});

it('remembers so many and no more: those that failed last', () => {
  const delays = new GrowingDelays({ ...policy, free: 1 }, 10);
  for (let i = 0; i < 25; i += 1) delays.failed(`user ${i}`, i);
  delays.failed('user 20', 25);
  const kept = Array.from({ length: 25 }, (_, i) => i).filter((i) => delays.waitMs(`user ${i}`, 25) > 0);
  expect(kept.length).toBeLessThanOrEqual(10);
  expect(kept).toEqual(expect.arrayContaining([20, 23, 24]));
});
