/** The bytes of a member's log as they lie in the files of its disk. */
import { type MemoryDisk, segmentFile, segmentName } from '@cometmq/store/testing';

const logFolder = 'data/log';

/** Bytes [from, end) as they lie in the log's files; undefined: not all of them, or only zeros where a record should begin. */
export function logBytes(disk: MemoryDisk, from: number, end: number, as: 'seen' | 'synced'): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let at = from; at < end;) {
    const segment = segmentAt(disk, at, end);
    const part = segment && rangeOf(disk, segment.first, at, segment.to, as);
    // The tail of an ended term may have its segments begin elsewhere, in the middle of what is a record here.
    if (!part || part.byteLength < 4 || part.readUInt32LE(0) === 0) return undefined;
    parts.push(part);
    at = segment.to;
  }
  return parts.length === 1 ? parts[0] : Buffer.concat(parts);
}

/** The segment that has `from`, and how far it goes; one that was compacted has none of its bytes where they were. */
export function segmentAt(
  disk: MemoryDisk,
  from: number,
  end: number,
): { readonly first: number; readonly to: number } | undefined {
  let first = -1;
  let next = end;
  for (const name of disk.names(logFolder)) {
    const file = fileOf(name);
    if (!file) continue;
    if (file.first > from) next = Math.min(next, file.first);
    else if (!file.compacted && file.first > first) first = file.first;
  }
  return first < 0 ? undefined : { first, to: next };
}

/** What names of files say: they are asked after every commit. */
const files = new Map<string, ReturnType<typeof segmentFile>>();
const filesMax = 10_000;

function fileOf(name: string): ReturnType<typeof segmentFile> {
  if (!files.has(name)) {
    if (files.size >= filesMax) files.clear();
    files.set(name, segmentFile(name));
  }
  return files.get(name);
}

export function rangeOf(
  disk: MemoryDisk,
  first: number,
  from: number,
  end: number,
  as: 'seen' | 'synced',
): Buffer | undefined {
  const path = `${logFolder}/${segmentName(first)}`;
  const content = as === 'synced' ? disk.peekSynced(path) : disk.peek(path);
  if (!content || content.byteLength < end - first) return undefined;
  return content.subarray(from - first, end - first);
}

/** Of the segment that begins there; undefined: its name may be gone with the power. */
export function syncedBytes(disk: MemoryDisk, first: number): Buffer | undefined {
  return disk.peekSynced(`${logFolder}/${segmentName(first)}`);
}

/** Turns one bit at this position of the log over, where no power cut brings it back. */
export function flipBit(disk: MemoryDisk, first: number, position: number, mask: number): void {
  const path = `${logFolder}/${segmentName(first)}`;
  for (const content of [disk.peek(path), disk.peekSynced(path)]) {
    if (content) content[position - first] = (content[position - first] ?? 0) ^ mask;
  }
}
