// Goal: one at a time, so long after the one before was over, whatever became of it; a stop waits for what is under way.
import { AgainAndAgain } from './again-and-again.js';
import { inTurn } from './in-turn.js';
import { ManualClock } from './manual-clock.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('goes on after what fails, waits for what is slow, and ends with what is under way', async () => {
  const clock = new ManualClock();
  const failures: unknown[] = [];
  let begun = 0;
  let over: (error?: Error) => void = () => undefined;
  const act = (): Promise<void> => {
    begun += 1;
    return new Promise((resolve, reject) => (over = (error) => (error ? reject(error) : resolve())));
  };
  const again = new AgainAndAgain(clock, 100, act, (caught) => void failures.push(caught));
  again.start();
  clock.advance(99);
  expect(begun).toBe(0);
  clock.advance(1_000);
  expect(begun).toBe(1);
  over(new Error('away'));
  await turn();
  expect(failures).toHaveLength(1);
  // It is told once, however often it fails for one reason.
  for (const reason of ['away', 'away', 'slow', 'away', undefined, 'away']) {
    clock.advance(100);
    over(reason === undefined ? undefined : new Error(reason));
    await turn();
  }
  expect([begun, failures.map(String)]).toEqual([7, ['Error: away', 'Error: slow', 'Error: away', 'Error: away']]);
  clock.advance(100);
  expect(begun).toBe(8);
  let stopped = false;
  const stop = again.stop().then(() => (stopped = true));
  await turn();
  expect(stopped).toBe(false);
  over();
  await stop;
  clock.advance(1_000);
  expect([begun, clock.timersWaiting]).toEqual([8, 0]);
});

it('some at once, never more, and the answers in their order', async () => {
  let now = 0;
  let most = 0;
  const answers = await inTurn([5, 1, 4, 2, 3], 2, async (turns) => {
    most = Math.max(most, (now += 1));
    for (let i = 0; i < turns; i += 1) await turn();
    now -= 1;
    return turns * 10;
  });
  expect(answers).toEqual([50, 10, 40, 20, 30]);
  expect(most).toBe(2);
  expect(await inTurn([], 2, turn)).toEqual([]);
  let begun = 0;
  const failing = inTurn([1, 2, 3, 4, 5, 6], 2, async (one) => {
    begun += 1;
    await turn();
    if (one === 1) throw new Error('away');
  });
  await expect(failing).rejects.toThrow('away');
  await turn();
  expect(begun).toBeLessThanOrEqual(3);
});
