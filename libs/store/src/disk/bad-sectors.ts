/**
 * Any disk, the real one too, that can't read some of its pages any more, as bad sectors do: who reads one is told EIO, and
 * who writes one has it back.
 */
import type { Disk, DiskFile } from './disk.js';
import { systemError } from './memory-disk.js';

const pageBytes = 4096;

export class BadSectors implements Pick<Disk, 'open'> {
  /** By path: the pages that can't be read. */
  private readonly bad = new Map<string, Set<number>>();
  readonly disk: Disk;

  constructor(private readonly under: Disk) {
    this.disk = {
      open: (path, options) => this.open(path, options),
      list: (folder) => under.list(folder),
      makeFolder: (folder) => under.makeFolder(folder),
      rename: async (from, to) => {
        await under.rename(from, to);
        this.bad.delete(to);
        const pages = this.bad.get(from);
        this.bad.delete(from);
        if (pages) this.bad.set(to, pages);
      },
      unlink: async (path) => {
        await under.unlink(path);
        this.bad.delete(path);
      },
      syncFolder: (folder) => under.syncFolder(folder),
      lock: (path) => under.lock(path),
      freeBytes: (folder) => under.freeBytes(folder),
      realPath: (path) => under.realPath(path),
    };
  }

  /** The page that `at` lies in. */
  damage(path: string, at: number): void {
    const pages = this.bad.get(path) ?? new Set();
    this.bad.set(path, pages.add(Math.floor(at / pageBytes)));
  }

  async open(path: string, options?: Parameters<Disk['open']>[1]): Promise<DiskFile> {
    const file = await this.under.open(path, options);
    const check = (at: number, bytes: number): void => {
      for (const page of this.bad.get(path) ?? []) {
        if (bytes > 0 && page * pageBytes < at + bytes && (page + 1) * pageBytes > at) {
          throw systemError('EIO', 'i/o error, read');
        }
      }
    };
    const written = (chunks: readonly Uint8Array[], at: number): void => {
      const end = chunks.reduce((sum, { byteLength }) => sum + byteLength, at);
      for (const page of this.bad.get(path) ?? []) {
        if (page * pageBytes < end && (page + 1) * pageBytes > at) this.bad.get(path)?.delete(page);
      }
    };
    return {
      path: file.path,
      size: () => file.size(),
      read: async (into, at) => {
        check(at, into.byteLength);
        return file.read(into, at);
      },
      readNow: (into, at) => {
        check(at, into.byteLength);
        return file.readNow(into, at);
      },
      write: async (chunks, at) => {
        await file.write(chunks, at);
        written(chunks, at);
      },
      writeDurably: async (chunks, at) => {
        await file.writeDurably(chunks, at);
        written(chunks, at);
      },
      truncate: (size) => file.truncate(size),
      sync: () => file.sync(),
      close: () => file.close(),
    };
  }
}
