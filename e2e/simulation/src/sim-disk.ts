import type { Prng } from '@cometmq/shared';
import { type Disk, type DiskFile, isDiskFull } from '@cometmq/store';
import { systemError } from '@cometmq/store/testing';

import type { SimProcess } from './sim-clock.js';
import type { Effect } from './tally.js';

/** How a member's disk is now. */
export interface DiskCondition {
  /** What every operation takes at least. */
  slowMs: number;
  /** Nothing that is begun before this time ends before it. */
  hangsUntilMs: number;
  /** The next sync fails: what was written since the last one may be lost. */
  failsSync: boolean;
  /** One has failed, to this process. */
  hasFailed: boolean;
}

const syncs: readonly PropertyKey[] = ['writeDurably', 'sync', 'syncFolder'];
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
    const failure = syncs.includes(name) && condition.failsSync ? systemError('EIO', 'i/o error, fsync') : undefined;
    if (failure) {
      condition.failsSync = false;
      condition.hasFailed = true;
      met('a sync failed');
    }
    return { isMade, wait, failure };
  };
  return slowed(disk, pause, met, (file) => slowed(file as DiskFile, pause, met));
}

interface Pause {
  /** It comes behind what is done, not before. */
  readonly isMade: boolean;
  readonly wait: () => Promise<void>;
  readonly failure: Error | undefined;
}

/** Every operation that answers later does so after a pause. `wrap`: what is opened is slow too. */
function slowed<T extends object>(
  target: T,
  pause: (name: PropertyKey) => Pause,
  met: (effect: Effect) => void,
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
        const { isMade, wait, failure } = pause(name);
        if (!isMade) await wait();
        if (failure) throw failure;
        const answer = await act.apply(of, args).catch((caught: unknown) => {
          if (isDiskFull(caught)) met('a disk was full');
          throw caught;
        });
        if (isMade) await wait();
        return wrap && name === 'open' ? wrap(answer as object) : answer;
      };
    },
  });
}
