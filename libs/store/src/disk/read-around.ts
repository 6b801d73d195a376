/**
 * Reading where the disk can't read all of it: a bad sector costs what stands in it, and nothing beside it. What could not be
 * read is filled up with zeros, so it is for those only whose every byte is covered by a checksum.
 */
import { isUnreadable } from './disk.js';
import type { DiskFile } from './disk.js';

/** No disk loses less at a time. */
const pageBytes = 4096;

/** Told of what could not be read: bytes of the file from `from` up to `to`. */
export type OnUnreadable = (from: number, to: number) => void;

/** As `DiskFile.read`, page by page where the disk can't read all of it. */
export async function readAround(
  file: DiskFile,
  into: Uint8Array,
  at: number,
  onUnreadable: OnUnreadable = () => undefined,
): Promise<number> {
  try {
    return await file.read(into, at);
  } catch (caught) {
    if (!isUnreadable(caught)) throw caught;
  }
  const end = Math.min(at + into.byteLength, await file.size());
  for (let from = at; from < end;) {
    const to = Math.min(end, from - (from % pageBytes) + pageBytes);
    const page = into.subarray(from - at, to - at);
    try {
      await file.read(page, from);
    } catch (caught) {
      if (!isUnreadable(caught)) throw caught;
      page.fill(0);
      onUnreadable(from, to);
    }
    from = to;
  }
  return Math.max(0, end - at);
}

/** As `DiskFile.read`; where the disk can't, as if nothing stood there. */
export async function readOrNothing(file: DiskFile, into: Uint8Array, at: number): Promise<number> {
  try {
    return await file.read(into, at);
  } catch (caught) {
    if (!isUnreadable(caught)) throw caught;
    return 0;
  }
}
