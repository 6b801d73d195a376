import { Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import type { Timer } from './ports.js';
import { FoldingTimers } from './testing.js';

const hour = 3_600_000;
const start = 472_222 * hour + 1_234_567;

// Goal: whatever happens, exactly those wait that were neither fired nor taken back; each is fired once, never early, in
// order among what is near. Method: act by chance, with checkpoints, crashes and a border that moves by chance; compare
// with a plain map.
describe.each([
  // Buckets that are sealed again and again, and buckets that never are.
  { name: 'dense', spreadMs: 2 * hour, sendsMax: 700 },
  { name: 'sparse', spreadMs: 60 * hour, sendsMax: 60 },
  { name: 'all at once', spreadMs: 3, sendsMax: 400 },
])('timers, $name', ({ spreadMs, sendsMax }) => {
  it.each(seeds(15))('are those of the oracle (seed %i)', (seed) => {
    const chance = new Prng(seed);
    const log = new FoldingTimers();
    const oracle = new Map<number, Timer>();
    let nowMs = start;
    const some = (): Timer | undefined => {
      const all = [...oracle.values()];
      return all.length > 0 ? chance.pick(all) : undefined;
    };
    const fireDue = (max: number): void => {
      let lastMs = 0;
      for (let i = 0; i < max && log.view.firstDueMs <= nowMs; i += 1) {
        const timer = log.view.first() as Timer;
        const wanted = oracle.get(timer.position);
        // Plain comparisons: there are many.
        if (!wanted || textOf(wanted) !== textOf(timer)) throw new Error(`${textOf(timer)} was fired`);
        if (timer.dueMs < lastMs || timer.dueMs > nowMs) throw new Error(`${textOf(timer)} was fired out of order`);
        lastMs = timer.dueMs;
        log.fire(timer);
        oracle.delete(timer.position);
      }
    };
    const check = (): void => {
      const wanted = [...oracle.values()].sort((a, b) => a.position - b.position);
      expect(log.waiting().map(textOf).join('\n')).toBe(wanted.map(textOf).join('\n'));
      expect(log.view.size).toBe(oracle.size);
    };
    for (let step = 0; step < 60; step += 1) {
      switch (chance.below(8)) {
        case 0:
        case 1:
          for (let i = chance.below(sendsMax); i > 0; i -= 1) {
            const timer = log.send(
              nowMs + chance.below(chance.pick([10, 5_000, spreadMs, spreadMs])),
              1 + chance.below(3),
            );
            oracle.set(timer.position, timer);
          }
          break;
        case 2:
          nowMs += chance.below(chance.pick([10, 1_000, spreadMs / 4]));
          log.advance(
            log.view.reach(Math.max(log.view.nearEndMs, nowMs + chance.below(spreadMs)), 1 + chance.below(2_000)),
          );
          break;
        case 3:
          fireDue(chance.below(sendsMax));
          break;
        case 4:
          for (let i = chance.below(20); i > 0; i -= 1) {
            const timer = some();
            if (!timer) break;
            const standing = log.view.standing(timer.position, timer.dueMs);
            expect(['near', 'tail', 'far']).toContain(standing);
            log.drop(timer);
            oracle.delete(timer.position);
            expect(log.view.standing(timer.position, timer.dueMs)).toBe('takenBack');
          }
          break;
        case 5:
          for (let i = chance.below(5); i > 0; i -= 1) {
            const timer = some();
            if (!timer) break;
            const dueMs = nowMs + chance.below(spreadMs);
            log.move(timer, dueMs);
            oracle.set(timer.position, { ...timer, dueMs });
          }
          break;
        case 6:
          log.checkpoint();
          break;
        default:
          log.crash();
          break;
      }
      if (chance.chance(0.2)) check();
    }
    check();
    nowMs += 2 * spreadMs + hour;
    while (log.view.nearEndMs < nowMs + 1) {
      log.advance(log.view.reach(nowMs + 1, 500));
      if (chance.chance(0.1)) log.checkpoint();
      if (chance.chance(0.1)) log.crash();
      fireDue(Infinity);
    }
    fireDue(Infinity);
    expect([...oracle.values()]).toEqual([]);
    expect(log.view.size).toBe(0);
    // Nothing is left behind of those who are gone.
    log.advance(nowMs + 2 * hour);
    log.checkpoint();
    expect([...log.cold.keys()]).toEqual([]);
  });
});

function textOf({ position, size, dueMs, topicId, queueId, tagHash }: Timer): string {
  return `${position}+${size} at ${dueMs} in ${topicId}/${queueId} ${tagHash}`;
}
