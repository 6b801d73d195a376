import type { GroupId, QueueId, TopicId } from '@cometmq/model';
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import { OffsetRuns } from './offset-runs.js';

/**
 * The payloads of the records that change a group's delivery state. Each begins with a layout number; whole numbers are
 * varints, `runs` are offset-runs.ts.
 *
 *   delivery             | 1 | flags u8 | group | client text | attempt id text | visible at | queues | queue × queues |
 *     queue             | topic | queue | start + 1, or 0 | frontier | handed runs | passed runs | parked runs |
 *   ack, changeInvisible, handBack
 *                       | 1 | sections | (group | topic | queue | epoch | position | value | runs) × sections |
 *   changeClientLeases  | 1 | mode u8 | group | client text | visible at | handed out after |
 *   resetProgress       | 1 | group | topic | queue | offset | generation |
 *   groupDeleted        | 1 | group |
 */
const layout = 1;

/** Messages were handed out to a member of a group, or passed over for the whole group, or kept for another member. */
export interface DeliveryRecord {
  readonly groupId: GroupId;
  readonly clientId: string;
  readonly autoRenew: boolean;
  readonly attemptId: string;
  readonly visibleAtMs: number;
  readonly queues: readonly DeliveryQueue[];
}

export interface DeliveryQueue {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** Where the group begins in this queue; only in the first record about it. */
  readonly start: number | undefined;
  /** The first offset not looked at so far. What lies below and is named in no run, now or before, is done. */
  readonly frontier: number;
  /** Ascending. The value is the attempt. */
  readonly handed: OffsetRuns;
  /** Wanted by no member: done for the group. */
  readonly passed: OffsetRuns;
  /** Kept for a member with another filter. Ascending. The value is the key it is kept under. */
  readonly parked: OffsetRuns;
}

/** Some messages of one queue that were handed out under one lease. */
export interface LeasedOffsets {
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** The lease that was shown; 0, 0: none. */
  readonly leaseEpoch: number;
  readonly leasePosition: number;
  /** ack: why it is done (`ackReason`). changeInvisible, handBack: visible at, in ms. */
  readonly value: number;
  readonly offsets: OffsetRuns;
}

export const ackReason = { acknowledged: 0, deadLettered: 1 } as const;

export interface ClientLeasesChange {
  readonly mode: 'renew' | 'cut';
  readonly groupId: GroupId;
  readonly clientId: string;
  readonly visibleAtMs: number;
  /** Renew: only leases handed out later than this. */
  readonly handedAfterMs: number;
}

export interface ProgressReset {
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly offset: number;
  readonly generation: number;
}

const scratch = new ByteWriter();

export function encodeDelivery(record: DeliveryRecord): Uint8Array {
  const out = begin();
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
    queue.handed.write(out);
    queue.passed.write(out);
    queue.parked.write(out);
  }
  return out.taken();
}

export function decodeDelivery(payload: Uint8Array): DeliveryRecord {
  const from = open(payload);
  const autoRenew = (from.u8() & 1) === 1;
  const groupId = from.whole() as GroupId;
  const clientId = from.text();
  const attemptId = from.text();
  const visibleAtMs = from.whole();
  const queues: DeliveryQueue[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    const topicId = from.whole() as TopicId;
    const queueId = from.whole() as QueueId;
    const start = from.whole();
    const frontier = from.whole();
    const handed = OffsetRuns.read(from);
    const passed = OffsetRuns.read(from);
    const parked = OffsetRuns.read(from);
    queues.push({ topicId, queueId, start: start === 0 ? undefined : start - 1, frontier, handed, passed, parked });
  }
  return { groupId, clientId, autoRenew, attemptId, visibleAtMs, queues };
}

export function encodeLeased(sections: readonly LeasedOffsets[]): Uint8Array {
  const out = begin();
  out.whole(sections.length);
  for (const section of sections) {
    out.whole(section.groupId);
    out.whole(section.topicId);
    out.whole(section.queueId);
    out.whole(section.leaseEpoch);
    out.whole(section.leasePosition);
    out.whole(section.value);
    section.offsets.write(out);
  }
  return out.taken();
}

export function decodeLeased(payload: Uint8Array): LeasedOffsets[] {
  const from = open(payload);
  const sections: LeasedOffsets[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    sections.push({
      groupId: from.whole() as GroupId,
      topicId: from.whole() as TopicId,
      queueId: from.whole() as QueueId,
      leaseEpoch: from.whole(),
      leasePosition: from.whole(),
      value: from.whole(),
      offsets: OffsetRuns.read(from),
    });
  }
  return sections;
}

export function encodeClientLeases(change: ClientLeasesChange): Uint8Array {
  const out = begin();
  out.u8(change.mode === 'renew' ? 0 : 1);
  out.whole(change.groupId);
  out.text(change.clientId);
  out.whole(change.visibleAtMs);
  out.whole(change.handedAfterMs);
  return out.taken();
}

export function decodeClientLeases(payload: Uint8Array): ClientLeasesChange {
  const from = open(payload);
  return {
    mode: from.u8() === 0 ? 'renew' : 'cut',
    groupId: from.whole() as GroupId,
    clientId: from.text(),
    visibleAtMs: from.whole(),
    handedAfterMs: from.whole(),
  };
}

export function encodeReset(reset: ProgressReset): Uint8Array {
  const out = begin();
  out.whole(reset.groupId);
  out.whole(reset.topicId);
  out.whole(reset.queueId);
  out.whole(reset.offset);
  out.whole(reset.generation);
  return out.taken();
}

export function decodeReset(payload: Uint8Array): ProgressReset {
  const from = open(payload);
  return {
    groupId: from.whole() as GroupId,
    topicId: from.whole() as TopicId,
    queueId: from.whole() as QueueId,
    offset: from.whole(),
    generation: from.whole(),
  };
}

export function encodeGroupDeleted(groupId: GroupId): Uint8Array {
  const out = begin();
  out.whole(groupId);
  return out.taken();
}

export function decodeGroupDeleted(payload: Uint8Array): GroupId {
  return open(payload).whole() as GroupId;
}

function begin(): ByteWriter {
  const out = scratch.begin();
  out.u8(layout);
  return out;
}

function open(payload: Uint8Array): ByteReader {
  const from = new ByteReader(payload);
  assert(from.u8() === layout, 'a group record has a layout this version knows: new meaning is a new record kind');
  return from;
}
