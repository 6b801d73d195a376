// Goal: what etcd takes is told, and how long leases last that somebody renews. Method: a clock that is told.
import { ManualClock } from '@cometmq/shared/testing';

import { EtcdMeter } from './etcd-meter.js';

const leaseFrom = (clock: ManualClock, id: string, ttlMs: number) => ({
  ...{ id, ttlMs, deadlineMs: clock.monotonicMs() + ttlMs },
});

it('tells of requests that were answered and of those that were not, with their time', async () => {
  const clock = new ManualClock();
  const told: unknown[] = [];
  const meter = new EtcdMeter(clock, (...request) => told.push(request));
  const answer = meter.time('txn', () => {
    clock.advance(7);
    return Promise.resolve('done');
  });
  expect(await answer).toBe('done');
  const lost = meter.time('range', () => {
    clock.advance(2_000);
    return Promise.reject(new Error('etcd is away'));
  });
  await expect(lost).rejects.toThrow('etcd is away');
  expect(told).toEqual([
    ['txn', true, 7],
    ['range', false, 2_000],
  ]);
});

it('knows the lease that ends first, down to nothing while its renewal is asked for, and forgets what nobody renews', () => {
  const clock = new ManualClock();
  const meter = new EtcdMeter(clock, () => undefined);
  expect(meter.leaseRemainingMs).toBeUndefined();
  meter.renewed('a', leaseFrom(clock, 'a', 10_000));
  meter.renewed('b', leaseFrom(clock, 'b', 6_000));
  clock.advance(4_000);
  expect(meter.leaseRemainingMs).toBe(2_000);
  meter.renewed('b', leaseFrom(clock, 'b', 6_000));
  expect(meter.leaseRemainingMs).toBe(6_000);

  // etcd is away: whoever asks gets no answer.
  for (let i = 0; i < 4; i += 1) {
    clock.advance(4_000);
    for (const id of ['a', 'b']) meter.asks(id);
  }
  expect(meter.leaseRemainingMs).toBe(0);
  meter.renewed('b', undefined);
  meter.renewed('a', leaseFrom(clock, 'a', 10_000));
  expect(meter.leaseRemainingMs).toBe(10_000);
  clock.advance(10_001);
  expect(meter.leaseRemainingMs).toBeUndefined();
});
