// Goal: what whoever listens to a watch throws is never taken for an etcd that is away. Method: a source that answers at
// once, a listener that fails, and a look at what became of the loop.
import { AssertionError } from 'node:assert';
import { EventEmitter } from 'node:events';

import { assert } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import { WatchLoop, type WatchSource } from './watch-loop.js';

class Stream extends EventEmitter {
  write(): void {}
  cancel(): void {}
}

function world(range: WatchSource['range']): { source: WatchSource; lost: unknown[]; streams: Stream[] } {
  const lost: unknown[] = [];
  const streams: Stream[] = [];
  const source = {
    range,
    stream: () => {
      const stream = new Stream();
      streams.push(stream);
      return Promise.resolve(stream);
    },
    bounds: { key: Buffer.from('a'), range_end: Buffer.from('b') },
    change: () => ({ key: 'a', pair: undefined }),
    lost: (error: unknown) => void lost.push(error),
    gaveUp: () => undefined,
    found: () => undefined,
  } as unknown as WatchSource;
  return { source, lost, streams };
}

const empty = { revision: 7, pairs: [], storeId: '1' };

/** The end of the loop's first run; seen from the beginning, so that its failure is nobody else's. */
function firstRun(): { ended: () => Promise<void> } {
  const run = jest.spyOn(WatchLoop.prototype as unknown as { run: () => Promise<void> }, 'run');
  return { ended: () => run.mock.results[0]?.value as Promise<void> };
}

afterEach(() => jest.restoreAllMocks());

describe('a watch on etcd', () => {
  it('is ended, with the process, by an assertion that fails while the whole is told', async () => {
    const { source, lost, streams } = world(() => Promise.resolve(empty));
    const clock = new ManualClock();
    const run = firstRun();
    const loop = new WatchLoop(source, () => assert(false, 'planted'), clock, undefined);
    await expect(run.ended()).rejects.toThrow(AssertionError);
    expect([lost, streams, clock.timersWaiting]).toEqual([[], [], 0]);
    loop.stop();
  });

  it('passes on any other failure of its listener, too, and does not ask etcd again for it', async () => {
    const { source, lost } = world(() => Promise.resolve(empty));
    const clock = new ManualClock();
    const run = firstRun();
    const listener = (): never => {
      throw new TypeError('planted');
    };
    const loop = new WatchLoop(source, listener, clock, undefined);
    await expect(run.ended()).rejects.toThrow(TypeError);
    expect([lost, clock.timersWaiting]).toEqual([[], 0]);
    loop.stop();
  });

  it('asks again after a pause for what etcd could not answer', async () => {
    let asked = 0;
    const { source, lost, streams } = world(() => {
      asked += 1;
      return asked === 1 ? Promise.reject(new Error('no connection')) : Promise.resolve(empty);
    });
    const clock = new ManualClock();
    const told: unknown[] = [];
    const run = firstRun();
    const loop = new WatchLoop(source, (update) => told.push(update), clock, undefined);
    await run.ended();
    expect([lost.length, told]).toEqual([1, []]);
    clock.advance(50);
    for (let i = 0; i < 10_000 && streams.length === 0; i += 1) await new Promise(setImmediate);
    expect(told).toEqual([{ kind: 'snapshot', revision: 7, pairs: [] }]);
    loop.stop();
  });
});
