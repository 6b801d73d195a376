/**
 * Walks the records of one file in blocks of a few MiB: the way of recovery, of folds at the start, and of rebuilding
 * an index.
 */
import type { DiskFile } from '../disk/disk.js';
import { readAround } from '../disk/read-around.js';
import { RecordBlock, headerBytes, recordVersion } from './record.js';

const blockBytes = 2 * 1024 * 1024;
const magicBytes = Buffer.from([0x43, 0x4d]);

export interface WalkRules {
  /** What checksums begin from. */
  readonly salt: number;
  /** Records have at most this many bytes; a size beyond is none. */
  readonly recordBytesMax: number;
  /** The file's bytes: nothing behind them is looked at. */
  readonly fileBytes: number;
  /** The position of the file's first byte. */
  readonly first: number;
  /** Checksums of records that begin below this position have been checked before. */
  readonly checkedTo: number;
  /** The epoch of the record before; a record with a lower one is a leftover. */
  readonly epochMin: number;
  /** Stops in front of the first record at or behind this position. */
  readonly until: number;
  /** Records were left out of the file: each stands at or behind the end of the one before, not right at it. */
  readonly gaps?: boolean;
  /** Where in the file the walk begins; left out: where its position says. */
  readonly place?: number;
  /** What is read into, for who walks a file in many slices; its size is how much is read at a time. */
  readonly block?: RecordBlock;
}

export interface Walked {
  /** Where the first thing stands that is no record of this log here. */
  readonly end: number;
  readonly epoch: number;
  /** What was found at `end`. */
  readonly found:
    | 'end of file'
    | 'until'
    | 'no record'
    | 'wrong checksum'
    | 'leftover'
    | 'newer version'
    | 'the disk can not read it';
}

export async function walkRecords(
  file: DiskFile,
  from: number,
  rules: WalkRules,
  each: (block: RecordBlock, at: number) => void,
): Promise<Walked> {
  const { fileBytes, recordBytesMax } = rules;
  const gaps = rules.gaps === true;
  let position = from;
  let place = rules.place ?? from - rules.first;
  let epochMin = rules.epochMin;
  const stopped = (found: Walked['found']): Walked => ({ end: position, epoch: epochMin, found });
  // A few records are not worth a large block.
  const wanted = Math.min(blockBytes, fileBytes - place, gaps ? blockBytes : rules.until - from);
  let block = rules.block ?? new RecordBlock(Buffer.allocUnsafeSlow(Math.max(headerBytes, wanted)));
  let blockPlace = place;
  let filled = 0;
  /** Of the block, what the disk could not read: places in the file, one behind the other. */
  let unread: { readonly from: number; readonly to: number }[] = [];
  /** What stands at `place` is no good; it may be that nobody knows what stands there. */
  const bad = (found: Walked['found'], bytes: number): Walked =>
    stopped(unread.some(({ from, to }) => from < place + bytes && to > place) ? 'the disk can not read it' : found);
  /** Makes the block hold `needed` bytes from `place`; false where the file has fewer. */
  const reach = async (needed: number): Promise<boolean> => {
    if (place + needed <= blockPlace + filled) return true;
    if (place + needed > fileBytes) return false;
    if (needed > block.bytes.byteLength) block = new RecordBlock(Buffer.allocUnsafeSlow(needed));
    blockPlace = place;
    unread = [];
    filled = await readAround(file, block.bytes, place, (from, to) => unread.push({ from, to }));
    return needed <= filled;
  };
  for (;;) {
    if (position >= rules.until) return stopped('until');
    if (place >= fileBytes) return stopped('end of file');
    const near = place + headerBytes <= blockPlace + filled;
    if (!near && !(await reach(headerBytes))) return stopped('no record');
    let at = place - blockPlace;
    if (!block.looksLikeHeader(at, recordBytesMax)) return bad('no record', headerBytes);
    const size = block.sizeAt(at);
    if (place + size > blockPlace + filled) {
      if (!(await reach(size))) return bad('no record', headerBytes);
      at = place - blockPlace;
    }
    const isChecked = position < rules.checkedTo && unread.length === 0;
    if (!isChecked && !block.isWhole(at, rules.salt)) return bad('wrong checksum', size);
    if (block.versionAt(at) !== recordVersion) return stopped('newer version');
    const epoch = block.epochAt(at);
    const stands = block.positionAt(at);
    if ((gaps ? stands < position : stands !== position) || epoch < epochMin) return stopped('leftover');
    if (stands >= rules.until) return stopped('until');
    each(block, at);
    epochMin = epoch;
    position = stands + size;
    place += size;
  }
}

/**
 * Looks behind a bad record at `bad` for proof that it once was good: a whole record, at its place, that knows a commit
 * position beyond it. Answers that record's position. Records do not stand at round places, so every byte may begin one.
 */
export function findProofBehind(file: DiskFile, bad: number, rules: WalkRules): Promise<number | undefined> {
  return findBehind(file, bad, rules, (block, at) => block.commitKnownAt(at) > bad);
}

/** Where the first whole record stands behind a bad one. */
export function findRecordBehind(file: DiskFile, bad: number, rules: WalkRules): Promise<number | undefined> {
  return findBehind(file, bad, rules, () => true);
}

async function findBehind(
  file: DiskFile,
  bad: number,
  rules: WalkRules,
  wanted: (block: RecordBlock, at: number) => boolean,
): Promise<number | undefined> {
  const { first, fileBytes, recordBytesMax } = rules;
  const fileEnd = first + fileBytes;
  const bytes = Buffer.allocUnsafeSlow(Math.max(headerBytes, Math.min(blockBytes, fileEnd - bad)));
  const block = new RecordBlock(bytes);
  for (let blockFirst = bad + 1; blockFirst + headerBytes <= fileEnd;) {
    const filled = await readAround(file, bytes, blockFirst - first);
    if (filled < headerBytes) return undefined;
    let at = 0;
    for (;;) {
      at = bytes.indexOf(magicBytes, at);
      if (at < 0 || at + headerBytes > filled) break;
      const position = blockFirst + at;
      if (block.hasHeader(at, position, recordBytesMax) && wanted(block, at)) {
        if (await isWholeInFile(file, position - first, block.sizeAt(at), rules)) return position;
      }
      at += 1;
    }
    if (filled < bytes.byteLength) return undefined;
    blockFirst += filled - (headerBytes - 1); // A header may lie across two blocks.
  }
  return undefined;
}

async function isWholeInFile(file: DiskFile, at: number, size: number, rules: WalkRules): Promise<boolean> {
  if (at + size > rules.fileBytes) return false;
  const record = new RecordBlock(Buffer.allocUnsafeSlow(size));
  return (await readAround(file, record.bytes, at)) === size && record.isWhole(0, rules.salt);
}

/** Where in [from, to) of the file the last byte stands that is not zero, or can't be read; -1 where all are zeros. */
export async function lastNonZero(file: DiskFile, from: number, to: number): Promise<number> {
  const bytes = Buffer.allocUnsafeSlow(Math.max(1, Math.min(blockBytes, to - from)));
  const zeros = Buffer.alloc(bytes.byteLength);
  let last = -1;
  for (let at = from; at < to;) {
    const window = bytes.subarray(0, Math.min(bytes.byteLength, to - at));
    const filled = await readAround(file, window, at, (unreadFrom, unreadTo) => {
      window.fill(0xff, unreadFrom - at, unreadTo - at);
    });
    if (filled === 0) break;
    if (!window.subarray(0, filled).equals(zeros.subarray(0, filled))) {
      for (let i = filled - 1; i >= 0; i -= 1) {
        if (window[i] !== 0) {
          last = at + i;
          break;
        }
      }
    }
    at += filled;
  }
  return last;
}
