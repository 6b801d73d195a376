// Goal: each key is worked on by one at a time, never forgotten, and not in a tight loop when it fails. Method: a manual clock.
import { Prng } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { WorkQueue } from './work-queue.js';

describe('a queue of work', () => {
  let clock: ManualClock;
  let queue: WorkQueue;
  let begun: string[];
  let failed: number[];
  let answer: (key: string) => Promise<number | undefined>;

  beforeEach(() => {
    [clock, begun, failed] = [new ManualClock(), [], []];
    answer = () => Promise.resolve(undefined);
    queue = new WorkQueue({
      ...{ clock, chance: new Prng(1), atOnce: 2 },
      work: (key) => {
        begun.push(key);
        return answer(key);
      },
      failed: (_key, _caught, waitMs) => failed.push(waitMs),
    });
  });
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
  };

  it('works on a key once, however often it is asked for, and again if it is asked for meanwhile', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    answer = () => promise;
    for (const key of ['a', 'b', 'c', 'c', 'a', 'a']) queue.add(key);
    await turns();
    expect(begun).toEqual(['a', 'b']); // Two at once.
    resolve(undefined);
    await turns();
    expect(begun).toEqual(['a', 'b', 'c', 'a']);
  });

  it('comes back to what fails, later each time, and at once if somebody asks', async () => {
    answer = () => Promise.reject(new Error('no'));
    queue.add('a');
    for (let i = 0; i < 12; i += 1) {
      await turns();
      clock.advance(300_000);
    }
    await turns();
    expect(failed.length).toBe(13);
    for (const [i, waitMs] of failed.entries()) {
      expect(waitMs).toBeLessThanOrEqual(Math.min(300_000, 500 * 2 ** i));
      expect(waitMs).toBeGreaterThanOrEqual(Math.min(300_000, 500 * 2 ** i) / 2);
    }
    queue.add('a');
    await turns();
    expect(begun.length).toBe(14);
    answer = () => Promise.resolve(undefined);
    queue.add('a');
    await turns();
    clock.advance(1_000_000);
    await turns();
    expect(begun.length).toBe(15);
  });

  it('looks again after the time that the work has said', async () => {
    answer = () => Promise.resolve(10_000);
    queue.add('a');
    await turns();
    clock.advance(9_999);
    await turns();
    expect(begun.length).toBe(1);
    clock.advance(1);
    await turns();
    expect(begun.length).toBe(2);
    queue.forget('a');
    clock.advance(100_000);
    await turns();
    expect(begun.length).toBe(2);
  });

  it('stops when what is under way is over', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    answer = () => promise;
    for (const key of ['a', 'b', 'c']) queue.add(key);
    let isStopped = false;
    const stopping = queue.stop().then(() => (isStopped = true));
    await turns();
    expect(isStopped).toBe(false);
    resolve(undefined);
    await stopping;
    queue.add('d');
    await turns();
    expect(begun).toEqual(['a', 'b']);
  });
});
