// Goal: buckets are bounded, and a flood of new keys is not paid for with a look at all of them each time.
import { TokenBucket, TokenBuckets } from './token-bucket.js';

it('makes room for many keys at once, those that are full and the oldest first', () => {
  const buckets = new TokenBuckets(1, 1, 100);
  const looks = jest.spyOn(TokenBucket.prototype, 'isFull');
  for (let i = 0; i < 1_000; i += 1) buckets.of(`key-${i}`, 0).take(1, 0);
  expect(looks.mock.calls.length).toBeLessThan(100 * 100); // Of 90,000, were it one at a time.
  looks.mockRestore();
  const left = Array.from({ length: 1_000 }, (_, i) => i).filter((i) => buckets.get(`key-${i}`));
  expect(left.length).toBeLessThanOrEqual(100);
  expect(left.length).toBeGreaterThanOrEqual(90);
  expect(left[0]).toBe(1_000 - left.length);
});
