/**
 * What a log does when it is opened: checks the records from the segment that holds the mark on (from the oldest,
 * without one), and finds where they end. A torn tail is told from damage: below the mark, in a sealed segment, or where
 * a later record proves that one was committed, a bad record is damage; else it is the end of the log.
 */
import { epoch as toEpoch, logPosition, MiB } from '@cometmq/model';
import type { Epoch, LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { DiskFile } from '../disk/disk.js';
import { damagedPart, DamagedLogError } from './damaged-part.js';
import type { EpochTable } from './epoch-table.js';
import type { RecordBlock } from './record.js';
import { findProofBehind, lastNonZero } from './record-reader.js';
import type { Walked } from './record-reader.js';
import type { Segment } from './segment.js';
import type { Segments } from './segments.js';
import type { SegmentWalk } from './segment-walk.js';

/** Up to where a checkpoint knows the log to be durable. */
export interface DurableMark {
  readonly position: LogPosition;
  readonly epoch: Epoch;
}

/** What a note beside the log says of it. */
interface Synced {
  /** All below it was synced before. */
  readonly end: LogPosition;
  /** Of the note. */
  readonly path: string;
}

export interface FoundEnd {
  readonly end: LogPosition;
  /** What stands there. */
  readonly found: Walked['found'];
  /** All below it was committed when one of the records was written that were looked at. */
  readonly committed: LogPosition;
  /** Of the last segment something is lost that was given up: no more can be appended to it. */
  readonly damaged: boolean;
}

/** @throws MqError CORRUPT_RECORD where the log is damaged or ends below the mark; DATA_FOLDER for a newer format */
export async function findEnd(
  segments: Segments,
  walk: SegmentWalk,
  epochs: EpochTable,
  mark: DurableMark | undefined,
  synced: Synced,
  /** An operator has given up what can't be read, and what can't be understood without it. */
  giveUp = false,
): Promise<FoundEnd> {
  const oldest = segments.all[0];
  if (!oldest) {
    if (mark && mark.position > 0) throw isGone(segments, mark.position);
    if (synced.end > 0) throw isGone(segments, synced.end);
    await segments.begin();
    return { end: logPosition(0), found: 'end of file', committed: logPosition(0), damaged: false };
  }
  if (mark && mark.position < oldest.first) {
    throw segments.corrupt(oldest, mark.position, `the log begins only at ${oldest.first}, the checkpoint before it`);
  }
  const start = mark ? startOf(segments, mark) : 0;
  let markSeen = !mark;
  let damaged: Segment | undefined;
  let epochMin = 0;
  let end: LogPosition = oldest.first;
  let committed = 0;
  let found: Walked['found'] = 'end of file';
  walk.checked.from = segments.all[start]?.first ?? 0;
  for (const segment of segments.all.slice(start)) {
    const note = (block: RecordBlock, at: number): void => {
      const position = block.positionAt(at);
      if (position === mark?.position) markSeen = true;
      committed = Math.max(committed, block.commitKnownAt(at));
      segment.lastTimestampMs = Math.max(segment.lastTimestampMs, block.timestampMsAt(at));
      epochs.note(toEpoch(block.epochAt(at)), logPosition(position));
    };
    let walked = await walk.walk(segment, segment.first, Infinity, note, { epochMin });
    const last = segment === segments.active;
    if (giveUp && mark && (last || !segment.compacted) && isBadBelow(mark, walked)) {
      // What was said below the mark is known to the checkpoint, and what can be read of it is found by an index.
      walk.checked.from = mark.position;
      markSeen = true;
      damaged = segment;
      walked = await walk.walk(segment, mark.position, Infinity, note, { epochMin: mark.epoch });
    }
    const mayEndHere = giveUp && last && (!segment.compacted || damaged === segment);
    if (!mayEndHere || walked.found === 'newer version') {
      await checkEnd(segments, walk, segment, walked, mark).catch((caught: unknown) =>
        withPart(caught, segments, walk, segment, walked, Math.max(synced.end, mark?.position ?? 0)),
      );
    }
    if (walked.end === mark?.position) markSeen = true;
    epochMin = walked.epoch;
    end = logPosition(walked.end);
    found = walked.found;
    await segments.touch(segment);
  }
  if (mark && !markSeen) {
    throw segments.corrupt(segments.active, mark.position, 'the checkpoint ends here, but no record begins');
  }
  if (end < synced.end && !giveUp) {
    const walked = { end, found, epoch: epochMin };
    await withPart(endsTooEarly(segments, end, found, synced), segments, walk, segments.active, walked, synced.end);
  }
  walk.checked.to = end;
  return { end, found, committed: logPosition(Math.min(committed, end)), damaged: damaged === segments.active };
}

/** @throws MqError what was thrown, with the part of the log that can't be read, as far as that can be said */
async function withPart(
  caught: unknown,
  segments: Segments,
  walk: SegmentWalk,
  segment: Segment,
  walked: Walked,
  until: number,
): Promise<never> {
  if (!(caught instanceof MqError) || caught.code !== 'CORRUPT_RECORD') throw caught;
  const next = segments.all[segments.all.indexOf(segment) + 1];
  const behind = next?.lost || next?.compacted ? undefined : next;
  const part = await damagedPart(segment, walked, walk.rules(segment, Infinity), until, behind);
  throw part ? new DamagedLogError(caught, part) : caught;
}

/**
 * The segment that holds the mark. Where the mark is the end of a segment and nothing stands in the next one, that segment:
 * else nobody knew how late its last record is, and time would begin before it.
 */
function startOf({ all }: Segments, mark: DurableMark): number {
  const at = all.findLastIndex((row) => row.first <= mark.position);
  const [before, row] = [all[at - 1], all[at]];
  const isNextEmpty = row?.first === mark.position && row.firstTimestampMs === 0 && at === all.length - 1;
  const isThere = before !== undefined && !before.lost && !before.compacted && before.end === row?.first;
  return isNextEmpty && isThere ? at - 1 : at;
}

function isBadBelow(mark: DurableMark, { end, found }: Walked): boolean {
  return end < mark.position && found !== 'newer version';
}

function endsTooEarly(segments: Segments, end: LogPosition, found: string, { end: synced, path }: Synced): MqError {
  const file = segments.disk.realPath(segments.active.path);
  return new MqError(
    'CORRUPT_RECORD',
    `the log is damaged at position ${end} (${file}, byte ${end - segments.active.first}): ${found}, but all below ` +
      `${synced} was synced before. Nothing was changed; bring this file back from a copy, or, to go on without the ` +
      `${synced - end} bytes from there on, delete ${path}`,
  );
}

/** Answers how many bytes there were. Zeroes and syncs what stands behind the end of the log, so that nothing of it is ever taken for a record. */
export async function clearBehind(file: DiskFile, end: number, fileBytes: number): Promise<number> {
  const last = await lastNonZero(file, end, fileBytes);
  if (last < 0) return 0;
  const zeros = Buffer.alloc(Math.min(MiB, last + 1 - end));
  for (let at = end; at <= last; at += zeros.byteLength) {
    await file.write([zeros.subarray(0, Math.min(zeros.byteLength, last + 1 - at))], at);
  }
  await file.sync();
  return last + 1 - end;
}

/** Whether where a segment's records end is where they may. */
async function checkEnd(
  segments: Segments,
  walk: SegmentWalk,
  segment: Segment,
  walked: Walked,
  mark: DurableMark | undefined,
): Promise<void> {
  const last = segment === segments.active;
  if (last && segment.compacted) throw segments.corrupt(segment, segment.end, 'the segments behind it are gone');
  if (walked.found === 'end of file' && (!last || walked.end >= (mark?.position ?? 0))) return;
  // What can't be read may have been acknowledged: it is no end.
  const isKnown = walked.found !== 'newer version' && walked.found !== 'the disk can not read it';
  if (!last || !isKnown || walked.end < (mark?.position ?? 0)) throw walk.damage(segment, walked);
  const rules = walk.rules(segment, Infinity);
  const proof = await segment.use((file) => findProofBehind(file, walked.end, rules));
  if (proof === undefined) return;
  throw segments.corrupt(
    segment,
    walked.end,
    `${walked.found}, but the record at ${proof} proves that one was committed`,
  );
}

function isGone(segments: Segments, known: number): MqError {
  return new MqError(
    'CORRUPT_RECORD',
    `the log in ${segments.disk.realPath(segments.folder)} is gone: ${known} bytes of it were there. ` +
      'Bring the files back, or start with an empty data folder',
  );
}
