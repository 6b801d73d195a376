/**
 * The real disk: a folder of the file system. The only file of the lib that touches `node:fs`.
 *
 * Calls go through libuv's thread pool by their callback form: one promise a call and no file-handle objects.
 */
import * as fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { assert } from '@cometmq/shared';

import { isMissing } from './disk.js';
import type { Disk, DiskFile, DiskLock, OpenOptions } from './disk.js';

/** One `writev` takes no more on Linux. */
const chunksMax = 1024;

/** Messages are nobody's business but their owner's. */
const fileMode = 0o600;
const folderMode = 0o700;

/**
 * With O_DSYNC the kernel does at the end of a write what `fdatasync` does, in the same call: one trip through the
 * thread pool a batch, not two. Only where it is known to reach the platter: macOS ignores the drive's cache there.
 */
const durableFlag = process.platform === 'linux' ? fs.constants.O_DSYNC : 0;

export class FileDisk implements Disk {
  private readonly root: string;

  constructor(root: string) {
    this.root = resolve(root);
  }

  async open(path: string, options?: OpenOptions): Promise<DiskFile> {
    const durable = options?.durable === true && durableFlag !== 0;
    const flags = fs.constants.O_RDWR | (options?.create ? fs.constants.O_CREAT : 0) | (durable ? durableFlag : 0);
    const fd = await call<number>((done) => fs.open(this.realPath(path), flags, fileMode, done));
    return new RealFile(path, fd, durable);
  }

  async list(folder: string): Promise<string[]> {
    try {
      return (await call<string[]>((done) => fs.readdir(this.realPath(folder), done))).sort();
    } catch (caught) {
      if (isMissing(caught)) return [];
      throw caught;
    }
  }

  async makeFolder(folder: string): Promise<void> {
    // Every folder that was made is an entry of the one above it, the root of this disk too.
    for (const made of await makeFolders(this.realPath(folder))) await syncFolderAt(dirname(made));
  }

  rename(from: string, to: string): Promise<void> {
    return callVoid((done) => fs.rename(this.realPath(from), this.realPath(to), done));
  }

  async unlink(path: string): Promise<void> {
    try {
      await callVoid((done) => fs.unlink(this.realPath(path), done));
    } catch (caught) {
      if (!isMissing(caught)) throw caught;
    }
  }

  syncFolder(folder: string): Promise<void> {
    return syncFolderAt(this.realPath(folder));
  }

  async lock(path: string): Promise<DiskLock | undefined> {
    // Loaded when needed: who only reads files needs no native code.
    const { tryLock } = await import('fs-native-extensions');
    const fd = await call<number>((done) =>
      fs.open(this.realPath(path), fs.constants.O_RDWR | fs.constants.O_CREAT, fileMode, done),
    );
    const close = (): Promise<void> => callVoid((done) => fs.close(fd, done));
    let granted = false;
    try {
      granted = tryLock(fd);
    } finally {
      if (!granted) await close();
    }
    if (!granted) return undefined;
    let held = true;
    return {
      release: async () => {
        if (!held) return;
        held = false;
        await close();
      },
    };
  }

  async freeBytes(folder: string): Promise<number> {
    const found = await call<fs.StatsFs>((done) => fs.statfs(this.realPath(folder), done));
    return found.bavail * found.bsize;
  }

  realPath(path: string): string {
    return join(this.root, path);
  }
}

/**
 * Makes a folder and those above it that are missing; answers with what it made, the innermost first. Not the system
 * library's own `recursive`: where a folder above is there but takes no entry of that name (/proc), it never ends.
 */
async function makeFolders(path: string): Promise<string[]> {
  try {
    return (await makeFolder(path)) ? [path] : [];
  } catch (caught) {
    if (!isMissing(caught) || dirname(path) === path) throw caught;
  }
  const above = await makeFolders(dirname(path));
  // Another may have made it since it was seen to be missing. Whoever did: it is new, and its entry has to be synced.
  await makeFolder(path);
  return [path, ...above];
}

/** Returns whether it was made by this call; a folder that is there already is fine. */
async function makeFolder(path: string): Promise<boolean> {
  try {
    await callVoid((done) => fs.mkdir(path, folderMode, done));
    return true;
  } catch (caught) {
    if (!isMissing(caught) && (await isFolder(path))) return false;
    throw caught;
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await call<fs.Stats>((done) => fs.stat(path, done))).isDirectory();
  } catch {
    return false;
  }
}

async function syncFolderAt(path: string): Promise<void> {
  if (process.platform === 'win32') return; // NTFS journals its folders and lets nobody open one.
  const fd = await call<number>((done) => fs.open(path, fs.constants.O_RDONLY, done));
  try {
    await callVoid((done) => fs.fsync(fd, done));
  } finally {
    await callVoid((done) => fs.close(fd, done));
  }
}

class RealFile implements DiskFile {
  private closed = false;

  constructor(
    readonly path: string,
    private readonly fd: number,
    /** Every write is synced by the system before it answers. */
    private readonly durable: boolean,
  ) {}

  async size(): Promise<number> {
    return (await call<fs.Stats>((done) => fs.fstat(this.fd, done))).size;
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    let filled = 0;
    while (filled < into.byteLength) {
      const from = filled;
      const step = await call<number>((done) => fs.read(this.fd, into, from, into.byteLength - from, at + from, done));
      if (step === 0) break;
      filled += step;
    }
    return filled;
  }

  readNow(into: Uint8Array, at: number): number {
    let filled = 0;
    while (filled < into.byteLength) {
      const step = fs.readSync(this.fd, into, filled, into.byteLength - filled, at + filled);
      if (step === 0) break;
      filled += step;
    }
    return filled;
  }

  async write(chunks: readonly Uint8Array[], at: number): Promise<void> {
    let left = chunks.length > chunksMax ? chunks.slice(0, chunksMax) : chunks;
    let done = 0; // Of `chunks`.
    let to = at;
    while (left.length > 0) {
      const wanted = left.reduce((sum, chunk) => sum + chunk.byteLength, 0);
      // A full disk first writes short and fails only when asked again, so ask again.
      const written = await this.writeSome(left, to);
      assert(written > 0 || wanted === 0, 'a write makes progress or fails');
      to += written;
      if (written === wanted) {
        done += left.length;
        left = chunks.slice(done, done + chunksMax);
      } else {
        const rest = behind(left, written);
        done += left.length - rest.length;
        left = rest;
      }
    }
  }

  async writeDurably(chunks: readonly Uint8Array[], at: number): Promise<void> {
    await this.write(chunks, at);
    if (!this.durable) await this.sync();
  }

  private writeSome(chunks: readonly Uint8Array[], at: number): Promise<number> {
    const [only] = chunks;
    return call<number>((done) =>
      chunks.length === 1 && only
        ? fs.write(this.fd, only, 0, only.byteLength, at, done)
        : fs.writev(this.fd, chunks, at, done),
    );
  }

  truncate(size: number): Promise<void> {
    return callVoid((done) => fs.ftruncate(this.fd, size, done));
  }

  sync(): Promise<void> {
    return callVoid((done) => fs.fdatasync(this.fd, done));
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await callVoid((done) => fs.close(this.fd, done));
  }
}

/** What remains of the chunks behind the first `written` bytes. */
function behind(chunks: readonly Uint8Array[], written: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = written;
  for (const chunk of chunks) {
    if (skip >= chunk.byteLength) skip -= chunk.byteLength;
    else {
      rest.push(skip > 0 ? chunk.subarray(skip) : chunk);
      skip = 0;
    }
  }
  return rest;
}

function call<T>(act: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((fulfil, reject) => {
    act((error, value) => {
      if (error) reject(error);
      else fulfil(value);
    });
  });
}

function callVoid(act: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((fulfil, reject) => {
    act((error) => {
      if (error) reject(error);
      else fulfil();
    });
  });
}
