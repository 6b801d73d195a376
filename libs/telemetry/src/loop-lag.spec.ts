import { lagMsOf } from './loop-lag.js';

// A timer of 20 ms that is on time ticks each 20 ms: that is no lag.
it.each([
  [20_000_000, 0],
  [19_900_000, 0],
  [20_500_000, 0.5],
  [220_000_000, 200],
  [0, 0],
])('ticks of %i ns are a lag of %d ms', (tickNs, lagMs) => {
  expect(lagMsOf(tickNs)).toBeCloseTo(lagMs);
});
