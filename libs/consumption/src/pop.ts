import { RecordKind, type LogPosition, type QueueOffset } from '@cometmq/model';

import type { DueMessage, EntriesNeeded, HandedMessage, PopDecision, PopQueue, PopRequest } from './decisions.js';
import { encodeHandOut, type HandOutQueue } from './group-records.js';
import { OffsetRuns } from './offset-runs.js';
import type { QueueEntries, TagMatcher } from './ports.js';
import type { QueueProgress } from './queue-progress.js';

/**
 * Who gets what, for one request. Queue by queue: first what is due again, the longest due first; then what was kept
 * for members like this one; then what nobody has looked at. By urgency, what is due again comes last, after everything
 * new of every queue. Nothing is changed here: see `decisions.ts`.
 */

/** How many entries the source is asked for at a time. */
const entriesMax = 64;
/** Parked tags that may have lost their last reader, looked at in a request. */
const orphanTagsMax = 4;
/** Dead letters told in a request; the rest is told when these are moved. */
const deadLettersMax = 64;

export function decidePop(
  request: PopRequest,
  progressOf: (queue: PopQueue) => QueueProgress | undefined,
  throttled: boolean,
): PopDecision {
  const pop = new Pop(request, throttled);
  for (const queue of request.queues) {
    pop.look(queue, progressOf(queue));
    if (pop.stopped) break;
  }
  if (request.byUrgency) {
    for (const queue of request.queues) {
      if (pop.stopped) break;
      pop.lookAgain(queue, progressOf(queue));
    }
  }
  return pop.decision();
}

class Pop {
  /** A limit of the request was reached. */
  stopped = false;
  private readonly handed: HandedMessage[] = [];
  private readonly deadLetters: DueMessage[] = [];
  private readonly written: HandOutQueue[] = [];
  private bytes = 0;
  private scanLeft: number;
  private parked = 0;
  private held = false;
  private leftOut = false;
  private nextDueMs = Infinity;
  private needs: EntriesNeeded | undefined;

  // Of the queue under way.
  private queue: PopQueue | undefined;
  private generation = 0;
  private handedRuns = new OffsetRuns();
  private passedRuns = new OffsetRuns();
  private parkedRuns = new OffsetRuns();
  private entries: QueueEntries | undefined;

  constructor(
    private readonly request: PopRequest,
    private readonly throttled: boolean,
  ) {
    this.scanLeft = request.scanMax;
  }

  look(queue: PopQueue, progress: QueueProgress | undefined): void {
    this.begin(queue, progress);
    if (progress) {
      if (!this.request.byUrgency) this.lookDue(progress);
      if (!this.stopped) this.lookParked(progress);
      if (!this.stopped) this.dropOrphans(progress);
    }
    const before = progress?.frontier ?? queue.start;
    this.end(queue, progress, this.stopped ? before : this.lookFresh(Math.max(before, queue.source.first)));
  }

  /** What was delivered before, of a queue that was looked at for all else. */
  lookAgain(queue: PopQueue, progress: QueueProgress | undefined): void {
    if (!progress) return;
    this.begin(queue, progress);
    this.lookDue(progress);
    this.end(queue, progress, progress.frontier);
  }

  private begin(queue: PopQueue, progress: QueueProgress | undefined): void {
    this.queue = queue;
    this.generation = progress?.generation ?? 0;
    this.entries = undefined;
  }

  private end(queue: PopQueue, progress: QueueProgress | undefined, frontier: number): void {
    const before = progress?.frontier ?? queue.start;
    const { handedRuns: handed, passedRuns: passed, parkedRuns: parked } = this;
    if (progress && frontier === before && handed.length + passed.length + parked.length === 0) return;
    handed.sort();
    passed.sort();
    parked.sort();
    const start = progress ? undefined : queue.start;
    this.written.push({ topicId: queue.topicId, queueId: queue.queueId, start, frontier, handed, passed, parked });
    this.handedRuns = new OffsetRuns();
    this.passedRuns = new OffsetRuns();
    this.parkedRuns = new OffsetRuns();
  }

  decision(): PopDecision {
    const { groupId, clientId, autoRenew, attemptId = '' } = this.request;
    const visibleAtMs = Math.ceil(this.request.visibleAtMs);
    const queues = this.written;
    return {
      record:
        queues.length === 0
          ? undefined
          : {
              kind: RecordKind.handOut,
              payload: encodeHandOut({ groupId, clientId, autoRenew, attemptId, visibleAtMs, queues }),
            },
      handed: this.handed,
      deadLetters: this.deadLetters,
      parked: this.parked,
      exhausted: !this.stopped && !this.leftOut && this.needs === undefined,
      throttled: this.held,
      nextDueMs: this.nextDueMs === Infinity ? undefined : this.nextDueMs,
      needs: this.needs,
    };
  }

  private lookDue(progress: QueueProgress): void {
    const { nowMs, attemptsMax, filter } = this.request;
    const due = progress.advance(nowMs);
    const nextMs = progress.nextDueMs();
    if (nextMs !== undefined && nextMs < this.nextDueMs) this.nextDueMs = nextMs;
    if (!due) return;
    for (let i = 0; i < due.length; i += 1) {
      const offset = due.at(i);
      if (!progress.isDue(offset, nowMs)) continue;
      const attempt = progress.attemptOf(offset);
      // More of them than can be moved at once must not keep the others back.
      if (attempt >= attemptsMax && this.leaveOut()) continue;
      const index = this.entryOf(offset, due.length - i);
      if (this.stopped) return;
      if (index < 0) continue;
      const entries = this.entries as QueueEntries;
      const tagHash = entries.tagHash(index);
      if (attempt >= attemptsMax) this.deadLetter(offset, entries.position(index), attempt);
      else if (filter.all || filter.wants(tagHash)) this.hand(offset, attempt + 1, index, tagHash);
      else this.putAside(offset, tagHash);
      if (this.stopped) return;
    }
  }

  private lookParked(progress: QueueProgress): void {
    const { filter, attemptsMax } = this.request;
    if (progress.parkedCount === 0) return;
    const tags = filter.all ? [...progress.parkedTags()] : filter.hashes;
    for (const tagHash of tags) {
      const list = progress.parkedList(tagHash);
      for (let i = 0; list && i < list.length; i += 1) {
        const offset = list.at(i);
        if (!progress.isParked(offset)) continue;
        const attempt = progress.attemptOf(offset);
        if (attempt >= attemptsMax && this.leaveOut()) continue;
        const index = this.entryOf(offset, entriesMax);
        if (this.stopped) return;
        if (index < 0) continue;
        if (attempt >= attemptsMax) this.deadLetter(offset, (this.entries as QueueEntries).position(index), attempt);
        else this.hand(offset, attempt + 1, index, tagHash);
        if (this.stopped) return;
      }
    }
  }

  /** What was kept for a member that is gone for good, or now wants something else, is passed over. */
  private dropOrphans(progress: QueueProgress): void {
    const { filter } = this.request;
    if (progress.parkedCount === 0 || filter.all) return;
    for (let left = Math.min(orphanTagsMax, progress.parkedTagCount); left > 0; left -= 1) {
      const tagHash = progress.nextParkedTag();
      if (tagHash === undefined || this.anyoneWants(tagHash)) continue;
      const list = progress.parkedList(tagHash);
      for (let i = 0; list && i < list.length; i += 1) {
        if (!progress.isParked(list.at(i))) continue;
        if (!this.mayScan()) return;
        this.passedRuns.push(list.at(i), 0);
      }
    }
  }

  /** Answers the new frontier. */
  private lookFresh(from: number): number {
    const { filter } = this.request;
    const source = (this.queue as PopQueue).source;
    let frontier = from;
    if (this.throttled && frontier < source.next) {
      this.held = true;
      return frontier;
    }
    while (frontier < source.next) {
      if (this.scanLeft <= 0) {
        this.stopped = true;
        return frontier;
      }
      const max = Math.min(entriesMax, source.next - frontier, this.scanLeft);
      const entries = source.entries(frontier as QueueOffset, max);
      this.entries = entries;
      if (!entries) {
        this.missing(frontier, source.next - frontier);
        return frontier;
      }
      const first = frontier - entries.from;
      const count = Math.min(entries.count, first + max);
      for (let index = first; index < count; index += 1) {
        const tagHash = entries.tagHash(index);
        if (filter.all || filter.wants(tagHash)) {
          this.hand(frontier, 1, index, tagHash);
          if (this.stopped && this.refused) return frontier;
        } else this.putAside(frontier, tagHash);
        this.scanLeft -= 1;
        frontier += 1;
        if (this.stopped) return frontier;
      }
    }
    return frontier;
  }

  /** The last `hand` did not take its message, as it was too large. */
  private refused = false;

  private hand(offset: number, attempt: number, index: number, tagHash: number): void {
    const { messagesMax, bytesMax } = this.request;
    const { topicId, queueId } = this.queue as PopQueue;
    const entries = this.entries as QueueEntries;
    const size = entries.size(index);
    this.refused = this.handed.length > 0 && this.bytes + size > bytesMax;
    if (this.refused) {
      this.stopped = true;
      return;
    }
    this.bytes += size;
    this.handed.push({
      topicId,
      queueId,
      offset: offset as QueueOffset,
      position: entries.position(index),
      size,
      tagHash,
      attempt,
      generation: this.generation,
    });
    this.handedRuns.push(offset, attempt);
    if (this.handed.length >= messagesMax) this.stopped = true;
  }

  /** Not for this member: kept for whom it may concern, or passed over for the group. */
  private putAside(offset: number, tagHash: number): void {
    if (this.anyoneWants(tagHash)) {
      this.parkedRuns.push(offset, tagHash);
      this.parked += 1;
    } else this.passedRuns.push(offset, 0);
  }

  private anyoneWants(tagHash: number): boolean {
    for (const filter of this.request.groupFilters) if (wants(filter, tagHash)) return true;
    return false;
  }

  private leaveOut(): boolean {
    if (this.deadLetters.length < deadLettersMax) return false;
    this.leftOut = true;
    return true;
  }

  private deadLetter(offset: number, position: LogPosition, attempt: number): void {
    const { topicId, queueId } = this.queue as PopQueue;
    this.deadLetters.push({ topicId, queueId, offset: offset as QueueOffset, position, attempt });
  }

  /** Where in `entries` the offset stands; -1: not in memory. Counts as looked at; stops at the limit. */
  private entryOf(offset: number, ahead: number): number {
    if (!this.mayScan()) return -1;
    const known = this.entries;
    if (known && offset >= known.from && offset < known.from + known.count) return offset - known.from;
    const source = (this.queue as PopQueue).source;
    if (offset < source.first || offset >= source.next) return -1;
    const entries = source.entries(offset as QueueOffset, Math.min(entriesMax, ahead, source.next - offset));
    if (!entries) {
      this.missing(offset, 1);
      return -1;
    }
    this.entries = entries;
    return offset - entries.from;
  }

  private mayScan(): boolean {
    if (this.scanLeft <= 0) this.stopped = true;
    this.scanLeft -= 1;
    return !this.stopped;
  }

  private missing(from: number, count: number): void {
    const { topicId, queueId } = this.queue as PopQueue;
    this.needs ??= { topicId, queueId, from: from as QueueOffset, count };
    if (this.request.byUrgency) this.stopped = true;
  }
}

function wants(filter: TagMatcher, tagHash: number): boolean {
  return filter.all || filter.wants(tagHash);
}
