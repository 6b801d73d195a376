/**
 * Compaction: a sealed segment in which less than half still lives is replaced by one that holds only that; positions
 * stay. What lives: messages and references above their queue's first offset, pending messages, and what a living
 * reference refers to. Records of the state views are done with once a checkpoint has them.
 *
 * Nothing in a sealed segment comes to life again, but for one case: a reference made while the copy is under way, to a
 * message that has expired meanwhile. Such references are noted from before the pins are gathered, and a copy that lacks
 * one's target is thrown away; once the copy is whole, a reference to what it lacks is refused.
 */
import { RecordKind } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { isDiskFull } from './disk/disk.js';
import { isQueueless } from './index/segment-index.js';
import type { SealedSegment } from './index/segment-indexes.js';
import { eachLivingReference } from './living-references.js';
import type { LogRecord } from './log/record.js';
import type { RetentionPort } from './retention-port.js';

/** Segments looked at in one round, and compacted in one. On a full disk all are looked at. */
const judgedMax = 32;
const compactedMax = 4;
/** After so many rounds a segment is tried again that was not worth it: references may have died. */
const vainRounds = 60;

const kinds = new Set<number>(Object.values(RecordKind));

interface Candidate {
  readonly segment: SealedSegment;
  /** What lives, but for what only references keep. */
  readonly liveBytes: number;
  readonly fileBytes: number;
  readonly pins: number[];
}

export class Compaction {
  /** Behind the segment that was looked at last. */
  private cursor = 0;
  private round = 0;

  constructor(
    private readonly ground: RetentionPort,
    private readonly segmentBytes: number,
  ) {}

  /** One round. Stops early when `stopped` says so. */
  async run(stopped: () => boolean): Promise<void> {
    this.round += 1;
    const candidates = await this.findCandidates();
    if (candidates.length === 0) return;
    if (this.ground.lacksEndings) await this.ground.checkpoint();
    if (stopped()) return;
    for (const { segment } of candidates) segment.newPins = [];
    try {
      await this.gatherPins(candidates);
      for (const candidate of candidates) {
        if (stopped()) return;
        await this.compactOrLeave(candidate, stopped);
      }
    } catch (caught) {
      // Those with the least to copy came first: the next round may find room.
      if (!isDiskFull(caught)) throw caught;
    } finally {
      for (const { segment } of candidates) segment.newPins = undefined;
    }
  }

  private async findCandidates(): Promise<Candidate[]> {
    const { indexes, checkpointEnd } = this.ground;
    const files = new Map(this.ground.segments().map(({ first, fileBytes }) => [first, fileBytes]));
    const sealed = indexes.sealedSegments.filter(({ end }) => end <= checkpointEnd);
    const start = sealed.findIndex(({ first }) => first >= this.cursor);
    const order = start < 0 ? sealed : [...sealed.slice(start), ...sealed.slice(0, start)];
    const judged = order.slice(0, this.ground.diskFull ? order.length : judgedMax);
    const found: Candidate[] = [];
    for (const segment of judged) {
      const fileBytes = files.get(segment.first) ?? 0;
      const liveBytes = await this.liveBytes(segment);
      this.cursor = segment.end;
      const gain = fileBytes - liveBytes;
      if (
        liveBytes * 2 < fileBytes &&
        gain >= this.segmentBytes / 64 &&
        this.isWorthTrying(segment, liveBytes, fileBytes)
      ) {
        found.push({ segment, liveBytes, fileBytes, pins: [] });
      }
    }
    return found.sort((a, b) => a.liveBytes - b.liveBytes).slice(0, compactedMax);
  }

  private isWorthTrying({ triedInVain }: SealedSegment, liveBytes: number, fileBytes: number): boolean {
    if (!triedInVain) return true;
    return liveBytes <= triedInVain.liveBytes - fileBytes / 8 || this.round >= triedInVain.round + vainRounds;
  }

  /** An estimate; goes by the index and by counters, and does not see what only a reference keeps. */
  private async liveBytes(segment: SealedSegment): Promise<number> {
    const { directory, indexes, pending } = this.ground;
    let bytes = pending.bytesIn(segment.first, segment.end);
    for await (const row of indexes.rows(segment)) {
      if (isQueueless(row) || directory.isOver(row.topicId, row.queueId, row.first + row.count - 1)) continue;
      const queue = directory.find(row.topicId, row.queueId);
      const live = row.first + row.count - Math.max(row.first, queue < 0 ? 0 : directory.firstOf(queue));
      if (live > 0) bytes += (row.bytes * live) / row.count;
    }
    return bytes;
  }

  private async gatherPins(candidates: readonly Candidate[]): Promise<void> {
    const bySegment = new Map(candidates.map((candidate) => [candidate.segment.first as number, candidate]));
    await eachLivingReference(this.ground, (target) => {
      bySegment.get(this.ground.indexes.segmentAt(target as LogPosition))?.pins.push(target);
    });
  }

  /** A segment that is damaged stays as it is, and keeps no other one back: reading it tells of it. */
  private async compactOrLeave(candidate: Candidate, stopped: () => boolean): Promise<void> {
    try {
      await this.compact(candidate, stopped);
    } catch (caught) {
      if (MqError.from(caught).code !== 'CORRUPT_RECORD') throw caught;
      candidate.segment.triedInVain = { liveBytes: candidate.liveBytes, round: this.round };
    }
  }

  private async compact({ segment, pins, fileBytes, liveBytes }: Candidate, stopped: () => boolean): Promise<void> {
    const { ground } = this;
    const keep = this.keeper(segment, Float64Array.from(pins).sort());
    const bytesMax = Math.floor(fileBytes / 2);
    const prepared = await ground.log.prepareCompaction(
      segment.first,
      (record) => !stopped() && keep(record),
      bytesMax,
    );
    if (!prepared) {
      segment.triedInVain = { liveBytes, round: this.round };
      return;
    }
    try {
      await ground.settled();
    } catch (caught) {
      await ground.log.discard(prepared);
      throw caught;
    }
    const whole = segment.newPins?.every((position) => prepared.table.placeOf(position) >= 0) === true;
    if (!whole || stopped() || !(await ground.replace(segment, prepared))) await ground.log.discard(prepared);
  }

  private keeper({ first, end }: SealedSegment, pins: Float64Array): (record: LogRecord) => boolean {
    const { directory, released } = this.ground;
    const isReleased = released.releasedIn(first, end);
    const isPinned = (position: number): boolean => isAmong(pins, position);
    return ({ kind, position, topicId, queueId, queueOffset }) => {
      switch (kind) {
        case RecordKind.message:
        case RecordKind.transferred:
        case RecordKind.transferredLetter:
        case RecordKind.returnedLetter:
        case RecordKind.reference:
          return !directory.isOver(topicId, queueId, queueOffset) || isPinned(position);
        case RecordKind.pending:
        case RecordKind.transferredPending:
          return (!directory.isDeleted(topicId) && !isReleased(position)) || isPinned(position);
        default:
          return !kinds.has(kind); // What a newer release wrote is not ours to judge.
      }
    };
  }
}

function isAmong(sorted: Float64Array, wanted: number): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === wanted;
}
