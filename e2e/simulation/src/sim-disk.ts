import type { Prng } from '@cometmq/shared';
import type { Disk, DiskFile } from '@cometmq/store';

import type { SimProcess } from './sim-clock.js';

/** How a member's disk is now. */
export interface DiskCondition {
  /** What every operation takes at least. */
  slowMs: number;
  /** Nothing that is begun before this time ends before it. */
  hangsUntilMs: number;
}

/**
 * A disk that takes its time, for one process: most operations a fraction of a millisecond, a few as long as a busy disk. What
 * a process that is over still waits for never comes, and what it had not begun never happens.
 */
export function slowDisk(disk: Disk, process: SimProcess, chance: Prng, condition: DiskCondition): Disk {
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const slow = chance.below(30) === 0;
      const tookMs = condition.slowMs + (slow ? 5 + chance.below(100) : 0.05 + chance.next());
      process.after(Math.max(tookMs, condition.hangsUntilMs - process.monotonicMs()), resolve);
    });
  return slowed(disk, pause, (file) => slowed(file as DiskFile, pause));
}

/** Every operation that answers later does so after a pause. `wrap`: what is opened is slow too. */
function slowed<T extends object>(target: T, pause: () => Promise<void>, wrap?: (opened: object) => object): T {
  return new Proxy(target, {
    get: (of, name) => {
      const found: unknown = Reflect.get(of, name);
      if (typeof found !== 'function' || name === 'realPath' || name === 'readNow') {
        return typeof found === 'function' ? (found.bind(of) as unknown) : found;
      }
      const act = found as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]): Promise<unknown> => {
        await pause();
        const answer = await act.apply(of, args);
        return wrap && name === 'open' ? wrap(answer as object) : answer;
      };
    },
  });
}
