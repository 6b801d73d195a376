// Goal: what is printed as unavailable is the longest time without an answer. Method: beats at known times.
import { Pulse, quantile } from './pulse.js';

it('measures the longest gap that ended after a fault, also where it began before', () => {
  const pulse = new Pulse();
  for (const time of [0, 50, 60, 500, 510, 700]) pulse.beat('s', time);
  pulse.beat('other', 5_000);
  expect(pulse.longestGap('s', 100)).toEqual({ ms: 440, atMs: 60 });
  expect(pulse.longestGap('s', 505)).toEqual({ ms: 190, atMs: 510 });
  expect(pulse.longestGap('s', 10_000).ms).toBe(0);
  expect(pulse.firstAfter('s', 60)).toBe(500);
});

it('forgets what is old, and nothing else', () => {
  const pulse = new Pulse();
  for (let i = 0; i < 30_000; i += 1) pulse.beat('s', i * 10);
  expect(pulse.firstAfter('s', 0)).toBeGreaterThan(10); // The second beat, if nothing were forgotten.
  expect(pulse.longestGap('s', 250_000).ms).toBe(10);
});

it.each([
  [[], 0.5, undefined],
  [[5], 0.99, 5],
  [[3, 1, 2], 0.5, 2],
  [[1, 2, 3, 4], 0.99, 4],
])('of %j the quantile %d is %s', (values, part, expected) => expect(quantile(values, part)).toBe(expected));
