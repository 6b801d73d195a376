/**
 * The index files that are being read. A few stay open, and of reads a few are under way at a time: however many readers
 * there are, they share one budget of open files and of the system's threads, and the log's writes find one free.
 */
import { isMissing } from '../disk/disk.js';
import type { Disk, DiskFile } from '../disk/disk.js';
import { Slots } from '../disk/slots.js';

const openMax = 64;
/** Of the four threads that Node.js has for files. */
const readsMax = 2;

interface Opened {
  readonly file: Promise<DiskFile>;
  users: number;
  /** Another file has its name by now, or none. */
  stale: boolean;
}

export class IndexFiles {
  /** By path, the longest unread first. */
  private readonly opened = new Map<string, Opened>();
  private readonly reads = new Slots(readsMax);

  constructor(private readonly disk: Disk) {}

  /** Lends the open file; undefined: there is none. */
  use<T>(path: string, act: (file: DiskFile) => Promise<T>): Promise<T | undefined> {
    return this.reads.use(async () => {
      const opened = this.opened.get(path) ?? { file: this.disk.open(path), users: 0, stale: false };
      this.opened.delete(path);
      this.opened.set(path, opened);
      opened.users += 1;
      try {
        return await act(await opened.file);
      } catch (caught) {
        if (await isClosed(opened.file)) this.drop(path, opened);
        if (isMissing(caught)) return undefined;
        throw caught;
      } finally {
        opened.users -= 1;
        if (opened.users === 0 && opened.stale) await closeQuietly(opened.file);
        await this.trim();
      }
    });
  }

  /** The file is replaced or gone: who reads next opens it anew. */
  async forget(path: string): Promise<void> {
    const opened = this.opened.get(path);
    if (!opened) return;
    this.drop(path, opened);
    if (opened.users === 0) await closeQuietly(opened.file);
  }

  async close(): Promise<void> {
    for (const path of [...this.opened.keys()]) await this.forget(path);
  }

  private drop(path: string, opened: Opened): void {
    opened.stale = true;
    if (this.opened.get(path) === opened) this.opened.delete(path);
  }

  private async trim(): Promise<void> {
    if (this.opened.size <= openMax) return;
    for (const [path, { users }] of this.opened) {
      if (users === 0) return this.forget(path);
    }
  }
}

/** Whether it could not even be opened. */
function isClosed(file: Promise<DiskFile>): Promise<boolean> {
  return file.then(
    () => false,
    () => true,
  );
}

async function closeQuietly(file: Promise<DiskFile>): Promise<void> {
  const opened = await file.catch(() => undefined);
  await opened?.close();
}
