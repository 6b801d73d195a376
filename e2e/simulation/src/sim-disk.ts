import type { Prng } from '@cometmq/shared';
import { type Disk, type DiskFile, type DiskLock, isDiskFull, type OpenOptions } from '@cometmq/store';
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

const syncs: ReadonlySet<Operation> = new Set(['writeDurably', 'sync', 'syncFolder']);
const writes: ReadonlySet<Operation> = new Set([...syncs, 'write', 'truncate', 'rename', 'unlink'] as const);

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
  const pause = (name: Operation): Pause => {
    const slow = chance.below(30) === 0;
    const tookMs = condition.slowMs + (slow ? 5 + chance.below(100) : 0.05 + chance.next());
    const hangsMs = condition.hangsUntilMs - process.monotonicMs();
    if (condition.slowMs > 0) met('a disk was slow');
    const hangs = hangsMs > tookMs && writes.has(name);
    const isMade = hangs && chance.below(2) === 0;
    if (hangs) met(isMade ? 'a write was made, and its answer hung' : 'a write hung, and was made afterwards');
    const wait = (): Promise<void> =>
      new Promise((resolve) => {
        process.after(Math.max(tookMs, hangsMs), resolve);
      });
    const failure = syncs.has(name) && condition.failsSync ? systemError('EIO', 'i/o error, fsync') : undefined;
    if (failure) {
      condition.failsSync = false;
      condition.hasFailed = true;
      met('a sync failed');
    }
    return { isMade, wait, failure };
  };
  const around = async <T>(name: Operation, act: () => Promise<T>): Promise<T> => {
    const { isMade, wait, failure } = pause(name);
    if (!isMade) await wait();
    if (failure) throw failure;
    let answer: T;
    try {
      answer = await act();
    } catch (caught) {
      if (isDiskFull(caught)) met('a disk was full');
      throw caught;
    }
    if (isMade) await wait();
    return answer;
  };
  return new SlowDisk(disk, around);
}

type Operation = Exclude<keyof Disk, 'realPath'> | Exclude<keyof DiskFile, 'path' | 'readNow'>;

interface Pause {
  /** It comes behind what is done, not before. */
  readonly isMade: boolean;
  readonly wait: () => Promise<void>;
  readonly failure: Error | undefined;
}

/** Does it, before or after a pause. */
type Around = <T>(name: Operation, act: () => Promise<T>) => Promise<T>;

class SlowDisk implements Disk {
  constructor(
    private readonly disk: Disk,
    private readonly around: Around,
  ) {}

  async open(path: string, options?: OpenOptions): Promise<DiskFile> {
    const { disk, around } = this;
    return new SlowFile(await around('open', () => disk.open(path, options)), around);
  }
  list(folder: string): Promise<string[]> {
    return this.around('list', () => this.disk.list(folder));
  }
  makeFolder(folder: string): Promise<void> {
    return this.around('makeFolder', () => this.disk.makeFolder(folder));
  }
  rename(from: string, to: string): Promise<void> {
    return this.around('rename', () => this.disk.rename(from, to));
  }
  unlink(path: string): Promise<void> {
    return this.around('unlink', () => this.disk.unlink(path));
  }
  syncFolder(folder: string): Promise<void> {
    return this.around('syncFolder', () => this.disk.syncFolder(folder));
  }
  lock(path: string): Promise<DiskLock | undefined> {
    return this.around('lock', () => this.disk.lock(path));
  }
  freeBytes(folder: string): Promise<number> {
    return this.around('freeBytes', () => this.disk.freeBytes(folder));
  }
  realPath(path: string): string {
    return this.disk.realPath(path);
  }
}

class SlowFile implements DiskFile {
  readonly path: string;

  constructor(
    private readonly file: DiskFile,
    private readonly around: Around,
  ) {
    this.path = file.path;
  }

  size(): Promise<number> {
    return this.around('size', () => this.file.size());
  }
  read(into: Uint8Array, at: number): Promise<number> {
    return this.around('read', () => this.file.read(into, at));
  }
  readNow(into: Uint8Array, at: number): number {
    return this.file.readNow(into, at);
  }
  write(chunks: readonly Uint8Array[], at: number): Promise<void> {
    return this.around('write', () => this.file.write(chunks, at));
  }
  writeDurably(chunks: readonly Uint8Array[], at: number): Promise<void> {
    return this.around('writeDurably', () => this.file.writeDurably(chunks, at));
  }
  truncate(size: number): Promise<void> {
    return this.around('truncate', () => this.file.truncate(size));
  }
  sync(): Promise<void> {
    return this.around('sync', () => this.file.sync());
  }
  close(): Promise<void> {
    return this.around('close', () => this.file.close());
  }
}
