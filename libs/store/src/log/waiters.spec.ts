import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { Waiters } from './waiters.js';

describe('waiters', () => {
  it.each(seeds(20))('are called in order of their positions, each once (seed %i)', (seed) => {
    const chance = new Prng(seed);
    const waiters = new Waiters();
    const called: [number, number][] = [];
    let made = 0;
    let reached = 0;
    const missing = new Set<number>();
    for (let round = 0; round < 50; round += 1) {
      for (let i = chance.below(40); i > 0; i -= 1) {
        const end = reached + 1 + chance.below(20);
        const order = (made += 1);
        missing.add(order);
        waiters.add(end, () => called.push([end, order]), undefined);
      }
      reached += chance.below(15);
      called.length = 0;
      waiters.reached(reached);
      const sorted = [...called].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      expect(called).toEqual(sorted);
      for (const [end, order] of called) {
        expect(end).toBeLessThanOrEqual(reached);
        expect(missing.delete(order)).toBe(true);
      }
      expect(waiters.waiting).toBe(missing.size);
    }
  });

  // Under load somebody always waits, and the arrays are made anew only now and then.
  it('hold nothing of those who were called, while others wait', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const waiters = new Waiters();
    const add = (end: number): WeakRef<object> => {
      const body = { bytes: new Uint8Array(1_000) };
      waiters.add(
        end,
        () => void body.bytes.length,
        () => void body.bytes.length,
      );
      return new WeakRef(body);
    };
    const bodies = Array.from({ length: 100 }, (_, i) => add(i));
    waiters.reached(98);
    await new Promise(setImmediate); // A WeakRef holds its object until the end of the turn.
    collect();
    expect(waiters.waiting).toBe(1);
    expect(bodies.map((each) => each.deref() !== undefined).lastIndexOf(true)).toBe(99);
    expect(bodies.filter((each) => each.deref() !== undefined)).toHaveLength(1);
  });

  it('may add others while they are called', () => {
    const waiters = new Waiters();
    const called: string[] = [];
    waiters.add(
      5,
      () => {
        called.push('a');
        waiters.add(5, () => called.push('b'), undefined);
        waiters.add(9, () => called.push('c'), undefined);
      },
      undefined,
    );
    waiters.reached(5);
    expect(called).toEqual(['a', 'b']);
    waiters.reached(9);
    expect(called).toEqual(['a', 'b', 'c']);
  });

  it('are told of a failure once', () => {
    const waiters = new Waiters();
    const told: string[] = [];
    waiters.add(
      5,
      () => told.push('done'),
      (error) => told.push(error.code),
    );
    waiters.add(6, () => told.push('done'), undefined);
    waiters.fail(new MqError('DISK_FAILED', 'gone'));
    waiters.fail(new MqError('DISK_FAILED', 'gone'));
    waiters.reached(10);
    expect(told).toEqual(['DISK_FAILED']);
  });
});
