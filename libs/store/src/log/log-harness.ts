/** Small logs for specs: limits so low that a few records roll a segment, and records whose bytes tell who they are. */
import { RecordKind, logPosition, queueId, queueOffset, topicId } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';
import type { MqError, Prng } from '@cometmq/shared';

import type { Disk } from '../disk/disk.js';
import { CommitLog } from './commit-log.js';
import type { DurableMark, LogLimits, TailCut } from './commit-log.js';
import type { LogRecord, RecordDraft } from './record.js';
import type { SegmentInfo } from './segment.js';

export const smallLimits: LogLimits = {
  segmentBytes: 8192,
  recordBytesMax: 4096,
  batchBytesMax: 4096,
  pendingBytesMax: 64 * 1024,
  tailCacheBytes: 16 * 1024,
  blockCacheBytes: 64 * 1024,
  aheadBytes: 4096,
  reserveBytes: 8192,
  compactionReserveBytes: 4096,
  freeBytesMin: 0,
};

export interface Opened {
  readonly log: CommitLog;
  readonly clock: ManualClock;
  readonly failures: MqError[];
  readonly sealed: SegmentInfo[];
  readonly cuts: TailCut[];
  /** How many messages each sync made durable. */
  readonly synced: number[];
}

/** What the logs of specs have for a salt. */
export const salt = 0x5a175a17;

export async function openLog(disk: Disk, mark?: DurableMark, limits: Partial<LogLimits> = {}): Promise<Opened> {
  const clock = new ManualClock();
  const failures: MqError[] = [];
  const sealed: SegmentInfo[] = [];
  const cuts: TailCut[] = [];
  const synced: number[] = [];
  const log = new CommitLog(disk, 'log', { ...smallLimits, ...limits }, clock, {
    onFailed: (error) => failures.push(error),
    onSealed: (segment) => sealed.push(segment),
    onTailCut: (cut) => cuts.push(cut),
    onSynced: (_tookMs, messages) => synced.push(messages),
  });
  await log.open(mark, salt);
  return { log, clock, failures, sealed, cuts, synced };
}

/** A draft that no other number makes. */
export function numbered(n: number, bytes = 40, reserved = false): RecordDraft {
  const body = Buffer.alloc(bytes, n & 255);
  body.writeUInt32LE(n, 0);
  if (n % 3 === 0) return { kind: RecordKind.ack, timestampMs: 1000 + n, payload: [body], reserved };
  const queue = { topicId: topicId(1), queueId: queueId(n % 4), queueOffset: queueOffset(n), tagHash: n, groupHash: 0 };
  return {
    kind: RecordKind.message,
    timestampMs: 1000 + n,
    payload: [body.subarray(0, 10), body.subarray(10)],
    queue,
    reserved,
  };
}

export function randomBytes(chance: Prng): number {
  return chance.chance(0.1) ? 1000 + chance.below(2500) : 4 + chance.below(300);
}

/** What a test compares: who a record is, and every byte of it. */
export function told(record: LogRecord): { n: number; position: number; payload: string } {
  const payload = Buffer.from(record.payload);
  return { n: payload.readUInt32LE(0), position: record.position, payload: payload.toString('latin1') };
}

export async function readAll(log: CommitLog, from: LogPosition = log.first): Promise<ReturnType<typeof told>[]> {
  const found: ReturnType<typeof told>[] = [];
  await log.scan(from, (record) => found.push(told(record)));
  return found;
}

export function durably(log: CommitLog, draft: RecordDraft): Promise<{ position: LogPosition; size: number }> {
  const appended = log.append(draft);
  return new Promise((fulfil, reject) => {
    log.whenDurable(logPosition(appended.position + appended.size), () => fulfil(appended), reject);
  });
}
