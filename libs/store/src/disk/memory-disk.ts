/**
 * A disk in memory whose power can be cut.
 *
 * Two worlds: what the process sees (every write at once), and what a power cut leaves: files as of their last sync and
 * folders as of theirs, plus, by chance, any part of what was never synced. A cut write survives sector by sector, in
 * any order; a file's new size may survive without its bytes (they read as zeros); a name that was made, renamed or
 * unlinked may or may not have reached the disk. `crash` gives the disk as the next process finds it.
 */
import { MqError, assert } from '@cometmq/shared';
import type { Prng } from '@cometmq/shared';

import { joinPath, splitPath } from './disk.js';
import type { Disk, DiskFile, DiskLock, OpenOptions } from './disk.js';

interface UnsyncedWrite {
  readonly at: number;
  readonly bytes: Buffer;
}

/** Bytes that grow and shrink in place. */
class Content {
  private held: Buffer;
  private length: number;

  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.held = bytes;
    this.length = bytes.byteLength;
  }

  get size(): number {
    return this.length;
  }
  get bytes(): Buffer {
    return this.held.subarray(0, this.length);
  }

  write(at: number, bytes: Uint8Array): void {
    this.grow(at + bytes.byteLength);
    this.held.set(bytes, at);
  }

  resize(size: number): void {
    if (size < this.length) this.held.fill(0, size, this.length);
    else this.grow(size);
    this.length = size;
  }

  copy(): Content {
    return new Content(Buffer.from(this.bytes));
  }

  private grow(size: number): void {
    if (size > this.held.byteLength) {
      const larger = Buffer.alloc(Math.max(size, this.held.byteLength * 2, 4096));
      this.held.copy(larger, 0, 0, this.length);
      this.held = larger;
    }
    this.length = Math.max(this.length, size);
  }
}

/** The bytes behind names. */
class Inode {
  /** Since the last sync, in order: writes and changes of size. */
  private unsynced: (UnsyncedWrite | { readonly size: number })[] = [];

  constructor(
    private readonly seen = new Content(),
    private readonly synced = new Content(),
  ) {}

  get size(): number {
    return this.seen.size;
  }
  get hasUnsynced(): boolean {
    return this.unsynced.length > 0;
  }

  write(at: number, bytes: Uint8Array): void {
    this.seen.write(at, bytes);
    this.unsynced.push({ at, bytes: Buffer.from(bytes) });
  }

  truncate(size: number): void {
    this.seen.resize(size);
    this.unsynced.push({ size });
  }

  sync(): void {
    for (const change of this.unsynced) {
      if ('size' in change) this.synced.resize(change.size);
      else this.synced.write(change.at, change.bytes);
    }
    this.unsynced = [];
  }

  content(): Buffer {
    return this.seen.bytes;
  }
  syncedContent(): Buffer {
    return this.synced.bytes;
  }

  /** What a power cut leaves. Sectors of unsynced writes survive each with the given chance. */
  afterCrash(chance: Prng, survives: number, sectorBytes: number): Inode {
    const content = this.synced.copy();
    for (const change of this.unsynced) {
      if ('size' in change) {
        if (chance.chance(survives)) content.resize(change.size);
        continue;
      }
      const { at, bytes } = change;
      for (let from = at; from < at + bytes.byteLength;) {
        const to = Math.min(at + bytes.byteLength, (Math.floor(from / sectorBytes) + 1) * sectorBytes);
        if (chance.chance(survives)) content.write(from, bytes.subarray(from - at, to - at));
        from = to;
      }
    }
    return new Inode(content, content.copy());
  }
}

type NameChange =
  | { readonly kind: 'made'; readonly name: string; readonly inode: Inode }
  | { readonly kind: 'renamed'; readonly from: string; readonly to: string; readonly inode: Inode }
  | { readonly kind: 'unlinked'; readonly name: string };

class Folder {
  readonly seen = new Map<string, Inode>();
  synced = new Map<string, Inode>();
  unsynced: NameChange[] = [];

  change(change: NameChange): void {
    this.unsynced.push(change);
    applyChange(this.seen, change);
  }

  sync(): void {
    this.synced = new Map(this.seen);
    this.unsynced = [];
  }
}

function applyChange(names: Map<string, Inode>, change: NameChange): void {
  if (change.kind === 'made') names.set(change.name, change.inode);
  else if (change.kind === 'unlinked') names.delete(change.name);
  else {
    if (names.get(change.from) === change.inode) names.delete(change.from);
    names.set(change.to, change.inode);
  }
}

export interface MemoryDiskOptions {
  /** Bytes that fit; those of unlinked files come free at once. Default: no limit. */
  readonly capacityBytes?: number;
}

export interface CrashOptions {
  /** The chance of each unsynced sector, size and name to survive. Default: one drawn for the whole crash. */
  readonly survives?: number;
  /** The unit that is written whole or not at all: 512 or 4096. Default: either. */
  readonly sectorBytes?: number;
}

/** Says what is about to happen to the disk. A test may throw from it, or take a crash state. */
export type DiskWatcher = (operation: DiskOperation) => void;
export interface DiskOperation {
  readonly kind: 'write' | 'truncate' | 'sync' | 'make' | 'rename' | 'unlink' | 'sync folder';
  readonly path: string;
}

export class MemoryDisk implements Disk {
  capacityBytes: number;
  /** Called right before each operation that changes the disk. */
  watcher: DiskWatcher | undefined;
  private readonly folders = new Map<string, Folder>([['', new Folder()]]);
  private readonly locks = new Set<string>();
  private dead = false;

  constructor(options: MemoryDiskOptions = {}) {
    this.capacityBytes = options.capacityBytes ?? Infinity;
  }

  async open(path: string, options?: OpenOptions): Promise<DiskFile> {
    await this.turn();
    const { folder, name } = splitPath(path);
    const held = this.folders.get(folder);
    let inode = held?.seen.get(name);
    if (!inode || !held) {
      if (!options?.create || !held) throw systemError('ENOENT', `no such file: ${path}`);
      this.watch('make', path);
      inode = new Inode();
      held.change({ kind: 'made', name, inode });
    }
    return new MemoryFile(this, path, inode);
  }

  async list(folder: string): Promise<string[]> {
    await this.turn();
    const below = folder === '' ? '' : `${folder}/`;
    const folders = [...this.folders.keys()]
      .filter((path) => path !== '' && path.startsWith(below) && !path.slice(below.length).includes('/'))
      .map((path) => path.slice(below.length))
      .filter((name) => name !== '');
    return [...(this.folders.get(folder)?.seen.keys() ?? []), ...folders].sort();
  }

  async makeFolder(folder: string): Promise<void> {
    await this.turn();
    for (let path = folder; path !== ''; path = splitPath(path).folder) {
      if (!this.folders.has(path)) this.folders.set(path, new Folder());
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await this.turn();
    this.watch('rename', to);
    const source = splitPath(from);
    const target = splitPath(to);
    assert(source.folder === target.folder, 'files are renamed within their folder');
    const folder = this.folders.get(source.folder);
    const inode = folder?.seen.get(source.name);
    if (!folder || !inode) throw systemError('ENOENT', `no such file: ${from}`);
    folder.change({ kind: 'renamed', from: source.name, to: target.name, inode });
  }

  async unlink(path: string): Promise<void> {
    await this.turn();
    const { folder, name } = splitPath(path);
    const held = this.folders.get(folder);
    if (!held?.seen.has(name)) return;
    this.watch('unlink', path);
    held.change({ kind: 'unlinked', name });
  }

  async syncFolder(folder: string): Promise<void> {
    await this.turn();
    this.watch('sync folder', folder);
    const held = this.folders.get(folder);
    if (!held) throw systemError('ENOENT', `no such folder: ${folder}`);
    held.sync();
  }

  async lock(path: string): Promise<DiskLock | undefined> {
    await this.turn();
    if (this.locks.has(path)) return undefined;
    this.locks.add(path);
    return {
      release: () => {
        this.locks.delete(path);
        return Promise.resolve();
      },
    };
  }

  async freeBytes(): Promise<number> {
    await this.turn();
    return this.roomBytes();
  }

  realPath(path: string): string {
    return joinPath('/memory', path);
  }

  /** @internal */
  roomBytes(): number {
    return this.capacityBytes === Infinity ? Infinity : this.capacityBytes - this.usedBytes();
  }

  usedBytes(): number {
    let used = 0;
    for (const folder of this.folders.values()) for (const inode of folder.seen.values()) used += inode.size;
    return used;
  }

  /** Whether a power cut may take something. */
  get hasUnsynced(): boolean {
    const folders = [...this.folders.values()];
    return folders.some(
      ({ seen, unsynced }) => unsynced.length > 0 || [...seen.values()].some((one) => one.hasUnsynced),
    );
  }

  /**
   * The power goes: the disk as the next process finds it. This one, and every file open on it, is dead for whoever
   * goes on using it unless `leaveAlive` (to try many crashes of one moment).
   */
  crash(chance: Prng, options: CrashOptions = {}, leaveAlive = false): MemoryDisk {
    const survives = options.survives ?? chance.pick([0, 0.1, 0.5, 0.9, 1]);
    const sectorBytes = options.sectorBytes ?? chance.pick([512, 4096]);
    const left = new MemoryDisk({ capacityBytes: this.capacityBytes });
    const inodes = new Map<Inode, Inode>();
    const after = (inode: Inode): Inode => {
      const found = inodes.get(inode) ?? inode.afterCrash(chance, survives, sectorBytes);
      inodes.set(inode, found);
      return found;
    };
    for (const [path, folder] of this.folders) {
      const names = new Map(folder.synced);
      for (const change of folder.unsynced) if (chance.chance(survives)) applyChange(names, change);
      const kept = new Folder();
      for (const [name, inode] of names) kept.seen.set(name, after(inode));
      kept.sync();
      left.folders.set(path, kept);
    }
    if (!leaveAlive) this.dead = true;
    return left;
  }

  /** The process ends, the machine does not: everything written stays, synced or not. */
  kill(): MemoryDisk {
    const left = new MemoryDisk({ capacityBytes: this.capacityBytes });
    for (const [path, folder] of this.folders) {
      const kept = new Folder();
      kept.synced = new Map(folder.synced);
      kept.unsynced = [...folder.unsynced];
      for (const [name, inode] of folder.seen) kept.seen.set(name, inode);
      left.folders.set(path, kept);
    }
    this.dead = true;
    return left;
  }

  /** A copy with nothing left unsynced, for a test that damages it. */
  settled(): MemoryDisk {
    const left = new MemoryDisk({ capacityBytes: this.capacityBytes });
    for (const [path, folder] of this.folders) {
      const kept = new Folder();
      for (const [name, inode] of folder.seen) {
        const copy = new Inode();
        copy.write(0, inode.content());
        copy.sync();
        kept.seen.set(name, copy);
      }
      kept.sync();
      left.folders.set(path, kept);
    }
    return left;
  }

  /** The bytes of a file as the process sees them; a change to them is damage that nobody is told of. */
  peek(path: string): Buffer {
    const { folder, name } = splitPath(path);
    const inode = this.folders.get(folder)?.seen.get(name);
    if (!inode) throw new MqError('NOT_FOUND', `no such file: ${path}`);
    return inode.content();
  }

  /** Files of a folder, as the process sees them. */
  names(folder: string): Iterable<string> {
    return this.folders.get(folder)?.seen.keys() ?? [];
  }

  /** What of a file no power cut takes back; undefined: its name may be gone with it. */
  peekSynced(path: string): Buffer | undefined {
    const { folder, name } = splitPath(path);
    return this.folders.get(folder)?.synced.get(name)?.syncedContent();
  }

  /** @internal */
  watch(kind: DiskOperation['kind'], path: string): void {
    this.watcher?.({ kind, path });
    if (this.dead) throw systemError('EIO', 'the power is gone');
  }

  /** Every operation takes a turn of the event loop's micro tasks, as a real one takes time. @internal */
  async turn(): Promise<void> {
    if (this.dead) throw systemError('EIO', 'the power is gone');
    await Promise.resolve();
  }
}

class MemoryFile implements DiskFile {
  constructor(
    private readonly disk: MemoryDisk,
    readonly path: string,
    private readonly inode: Inode,
  ) {}

  async size(): Promise<number> {
    await this.disk.turn();
    return this.inode.size;
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    await this.disk.turn();
    return this.readNow(into, at);
  }

  readNow(into: Uint8Array, at: number): number {
    const found = this.inode.content().subarray(at, at + into.byteLength);
    into.set(found);
    return found.byteLength;
  }

  async write(chunks: readonly Uint8Array[], at: number): Promise<void> {
    await this.disk.turn();
    this.disk.watch('write', this.path);
    let to = at;
    for (const chunk of chunks) {
      const grows = Math.max(0, to + chunk.byteLength - this.inode.size);
      const short = grows - this.disk.roomBytes();
      if (short > 0) {
        // As the kernel does: what fits is written, then the failure is told.
        const fits = Math.max(0, chunk.byteLength - short);
        if (fits > 0) this.inode.write(to, chunk.subarray(0, fits));
        throw systemError('ENOSPC', 'no space left on device');
      }
      this.inode.write(to, chunk);
      to += chunk.byteLength;
    }
  }

  async writeDurably(chunks: readonly Uint8Array[], at: number): Promise<void> {
    await this.write(chunks, at);
    await this.sync();
  }

  async truncate(size: number): Promise<void> {
    await this.disk.turn();
    this.disk.watch('truncate', this.path);
    this.inode.truncate(size);
  }

  async sync(): Promise<void> {
    await this.disk.turn();
    this.disk.watch('sync', this.path);
    this.inode.sync();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export function systemError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
