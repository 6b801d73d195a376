import {
  logPosition,
  queueOffset,
  type LogPosition,
  type QueueOffset,
  type RecordKind,
  type Receipt,
  type GroupId,
  type Epoch,
  type DecidedRecord,
} from '@cometmq/model';

import type { HandedMessage } from './decisions.js';
import type { GroupsView } from './groups-view.js';
import type { FoldedRecord, Matcher, QueueEntries, QueueSource } from './ports.js';

export const everyTag: Matcher = { all: true, hashes: [], key: 0, wants: () => true };

export function tags(...hashes: number[]): Matcher {
  return { all: false, hashes, key: 1_000_000 + (hashes[0] ?? 0), wants: (tagHash) => hashes.includes(tagHash) };
}

/** Wants messages of these kinds (see `MemoryQueue.payload`), whatever their tag. */
export function kinds(...wanted: number[]): Matcher {
  return {
    all: false,
    hashes: [],
    key: 2_000_000 + (wanted[0] ?? 0),
    wants: () => true,
    wantsMessage: isOfKind(wanted),
  };
}

/** Wants a tag that shares its hash with others: only messages of this kind really have it. */
export function ambiguousTag(hash: number, kind: number): Matcher {
  return { ...tags(hash), key: 3_000_000 + kind, wantsMessage: isOfKind([kind]) };
}

function isOfKind(wanted: readonly number[]): (payload: Uint8Array) => boolean {
  return (payload) => wanted.includes(payload[0] ?? -1);
}

/** A queue in memory, every message of 100 bytes. What `isAway` says is not in memory. */
export class MemoryQueue implements QueueSource {
  first = queueOffset(0);
  readonly tagHashes: number[] = [];
  /** Left out: no message group. */
  readonly groupHashes: number[] = [];
  isAway: (offset: number) => boolean = () => false;
  isMessageAway: (offset: number) => boolean = () => false;
  /** Offsets asked for. */
  asked = 0;

  get next(): QueueOffset {
    return queueOffset(this.tagHashes.length);
  }

  send(...tagHashes: number[]): void {
    this.tagHashes.push(...tagHashes);
  }

  /** Messages of the lanes with these hashes. */
  sendTo(...groupHashes: number[]): void {
    for (const hash of groupHashes) {
      this.groupHashes[this.tagHashes.length] = hash;
      this.tagHashes.push(0);
    }
  }

  entries(from: QueueOffset, max: number): QueueEntries | undefined {
    if (this.isAway(from)) return undefined;
    let count = 1;
    while (count < max && from + count < this.next && !this.isAway(from + count)) count += 1;
    this.asked += count;
    return {
      from,
      count,
      position: (i) => logPosition(1000 * (from + i)),
      size: () => 100,
      tagHash: (i) => this.tagHashes[from + i] ?? 0,
      groupHash: (i) => this.groupHashes[from + i] ?? 0,
    };
  }

  /** The kind of a message: its offset modulo 3. */
  payload(position: LogPosition): Uint8Array | undefined {
    const offset = position / 1000;
    return this.isMessageAway(offset) ? undefined : Uint8Array.of(offset % 3);
  }
}

/** The log, as far as a view can tell: appends what was decided and folds it at once. */
export class FoldingLog {
  readonly records: FoldedRecord[] = [];
  epoch = 1;
  private end = 4096;

  constructor(public view: GroupsView) {}

  /** The record's position. */
  append(record: DecidedRecord | { kind: RecordKind; payload: Uint8Array }, timestampMs: number): LogPosition {
    const position = logPosition(this.end);
    this.end += 64 + record.payload.length;
    const folded = { ...record, position, epoch: this.epoch, timestampMs };
    this.records.push(folded);
    this.view.fold(folded);
    return position;
  }

  receipt(groupId: GroupId, message: HandedMessage, leasePosition: LogPosition): Receipt {
    const { topicId, queueId, offset, generation, attempt } = message;
    const leaseEpoch = this.epoch as Epoch;
    return { broker: 'b0', groupId, topicId, queueId, offset, leaseEpoch, leasePosition, generation, attempt };
  }
}

/** For models: which answers may have reached their clients, as far as a leader can know. By the position of the lease. */
export class ArrivalOracle {
  private readonly sent = new Set<number>();
  /** The number of the record in which the client showed the lease. */
  private readonly shown = new Map<number, number>();

  /** Most answers go out on a connection that the leader knows. */
  goesOut(position: number): boolean {
    if (position % 4 === 0) return false;
    this.sent.add(position);
    return true;
  }

  isShown(position: number, record: number): void {
    this.shown.set(position, record);
  }

  /** What was folded before the checkpoint is forgotten with the leader. */
  crash(savedRecords: number): void {
    this.sent.clear();
    for (const [position, record] of this.shown) if (record < savedRecords) this.shown.delete(position);
  }

  mayHaveArrived(lease: { readonly position: number; readonly handedMs: number }, dueMs: number): boolean {
    return this.sent.has(lease.position) || this.shown.has(lease.position) || dueMs - lease.handedMs > 60_000;
  }
}

/** How many seeds a model is tried with: a few in every run, more where COMETMQ_MODEL_SEEDS says so. */
export function modelSeeds(otherwise: number): number {
  return Number(process.env['COMETMQ_MODEL_SEEDS'] ?? otherwise);
}
