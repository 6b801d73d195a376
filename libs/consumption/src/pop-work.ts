import type { DecidedRecord, QueueOffset } from '@cometmq/model';

import type { DueMessage, EntriesNeeded, HandedMessage, PopDecision, PopQueue, PopRequest } from './decisions.js';
import { FilterMatch, type FilterVerdict } from './filter-match.js';
import type { Audiences, AudienceSource, QueueEntries } from './ports.js';
import type { QueueProgress } from './queue-progress.js';

/** How many entries the source is asked for at a time. */
export const entriesMax = 64;
/** Dead letters told in a request; the rest is told when these are moved. */
const deadLettersMax = 64;

/**
 * What deciding one request has in common, whatever the group's order: its limits, the entries under way, for whom a message
 * is, and the answer. Queue by queue; nothing is changed here.
 */
export abstract class PopWork {
  /** A limit of the request was reached. */
  stopped = false;
  protected readonly match: FilterMatch;
  protected readonly handed: HandedMessage[] = [];
  /** Kept for other members, or for their lane's turn with somebody waiting. */
  protected parked = 0;
  protected needs: EntriesNeeded | undefined;
  protected scanLeft: number;

  // Of the queue under way.
  protected queue: PopQueue | undefined;
  protected progress: QueueProgress | undefined;
  protected entries: QueueEntries | undefined;
  /** Undefined, nearly always: its messages are for whoever comes. */
  private audiences: AudienceSource | undefined;

  private readonly deadLetters: DueMessage[] = [];
  private bytes = 0;
  private held = false;
  private leftOut = false;
  private nextDueMs = Infinity;

  constructor(
    protected readonly request: PopRequest,
    /** Nothing new is handed out. */
    protected readonly throttled: boolean,
    private readonly allAudiences: Audiences | undefined,
  ) {
    this.scanLeft = request.scanMax;
    this.match = new FilterMatch(request);
  }

  /** A message that nobody has looked at. False: it could not be taken; the frontier stays before it. */
  protected abstract meet(offset: number, index: number, entries: QueueEntries): boolean;
  /** The frontier has to wait. */
  protected abstract get waits(): boolean;

  protected beginQueue(queue: PopQueue, progress: QueueProgress | undefined): void {
    this.queue = queue;
    this.progress = progress;
    this.entries = undefined;
    this.audiences = this.allAudiences?.of(queue.topicId, queue.queueId);
  }

  /** Of a message that this set has not delivered yet: another one may have. */
  protected firstAttempt(offset: number): number {
    return this.audiences ? this.audiences.attemptsOf(this.request.groupId, offset) + 1 : 1;
  }

  protected answer(record: DecidedRecord | undefined): PopDecision {
    const { looks } = this.match;
    return {
      record,
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

  /** Something of the queue becomes visible again then. */
  protected dueAt(timeMs: number | undefined): void {
    if (timeMs !== undefined && timeMs < this.nextDueMs) this.nextDueMs = timeMs;
  }

  /** There is something new that must not be handed out now. */
  protected holdBack(): void {
    this.held = true;
  }

  /** Meets what nobody has looked at from an offset on. Answers the new frontier. */
  protected lookFresh(from: number): number {
    const { source } = this.queue as PopQueue;
    let frontier = from;
    if (this.throttled && frontier < source.next) {
      this.holdBack();
      return frontier;
    }
    while (frontier < source.next) {
      if (this.scanLeft <= 0) {
        this.stopped = true;
        return frontier;
      }
      if (this.waits) return frontier;
      const max = Math.min(entriesMax, source.next - frontier, this.scanLeft);
      const entries = this.read(frontier, max);
      if (!entries) return frontier;
      const first = frontier - entries.from;
      const count = Math.min(entries.count, first + max);
      for (let index = first; index < count; index += 1) {
        if (!this.meet(frontier, index, entries)) {
          if (this.match.looks.length > 0) this.match.askAhead(source, entries, index + 1, count);
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

  protected judged(index: number): FilterVerdict {
    const { match, audiences } = this;
    const entries = this.entries as QueueEntries;
    if (audiences && !audiences.isFor(this.request.groupId, entries.from + index)) return 'none';
    const found = match.match((this.queue as PopQueue).source, entries, index);
    this.scanLeft -= match.cost;
    match.cost = 0;
    return found;
  }

  /** False: it is too large for what is left of this answer. */
  protected hand(offset: number, attempt: number, index: number): boolean {
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
      tagHash: entries.tagHash(index),
      attempt,
      generation: this.progress?.generation ?? 0,
    });
    if (this.handed.length >= messagesMax) this.stopped = true;
    return true;
  }

  protected deadLetter(offset: number, index: number, attempt: number): void {
    const { topicId, queueId } = this.queue as PopQueue;
    const position = (this.entries as QueueEntries).position(index);
    this.deadLetters.push({ topicId, queueId, offset: offset as QueueOffset, position, attempt });
  }

  /** True: so many dead letters are told already that this one is left for later. */
  protected leaveOut(): boolean {
    if (this.deadLetters.length < deadLettersMax) return false;
    this.leftOut = true;
    return true;
  }

  /** Where in `entries` the offset stands; -1: not in memory, or not kept any more. */
  protected entryOf(offset: number, ahead: number): number {
    const known = this.entries;
    if (known && offset >= known.from && offset < known.from + known.count) return offset - known.from;
    const { source } = this.queue as PopQueue;
    if (offset < source.first || offset >= source.next) return -1;
    const entries = this.read(offset, Math.min(entriesMax, ahead, source.next - offset));
    return entries ? offset - entries.from : -1;
  }

  protected read(from: number, max: number): QueueEntries | undefined {
    const { topicId, queueId, source } = this.queue as PopQueue;
    const entries = source.entries(from as QueueOffset, max);
    if (entries) {
      this.entries = entries;
      return entries;
    }
    this.needs ??= { topicId, queueId, from: from as QueueOffset, count: max };
    // By urgency, nothing of a later queue comes before it.
    if (this.request.byUrgency) this.stopped = true;
    return undefined;
  }

  protected mayScan(): boolean {
    if (this.scanLeft <= 0) this.stopped = true;
    this.scanLeft -= 1;
    return !this.stopped;
  }
}
