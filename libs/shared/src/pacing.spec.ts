// Goal: long work is no burden to others, and always goes on. Method: time and the order of turns are in our hands; others
// take so many milliseconds of each turn.
import { ManualClock } from './manual-clock.js';
import { Pacing, type Pace } from './pacing.js';

/** A loop on which others work for `othersMs` whenever it comes round. */
class BusyClock extends ManualClock {
  othersMs = 0;
  turns = 0;

  override soon(act: () => void): void {
    super.soon(() => {
      this.turns += 1;
      this.advance(this.othersMs);
      act();
    });
  }
}

/** Works in steps of 0.1 ms; answers how long all of it took. */
async function work(clock: BusyClock, pace: Pace, workMs: number): Promise<number> {
  const fromMs = clock.monotonicMs();
  for (let doneMs = 0; doneMs < workMs - 0.01; doneMs += 0.1) {
    clock.advance(0.1);
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
    if (clock.timersWaiting > 0) clock.advance(0.5);
  }
  await ended;
}

test('others have a turn after each half of a millisecond', async () => {
  const clock = new BusyClock();
  await work(clock, new Pacing(clock).begin(), 50);
  expect(clock.turns).toBeGreaterThanOrEqual(80);
});

test('nothing is lost to rests while nobody else works', async () => {
  const clock = new BusyClock();
  expect(await work(clock, new Pacing(clock).begin(), 50)).toBeCloseTo(50, 1);
});

test.each([0.5, 2, 20])(
  'others who take %d ms of each turn leave little of the time for it, and it ends',
  async (ms) => {
    const clock = new BusyClock();
    clock.othersMs = ms;
    const tookMs = await work(clock, new Pacing(clock).begin(), 50);
    expect(50 / tookMs).toBeLessThan(0.05);
    expect(50 / tookMs).toBeGreaterThan(0.005);
  },
);

test('the less others work, the shorter it rests', async () => {
  const took: number[] = [];
  for (const othersMs of [0.05, 0.15, 0.3, 0.5]) {
    const clock = new BusyClock();
    clock.othersMs = othersMs;
    took.push(await work(clock, new Pacing(clock).begin(), 50));
  }
  expect(took).toEqual(took.toSorted((a, b) => a - b));
  expect(took[0]).toBeLessThan(60);
});

test('two together leave others as much as one', async () => {
  const clock = new BusyClock();
  clock.othersMs = 1;
  const pacing = new Pacing(clock);
  const fromMs = clock.monotonicMs();
  const slice = async (pace: Pace): Promise<void> => {
    clock.advance(0.5);
    await pace.rest();
  };
  const paces = [pacing.begin(), pacing.begin()];
  for (let i = 0; i < 20; i += 1)
    await settled(
      clock,
      Promise.all(paces.map(slice)).then(() => undefined),
    );
  expect(20 / (clock.monotonicMs() - fromMs)).toBeLessThan(0.05);
});

test('what it waits for is no work', async () => {
  const clock = new BusyClock();
  clock.othersMs = 1;
  const pace = new Pacing(clock).begin();
  const read = pace.during(new Promise<void>((resolve) => clock.after(40, resolve)));
  clock.advance(40);
  await read;
  expect(pace.isOver).toBe(false);
  clock.advance(0.1);
  const fromMs = clock.monotonicMs();
  await settled(clock, pace.rest());
  expect(clock.monotonicMs() - fromMs).toBeLessThan(5); // 24 times 0.1 ms.
});

test('one step that takes a second is followed by a rest of a tenth', async () => {
  const clock = new BusyClock();
  clock.othersMs = 1_000;
  const pace = new Pacing(clock).begin();
  clock.advance(1_000);
  const fromMs = clock.monotonicMs();
  await settled(clock, pace.rest());
  expect(clock.monotonicMs() - fromMs).toBeLessThan(1_102);
});
