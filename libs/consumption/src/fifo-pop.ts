import { RecordKind } from '@cometmq/model';

import type { PopDecision, PopQueue, PopRequest } from './decisions.js';
import { encodeFifoDelivery, type FifoDeliveryQueue, type LaneDelivery } from './fifo-records.js';
import type { FilterVerdict } from './filter-match.js';
import type { Lane, LaneList } from './lane-list.js';
import type { Lanes } from './lanes.js';
import { OffsetRuns } from './offset-runs.js';
import { entriesMax, PopWork } from './pop-work.js';
import type { Audiences, QueueEntries } from './ports.js';
import type { QueueProgress } from './queue-progress.js';
import type { Tables } from './tables.js';

/**
 * Who gets what in an orderly group, for one request. First, whether the request repeats an attempt whose answer was
 * lost: then it gets the same again. Else, queue by queue: lanes that are due or have come free, in turn; then what
 * nobody has looked at, past the lanes that are busy. Nothing is changed here but the places of lanes in soft lists.
 *
 * Of a lane, a request gets the unacknowledged messages of its batch, as they were; only when none of them is left, what
 * comes after them, without a gap. So nothing behind a message that failed is ever seen before it is done.
 */
export interface LaneLimits {
  /** Offsets in one lane's backlog; what lies beyond is looked for in the index when its turn comes. */
  readonly laneKeptMax: number;
  /** Offsets in the backlogs of one queue: beyond it the queue's frontier waits for lanes to come free. */
  readonly queueKeptMax: number;
  /** And of all queues, as long as a queue has more than one lane's worth. */
  readonly keptMax: number;
}

/** Keys of lanes set aside that may have lost their last reader, looked at in a request. */
const unclaimedKeysMax = 4;
/** Such lanes that must stay, as members may still be unknown, looked at in a request. */
const unclaimedKeptMax = 64;

export function decideFifoPop(
  request: PopRequest,
  progressOf: (queue: PopQueue) => QueueProgress | undefined,
  tables: Tables<QueueProgress>,
  limits: LaneLimits,
  /** Nothing new is handed out. */
  throttled: boolean,
  /** False: only what has been looked at already. */
  fresh: boolean,
  audiences: Audiences | undefined,
): PopDecision {
  const pop = new FifoPop(request, tables, limits, throttled, fresh, audiences);
  if (request.attemptId !== undefined && pop.repeat(request.attemptId, progressOf)) return pop.decision();
  for (const queue of request.queues) {
    pop.look(queue, progressOf(queue));
    if (pop.stopped) break;
  }
  return pop.decision();
}

/** What becomes of one lane. */
class Draft implements LaneDelivery {
  readonly handed = new OffsetRuns();
  kept = none;
  taken = 0;
  spillFrom: number;
  spilled: number;
  backoffMs = 0;
  /** All of the lane below the place under way is done, or was handed out for the first time: it may go on from there. */
  reached = true;

  constructor(
    readonly hash: number,
    readonly lane: Lane | undefined,
  ) {
    this.spillFrom = lane?.spillFrom ?? -1;
    this.spilled = lane?.spilled ?? 0;
  }

  get changes(): boolean {
    return (
      this.handed.length > 0 ||
      this.taken > 0 ||
      this.kept.length > 0 ||
      this.spillFrom !== (this.lane?.spillFrom ?? -1) ||
      this.spilled !== (this.lane?.spilled ?? 0)
    );
  }

  keep(offset: number, laneKeptMax: number): boolean {
    if (this.spillFrom >= 0 || (this.lane?.kept ?? 0) - this.taken + this.keptCount >= laneKeptMax) {
      if (this.spillFrom < 0) this.spillFrom = offset;
      this.spilled += 1;
      return false;
    }
    if (this.kept === none) this.kept = new OffsetRuns();
    this.kept.push(offset, 0);
    this.keptCount += 1;
    return true;
  }
  private keptCount = 0;
}

const none = new OffsetRuns();

class FifoPop extends PopWork {
  private readonly written: FifoDeliveryQueue[] = [];
  /** New offsets in backlogs, of this request. */
  private kept = 0;

  // Of the queue under way.
  private drafts = new Map<number, Draft>();
  private passed = new OffsetRuns();

  constructor(
    request: PopRequest,
    private readonly tables: Tables<QueueProgress>,
    private readonly limits: LaneLimits,
    throttled: boolean,
    private readonly fresh: boolean,
    audiences: Audiences | undefined,
  ) {
    super(request, throttled, audiences);
  }

  // ---- an attempt again ------------------------------------------------------------------------------------------

  /** True: the attempt was answered before, and what is left of it is handed out again, as the same delivery. */
  repeat(attemptId: string, progressOf: (queue: PopQueue) => QueueProgress | undefined): boolean {
    const { groupId, clientId, queues } = this.request;
    const { leases } = this.tables;
    const attempt = leases.attempts.find(groupId, clientId, attemptId);
    if (!attempt) return false;
    for (const queue of queues) {
      const progress = progressOf(queue);
      if (!progress?.lanes) continue;
      this.begin(queue, progress);
      for (const slot of attempt.slots) {
        if (leases.owner[slot] !== progress.index) continue;
        const lane = progress.lanes.find((leases.lane[slot] as number) - 1);
        if (lane) this.repeatLane(progress, lane, slot);
        if (this.stopped) break;
      }
      if (this.needs) break;
      this.end(progress.frontier);
      if (this.stopped) break;
    }
    if (this.needs) {
      // All of it or nothing: the client takes what it is given for the whole answer.
      this.handed.length = 0;
      this.written.length = 0;
      return true;
    }
    return this.handed.length > 0;
  }

  private repeatLane(progress: QueueProgress, lane: Lane, slot: number): void {
    const draft = new Draft(lane.hash, lane);
    for (const offset of lane.batch) {
      if (!progress.isOpen(offset)) continue;
      // Whoever gave its first message back, or changed its time, has had the answer.
      if (progress.heldBySlot(offset) !== slot) break;
      const index = this.entryOf(offset, entriesMax);
      if (index < 0 || !this.handTo(draft, offset, progress.attemptOf(offset), index) || this.stopped) break;
    }
    this.drafts.set(lane.hash, draft);
  }

  // ---- a queue ---------------------------------------------------------------------------------------------------

  look(queue: PopQueue, progress: QueueProgress | undefined): void {
    this.begin(queue, progress);
    const lanes = progress?.lanes;
    if (lanes) {
      lanes.advance(this.request.nowMs);
      this.lookExhausted(lanes);
      this.lookReady(lanes);
      if (!this.stopped) this.takeBackUnclaimed(lanes);
      this.dueAt(lanes.nextDueMs());
    }
    const before = progress?.frontier ?? queue.start;
    this.end(this.stopped || !this.fresh ? before : this.lookFresh(Math.max(before, queue.source.first)));
  }

  decision(): PopDecision {
    const { groupId, clientId, autoRenew, attemptId = '' } = this.request;
    const visibleAtMs = Math.ceil(this.request.visibleAtMs);
    const queues = this.written;
    if (queues.length === 0) return this.answer(undefined);
    const payload = encodeFifoDelivery({ groupId, clientId, autoRenew, attemptId, visibleAtMs, queues });
    return this.answer({ kind: RecordKind.fifoDelivery, payload });
  }

  private begin(queue: PopQueue, progress: QueueProgress | undefined): void {
    this.beginQueue(queue, progress);
    this.drafts = new Map<number, Draft>();
    this.passed = new OffsetRuns();
  }

  private end(frontier: number): void {
    const { queue, progress, passed } = this;
    const { topicId, queueId, start } = queue as PopQueue;
    const lanes: LaneDelivery[] = [];
    for (const draft of this.drafts.values()) if (draft.changes) lanes.push(draft);
    // A group that is orderly no more waits for the last lane to be given back.
    const settles = !this.fresh && progress?.lanes?.holdsEnded(this.request.nowMs);
    if (progress && frontier === progress.frontier && lanes.length + passed.length === 0 && !settles) return;
    passed.sort();
    this.written.push({ topicId, queueId, start: progress ? undefined : start, frontier, passed, lanes });
  }

  // ---- lanes whose turn it is ------------------------------------------------------------------------------------

  private lookReady(lanes: Lanes): void {
    this.serveList(lanes, lanes.ready, Infinity);
    if (lanes.aside.size === 0) return;
    for (const key of this.match.myKeys(lanes.aside.keys())) {
      const list = lanes.aside.get(key);
      if (list && !this.stopped) this.serveList(lanes, list, Infinity);
    }
  }

  private serveList(lanes: Lanes, list: LaneList, max: number): void {
    let lane = list.head;
    for (let left = Math.min(list.size, max); lane && left > 0 && !this.stopped && !this.match.isFull; left -= 1) {
      const { after } = lane;
      if (this.mayScan()) this.serve(lanes, lane);
      lane = after;
    }
  }

  /** Lanes that begin with dead letters: told again until they are moved. */
  private lookExhausted(lanes: Lanes): void {
    for (let left = lanes.exhausted.size; left > 0 && !this.stopped; left -= 1) {
      const lane = lanes.exhausted.head as Lane;
      if (this.leaveOut()) return;
      lanes.exhausted.push(lane); // Behind the others, for the next time.
      if (this.mayScan()) this.serve(lanes, lane);
    }
  }

  /** Lanes set aside for a member that is gone for good, or now wants something else. */
  private takeBackUnclaimed(lanes: Lanes): void {
    const max = this.request.unknownMembers === true ? unclaimedKeptMax : Infinity;
    for (let left = Math.min(unclaimedKeysMax, lanes.aside.size); left > 0 && !this.stopped; left -= 1) {
      const key = lanes.nextAside();
      const list = key === undefined || this.match.anyoneKeeps(key) ? undefined : lanes.aside.get(key);
      if (list) this.serveList(lanes, list, max);
    }
  }

  private serve(lanes: Lanes, lane: Lane): void {
    const { nowMs } = this.request;
    if (this.drafts.has(lane.hash)) return;
    if (lanes.dueMs(lane) > nowMs) {
      lanes.moved(lane);
      return;
    }
    const draft = new Draft(lane.hash, lane);
    draft.reached = this.serveBatch(lanes, lane, draft) && draft.handed.length === 0;
    draft.reached &&= this.serveBacklog(lanes, lane, draft) && this.serveSpilled(lanes, lane, draft);
    this.drafts.set(lane.hash, draft);
  }

  /** Delivered before, and not acknowledged: they come again as they were. True: all are handed out or wanted by nobody. */
  private serveBatch(lanes: Lanes, lane: Lane, draft: Draft): boolean {
    const progress = this.progress as QueueProgress;
    const { attemptsMax } = this.request;
    if (lane.open === 0) return true;
    for (const offset of lane.batch) {
      if (!progress.isOpen(offset)) continue;
      const attempt = progress.attemptOf(offset);
      if (attempt >= attemptsMax) {
        if (draft.handed.length === 0) this.tellWorn(lanes, lane, offset, attempt);
        return false;
      }
      const index = this.entryOf(offset, entriesMax);
      if (index < 0) return false;
      const verdict = this.judged(index);
      if (verdict === 'none') this.passed.push(offset, 0);
      else if (verdict !== 'mine') return this.setAside(lanes, lane, draft, verdict);
      else if (!this.handTo(draft, offset, attempt + 1, index) || this.stopped) return false;
    }
    return true;
  }

  /** Kept for the lane's turn. True: nothing is left of it. */
  private serveBacklog(lanes: Lanes, lane: Lane, draft: Draft): boolean {
    const { backlog } = lane;
    if (this.throttled && lane.waits) {
      this.holdBack();
      return false;
    }
    for (let i = 0; backlog && i < backlog.length; i += 1) {
      if (!this.mayScan()) return false;
      const offset = backlog.at(i);
      const index = this.entryOf(offset, entriesMax);
      if (index < 0) return false;
      const verdict = this.judged(index);
      if (verdict !== 'mine' && verdict !== 'none') return this.setAside(lanes, lane, draft, verdict);
      if (verdict === 'mine' && !this.handTo(draft, offset, this.firstAttempt(offset), index)) return false;
      draft.taken += 1;
      if (this.stopped) return false;
    }
    return true;
  }

  /** What did not fit the backlog, looked for in the index. True: the lane was followed up to the frontier. */
  private serveSpilled(lanes: Lanes, lane: Lane, draft: Draft): boolean {
    const { frontier } = this.progress as QueueProgress;
    while (draft.spillFrom >= 0 && draft.spillFrom < frontier) {
      const from = draft.spillFrom;
      const entries = this.read(from, Math.min(entriesMax, frontier - from));
      if (!entries) return false;
      const first = Math.max(from, entries.from);
      const end = Math.min(entries.from + entries.count, frontier);
      for (let offset = first; offset < end; offset += 1) {
        if (!this.mayScan()) return false;
        const index = offset - entries.from;
        if (entries.groupHash(index) === lane.hash) {
          const verdict = this.judged(index);
          if (verdict !== 'mine' && verdict !== 'none') return this.setAside(lanes, lane, draft, verdict);
          if (verdict === 'mine') {
            if (!this.handTo(draft, offset, this.firstAttempt(offset), index)) return false;
            draft.spilled = Math.max(0, draft.spilled - 1);
          }
        }
        draft.spillFrom = offset + 1;
        if (this.stopped) return false;
      }
    }
    draft.spillFrom = -1;
    draft.spilled = 0;
    return true;
  }

  /** The lane goes on when it is moved. */
  private tellWorn(lanes: Lanes, lane: Lane, offset: number, attempt: number): void {
    lanes.exhausted.push(lane);
    if (this.leaveOut()) return;
    const index = this.entryOf(offset, entriesMax);
    if (index >= 0) this.deadLetter(offset, index, attempt);
  }

  /** The lane's next message is for another member, or must be loaded to say so. */
  private setAside(lanes: Lanes, lane: Lane, draft: Draft, verdict: FilterVerdict): false {
    // Found out again when its turn comes: what follows a batch, and what can't be said yet.
    if (draft.handed.length === 0 && verdict !== 'unknown') lanes.setAside(lane, this.match.key);
    return false;
  }

  // ---- what nobody has looked at ---------------------------------------------------------------------------------

  protected meet(offset: number, index: number, entries: QueueEntries): boolean {
    const lanes = this.progress?.lanes;
    const verdict = this.judged(index);
    if (verdict === 'unknown') return false;
    if (verdict === 'none') return true; // Done by being named nowhere.
    const wanted = verdict === 'mine';
    const hash = entries.groupHash(index);
    let draft = this.drafts.get(hash);
    if (!draft) {
      draft = new Draft(hash, lanes?.find(hash));
      draft.reached = !lanes || lanes.isFree(hash, this.request.nowMs);
      this.drafts.set(hash, draft);
    }
    if (draft.reached && wanted) return this.handTo(draft, offset, this.firstAttempt(offset), index);
    if (draft.reached) this.parked += 1;
    draft.reached = false;
    if (draft.keep(offset, this.limits.laneKeptMax)) this.kept += 1;
    return true;
  }

  /** So much is kept already that the frontier waits. */
  protected get waits(): boolean {
    const { laneKeptMax, queueKeptMax, keptMax } = this.limits;
    const kept = (this.progress?.lanes?.kept ?? 0) + this.kept;
    return kept >= queueKeptMax || (kept > laneKeptMax && this.tables.lanes.kept + this.kept >= keptMax);
  }

  // ---- inside ----------------------------------------------------------------------------------------------------

  /** False: it was not taken, as it was too large for this answer. */
  private handTo(draft: Draft, offset: number, attempt: number, index: number): boolean {
    if (!this.hand(offset, attempt, index)) return false;
    const { autoRenew, orderly } = this.request;
    if (draft.handed.length === 0 && autoRenew) draft.backoffMs = Math.ceil(orderly?.backoffMs(attempt) ?? 0);
    draft.handed.push(offset, attempt);
    return true;
  }
}
