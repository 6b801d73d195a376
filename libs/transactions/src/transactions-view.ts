import {
  decodePendingTransfer,
  decodeReference,
  decodeTopicDeleted,
  eachDropped,
  Envelope,
  MessageType,
  RecordKind,
  referenceReason,
  type LogPosition,
  type TopicId,
  type DecidedRecord,
  type StateChange,
} from '@cometmq/model';
import { assert, ByteReader, ByteWriter, RecentNumbers } from '@cometmq/shared';

import { type Half, HalfTable } from './half-table.js';
import type { Audit, FoldedRecord, HalfMessage, Resolution } from './ports.js';
import {
  decodeAudit,
  decodeChecked,
  decodeParked,
  encodeAudit,
  encodeChecked,
  encodeParked,
  resolutionNumber,
} from './transaction-records.js';

/** A half message that says nothing else is first asked about so long after its arrival. */
export const firstCheckMs = 6_000;
/** Between the first check and the second; then half as long again each time. */
const pauseMs = 30_000;
const pauseMsMax = 600_000;
export const checksMax = 15;
/** Decisions remembered: 256 × 1,024. */
const decidedPagesMax = 256;
const auditsMax = 1_000;
const out = new ByteWriter();

type HalfTimes = Pick<HalfMessage, 'storedMs' | 'nextCheckMs' | 'checks' | 'lastCheckMs' | 'parked'>;

/**
 * What a decision on a half message comes to. `now`: append the record that does it. `already`: decided the same way
 * before. `opposite`: decided the other way before. `unknown`: no such half message, as far as anyone remembers.
 */
export type EndOutcome =
  { readonly outcome: 'now'; readonly half: HalfMessage } | { readonly outcome: 'already' | 'opposite' | 'unknown' };

/**
 * The half messages nobody has decided on: a deterministic fold over the log, and what the leader decides on its ground.
 * A half message is open until the first record that decides on it: a reference to it (committed) or its drop (rolled
 * back). What was decided is remembered for a while, so that a repeated call is answered as the first one.
 *
 * Pieces: `h/<page>` half messages, `d/<page>` what was decided, `a` the operators' decisions.
 */
export class TransactionsView {
  readonly name = 'transactions';
  readonly kinds: ReadonlySet<RecordKind> = new Set<RecordKind>([
    RecordKind.pending,
    RecordKind.transferredPending,
    RecordKind.transferPending,
    RecordKind.reference,
    RecordKind.dropped,
    RecordKind.transactionChecked,
    RecordKind.transactionParked,
    RecordKind.transactionAudited,
    RecordKind.topicDeleted,
  ]);
  private halves = new HalfTable();
  private decided = new RecentNumbers(decidedPagesMax);
  private operators: Audit[] = [];
  private operatorsChanged = false;
  private readonly counts = new Map<TopicId, number>();

  // ---- the view --------------------------------------------------------------------------------------------------

  fold(record: FoldedRecord): void {
    switch (record.kind) {
      case RecordKind.pending:
        return this.foldHalf(record);
      case RecordKind.transferredPending:
        return this.foldTransferred(record);
      case RecordKind.transferPending: {
        const { instead, messages } = decodePendingTransfer(record.payload);
        if (instead !== undefined) return; // They are on their way already.
        for (const { position, half } of messages) if (half) this.leave(position);
        return;
      }
      case RecordKind.reference: {
        const { reason, target } = decodeReference(record.payload);
        if (reason === referenceReason.committed || reason === referenceReason.recovered) {
          this.end(target.position, 'commit');
        }
        return;
      }
      case RecordKind.dropped:
        eachDropped(record.payload, (position, _size, _topicId, dueMs) => {
          if (dueMs === 0) this.end(position, 'rollback');
        });
        return;
      case RecordKind.transactionChecked:
        for (const { position, nextCheckMs } of decodeChecked(record.payload)) {
          const half = this.halves.find(position);
          if (!half) continue;
          half.checks += 1;
          half.lastCheckMs = record.timestampMs;
          half.nextCheckMs = nextCheckMs;
          this.halves.touch(half);
          this.halves.queue(half, nextCheckMs);
        }
        return;
      case RecordKind.transactionParked:
        for (const position of decodeParked(record.payload)) {
          const half = this.halves.find(position);
          if (!half) continue;
          half.parked = true;
          this.halves.touch(half);
          this.halves.queue(half, Infinity);
        }
        return;
      case RecordKind.transactionAudited:
        this.operators.push(decodeAudit(record.payload));
        if (this.operators.length > auditsMax) this.operators.shift();
        this.operatorsChanged = true;
        return;
      case RecordKind.topicDeleted:
        return this.dropTopic(decodeTopicDeleted(record.payload));
      default: // Not ours: no change.
    }
  }

  takeChanges(): StateChange[] {
    const changes: StateChange[] = [];
    this.halves.takePages((page, value) => changes.push({ key: `h/${page}`, value }));
    for (const { page, value } of this.decided.takePages()) changes.push({ key: `d/${page}`, value });
    if (this.operatorsChanged) changes.push({ key: 'a', value: this.encodeAudits() });
    this.operatorsChanged = false;
    return changes;
  }

  load(key: string, value: Uint8Array): void {
    const [part, page = ''] = key.split('/');
    if (part === 'd') this.decided.loadPage(Number(page), value);
    else if (part === 'a') {
      const from = new ByteReader(value);
      while (!from.isAtEnd) this.operators.push(decodeAudit(from.bytes()));
    } else {
      const before = this.halves.size;
      this.halves.loadPage(Number(page), value);
      if (this.halves.size > before) this.counts.clear(); // Counted when asked for.
    }
  }

  clear(): void {
    this.halves = new HalfTable();
    this.decided = new RecentNumbers(decidedPagesMax);
    this.operators = [];
    this.operatorsChanged = false;
    this.counts.clear();
  }

  // ---- what is open ------------------------------------------------------------------------------------------------

  /** How many are open. */
  get size(): number {
    return this.halves.size;
  }
  /** By topic. */
  get sizes(): ReadonlyMap<TopicId, number> {
    return this.counted();
  }

  half(position: LogPosition): HalfMessage | undefined {
    return this.halves.find(position);
  }

  /** Those of a topic, or all, behind `after` by (time of storing, position): oldest first. */
  list(
    topicId: TopicId | undefined,
    after: { readonly storedMs: number; readonly position: number },
    max: number,
  ): HalfMessage[] {
    const found: HalfMessage[] = [];
    for (const half of this.halves.values()) {
      if (topicId !== undefined && half.topicId !== topicId) continue;
      if ((half.storedMs - after.storedMs || half.position - after.position) > 0) found.push(half);
    }
    return found.sort((a, b) => a.storedMs - b.storedMs || a.position - b.position).slice(0, max);
  }

  /** What operators have decided, newest last. */
  get audits(): readonly Audit[] {
    return this.operators;
  }

  // ---- decisions -------------------------------------------------------------------------------------------------

  /** What a producer, or an operator, may do with a half message. */
  decideEnd(
    place: { readonly position: LogPosition; readonly size: number; readonly topicId: TopicId },
    resolution: Resolution,
  ): EndOutcome {
    const half = this.halves.find(place.position);
    if (half) {
      const same = half.size === place.size && half.topicId === place.topicId;
      return same ? { outcome: 'now', half } : { outcome: 'unknown' };
    }
    const decided = this.decided.get(place.position);
    if (decided === undefined) return { outcome: 'unknown' };
    return { outcome: decided === resolutionNumber[resolution] ? 'already' : 'opposite' };
  }

  /** When the first check is due; Infinity: none is. May be the time of one that was decided on meanwhile. */
  get nextCheckMs(): number {
    return this.halves.nextDueMs;
  }

  /**
   * One that is due for a check, or undefined. It is out of the order until its check or parking is folded, or until
   * `later`: the leader does one of them before anything else.
   */
  takeDue(nowMs: number): HalfMessage | undefined {
    return this.halves.takeDue(nowMs);
  }

  /** Nobody could be asked: it is due again at another time, and no check is counted. Soft: no record says so. */
  later(position: LogPosition, atMs: number): void {
    const half = this.halves.find(position);
    if (half && !half.parked) this.halves.queue(half, atMs);
  }

  /** Producers were asked. */
  decideChecked(halves: readonly HalfMessage[], nowMs: number): DecidedRecord {
    const checked = halves.map(({ position, checks }) => ({ position, nextCheckMs: nowMs + pauseAfter(checks + 1) }));
    return { kind: RecordKind.transactionChecked, payload: encodeChecked(checked) };
  }

  decideParked(halves: readonly HalfMessage[]): DecidedRecord {
    return { kind: RecordKind.transactionParked, payload: encodeParked(halves.map(({ position }) => position)) };
  }

  decideAudit(audit: Audit): DecidedRecord {
    return { kind: RecordKind.transactionAudited, payload: encodeAudit(audit) };
  }

  // ---- inside ------------------------------------------------------------------------------------------------------

  private foldHalf(record: FoldedRecord): void {
    const envelope = new Envelope(record.payload);
    if (envelope.type !== MessageType.transaction) return;
    const { timestampMs: storedMs } = record;
    const nextCheckMs = storedMs + (envelope.checkAfterMs ?? firstCheckMs);
    this.add(record, { storedMs, nextCheckMs, checks: 0, lastCheckMs: 0, parked: false });
  }

  /** It goes on as it was in the broker set that had it before. */
  private foldTransferred(record: FoldedRecord): void {
    const past = new Envelope(record.payload).transferMark?.past;
    assert(past !== undefined, 'a pending message that came from another broker set says what it was');
    if (past.half) this.add(record, { ...past.half, storedMs: past.storedMs });
  }

  private add({ position, size, topicId, queueId, tagHash, groupHash }: FoldedRecord, state: HalfTimes): void {
    const counts = this.counted();
    counts.set(topicId, (counts.get(topicId) ?? 0) + 1);
    this.halves.add({ position, size, topicId, queueId, tagHash, groupHash, ...state });
  }

  /** Another broker set has it from now on: whoever decides on it is told so. */
  private leave(position: LogPosition): void {
    const half = this.halves.find(position);
    if (half) this.remove(half);
  }

  private end(position: LogPosition, resolution: Resolution): void {
    const half = this.halves.find(position);
    if (!half) return; // Its topic is gone.
    this.remove(half);
    this.decided.add(position, resolutionNumber[resolution]);
  }

  private remove(half: Half): void {
    const counts = this.counted();
    this.halves.remove(half);
    const left = (counts.get(half.topicId) ?? 0) - 1;
    if (left > 0) counts.set(half.topicId, left);
    else counts.delete(half.topicId);
  }

  private dropTopic(topicId: TopicId): void {
    for (const half of [...this.halves.values()]) if (half.topicId === topicId) this.halves.remove(half);
    this.counted().delete(topicId);
  }

  private counted(): Map<TopicId, number> {
    if (this.counts.size === 0) {
      for (const { topicId } of this.halves.values()) this.counts.set(topicId, (this.counts.get(topicId) ?? 0) + 1);
    }
    return this.counts;
  }

  private encodeAudits(): Uint8Array {
    const audits = this.operators.map(encodeAudit);
    out.begin();
    for (const audit of audits) out.bytes(audit);
    return out.taken();
  }
}

/** How long to wait after check number `check`, from 1. */
export function pauseAfter(check: number): number {
  assert(check >= 1, 'checks are counted from 1');
  return Math.min(pauseMsMax, Math.round(pauseMs * 1.5 ** (check - 1)));
}
