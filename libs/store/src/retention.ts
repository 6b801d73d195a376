/**
 * Retention has two halves. A leader *expires*: by its clock, its disk and each topic's own limits it decides what has had
 * its time, and records that as raised first offsets; as fine as the time samples of the segment indexes (a second).
 * Every member *reclaims* what the records that it has folded say is over, and asks no clock and no limit: a sealed
 * segment that holds nothing which lives any more (no message above its queue's first offset, no pending message, no
 * target of a reference that lives) goes, with its index. What is not yet in a checkpoint keeps its segment too. And a
 * segment in which little lives is compacted (`compaction.ts`).
 *
 * What is over stays over, on every member: a reference is refused whose target could be reached through nothing that
 * lives (`StoreWriter.appendReference`). So members may give back at different times, and each has all that lives.
 */
import type { Expired, LogPosition, QueueId, TopicId } from '@cometmq/model';

import { Compaction } from './compaction.js';
import { entriesPerPage } from './index/sealed-head.js';
import type { QueueRow } from './index/sealed-head.js';
import type { SealedSegment, SegmentIndexes } from './index/segment-indexes.js';
import { isQueueless, sampleEveryMs } from './index/segment-index.js';
import type { SegmentIndex } from './index/segment-index.js';
import { eachLivingReference } from './living-references.js';
import type { RetentionPort } from './retention-port.js';

/** How long a topic's messages are kept, and how many bytes of them; undefined: for ever. */
export type RetentionPolicy = (
  topicId: TopicId,
) => { readonly ms: number; readonly bytes?: number | undefined } | undefined;

/** What one topic still has to give. */
interface Due {
  readonly cutoffMs: number;
  /** Bytes above the topic's limit. */
  excessBytes: number;
}

/** A queue's messages of one segment, wherever its index is. */
interface Run extends Omit<QueueRow, 'at' | 'prev'> {
  /** Calls `each` with places and sizes from offset `from` on, until it answers false. */
  walk(from: number, each: (place: number, size: number) => boolean): Promise<void>;
}

interface SegmentRuns {
  readonly first: LogPosition;
  readonly end: LogPosition;
  readonly sealed: SealedSegment | undefined;
  readonly lastTimestampMs: number;
  eachTime(each: (place: number, timestampMs: number) => void): void;
  runs(): Iterable<Run> | AsyncIterable<Run>;
}

export class Retention {
  private running: Promise<void> | undefined;
  /** Something may have ended since the round under way looked. */
  private again = false;
  private stopping = false;
  private readonly compaction: Compaction;

  constructor(
    private readonly ground: RetentionPort,
    segmentBytes: number,
  ) {
    this.compaction = new Compaction(ground, segmentBytes);
  }

  /** A leader's round: expires what is due at `nowMs`, then reclaims. A round at a time. */
  run(nowMs: number, policy: RetentionPolicy): Promise<void> {
    return this.oneAtATime(async () => {
      await this.expire(nowMs, policy);
      await this.reclaimAll();
    });
  }

  /**
   * Any member's round: gives back segments in which nothing lives by what was folded, compacts some. While one is under
   * way another one follows it, so that what ended meanwhile is seen.
   */
  reclaim(): Promise<void> {
    const { running } = this;
    if (!running) return this.oneAtATime(() => this.reclaimAll());
    this.again = true;
    // Why that one failed is told to whoever ran it: a leader's ends with its term.
    return running.catch(() => this.reclaim());
  }

  /** The same, but a round under way, which may have looked already, is not enough. */
  async runAfresh(nowMs: number, policy: RetentionPolicy): Promise<void> {
    await this.running?.catch(() => undefined); // Whoever ran it is told.
    await this.run(nowMs, policy);
  }

  private oneAtATime(round: () => Promise<void>): Promise<void> {
    if (this.stopping) return Promise.resolve();
    this.running ??= round().finally(() => (this.running = undefined));
    return this.running;
  }

  private async expire(nowMs: number, policy: RetentionPolicy): Promise<void> {
    this.ground.noteExpired(); // What another leader expired.
    const expired = await this.findExpired(this.findDue(nowMs, policy));
    if (expired.length === 0) return;
    await this.ground.expire(expired, nowMs);
    this.ground.knowsExpired();
  }

  private async reclaimAll(): Promise<void> {
    do {
      this.again = false;
      const { foldings } = this.ground;
      const stopped = (): boolean => this.stopping || this.ground.foldings !== foldings;
      this.ground.noteExpired();
      await this.ground.indexes.settle(); // A segment whose index is not written yet is not seen.
      await this.unlinkDead(stopped);
      await this.compaction.run(stopped);
    } while (this.again && !this.stopping);
  }

  /** No round begins from now on, and the one under way moves nothing any more. */
  beginStop(): void {
    this.stopping = true;
  }

  /** Resolves when no round is under way. */
  async idle(): Promise<void> {
    await this.running?.catch(() => undefined); // Whoever ran it is told.
  }

  private findDue(nowMs: number, policy: RetentionPolicy): Map<number, Due> {
    const due = new Map<number, Due>();
    this.ground.directory.eachTopic((topicId) => {
      const kept = policy(topicId as TopicId);
      if (!kept) return;
      const bytes = this.ground.sizes.topic(topicId)?.bytes ?? 0;
      due.set(topicId, { cutoffMs: nowMs - kept.ms, excessBytes: bytes - (kept.bytes ?? Infinity) });
    });
    return due;
  }

  /** Goes through the segments, oldest first, as far as anything in them may be due. */
  private async findExpired(due: ReadonlyMap<number, Due>): Promise<Expired[]> {
    const { directory, indexes, commitEnd } = this.ground;
    const expired = new Map<number, { first: number; messages: number; bytes: number; topicId: number }>();
    let passedOver = false;
    const staying = new Set<number>();
    const firstTimes = new Map(this.ground.segments().map((s) => [s.first as number, s.firstTimestampMs]));
    for (const sealed of [...indexes.sealedSegments, ...indexes.inMemory(commitEnd)]) {
      const first = 'index' in sealed ? sealed.index.first : sealed.first;
      const firstMs = firstTimes.get(first) ?? 0;
      const maybe = (topicId: number): boolean => {
        const own = due.get(topicId);
        return own !== undefined && (own.excessBytes > 0 || firstMs <= own.cutoffMs);
      };
      if (![...due.keys()].some(maybe)) break;
      const known = 'index' in sealed ? undefined : sealed.liveTopics;
      if (known && ![...known].some(maybe)) {
        passedOver = true;
        continue;
      }
      const segment = 'index' in sealed ? memoryRuns(sealed.index, sealed.end) : await sealedRuns(indexes, sealed);
      const live = new Set<number>();
      const excess = new Map<number, Run[]>();
      const places = new Map<number, number>();
      for await (const run of segment.runs()) {
        const queue = directory.find(run.topicId, run.queueId);
        if (queue < 0) continue;
        const kept = expired.get(queue)?.first ?? directory.firstOf(queue);
        const from = Math.max(kept, run.first);
        if (from >= run.first + run.count) continue;
        const own = due.get(run.topicId);
        // What lies between has stayed so far, or it was lost: then it holds back nothing.
        const follows = from === kept || (!passedOver && !staying.has(queue) && this.ground.damaged);
        if (!own || !follows) {
          live.add(run.topicId);
          continue;
        }
        let place = places.get(own.cutoffMs);
        if (place === undefined) places.set(own.cutoffMs, (place = placeAtTime(segment, own.cutoffMs)));
        const taken = await take(segment, run, from, Math.min(place, commitEnd - segment.first));
        note(expired, queue, run.topicId, kept, from, taken);
        own.excessBytes -= taken.bytes;
        if (from + taken.messages === run.first + run.count) continue;
        staying.add(queue);
        live.add(run.topicId);
        if (own.excessBytes > 0) excess.set(run.topicId, [...(excess.get(run.topicId) ?? []), run]);
      }
      for (const [topicId, runs] of excess) {
        const own = due.get(topicId);
        if (own) await this.takeExcess(own, topicId, runs, segment, expired);
      }
      if (segment.sealed) segment.sealed.liveTopics = live;
    }
    return [...expired]
      .filter(([, { messages }]) => messages > 0)
      .map(([queue, { topicId, first, messages, bytes }]) => ({
        topicId: topicId as TopicId,
        queueId: directory.queueOf(queue) as QueueId,
        first,
        messages,
        bytes,
      }));
  }

  /** Takes the topic's oldest messages of this segment, over all its queues, until it is within its size. */
  private async takeExcess(
    own: Due,
    topicId: number,
    runs: readonly Run[],
    segment: SegmentRuns,
    expired: Map<number, { first: number; messages: number; bytes: number; topicId: number }>,
  ): Promise<void> {
    const { directory, commitEnd } = this.ground;
    if (own.excessBytes <= 0) return;
    const startOf = (run: Run): number => {
      const queue = directory.find(run.topicId, run.queueId);
      return Math.max(expired.get(queue)?.first ?? directory.firstOf(queue), run.first);
    };
    const places: number[] = [];
    const sizeAt = new Map<number, number>();
    for (const run of runs) {
      await run.walk(startOf(run), (place, size) => {
        places.push(place);
        sizeAt.set(place, size);
        return true;
      });
    }
    places.sort((a, b) => a - b);
    let left = own.excessBytes;
    let stop = segment.end - segment.first;
    for (const place of places) {
      if (left <= 0) {
        stop = place;
        break;
      }
      left -= sizeAt.get(place) ?? 0;
    }
    for (const run of runs) {
      const from = startOf(run);
      const taken = await take(segment, run, from, Math.min(stop, commitEnd - segment.first));
      const queue = directory.find(run.topicId, run.queueId);
      note(expired, queue, topicId, from, from, taken);
      own.excessBytes -= taken.bytes;
    }
  }

  private async unlinkDead(stopped: () => boolean): Promise<void> {
    const { indexes } = this.ground;
    const dead: SealedSegment[] = [];
    for (const segment of indexes.sealedSegments) if (await this.isDead(segment)) dead.push(segment);
    if (dead.length === 0) return;
    // From here on nothing new may refer to them.
    for (const segment of dead) segment.leaving = true;
    const pinned = await this.pinned();
    for (const segment of dead) segment.leaving = !pinned.has(segment.first);
    const going = dead.filter((segment) => segment.leaving);
    // No crash may bring back a life that their records were needed for.
    await this.ground.settled();
    const unlinkSettled = async (): Promise<readonly SealedSegment[]> => {
      if (this.ground.lacksEndings) return going;
      const settled = going.filter((segment) => segment.end <= this.ground.checkpointEnd && !segment.gone);
      for (const segment of settled) if (!stopped()) await this.ground.unlink(segment);
      return going.filter((segment) => !segment.gone);
    };
    // On a full disk a checkpoint may have to wait for the space that these give back.
    if ((await unlinkSettled()).length === 0 || stopped()) return;
    await this.ground.checkpoint();
    await unlinkSettled();
  }

  private async isDead(segment: SealedSegment): Promise<boolean> {
    const { directory, indexes, pending } = this.ground;
    if (pending.livesIn(segment.first, segment.end)) return false;
    // Retention has looked, and a topic that had something here still has all of it, or was not due.
    const known = segment.liveTopics;
    if (known && known.size > 0 && [...known].every((topicId) => directory.hasTopic(topicId))) return false;
    const live = new Set<number>();
    for await (const row of indexes.rows(segment)) {
      if (isQueueless(row)) continue; // Pending messages have been asked after.
      if (!directory.isOver(row.topicId, row.queueId, row.first + row.count - 1)) live.add(row.topicId);
    }
    segment.liveTopics = live;
    return live.size === 0;
  }

  /** First positions of the segments that hold the target of a reference that lives. */
  private async pinned(): Promise<Set<number>> {
    const pinned = new Set<number>();
    await eachLivingReference(this.ground, (target) => {
      pinned.add(this.ground.indexes.segmentAt(target as LogPosition));
    });
    return pinned;
  }
}

interface Taken {
  readonly messages: number;
  readonly bytes: number;
}

/** What of the run, from offset `from`, stands below `place`. */
async function take(segment: SegmentRuns, run: Run, from: number, place: number): Promise<Taken> {
  const whole = place >= segment.end - segment.first && from === run.first;
  if (whole) return { messages: run.count, bytes: run.bytes };
  let messages = 0;
  let bytes = 0;
  if (place > 0) {
    await run.walk(from, (at, size) => {
      if (at >= place) return false;
      messages += 1;
      bytes += size;
      return true;
    });
  }
  return { messages, bytes };
}

function note(
  expired: Map<number, { first: number; messages: number; bytes: number; topicId: number }>,
  queue: number,
  topicId: number,
  kept: number,
  from: number,
  taken: Taken,
): void {
  if (taken.messages === 0) return;
  const entry = expired.get(queue) ?? { first: kept, messages: 0, bytes: 0, topicId };
  entry.first = from + taken.messages;
  entry.messages += from - kept + taken.messages;
  entry.bytes += taken.bytes;
  expired.set(queue, entry);
}

/** A place below which every message of the segment is as old as `cutoffMs` or older; misses a second's worth at most. */
function placeAtTime(segment: SegmentRuns, cutoffMs: number): number {
  if (segment.lastTimestampMs <= cutoffMs) return segment.end - segment.first;
  let below = 0;
  let before = Infinity;
  segment.eachTime((place, timestampMs) => {
    // Between two samples nothing is younger than the first one and the time between samples.
    if (timestampMs <= cutoffMs || before + sampleEveryMs - 1 <= cutoffMs) below = place;
    before = timestampMs;
  });
  return below;
}

function memoryRuns(index: SegmentIndex, end: LogPosition): SegmentRuns {
  return {
    first: index.first,
    end,
    sealed: undefined,
    lastTimestampMs: index.lastTimestampMs,
    eachTime: (each) => index.eachTime(each),
    *runs() {
      for (let queue = 0; queue < index.queueCount; queue += 1) {
        yield {
          topicId: index.topicOf(queue),
          queueId: index.queueOf(queue),
          first: index.firstOf(queue),
          count: index.countOf(queue),
          bytes: index.bytesOf(queue),
          walk: (from, each) => {
            index.walk(queue, from, each);
            return Promise.resolve();
          },
        };
      }
    },
  };
}

async function sealedRuns(indexes: SegmentIndexes, segment: SealedSegment): Promise<SegmentRuns> {
  const head = await indexes.head(segment);
  return {
    first: segment.first,
    end: segment.end,
    sealed: segment,
    lastTimestampMs: head.lastTimestampMs,
    eachTime: (each) => head.eachTime(each),
    async *runs() {
      for await (const row of indexes.rows(segment)) {
        yield {
          ...row,
          walk: async (from, each) => {
            const end = row.at + row.count;
            for (let entry = row.at + from - row.first; entry < end;) {
              const page = await indexes.page(segment, Math.floor(entry / entriesPerPage));
              const pageEnd = Math.min(end, entry - (entry % entriesPerPage) + entriesPerPage);
              for (; entry < pageEnd; entry += 1) {
                const at = (entry % entriesPerPage) * 4;
                if (!each(page[at] as number, page[at + 1] as number)) return;
              }
            }
          },
        };
      }
    },
  };
}
