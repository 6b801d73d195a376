/**
 * What a power cut may leave of recorded operations. Files and folders as the operating system promises them, and no
 * more: a write is safe once a sync of its file that began after it has ended (or it was made with O_DSYNC and has
 * ended); a name once a sync of its folder has. Of all else any part may be there, sector by sector, in any order.
 */
import type { Prng } from '@cometmq/shared';

import type { Operation, TraceEvent } from './trace.js';

interface Change {
  /** It has happened, as the process sees it. */
  done: boolean;
  /** No power cut takes it back. */
  safe: boolean;
}

interface Write extends Change {
  readonly at: number;
  bytes: Buffer;
}

interface Cut extends Change {
  readonly size: number;
}

/** The bytes behind a name. */
class FileBytes {
  /** As the process sees it. */
  size = 0;
  readonly changes: (Write | Cut)[] = [];
  /** What all changes that were safe before the first unsafe one come to. */
  private base: Buffer = Buffer.alloc(0);

  write(bytes: Buffer, at: number): Write {
    const write = { at, bytes, done: false, safe: false };
    this.changes.push(write);
    this.size = Math.max(this.size, at + bytes.byteLength);
    return write;
  }

  cut(size: number): Cut {
    const cut = { size, done: false, safe: false };
    this.changes.push(cut);
    this.size = size;
    return cut;
  }

  settle(): void {
    while (this.changes[0]?.safe) this.base = applied(this.base, this.changes.shift() as Write | Cut);
  }

  after(chance: Prng, survives: number, sectorBytes: number): Buffer {
    let content: Buffer = Buffer.from(this.base);
    for (const change of this.changes) {
      if (change.safe) content = applied(content, change);
      else if ('size' in change) {
        if (chance.chance(survives)) content = applied(content, change);
      } else {
        const end = change.at + change.bytes.byteLength;
        for (let from = change.at; from < end;) {
          const to = Math.min(end, (Math.floor(from / sectorBytes) + 1) * sectorBytes);
          const bytes = change.bytes.subarray(from - change.at, to - change.at);
          if (chance.chance(survives)) content = applied(content, { at: from, bytes, done: true, safe: true });
          from = to;
        }
      }
    }
    return content;
  }
}

function applied(content: Buffer, change: Write | Cut): Buffer {
  const size = 'size' in change ? change.size : Math.max(content.byteLength, change.at + change.bytes.byteLength);
  let next: Buffer = content;
  if (size !== content.byteLength) {
    next = Buffer.alloc(size);
    content.copy(next, 0, 0, Math.min(size, content.byteLength));
  }
  if (!('size' in change)) change.bytes.copy(next, change.at);
  return next;
}

type Entry = FileBytes | Folder;

interface NameService extends Change {
  /** Name → what it means from now on; undefined: nothing. */
  readonly names: readonly (readonly [string, Entry | undefined])[];
}

class Folder {
  readonly seen = new Map<string, Entry>();
  readonly changes: NameService[] = [];
  private readonly base = new Map<string, Entry>();

  change(...names: NameService['names']): NameService {
    for (const change of names) setName(this.seen, change);
    const nameService = { names, done: false, safe: false };
    this.changes.push(nameService);
    return nameService;
  }

  settle(): void {
    while (this.changes[0]?.safe) for (const change of this.changes.shift()?.names ?? []) setName(this.base, change);
  }

  after(chance: Prng, survives: number): ReadonlyMap<string, Entry> {
    const names = new Map(this.base);
    for (const { names: changed, safe } of this.changes) {
      if (safe || chance.chance(survives)) for (const change of changed) setName(names, change);
    }
    return names;
  }
}

function setName(names: Map<string, Entry>, [name, entry]: readonly [string, Entry | undefined]): void {
  if (entry) names.set(name, entry);
  else names.delete(name);
}

interface OpenFile {
  readonly path: string;
  readonly entry: Entry;
  readonly durable: boolean;
  readonly appends: boolean;
  position: number;
}

/** What is planted to see whether the checker finds it: a program that leaves out one kind of care in one place. */
export interface Planted {
  readonly leavesOut: 'O_DSYNC' | 'syncs of files' | 'syncs of the folder';
  /** Paths from the root that begin so. */
  readonly under: string;
}

export class Replay {
  /** What standard output said so far. */
  said = '';
  private readonly root = new Folder();
  private readonly open = new Map<number, OpenFile>();
  /** Operations that have begun and not ended: what their end makes of them. */
  private readonly under = new Map<Operation, (result: number) => void>();

  constructor(
    private readonly rootPath: string,
    private readonly planted?: Planted,
  ) {}

  apply({ what, operation, result }: TraceEvent): void {
    if (what === 'begins') {
      const end = this.begin(operation);
      if (end) this.under.set(operation, end);
      return;
    }
    this.under.get(operation)?.(result);
    this.under.delete(operation);
  }

  /** The files that a power cut now may leave: path from the root → content. */
  crash(chance: Prng): { readonly files: ReadonlyMap<string, Buffer>; readonly folders: readonly string[] } {
    const survives = chance.pick([0, 0.1, 0.5, 0.9, 1]);
    const sectorBytes = chance.pick([512, 4096]);
    const files = new Map<string, Buffer>();
    const folders: string[] = [];
    const walk = (folder: Folder, path: string): void => {
      for (const [name, entry] of folder.after(chance, survives)) {
        if (entry instanceof Folder) {
          folders.push(`${path}${name}`);
          walk(entry, `${path}${name}/`);
        } else files.set(`${path}${name}`, entry.after(chance, survives, sectorBytes));
      }
    };
    walk(this.root, '');
    return { files, folders };
  }

  /** What happens at the call's end. */
  private begin(operation: Operation): ((result: number) => void) | undefined {
    switch (operation.kind) {
      case 'open':
        return this.beginOpen(operation.path, operation.flags);
      case 'close':
        this.open.delete(operation.fd); // From here on another call may be given the number.
        return undefined;
      case 'write':
        return this.beginWrite(operation.fd, operation.bytes, operation.at);
      case 'truncate': {
        const file = this.open.get(operation.fd)?.entry;
        if (!(file instanceof FileBytes)) return undefined;
        const cut = file.cut(operation.size);
        return (result) => succeeded(result, () => (cut.done = true));
      }
      case 'sync':
        return this.beginSync(operation.fd);
      case 'rename': {
        const from = this.find(operation.from);
        const to = this.find(operation.to);
        const entry = from?.folder.seen.get(from.name);
        if (!from || !to || !entry) return undefined;
        if (from.folder !== to.folder) throw new Error('a rename from one folder to another');
        return done(from.folder.change([from.name, undefined], [to.name, entry]));
      }
      case 'unlink': {
        const found = this.find(operation.path);
        if (!found?.folder.seen.has(found.name)) return undefined;
        return done(found.folder.change([found.name, undefined]));
      }
      case 'make folder':
        return (result) => {
          const found = this.find(operation.path);
          if (result === 0 && found) found.folder.change([found.name, new Folder()]).done = true;
        };
    }
  }

  private beginOpen(path: string, flags: string): (result: number) => void {
    return (fd) => {
      if (fd < 0) return;
      this.open.delete(fd);
      const entry = this.entryAt(path, flags.includes('O_CREAT'));
      if (!entry) return;
      if (flags.includes('O_TRUNC') && entry instanceof FileBytes && entry.size > 0) entry.cut(0).done = true;
      const durable = /O_D?SYNC/.test(flags) && !this.leavesOut('O_DSYNC', path);
      this.open.set(fd, { path, entry, durable, appends: flags.includes('O_APPEND'), position: 0 });
    };
  }

  private beginWrite(fd: number, bytes: Buffer, at: number | undefined): ((result: number) => void) | undefined {
    if (fd === 1) this.said += bytes.toString();
    const open = this.open.get(fd);
    const file = open?.entry;
    if (!open || !(file instanceof FileBytes)) return undefined;
    const from = at ?? (open.appends ? file.size : open.position);
    const write = file.write(bytes, from);
    return (written) => {
      if (written < 0) throw new Error('a write failed while it was recorded');
      write.bytes = bytes.subarray(0, written);
      write.done = true;
      if (at === undefined) open.position = from + written;
      if (!open.durable) return;
      write.safe = true;
      file.settle();
    };
  }

  private beginSync(fd: number): ((result: number) => void) | undefined {
    const open = this.open.get(fd);
    if (!open) return undefined;
    const { entry, path } = open;
    const kind = entry instanceof Folder ? 'syncs of the folder' : 'syncs of files';
    if (this.leavesOut(kind, path)) return undefined;
    const before = entry.changes.filter(({ done: happened }) => happened);
    return (result) =>
      succeeded(result, () => {
        for (const change of before) change.safe = true;
        entry.settle();
      });
  }

  private leavesOut(what: Planted['leavesOut'], path: string): boolean {
    const { planted } = this;
    return planted?.leavesOut === what && path.startsWith(`${this.rootPath}/${planted.under}`);
  }

  private entryAt(path: string, create: boolean): Entry | undefined {
    if (path === this.rootPath) return this.root;
    const found = this.find(path);
    if (!found) return undefined;
    const known = found.folder.seen.get(found.name);
    if (known || !create) return known;
    const made = new FileBytes();
    found.folder.change([found.name, made]).done = true;
    return made;
  }

  /** Undefined: it lies somewhere else. */
  private find(path: string): { readonly folder: Folder; readonly name: string } | undefined {
    if (!path.startsWith(`${this.rootPath}/`)) return undefined;
    const names = path.slice(this.rootPath.length + 1).split('/');
    const name = names.pop() ?? '';
    let folder: Entry | undefined = this.root;
    for (const each of names) folder = folder instanceof Folder ? folder.seen.get(each) : undefined;
    return folder instanceof Folder ? { folder, name } : undefined;
  }
}

function done(change: Change): (result: number) => void {
  return (result) => succeeded(result, () => (change.done = true));
}

function succeeded(result: number, act: () => void): void {
  if (result < 0) throw new Error('an operation failed while it was recorded');
  act();
}
