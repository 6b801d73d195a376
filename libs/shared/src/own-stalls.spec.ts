import { OwnStalls } from './own-stalls.js';

test('a look that comes in time, or a little late, judges', () => {
  const stalls = new OwnStalls(1_000, 0);
  expect([1_000, 2_100, 4_000].map((nowMs) => stalls.stoodStill(nowMs))).toEqual([false, false, false]);
});

test('a look after a stall does not judge, the next one does', () => {
  const stalls = new OwnStalls(1_000, 0);
  expect([1_000, 61_000, 62_000].map((nowMs) => stalls.stoodStill(nowMs))).toEqual([false, true, false]);
});

test('who is always late judges at every second look', () => {
  const stalls = new OwnStalls(1_000, 0);
  expect([5_000, 10_000, 15_000, 20_000].map((nowMs) => stalls.stoodStill(nowMs))).toEqual([true, false, true, false]);
});
