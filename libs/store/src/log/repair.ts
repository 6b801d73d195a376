/**
 * A damaged segment is made anew from what another member has of it: whole records, each where it stood, in order. What
 * the other has left out since nothing of it lives may be missing here too. The new file is whole and durable before it
 * takes the damaged one's place, in one step; its layout is that of a compacted segment.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { isDiskFull, joinPath } from '../disk/disk.js';
import type { Disk, DiskFile } from '../disk/disk.js';
import { PieceReader } from '../piece-reader.js';
import { compactedHeadBytes } from './compacted-file.js';
import { finishCompacted } from './compaction.js';
import type { Copied, PreparedCompaction } from './compaction.js';
import { ReceivedRecords } from './received-records.js';
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
  } catch (caught) {
    if (!isDiskFull(caught)) throw caught;
    throw new MqError('STORAGE_FULL', 'the disk is full: a damaged segment can not be made anew', { cause: caught });
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
  const records = new ReceivedRecords(old, from, rules);
  for (let block = await records.next(); block; block = await records.next()) {
    const stands = block.positionAt(0);
    const size = block.bytes.byteLength;
    waiting.push(block.bytes);
    waitingBytes += size;
    if (stands !== position || runs.length === 0) runs.push(stands - old.first, place);
    times.firstTimestampMs ||= block.timestampMsAt(0);
    times.lastTimestampMs = Math.max(times.lastTimestampMs, block.timestampMsAt(0));
    place += size;
    position = stands + size;
    if (waitingBytes < writeBytes) continue;
    await file.write(waiting.splice(0), place - waitingBytes);
    waitingBytes = 0;
  }
  if (waitingBytes > 0) await file.write(waiting, place - waitingBytes);
  return { runs, end: place, ...times };
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
