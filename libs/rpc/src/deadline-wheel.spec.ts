import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';
import { DeadlineWheel, noSlot } from './deadline-wheel.js';
import type { WheelEntry } from './deadline-wheel.js';

interface Item extends WheelEntry {
  fired: number;
}

const item = (): Item => ({ dueMs: 0, wheelSlot: noSlot, wheelNext: undefined, wheelBefore: undefined, fired: 0 });

// Goal: each entry fires once, never early, at most a slot and a tick late; a removed one never. Method: chance.
it.each(seeds(20))('fires what is due and nothing else (seed %i)', (seed) => {
  const chance = new Prng(seed);
  const wheel = new DeadlineWheel<Item>(50, 0);
  const waiting = new Set<Item>();
  let nowMs = 0;
  for (let step = 0; step < 400; step += 1) {
    for (let i = chance.below(5); i > 0; i -= 1) {
      const entry = item();
      wheel.add(entry, nowMs + chance.below(chance.chance(0.2) ? 500_000 : 3_000));
      waiting.add(entry);
    }
    if (waiting.size > 0 && chance.chance(0.5)) {
      const entry = chance.pick([...waiting]);
      wheel.remove(entry);
      waiting.delete(entry);
    }
    nowMs += chance.below(chance.chance(0.02) ? 200_000 : 200);
    wheel.advance(nowMs, (entry) => {
      expect(waiting.delete(entry)).toBe(true);
      expect(entry.dueMs).toBeLessThanOrEqual(nowMs);
    });
    expect([...waiting].filter((entry) => entry.dueMs <= nowMs - 50)).toEqual([]);
    expect(wheel.size).toBe(waiting.size);
  }
});
