// Goal: no request is let in twice, whatever the load; memory is bounded; and who floods is the only one to notice. Method:
// requests by chance and each of them once more, with a clock that goes on, beside a set that forgets nothing.
import { Prng } from '@cometmq/shared';
import { ManualClock, seeds } from '@cometmq/shared/testing';

import { Nonces } from './nonces.js';

const windowMs = 900_000;

it.each(seeds(20))('lets no request in twice, and keeps no more than it may (seed %i)', (seed) => {
  const chance = new Prng(seed);
  const clock = new ManualClock();
  const nonces = new Nonces(clock, 2 * windowMs, 200);
  const letIn: { readonly user: string; readonly nonce: string; readonly untilMs: number }[] = [];
  let refused = 0;
  for (let i = 0; i < 5_000; i += 1) {
    clock.advance(chance.below(chance.below(100) === 0 ? windowMs : 2_000));
    const nowMs = clock.wallMs();
    // Clocks are not alike: some requests are signed for a while ago, or for later.
    const untilMs = nowMs + windowMs + chance.below(120_000) - 60_000;
    const one = { user: `user-${chance.below(4)}`, nonce: `nonce-${i}`, untilMs };
    if (nonces.take(one.user, one.nonce, one.untilMs) === 'first') letIn.push(one);
    else refused += 1;
    const again = letIn[chance.below(letIn.length)];
    if (again && again.untilMs >= nowMs) {
      expect(nonces.take(again.user, again.nonce, again.untilMs)).not.toBe('first');
    }
    expect(nonces.size).toBeLessThanOrEqual(200);
  }
  expect(refused).toBeLessThan(5_000);
});

it('a user that floods shortens the time of its own requests alone', () => {
  const clock = new ManualClock();
  const nonces = new Nonces(clock, 2 * windowMs, 1_000);
  const quiet = clock.wallMs() + windowMs;
  expect(nonces.take('quiet', 'q1', quiet)).toBe('first');
  let first = 0;
  for (let i = 0; i < 50_000; i += 1) {
    clock.advance(5);
    if (nonces.take('flood', `f${i}`, clock.wallMs() + windowMs) === 'first') first += 1;
  }
  // Signed with the time that it is, each is let in.
  expect(first).toBe(50_000);
  expect(nonces.take('flood', 'f0', quiet + 5)).toBe('unsure');
  expect(nonces.take('quiet', 'q1', quiet)).toBe('again');
  expect(nonces.take('quiet', 'q2', quiet)).toBe('first');
});

it('forgets what the clock does not let in again, though it be set back', () => {
  const clock = new ManualClock();
  const nonces = new Nonces(clock, 2 * windowMs, 1_000);
  const untilMs = clock.wallMs() + windowMs;
  for (let i = 0; i < 100; i += 1) nonces.take('ann', `n${i}`, untilMs);
  clock.jumpWall(3_600_000); // And back, once the next request has come.
  clock.advance(windowMs / 2);
  expect(nonces.take('ann', 'ahead', clock.wallMs())).toBe('first');
  clock.jumpWall(-3_600_000);
  expect(nonces.take('ann', 'n0', untilMs)).toBe('again');
  expect(nonces.size).toBe(101);
  clock.advance(2 * windowMs);
  expect(nonces.take('ann', 'later', clock.wallMs() + windowMs)).toBe('first');
  expect(nonces.size).toBe(2); // And what the clock set ahead would still let in.
});
