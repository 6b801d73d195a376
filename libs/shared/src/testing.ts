export * from './manual-clock.js';

/** Seeds 1 to `count`, for `it.each`: the seed that fails is in the test's name. */
export function seeds(count: number, from = 1): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}
