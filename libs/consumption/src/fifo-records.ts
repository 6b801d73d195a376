import type { GroupId, QueueId, TopicId } from '@cometmq/model';
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import { OffsetRuns } from './offset-runs.js';

/**
 * The payload of a delivery to a member of an orderly group; written as in group-records.ts:
 *
 *   fifoDelivery | 1 | flags u8 | group | client text | attempt id text | visible at | queues | queue × queues |
 *     queue     | topic | queue | start + 1, or 0 | frontier | passed runs | lanes | lane × lanes |
 *     lane      | hash | back-off ms | handed runs | taken | kept runs | spill from + 1, or 0 | spilled |
 */
const layout = 1;

export interface FifoDeliveryRecord {
  readonly groupId: GroupId;
  readonly clientId: string;
  readonly autoRenew: boolean;
  readonly attemptId: string;
  readonly visibleAtMs: number;
  readonly queues: readonly FifoDeliveryQueue[];
}

export interface FifoDeliveryQueue {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** Where the group begins in this queue; only in the first record about it. */
  readonly start: number | undefined;
  /** The first offset not looked at so far. What lies below, is named nowhere and waits in no lane, is done. */
  readonly frontier: number;
  /** Handed out before, and now wanted by no member: done for the group. */
  readonly passed: OffsetRuns;
  readonly lanes: readonly LaneDelivery[];
}

/** What changed in one lane. */
export interface LaneDelivery {
  readonly hash: number;
  /** How long after the lease's end the lane comes free, if the lease just ends. */
  readonly backoffMs: number;
  /** Ascending; the value is the attempt. */
  readonly handed: OffsetRuns;
  /** So many have left the front of the backlog: handed out, or wanted by nobody. */
  readonly taken: number;
  /** New at the end of the backlog. */
  readonly kept: OffsetRuns;
  /** From here on the index has more of the lane; -1: it has not. */
  readonly spillFrom: number;
  readonly spilled: number;
}

const scratch = new ByteWriter();

export function encodeFifoDelivery(record: FifoDeliveryRecord): Uint8Array {
  const out = scratch.begin();
  out.u8(layout);
  out.u8(record.autoRenew ? 1 : 0);
  out.whole(record.groupId);
  out.text(record.clientId);
  out.text(record.attemptId);
  out.whole(record.visibleAtMs);
  out.whole(record.queues.length);
  for (const queue of record.queues) {
    out.whole(queue.topicId);
    out.whole(queue.queueId);
    out.whole(queue.start === undefined ? 0 : queue.start + 1);
    out.whole(queue.frontier);
    queue.passed.write(out);
    out.whole(queue.lanes.length);
    for (const lane of queue.lanes) {
      out.whole(lane.hash);
      out.whole(lane.backoffMs);
      lane.handed.write(out);
      out.whole(lane.taken);
      lane.kept.write(out);
      out.whole(lane.spillFrom + 1);
      out.whole(lane.spilled);
    }
  }
  return out.taken();
}

export function decodeFifoDelivery(payload: Uint8Array): FifoDeliveryRecord {
  const from = new ByteReader(payload);
  assert(from.u8() === layout, 'a delivery has a layout this version knows: new meaning is a new record kind');
  const autoRenew = (from.u8() & 1) === 1;
  const groupId = from.whole() as GroupId;
  const clientId = from.text();
  const attemptId = from.text();
  const visibleAtMs = from.whole();
  const queues: FifoDeliveryQueue[] = [];
  for (let left = from.whole(); left > 0; left -= 1) queues.push(readQueue(from));
  return { groupId, clientId, autoRenew, attemptId, visibleAtMs, queues };
}

function readQueue(from: ByteReader): FifoDeliveryQueue {
  const topicId = from.whole() as TopicId;
  const queueId = from.whole() as QueueId;
  const start = from.whole();
  const frontier = from.whole();
  const passed = OffsetRuns.read(from);
  const lanes: LaneDelivery[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    const hash = from.whole();
    const backoffMs = from.whole();
    const handed = OffsetRuns.read(from);
    const taken = from.whole();
    const kept = OffsetRuns.read(from);
    const spillFrom = from.whole() - 1;
    lanes.push({ hash, backoffMs, handed, taken, kept, spillFrom, spilled: from.whole() });
  }
  return { topicId, queueId, start: start === 0 ? undefined : start - 1, frontier, passed, lanes };
}
