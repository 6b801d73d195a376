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

it('are held for as long as one of those who want it does, and who ends it ends no other’s', () => {
  const clock = new ManualClock();
  const held = new CallsHeldForATime(clock);
  held.holdFor(1_000, 'one');
  held.holdFor(5_000, 'other');
  held.holdFor(0, 'one');
  held.holdFor(0, 'nobody');
  expect(held.isOn).toBe(true);
  held.holdFor(2_000, 'one');
  held.holdFor(0, 'other');
  clock.advance(1_999);
  expect(held.isOn).toBe(true);
  clock.advance(1);
  expect(held.isOn).toBe(false);
  held.holdFor(1_000, 'one');
  held.release(); // The set is in no route any more.
  held.holdFor(500, 'other');
  clock.advance(500);
  expect(held.isOn).toBe(false);
});
