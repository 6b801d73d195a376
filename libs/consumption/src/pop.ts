import { RecordKind } from '@cometmq/model';

import type { PopDecision, PopQueue, PopRequest } from './decisions.js';
import { encodeDelivery, type DeliveryQueue } from './group-records.js';
import { OffsetRuns } from './offset-runs.js';
import { entriesMax, PopWork } from './pop-work.js';
import type { Audiences } from './ports.js';
import type { QueueProgress } from './queue-progress.js';

/**
 * Who gets what, for one request. Queue by queue: first what is due again, the longest due first; then what was kept
 * for members like this one; then what nobody has looked at. By urgency, what is due again comes last, after everything
 * new of every queue. Nothing is changed here: see `decisions.ts`.
 */

/** Keys of parked messages that may have lost their last reader, looked at in a request. */
const unclaimedKeysMax = 4;
/** Unclaimed messages that must stay, as members may still be unknown, looked at in a request. */
const unclaimedKeptMax = 64;

export function decidePop(
  request: PopRequest,
  progressOf: (queue: PopQueue) => QueueProgress | undefined,
  throttled: boolean,
  audiences: Audiences | undefined,
): PopDecision {
  const pop = new Pop(request, throttled, audiences);
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

class Pop extends PopWork {
  private readonly written: DeliveryQueue[] = [];

  // Of the queue under way.
  private handedRuns = new OffsetRuns();
  private passedRuns = new OffsetRuns();
  private parkedRuns = new OffsetRuns();
  /** Parked messages that are dealt with: the lists may name them twice. */
  private taken: Set<number> | undefined;

  /** A message that nobody has looked at is placed at once, or not at all. */
  protected readonly waits = false;

  look(queue: PopQueue, progress: QueueProgress | undefined): void {
    this.begin(queue, progress);
    if (progress) {
      if (!this.request.byUrgency) this.lookDue(progress);
      if (!this.stopped && progress.parkedCount > 0) {
        this.taken = new Set<number>();
        this.lookParked(progress);
        if (!this.stopped && this.request.unknownMembers !== true) this.lookForUnclaimed(progress);
      }
    }
    const before = progress?.frontier ?? queue.start;
    const frontier = this.stopped ? before : this.lookFresh(Math.max(before, queue.source.first));
    // Most of them must stay while members may be unknown: looked at only when there is nothing else to do.
    if (progress && this.taken && !this.stopped && frontier >= queue.source.next && this.mayClaim()) {
      this.lookForUnclaimed(progress);
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
    this.beginQueue(queue, progress);
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
    if (queues.length === 0) return this.answer(undefined);
    const payload = encodeDelivery({ groupId, clientId, autoRenew, attemptId, visibleAtMs, queues });
    return this.answer({ kind: RecordKind.delivery, payload });
  }

  private lookDue(progress: QueueProgress): void {
    const { nowMs, attemptsMax } = this.request;
    const { unordered } = progress;
    const due = unordered.advance(nowMs);
    this.dueAt(unordered.nextDueMs());
    if (!due) return;
    for (let i = 0; i < due.length; i += 1) {
      const offset = due.at(i);
      if (!unordered.isDue(offset, nowMs)) continue;
      const attempt = progress.attemptOf(offset);
      // More of them than can be moved at once must not keep the others back.
      if (attempt >= attemptsMax && this.leaveOut()) continue;
      const index = this.mayScan() ? this.entryOf(offset, due.length - i) : -1;
      if (this.stopped) return;
      if (index < 0) continue;
      if (attempt >= attemptsMax) this.deadLetter(offset, index, attempt);
      else this.place(offset, attempt + 1, index, undefined);
      if (this.stopped || this.match.isFull) return;
    }
  }

  private lookParked(progress: QueueProgress): void {
    for (const key of this.match.myKeys(progress.unordered.parkedKeys())) {
      const list = progress.unordered.parkedList(key);
      for (let i = 0; list && i < list.length; i += 1) {
        this.lookAtParked(progress, list.at(i), key);
        if (this.stopped || this.match.isFull) return;
      }
    }
  }

  /** What was kept for a member that is gone for good, or now wants something else, is judged anew. */
  private lookForUnclaimed(progress: QueueProgress): void {
    if (this.request.filter.all) return;
    for (let left = Math.min(unclaimedKeysMax, progress.unordered.parkedKeyCount); left > 0; left -= 1) {
      const key = progress.unordered.nextParkedKey();
      if (key === undefined || this.match.anyoneKeeps(key)) continue;
      const list = progress.unordered.parkedList(key);
      if (!list) continue;
      // Where most of them must stay, another part of them with each request.
      const from = this.request.unknownMembers ? Math.floor(this.request.nowMs) % list.length : 0;
      for (let i = 0, kept = 0; i < list.length && kept < unclaimedKeptMax; i += 1) {
        if (!this.lookAtParked(progress, list.at((from + i) % list.length), key)) kept += 1;
        if (this.stopped || this.match.isFull) return;
      }
    }
  }

  /** While members may be unknown, some of its messages may be kept where their tags don't lead it. */
  private mayClaim(): boolean {
    const { filter, unknownMembers } = this.request;
    return unknownMembers === true && filter.hashes.length === 0 && filter.wantsMessage !== undefined;
  }

  /** False: it stays where it is. */
  private lookAtParked(progress: QueueProgress, offset: number, key: number): boolean {
    const { attemptsMax } = this.request;
    if (!progress.unordered.isParked(offset, key) || this.taken?.has(offset)) return true;
    const attempt = progress.attemptOf(offset);
    if (attempt >= attemptsMax && this.leaveOut()) return false;
    const index = this.mayScan() ? this.entryOf(offset, entriesMax) : -1;
    if (index < 0) return false;
    if (attempt >= attemptsMax) this.deadLetter(offset, index, attempt);
    else if (!this.place(offset, attempt === 0 ? this.firstAttempt(offset) : attempt + 1, index, key)) return false;
    this.taken?.add(offset);
    return true;
  }

  protected meet(offset: number, index: number): boolean {
    return this.place(offset, this.firstAttempt(offset), index, undefined);
  }

  /**
   * Hands a message to this member, keeps it for whom it may concern, or passes it over for the group. `key`: where it is
   * kept now. False: nothing of that: it is too large for what is left, must be loaded first, or stays where it is.
   */
  private place(offset: number, attempt: number, index: number, key: number | undefined): boolean {
    const { match } = this;
    switch (this.judged(index)) {
      case 'mine':
        if (!this.hand(offset, attempt, index)) return false;
        this.handedRuns.push(offset, attempt);
        return true;
      case 'other':
        return match.key !== key && this.park(offset, match.key);
      case 'unknownMembers':
        return key === undefined && this.park(offset, match.key);
      case 'none':
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
}
