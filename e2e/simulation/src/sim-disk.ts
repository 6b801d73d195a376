import type { Prng } from '@cometmq/shared';
import type { Disk, DiskFile } from '@cometmq/store';

import type { SimProcess } from './sim-clock.js';
import type { Effect } from './tally.js';

/** How a member's disk is now. */
export interface DiskCondition {
  /** What every operation takes at least. */
  slowMs: number;
  /** Nothing that is begun before this time ends before it. */
  hangsUntilMs: number;
}

const writes: readonly PropertyKey[] = ['write', 'writeDurably', 'sync', 'truncate', 'syncFolder', 'rename', 'unlink'];

/**
 * A disk that takes its time, for one process: most operations a fraction of a millisecond, a few as long as a busy disk. What
 * a process that is over still waits for never comes, and what it had not begun never happens. Where the disk hangs, some writes
 * are made at once, and only their answer waits.
 */
export function slowDisk(
  disk: Disk,
  process: SimProcess,
  chance: Prng,
  condition: DiskCondition,
  met: (effect: Effect) => void,
): Disk {
  const pause = (name: PropertyKey): Pause => {
    const slow = chance.below(30) === 0;
    const tookMs = condition.slowMs + (slow ? 5 + chance.below(100) : 0.05 + chance.next());
    const hangsMs = condition.hangsUntilMs - process.monotonicMs();
    if (condition.slowMs > 0) met('a disk was slow');
    const hangs = hangsMs > tookMs && writes.includes(name);
    const isMade = hangs && chance.below(2) === 0;
    if (hangs) met(isMade ? 'a write was made, and its answer hung' : 'a write hung, and was made afterwards');
    const wait = (): Promise<void> =>
      new Promise((resolve) => {
        process.after(Math.max(tookMs, hangsMs), resolve);
      });
    return { isMade, wait };
  };
  return slowed(disk, pause, (file) => slowed(file as DiskFile, pause));
}

interface Pause {
  /** It comes behind what is done, not before. */
  readonly isMade: boolean;
  readonly wait: () => Promise<void>;
}

/** Every operation that answers later does so after a pause. `wrap`: what is opened is slow too. */
function slowed<T extends object>(
  target: T,
  pause: (name: PropertyKey) => Pause,
  wrap?: (opened: object) => object,
): T {
  return new Proxy(target, {
    get: (of, name) => {
      const found: unknown = Reflect.get(of, name);
      if (typeof found !== 'function' || name === 'realPath' || name === 'readNow') {
        return typeof found === 'function' ? (found.bind(of) as unknown) : found;
      }
      const act = found as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]): Promise<unknown> => {
        const { isMade, wait } = pause(name);
        if (!isMade) await wait();
        const answer = await act.apply(of, args);
        if (isMade) await wait();
        return wrap && name === 'open' ? wrap(answer as object) : answer;
      };
    },
  });
}
