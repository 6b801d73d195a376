// Goal: a held call is made once, in its turn, or never where it was taken back. Method: time in our hands.
import { ManualClock } from '@cometmq/shared/testing';

import { CallsHeldForATime, HeldCalls } from './held-calls.js';

it('are made in their order once they are let go, and at once where nothing is held', () => {
  const held = new HeldCalls();
  const made: string[] = [];
  held.add(() => made.push('at once'));
  held.begin();
  held.add(() => made.push('a'));
  held.begin(); // Once more: who waits goes on waiting.
  held.add(() => made.push('b'));
  expect([held.isOn, made]).toEqual([true, ['at once']]);
  held.release();
  held.release();
  expect([held.isOn, made]).toEqual([false, ['at once', 'a', 'b']]);
});

it('may be held again while they are let go', () => {
  const held = new HeldCalls();
  const made: string[] = [];
  held.begin();
  held.add(() => {
    held.begin();
    held.add(() => made.push('later'));
  });
  held.release();
  expect(made).toEqual([]);
  held.release();
  expect(made).toEqual(['later']);
});

it('are taken back while they are held, and afterwards', () => {
  const held = new HeldCalls();
  const told: string[] = [];
  const wait = (name: string) => (): (() => void) => {
    told.push(name);
    return () => told.push(`${name} taken back`);
  };
  held.begin();
  const [never, early] = [held.addWait(wait('never')), held.addWait(wait('early'))];
  never();
  held.release();
  expect(told).toEqual(['early']);
  early();
  expect(told).toEqual(['early', 'early taken back']);
});

it('are held no longer than asked for, at most ten seconds from the last time', () => {
  const clock = new ManualClock();
  const held = new CallsHeldForATime(clock);
  let made = 0;
  const hold = (holdMs: number): void => {
    held.holdFor(holdMs);
    if (held.isOn) held.add(() => (made += 1));
  };
  hold(60_000);
  clock.advance(9_999);
  hold(60_000);
  clock.advance(9_999);
  expect([held.isOn, made]).toEqual([true, 0]);
  clock.advance(1);
  expect([held.isOn, made]).toEqual([false, 2]);
  hold(60_000);
  hold(0);
  expect([held.isOn, made]).toEqual([false, 3]);
});
