import { ManualClock } from '@cometmq/shared/testing';

import { Drain } from './drain.js';

const drainMs = 90_000;

function begun(
  connections: number,
  ofMs = drainMs,
): { open: { count: number }; clock: ManualClock; ended: () => boolean; drain: Drain; told: unknown[] } {
  const clock = new ManualClock();
  const open = { count: connections };
  const told: unknown[] = [];
  const drain = new Drain({ drainMs: ofMs, clock, connections: () => open.count, tell: (facts) => told.push(facts) });
  let over = false;
  void drain.stop().then(() => (over = true));
  return { open, clock, drain, told, ended: () => over };
}

/** Half a second at a time, as a process lives it. */
async function passes(clock: ManualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) {
    clock.advance(500);
    await Promise.resolve();
  }
}

describe('a proxy that is told to stop', () => {
  it('serves clients on for its time', async () => {
    const { clock, ended, drain, told } = begun(3);
    expect(drain.unready()).toBe('it is about to stop');
    expect(told).toEqual([{ drainMs, connections: 3 }]);
    await passes(clock, drainMs - 500);
    expect(ended()).toBe(false);
    await passes(clock, 500);
    expect(ended()).toBe(true);
    expect(clock.timersWaiting).toBe(0);
  });

  it('stops when nobody has been connected for 5 s, and not before', async () => {
    const { open, clock, ended } = begun(1);
    await passes(clock, 20_000);
    open.count = 0;
    await passes(clock, 4_000);
    open.count = 1; // One that still has its address.
    await passes(clock, 500);
    open.count = 0;
    await passes(clock, 4_500);
    expect(ended()).toBe(false);
    await passes(clock, 500);
    expect(ended()).toBe(true);
  });

  it('stops at once where no time is given', async () => {
    const { clock, ended, told } = begun(3, 0);
    await Promise.resolve();
    expect(ended()).toBe(true);
    expect(told).toEqual([]);
    expect(clock.timersWaiting).toBe(0);
  });

  it('is ready until then', () => {
    const parts = { drainMs, clock: new ManualClock(), connections: () => 0, tell: () => undefined };
    expect(new Drain(parts).unready()).toBeUndefined();
  });
});
