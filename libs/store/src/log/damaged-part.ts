/**
 * A part of a log that can't be opened: what of it can't be read here another member may have. What it gives is taken only
 * where it is certain that it stood here: each record is whole and stands at its place, and either looks like what is left
 * of it here, or the last one is of the epoch that follows here, or of the one before it that is the set's last. An epoch has
 * one leader and one log: whoever has a record of it has all that stands before it, too.
 */
import { epoch as toEpoch, logPosition } from '@cometmq/model';
import type { Epoch, LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { joinPath } from '../disk/disk.js';
import type { Disk, DiskFile } from '../disk/disk.js';
import { readAround } from '../disk/read-around.js';
import { PieceReader } from '../piece-reader.js';
import { headerBytes, RecordBlock } from './record.js';
import { findRecordBehind, walkRecords } from './record-reader.js';
import type { WalkRules, Walked } from './record-reader.js';
import { ReceivedRecords } from './received-records.js';
import { segmentName } from './segment.js';
import type { Segment } from './segment.js';

/** Written at a time. */
const writeBytes = 256 * 1024;

export interface DamagedPart {
  /** Of the file that it lies in. */
  readonly segment: LogPosition;
  /** Where the first record stands that can't be read. */
  readonly first: LogPosition;
  /** Where the next one stands that can, or all that was synced before ends. */
  readonly end: LogPosition;
  /** Of the record before it. */
  readonly epoch: Epoch;
  /** Of the record behind it; undefined: there is none. */
  readonly nextEpoch: Epoch | undefined;
}

/** Says which part, so that it can be had of another member before the log is opened again. */
export class DamagedLogError extends MqError {
  constructor(
    { code, reason, cause }: MqError,
    readonly part: DamagedPart,
  ) {
    super(code, reason, cause === undefined ? {} : { cause });
  }
}

/**
 * Which part can't be read where a walk ended too early; undefined: it can't be said. `until`: all below it was there before.
 * `behind`: the segment that follows.
 */
export async function damagedPart(
  segment: Segment,
  walked: Walked,
  rules: WalkRules,
  until: number,
  behind: Segment | undefined,
): Promise<DamagedPart | undefined> {
  if (segment.compacted || segment.lost || walked.found === 'newer version') return undefined;
  const first = logPosition(walked.end);
  const ofPart = { segment: segment.first, first, epoch: toEpoch(walked.epoch) };
  const next = await segment.use(async (file) => {
    const position = await findRecordBehind(file, first, rules);
    return position === undefined ? undefined : { position, epoch: await epochOf(file, position - segment.first) };
  });
  if (next) return { ...ofPart, end: logPosition(next.position), nextEpoch: next.epoch };
  const end = logPosition(segment.sealed ? segment.end : until);
  const nextEpoch = behind && (await behind.use((file) => wholeEpochOf(file, { ...rules, first: behind.first })));
  return end > first ? { ...ofPart, end, nextEpoch } : undefined;
}

async function epochOf(file: DiskFile, at: number): Promise<Epoch> {
  const block = new RecordBlock(Buffer.alloc(headerBytes));
  await file.read(block.bytes, at);
  return toEpoch(block.epochAt(0));
}

/** Of a file's first record; undefined: that can't be read either. */
async function wholeEpochOf(file: DiskFile, rules: WalkRules): Promise<Epoch | undefined> {
  let found: Epoch | undefined;
  const only = { ...rules, fileBytes: await file.size(), until: rules.first + 1 };
  await walkRecords(file, rules.first, only, (block, at) => (found = toEpoch(block.epochAt(at))));
  return found;
}

export interface MendRules {
  /** What checksums begin from. */
  readonly salt: number;
  /** The highest epoch that the set has had, where that is known; it counts where no record is left behind the part. */
  readonly setEpoch: Epoch | undefined;
}

/**
 * Writes the records that another member gave for a part to where they stood. Nothing else changes, and nothing at all
 * unless they are certain to be what stood there. Durable once it resolves.
 *
 * @throws MqError CORRUPT_RECORD where it is not certain; what `pieces` throws
 */
export async function mendPart(
  disk: Disk,
  folder: string,
  part: DamagedPart,
  pieces: AsyncIterable<Uint8Array>,
  rules: MendRules,
): Promise<void> {
  const path = joinPath(folder, segmentName(part.segment));
  const asidePath = `${path}.mended.tmp`;
  await disk.unlink(asidePath);
  const from = new PieceReader(pieces);
  const file = await disk.open(path);
  try {
    const aside = await disk.open(asidePath, { create: true });
    try {
      await takeAside(aside, file, part, from, rules);
      await copyInto(file, part.first - part.segment, aside, part.end - part.first);
    } finally {
      await aside.close();
    }
  } finally {
    await from.cancel();
    await file.close();
    await disk.unlink(asidePath);
  }
}

async function takeAside(
  aside: DiskFile,
  file: DiskFile,
  part: DamagedPart,
  from: PieceReader,
  { salt, setEpoch }: MendRules,
): Promise<void> {
  const records = new ReceivedRecords(part, from, { salt, mayLack: false, epochMin: part.epoch });
  let isAlike = true;
  for (let record = await records.next(); record; record = await records.next()) {
    const at = record.positionAt(0);
    await aside.write([record.bytes], at - part.first);
    isAlike = isAlike && (await looksLike(file, at - part.segment, record));
  }
  if (isAlike || records.epoch === epochAround(part, setEpoch)) return;
  const { first, end, epoch, nextEpoch } = part;
  throw new MqError(
    'CORRUPT_RECORD',
    `whether what was received for positions ${first} to ${end} is what stood there is not certain: it ends with ` +
      `epoch ${records.epoch}; epoch ${epoch} stands before it, ${nextEpoch ?? 'nothing'} behind it, and the set has had ` +
      `${setEpoch ?? 'nobody knows which one'}`,
  );
}

/**
 * The epoch that has all of the part, and all that stands before it here; undefined: it is not known. Where no record is left
 * behind the part, it is the set's last one, if a record of it stands before: what is of an older epoch before it may belong
 * to a leader whose log went no further, and then all from there on is another log than the set's.
 */
function epochAround({ first, epoch, nextEpoch }: DamagedPart, setEpoch: Epoch | undefined): Epoch | undefined {
  if (nextEpoch !== undefined) return nextEpoch;
  return first === 0 || epoch === setEpoch ? setEpoch : undefined;
}

/** What is left of a record: its checksum, or all else. */
async function looksLike(file: DiskFile, at: number, record: RecordBlock): Promise<boolean> {
  const size = record.bytes.byteLength;
  const left = new RecordBlock(Buffer.alloc(size));
  if ((await readAround(file, left.bytes, at)) < size) return false;
  if (left.checksumBytesAt(0).equals(record.checksumBytesAt(0))) return true;
  left.checksumBytesAt(0).set(record.checksumBytesAt(0));
  return left.bytes.equals(record.bytes);
}

async function copyInto(file: DiskFile, at: number, aside: DiskFile, size: number): Promise<void> {
  const bytes = Buffer.allocUnsafeSlow(Math.min(size, writeBytes));
  for (let from = 0; from < size; from += bytes.byteLength) {
    const read = await aside.read(bytes.subarray(0, Math.min(bytes.byteLength, size - from)), from);
    await file.write([bytes.subarray(0, read)], at + from);
  }
  await file.sync();
}
