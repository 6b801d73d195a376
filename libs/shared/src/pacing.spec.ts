// Goal: long work is no burden to others, and always goes on. Method: time and the order of turns are in our hands; others
// take so many milliseconds of each turn.
import { ManualClock } from './manual-clock.js';
import { Pacing, type Pace } from './pacing.js';

/** A loop on which others work for `othersMs` whenever it comes round, and for a share of the time while it waits. */
class BusyClock extends ManualClock {
  othersMs = 0;
  share = 0;
  activeMs = 0;
  turns = 0;

  override soon(act: () => void): void {
    super.soon(() => {
      this.turns += 1;
      this.work(this.othersMs);
      act();
    });
  }

  work(ms: number): void {
    this.activeMs += ms;
    this.advance(ms);
  }

  wait(ms: number): void {
    this.activeMs += ms * this.share;
    this.advance(ms);
  }

  get pacing(): Pacing {
    return new Pacing(this, () => this.activeMs);
  }
}

/** Works in steps of 0.1 ms; answers how long all of it took. */
async function work(clock: BusyClock, pace: Pace, workMs: number): Promise<number> {
  const fromMs = clock.monotonicMs();
  for (let doneMs = 0; doneMs < workMs - 0.01; doneMs += 0.1) {
    clock.work(0.1);
    if (pace.isOver) await settled(clock, pace.rest());
  }
  return clock.monotonicMs() - fromMs;
}

/** Time goes on until it is over. */
async function settled(clock: BusyClock, wait: Promise<void>): Promise<void> {
  let over = false;
  const ended = wait.then(() => (over = true));
  while (!over) {
    await new Promise((resolve) => setImmediate(resolve));
    if (clock.timersWaiting > 0) clock.wait(0.5);
  }
  await ended;
}

test('others have a turn after each part of a millisecond', async () => {
  const clock = new BusyClock();
  await work(clock, clock.pacing.begin(), 50);
  expect(clock.turns).toBeGreaterThanOrEqual(160);
});

test('nothing is lost to rests while nobody else works', async () => {
  const clock = new BusyClock();
  expect(await work(clock, clock.pacing.begin(), 50)).toBeCloseTo(50, 1);
});

test.each([
  { othersMs: 0.2, share: 0.3 },
  { othersMs: 0.5, share: 0.9 },
  { othersMs: 20, share: 1 },
])('others who are busy ($othersMs ms a turn) leave little of the time, and it ends', async ({ othersMs, share }) => {
  const clock = new BusyClock();
  Object.assign(clock, { othersMs, share });
  const pacing = clock.pacing;
  await work(clock, pacing.begin(), 5); // By then it is seen.
  const tookMs = await work(clock, pacing.begin(), 20);
  expect(20 / tookMs).toBeLessThan(0.06);
  expect(20 / tookMs).toBeGreaterThan(0.005);
});

test('others who come in bursts are seen though most turns are in time', async () => {
  const clock = new BusyClock();
  clock.share = 0.3;
  const pace = clock.pacing.begin();
  for (let i = 0; i < 20; i += 1) {
    clock.othersMs = 5;
    await work(clock, pace, 0.2);
    clock.othersMs = 0;
    await work(clock, pace, 1);
  }
  const fromMs = clock.monotonicMs();
  await work(clock, pace, 1);
  expect(clock.monotonicMs() - fromMs).toBeGreaterThan(15);
});

test('once others have gone it comes back to full speed', async () => {
  const clock = new BusyClock();
  Object.assign(clock, { othersMs: 1, share: 1 });
  const pace = clock.pacing.begin();
  await work(clock, pace, 10);
  Object.assign(clock, { othersMs: 0, share: 0 });
  await work(clock, pace, 100); // Some of it is slow still.
  expect(await work(clock, pace, 50)).toBeCloseTo(50, 1);
});

test('two together leave others as much as one', async () => {
  const clock = new BusyClock();
  Object.assign(clock, { othersMs: 1, share: 1 });
  const pacing = clock.pacing;
  await work(clock, pacing.begin(), 5);
  const fromMs = clock.monotonicMs();
  const slice = async (pace: Pace): Promise<void> => {
    clock.work(0.2);
    await pace.rest();
  };
  const paces = [pacing.begin(), pacing.begin()];
  for (let i = 0; i < 20; i += 1)
    await settled(
      clock,
      Promise.all(paces.map(slice)).then(() => undefined),
    );
  expect(8 / (clock.monotonicMs() - fromMs)).toBeLessThan(0.06);
});

test('what it waits for is no work', async () => {
  const clock = new BusyClock();
  const pace = clock.pacing.begin();
  const read = pace.during(new Promise<void>((resolve) => clock.after(40, resolve)));
  clock.wait(40);
  await read;
  expect(pace.isOver).toBe(false);
});

test('one step that takes a second is followed by a rest of a tenth', async () => {
  const clock = new BusyClock();
  Object.assign(clock, { othersMs: 1_000, share: 1 });
  const pace = clock.pacing.begin();
  clock.work(1_000);
  const fromMs = clock.monotonicMs();
  await settled(clock, pace.rest());
  expect(clock.monotonicMs() - fromMs).toBeGreaterThan(1_099);
  expect(clock.monotonicMs() - fromMs).toBeLessThan(1_102);
});
