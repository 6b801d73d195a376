/**
 * The only way to bytes that outlive us.
 *
 * What is written to a file may be lost, or arrive in part and in any order, in a crash until `sync` of that file
 * resolves. A file that was made, renamed or unlinked may be missing or back until `syncFolder` of its folder resolves.
 * Paths are relative to the disk's root and use `/`.
 */
export interface Disk {
  /** Opens for reading and writing. A missing file is an error unless `create` makes it. */
  open(path: string, options?: OpenOptions): Promise<DiskFile>;
  /** Names (not paths) in a folder, sorted; a missing folder is empty. */
  list(folder: string): Promise<string[]>;
  /** Makes the folder and its missing parents, durably. */
  makeFolder(folder: string): Promise<void>;
  /** Replaces `to` if it is there. */
  rename(from: string, to: string): Promise<void>;
  /** A missing file is no error. */
  unlink(path: string): Promise<void>;
  syncFolder(folder: string): Promise<void>;
  /** Takes a lock that ends with its holder's life, however it ends; undefined when another holds it. */
  lock(path: string): Promise<DiskLock | undefined>;
  /** What can still be written on the file system that holds `folder`. */
  freeBytes(folder: string): Promise<number>;
  /** The path as the operating system knows it, for libraries which do their own input and output. */
  realPath(path: string): string;
}

export interface OpenOptions {
  /** Makes the file when it is missing. */
  readonly create?: boolean;
  /** The file will be written by `writeDurably`: a disk that has a cheaper way for that may prepare it. */
  readonly durable?: boolean;
}

export interface DiskFile {
  readonly path: string;
  size(): Promise<number>;
  /** Fills `into` from `at`. Answers the bytes read: fewer than asked only where the file ends. */
  read(into: Uint8Array, at: number): Promise<number>;
  /** The same at once: nothing else goes on meanwhile. For small reads of what is likely in the system's cache. */
  readNow(into: Uint8Array, at: number): number;
  /**
   * Writes the chunks one after another from `at`; a gap to the file's old end reads as zeros.
   * @throws an error with `code: 'ENOSPC'` when the disk is full: some part may have been written.
   */
  write(chunks: readonly Uint8Array[], at: number): Promise<void>;
  /** As `write` and then `sync`, in one step where the disk can. */
  writeDurably(chunks: readonly Uint8Array[], at: number): Promise<void>;
  /** Cuts or (with zeros that take no room) lengthens the file. Durable after `sync`. */
  truncate(size: number): Promise<void>;
  /** What has been written, and the file's size, are safe once this resolves. After a failure nothing is known. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface DiskLock {
  release(): Promise<void>;
}

export function isDiskFull(caught: unknown): boolean {
  return codeOf(caught) === 'ENOSPC' || codeOf(caught) === 'EDQUOT';
}

/** What stands there can't be read: a bad sector, or what the file system itself found to be damaged. */
export function isUnreadable(caught: unknown): boolean {
  const code = codeOf(caught);
  return code === 'EIO' || (code !== undefined && unreadableErrors.has(errnoOf(caught)));
}

/** EBADMSG and EUCLEAN of Linux, for which Node.js has no name. */
const unreadableErrors = new Set<unknown>([-74, -117]);

export function isMissing(caught: unknown): boolean {
  return codeOf(caught) === 'ENOENT';
}

/** The operating system's own, by its name: ENOENT, EIO … */
export function isSystemError(caught: unknown): caught is Error {
  const code = codeOf(caught);
  return caught instanceof Error && typeof code === 'string' && /^E[A-Z0-9]+$/.test(code);
}

function codeOf(caught: unknown): unknown {
  return typeof caught === 'object' && caught !== null && 'code' in caught ? caught.code : undefined;
}

function errnoOf(caught: unknown): unknown {
  return typeof caught === 'object' && caught !== null && 'errno' in caught ? caught.errno : undefined;
}

/** Splits `a/b/c` into `a/b` and `c`; a name without a folder lies in the root, `''`. */
export function splitPath(path: string): { folder: string; name: string } {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? { folder: '', name: path } : { folder: path.slice(0, slash), name: path.slice(slash + 1) };
}

export function joinPath(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

/**
 * The file holds either what it held or all of `bytes`, whatever happens meanwhile; durably the latter once this
 * resolves. Every small file is written this way; leftovers named `*.tmp` may be deleted by anyone.
 */
export async function replaceFile(disk: Disk, path: string, chunks: readonly Uint8Array[]): Promise<void> {
  const temporary = `${path}.tmp`;
  await disk.unlink(temporary);
  const file = await disk.open(temporary, { create: true });
  try {
    await file.write(chunks, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncFolder(splitPath(path).folder);
}

/** The whole file, or undefined when there is none. */
export async function readWhole(disk: Disk, path: string): Promise<Buffer | undefined> {
  let file: DiskFile;
  try {
    file = await disk.open(path);
  } catch (caught) {
    if (isMissing(caught)) return undefined;
    throw caught;
  }
  try {
    const bytes = Buffer.alloc(await file.size());
    const read = await file.read(bytes, 0);
    return bytes.subarray(0, read);
  } finally {
    await file.close();
  }
}
