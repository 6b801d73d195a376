import { RecordKind, type LogPosition, type QueueOffset } from '@cometmq/model';

import type { DueMessage, EntriesNeeded, HandedMessage, PopDecision, PopQueue, PopRequest } from './decisions.js';
import { encodeHandOut, type HandOutQueue } from './group-records.js';
import { OffsetRuns } from './offset-runs.js';
import { Judge } from './judge.js';
import type { QueueEntries } from './ports.js';
import type { QueueProgress } from './queue-progress.js';

/**
 * Who gets what, for one request. Queue by queue: first what is due again, the longest due first; then what was kept
 * for members like this one; then what nobody has looked at. By urgency, what is due again comes last, after everything
 * new of every queue. Nothing is changed here: see `decisions.ts`.
 */

/** How many entries the source is asked for at a time. */
const entriesMax = 64;
/** Keys of parked messages that may have lost their last reader, looked at in a request. */
const orphanKeysMax = 4;
/** Orphans that must stay, as members may still be unknown, looked at in a request. */
const orphansKeptMax = 64;
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
  private readonly judge: Judge;

  // Of the queue under way.
  private queue: PopQueue | undefined;
  private generation = 0;
  private handedRuns = new OffsetRuns();
  private passedRuns = new OffsetRuns();
  private parkedRuns = new OffsetRuns();
  private entries: QueueEntries | undefined;
  /** Parked messages that are dealt with: the lists may name them twice. */
  private taken: Set<number> | undefined;

  constructor(
    private readonly request: PopRequest,
    private readonly throttled: boolean,
  ) {
    this.scanLeft = request.scanMax;
    this.judge = new Judge(request);
  }

  look(queue: PopQueue, progress: QueueProgress | undefined): void {
    this.begin(queue, progress);
    if (progress) {
      if (!this.request.byUrgency) this.lookDue(progress);
      if (!this.stopped && progress.parkedCount > 0) {
        this.taken = new Set<number>();
        this.lookParked(progress);
        if (!this.stopped && this.request.strangers !== true) this.lookForOrphans(progress);
      }
    }
    const before = progress?.frontier ?? queue.start;
    const frontier = this.stopped ? before : this.lookFresh(Math.max(before, queue.source.first));
    // Most of them must stay while members may be unknown: looked at only when there is nothing else to do.
    if (progress && this.taken && !this.stopped && frontier >= queue.source.next && this.mayClaim()) {
      this.lookForOrphans(progress);
    }
    this.end(queue, progress, frontier);
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
    this.taken = undefined;
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
    const { looks } = this.judge;
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
      exhausted: !this.stopped && !this.leftOut && this.needs === undefined && looks.length === 0,
      throttled: this.held,
      nextDueMs: this.nextDueMs === Infinity ? undefined : this.nextDueMs,
      needs: this.needs,
      looks,
    };
  }

  private lookDue(progress: QueueProgress): void {
    const { nowMs, attemptsMax } = this.request;
    const { unordered } = progress;
    const due = unordered.advance(nowMs);
    const nextMs = unordered.nextDueMs();
    if (nextMs !== undefined && nextMs < this.nextDueMs) this.nextDueMs = nextMs;
    if (!due) return;
    for (let i = 0; i < due.length; i += 1) {
      const offset = due.at(i);
      if (!unordered.isDue(offset, nowMs)) continue;
      const attempt = progress.attemptOf(offset);
      // More of them than can be moved at once must not keep the others back.
      if (attempt >= attemptsMax && this.leaveOut()) continue;
      const index = this.entryOf(offset, due.length - i);
      if (this.stopped) return;
      if (index < 0) continue;
      const entries = this.entries as QueueEntries;
      if (attempt >= attemptsMax) this.deadLetter(offset, entries.position(index), attempt);
      else this.place(offset, attempt + 1, index, undefined);
      if (this.stopped || this.judge.isFull) return;
    }
  }

  private lookParked(progress: QueueProgress): void {
    for (const key of this.judge.myKeys(progress.unordered.parkedKeys())) {
      const list = progress.unordered.parkedList(key);
      for (let i = 0; list && i < list.length; i += 1) {
        this.lookAtParked(progress, list.at(i), key);
        if (this.stopped || this.judge.isFull) return;
      }
    }
  }

  /** What was kept for a member that is gone for good, or now wants something else, is judged anew. */
  private lookForOrphans(progress: QueueProgress): void {
    if (this.request.filter.all) return;
    for (let left = Math.min(orphanKeysMax, progress.unordered.parkedKeyCount); left > 0; left -= 1) {
      const key = progress.unordered.nextParkedKey();
      if (key === undefined || this.judge.anyoneKeeps(key)) continue;
      const list = progress.unordered.parkedList(key);
      if (!list) continue;
      // Where most of them must stay, another part of them with each request.
      const from = this.request.strangers ? Math.floor(this.request.nowMs) % list.length : 0;
      for (let i = 0, kept = 0; i < list.length && kept < orphansKeptMax; i += 1) {
        if (!this.lookAtParked(progress, list.at((from + i) % list.length), key)) kept += 1;
        if (this.stopped || this.judge.isFull) return;
      }
    }
  }

  /** While members may be unknown, some of its messages may be kept where their tags don't lead it. */
  private mayClaim(): boolean {
    const { filter, strangers } = this.request;
    return strangers === true && filter.hashes.length === 0 && filter.wantsMessage !== undefined;
  }

  /** False: it stays where it is. */
  private lookAtParked(progress: QueueProgress, offset: number, key: number): boolean {
    const { attemptsMax } = this.request;
    if (!progress.unordered.isParked(offset, key) || this.taken?.has(offset)) return true;
    const attempt = progress.attemptOf(offset);
    if (attempt >= attemptsMax && this.leaveOut()) return false;
    const index = this.entryOf(offset, entriesMax);
    if (index < 0) return false;
    if (attempt >= attemptsMax) this.deadLetter(offset, (this.entries as QueueEntries).position(index), attempt);
    else if (!this.place(offset, attempt + 1, index, key)) return false;
    this.taken?.add(offset);
    return true;
  }

  /** Answers the new frontier. */
  private lookFresh(from: number): number {
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
      if (count <= first) return frontier; // Gone meanwhile: what the queue holds now is looked at next time.
      for (let index = first; index < count; index += 1) {
        if (!this.place(frontier, 1, index, undefined)) {
          if (this.judge.looks.length > 0) this.judge.askAhead(source, entries, index + 1, count);
          return frontier;
        }
        this.scanLeft -= 1;
        frontier += 1;
        if (this.stopped) return frontier;
        if (this.scanLeft <= 0) break;
      }
    }
    return frontier;
  }

  /**
   * Hands a message to this member, keeps it for whom it may concern, or passes it over for the group. `key`: where it is
   * kept now. False: nothing of that: it is too large for what is left, must be loaded first, or stays where it is.
   */
  private place(offset: number, attempt: number, index: number, key: number | undefined): boolean {
    const { judge } = this;
    const entries = this.entries as QueueEntries;
    const judgement = judge.judge((this.queue as PopQueue).source, entries, index);
    this.scanLeft -= judge.cost;
    judge.cost = 0;
    switch (judgement) {
      case 'mine':
        return this.hand(offset, attempt, index, entries.tagHash(index));
      case 'anothers':
        return judge.key !== key && this.park(offset, judge.key);
      case 'strangers':
        return key === undefined && this.park(offset, judge.key);
      case 'nobodys':
        this.passedRuns.push(offset, 0);
        return true;
      case 'unknown':
        if (this.request.byUrgency) this.stopped = true;
        return false;
    }
  }

  private park(offset: number, key: number): true {
    this.parkedRuns.push(offset, key);
    this.parked += 1;
    return true;
  }

  /** False: it is too large for what is left. */
  private hand(offset: number, attempt: number, index: number, tagHash: number): boolean {
    const { messagesMax, bytesMax } = this.request;
    const { topicId, queueId } = this.queue as PopQueue;
    const entries = this.entries as QueueEntries;
    const size = entries.size(index);
    if (this.handed.length > 0 && this.bytes + size > bytesMax) {
      this.stopped = true;
      return false;
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
    return true;
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
