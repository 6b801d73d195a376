/**
 * Any disk, the real one too, that fails where a test says so: `fault` names the error of an operation, or none.
 */
import type { Disk, DiskFile } from './disk.js';

export type FaultyOperation =
  | 'open'
  | 'list'
  | 'makeFolder'
  | 'rename'
  | 'unlink'
  | 'syncFolder'
  | 'lock'
  | 'freeBytes'
  | 'size'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'close';

/** A promise holds the operation up until it resolves; an error, given or resolved to, fails it. */
export type Fault = (operation: FaultyOperation, path: string) => Error | undefined | Promise<Error | undefined>;

export function faultyDisk(disk: Disk, fault: Fault): Disk {
  const guard = async <T>(operation: FaultyOperation, path: string, act: () => Promise<T>): Promise<T> => {
    const error = await fault(operation, path);
    if (error) throw error;
    return act();
  };
  return {
    open: (path, options) => guard('open', path, async () => faultyFile(await disk.open(path, options), guard)),
    list: (folder) => guard('list', folder, () => disk.list(folder)),
    makeFolder: (folder) => guard('makeFolder', folder, () => disk.makeFolder(folder)),
    rename: (from, to) => guard('rename', from, () => disk.rename(from, to)),
    unlink: (path) => guard('unlink', path, () => disk.unlink(path)),
    syncFolder: (folder) => guard('syncFolder', folder, () => disk.syncFolder(folder)),
    lock: (path) => guard('lock', path, () => disk.lock(path)),
    freeBytes: (folder) => guard('freeBytes', folder, () => disk.freeBytes(folder)),
    realPath: (path) => disk.realPath(path),
  };
}

type Guard = <T>(operation: FaultyOperation, path: string, act: () => Promise<T>) => Promise<T>;

function faultyFile(file: DiskFile, guard: Guard): DiskFile {
  const { path } = file;
  return {
    path,
    size: () => guard('size', path, () => file.size()),
    read: (into, at) => guard('read', path, () => file.read(into, at)),
    readNow: (into, at) => file.readNow(into, at),
    write: (chunks, at) => guard('write', path, () => file.write(chunks, at)),
    writeDurably: (chunks, at) => guard('write', path, () => guard('sync', path, () => file.writeDurably(chunks, at))),
    truncate: (size) => guard('truncate', path, () => file.truncate(size)),
    sync: () => guard('sync', path, () => file.sync()),
    close: () => guard('close', path, () => file.close()),
  };
}
