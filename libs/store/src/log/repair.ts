/**
 * A damaged segment is made anew from what another member has of it: whole records, each where it stood, in order. What
 * the other has left out since nothing of it lives may be missing here too. The new file is whole and durable before it
 * takes the damaged one's place, in one step; its layout is that of a compacted segment.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { joinPath } from '../disk/disk.js';
import type { Disk, DiskFile } from '../disk/disk.js';
import { PieceReader } from '../piece-reader.js';
import { compactedHeadBytes } from './compacted-file.js';
import { finishCompacted } from './compaction.js';
import type { Copied, PreparedCompaction } from './compaction.js';
import { recordBytesCeiling } from './log-limits.js';
import { headerBytes, RecordBlock, recordVersion } from './record.js';
import { compactedName } from './segment.js';
import type { Segment } from './segment.js';

/** Written at a time. */
const writeBytes = 256 * 1024;

export interface RepairRules {
  /** What checksums begin from. */
  readonly salt: number;
  /** Records may be missing: all that the segment said is known to a checkpoint. */
  readonly mayLack: boolean;
}

/** Nothing is left behind on a failure. @throws MqError CORRUPT_RECORD where these are not the segment's records */
export async function prepareRepair(
  disk: Disk,
  folder: string,
  old: Segment,
  pieces: AsyncIterable<Uint8Array>,
  rules: RepairRules,
): Promise<PreparedCompaction> {
  const path = joinPath(folder, `${compactedName(old.first)}.repaired.tmp`);
  await disk.unlink(path);
  const file = await disk.open(path, { create: true });
  const from = new PieceReader(pieces);
  let prepared: PreparedCompaction | undefined;
  try {
    prepared = await finishCompacted(disk, folder, path, file, old, await copyReceived(file, old, from, rules));
    return prepared;
  } finally {
    await from.cancel();
    await file.close();
    if (!prepared) await disk.unlink(path);
  }
}

async function copyReceived(file: DiskFile, old: Segment, from: PieceReader, rules: RepairRules): Promise<Copied> {
  const runs: number[] = [];
  const times = { firstTimestampMs: 0, lastTimestampMs: 0 };
  let place = compactedHeadBytes;
  const waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  let position: number = old.first;
  let epoch = 0;
  while (await from.hasMore()) {
    const head = await from.exactly(headerBytes);
    const headBlock = new RecordBlock(head);
    const fits = headBlock.looksLikeHeader(0, recordBytesCeiling) && headBlock.versionAt(0) === recordVersion;
    if (!fits) throw wrong(old, position);
    const stands = headBlock.positionAt(0);
    const size = headBlock.sizeAt(0);
    const isNext = rules.mayLack ? stands >= position : stands === position;
    if (!isNext || stands + size > old.end || headBlock.epochAt(0) < epoch) throw wrong(old, position);
    const block = new RecordBlock(Buffer.concat([head, await from.exactly(size - headerBytes)]));
    if (!block.isWhole(0, rules.salt)) throw wrong(old, stands);
    waiting.push(block.bytes);
    waitingBytes += size;
    if (stands !== position || runs.length === 0) runs.push(stands - old.first, place);
    times.firstTimestampMs ||= block.timestampMsAt(0);
    times.lastTimestampMs = Math.max(times.lastTimestampMs, block.timestampMsAt(0));
    epoch = block.epochAt(0);
    place += size;
    position = stands + size;
    if (waitingBytes < writeBytes) continue;
    await file.write(waiting.splice(0), place - waitingBytes);
    waitingBytes = 0;
  }
  if (waitingBytes > 0) await file.write(waiting, place - waitingBytes);
  if (position < old.end && !rules.mayLack) throw wrong(old, position);
  return { runs, end: place, ...times };
}

function wrong(old: Segment, position: number): MqError {
  return new MqError(
    'CORRUPT_RECORD',
    `what was received for the segment at position ${old.first} has no whole record of it at position ${position}`,
  );
}

/** A range of the log that can't be read here and may be had of another member. */
export interface DamagedSegment {
  readonly first: LogPosition;
  readonly end: LogPosition;
}

export function damagedSegments(
  segments: readonly Segment[],
  damages: readonly { readonly first: number; readonly end: number }[],
): DamagedSegment[] {
  return segments
    .filter(({ sealed, first, end }) => sealed && damages.some((damage) => damage.first < end && damage.end > first))
    .map(({ first, end }) => ({ first, end: logPosition(end) }));
}
