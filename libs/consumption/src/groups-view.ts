import {
  decodeDeadLettersReplayed,
  decodeTopicDeleted,
  decodeTransfer,
  eachExpired,
  eachLiteQueueGone,
  RecordKind,
  type AudienceGroup,
  type GroupId,
  type QueueId,
  type QueueOffset,
  type Receipt,
  type TopicId,
  type DecidedRecord,
  type StateChange,
  type Transfer,
} from '@cometmq/model';

import { DeliveryState } from './block-table.js';
import type {
  InvisibleChange,
  PopDecision,
  PopQueue,
  PopRequest,
  ProgressFigures,
  ReceiptsDecision,
} from './decisions.js';
import { ClientLeases, type LeaseId, type RenewalLimits } from './client-leases.js';
import { DueWatch, type ExhaustedMessage } from './due-watch.js';
import { decideFifoPop } from './fifo-pop.js';
import { decodeFifoDelivery } from './fifo-records.js';
import { isKeptFor } from './filter-match.js';
import {
  ackReason,
  decodeGroupDeleted,
  decodeDelivery,
  decodeLeased,
  decodeReset,
  encodeGroupDeleted,
  encodeDelivery,
  encodeLeased,
  encodeReset,
} from './group-records.js';
import { LeasedSections } from './leased-sections.js';
import type { NewLease } from './lease-table.js';
import { eachRun, OffsetRuns } from './offset-runs.js';
import { Pieces } from './pieces.js';
import { decidePop } from './pop.js';
import type { Audiences, FoldedRecord, Matcher, QueuedMessage, QueueOfGroup } from './ports.js';
import { ProgressDirectory } from './progress-directory.js';
import { ReceiptDecisions } from './receipt-decisions.js';
import type { QueueProgress } from './queue-progress.js';
import { freshTables, type Tables } from './tables.js';

export interface GroupsLimits extends Partial<RenewalLimits> {
  /**
   * Blocks of 32 offsets with something in flight or parked, about 600 bytes each, over all groups. At the limit nothing
   * new is handed out; redeliveries and acknowledgements go on.
   */
  readonly blocksMax?: number;
  /** Messages kept in one lane of an orderly group; beyond it they are looked for again when its turn comes. */
  readonly laneKeptMax?: number;
  /** Messages kept in all lanes of a queue; beyond it the queue's frontier waits. 8 bytes each. */
  readonly queueKeptMax?: number;
  /** And of all queues and groups, as long as a queue has more than one lane's worth. */
  readonly keptMax?: number;
}

/** What a message group of an orderly group waits for. */
export interface BusyLane {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** The first message of its batch. */
  readonly offset: QueueOffset;
  readonly attempt: number;
  /** Who holds it; empty: it waits for its next attempt. */
  readonly clientId: string;
  readonly untilMs: number;
  readonly inFlight: number;
  /** Known to wait behind the batch. */
  readonly waiting: number;
}

const second = 1000;
const hour = 3600 * second;

/**
 * The delivery state of all consumer groups: a deterministic fold over the group records of the log, and what the leader
 * decides on its ground. The leader decides, the record says what was decided, the fold applies it: so a decision
 * changes nothing, and holds once its record is appended and folded, before the next decision is made.
 *
 * Time comes from the caller (decisions) or the record (folds). A delivery's identity, its lease, is the (epoch, position)
 * of the delivery record.
 */
export class GroupsView {
  readonly name = 'groups';
  readonly kinds: ReadonlySet<RecordKind> = new Set<RecordKind>([
    RecordKind.delivery,
    RecordKind.fifoDelivery,
    RecordKind.ack,
    RecordKind.changeInvisible,
    RecordKind.changeClientLeases,
    RecordKind.handBack,
    RecordKind.resetProgress,
    RecordKind.groupDeleted,
    RecordKind.deadLettersReplayed,
    RecordKind.transfer,
    RecordKind.expiry,
    RecordKind.topicDeleted,
    RecordKind.liteTopicsDeleted,
  ]);
  private readonly limits: Required<GroupsLimits>;
  private tables!: Tables<QueueProgress>;
  private directory!: ProgressDirectory;
  private pieces!: Pieces;
  private clients!: ClientLeases;
  private receipts!: ReceiptDecisions;
  private dueWatch!: DueWatch;

  /** `audiences`: whom messages are for; left out: for whoever comes. */
  constructor(
    limits: GroupsLimits = {},
    private readonly audiences?: Audiences,
  ) {
    this.limits = {
      blocksMax: 512 * 1024,
      renewBeforeMs: 20 * second,
      renewForMs: 60 * second,
      renewTotalMs: 3 * hour,
      laneKeptMax: 1024,
      queueKeptMax: 1024 * 1024,
      keptMax: 4 * 1024 * 1024,
      ...limits,
    };
    this.clear();
  }

  // ---- the view --------------------------------------------------------------------------------------------------

  fold(record: FoldedRecord): void {
    this.pieces.settle();
    switch (record.kind) {
      case RecordKind.delivery:
        return this.foldDelivery(record);
      case RecordKind.fifoDelivery:
        return this.foldFifoDelivery(record);
      case RecordKind.ack:
        for (const section of decodeLeased(record.payload)) {
          const progress = this.directory.find(section.groupId, section.topicId, section.queueId);
          if (!progress) continue;
          progress.leaseShown(section);
          eachRun(section.offsets, (offset) => {
            if (!progress.release(section, offset)) progress.finish(offset);
          });
        }
        return;
      case RecordKind.changeInvisible:
      case RecordKind.handBack:
        for (const section of decodeLeased(record.payload)) {
          const progress = this.directory.find(section.groupId, section.topicId, section.queueId);
          const uncounted = record.kind === RecordKind.handBack;
          if (!progress) continue;
          eachRun(section.offsets, (offset) => {
            if (!progress.release(section, offset)) progress.wait(offset, section.value, uncounted);
          });
        }
        return;
      case RecordKind.changeClientLeases:
        return this.clients.fold(record.payload);
      case RecordKind.resetProgress: {
        const { groupId, topicId, queueId, offset, generation } = decodeReset(record.payload);
        const progress = this.directory.find(groupId, topicId, queueId);
        (progress ?? this.directory.create(groupId, topicId, queueId, offset)).reset(
          offset,
          generation,
          record.timestampMs,
        );
        return;
      }
      case RecordKind.deadLettersReplayed:
        return this.foldReplayed(record);
      case RecordKind.transfer:
        return this.foldTransfer(decodeTransfer(record.payload));
      case RecordKind.groupDeleted:
        return this.directory.dropGroup(decodeGroupDeleted(record.payload));
      case RecordKind.topicDeleted:
        return this.directory.dropTopic(decodeTopicDeleted(record.payload));
      case RecordKind.liteTopicsDeleted:
        return eachLiteQueueGone(record.payload, ({ topicId, queueId }) => this.directory.dropQueue(topicId, queueId));
      case RecordKind.expiry:
        return this.foldExpiry(record.payload);
      default: // Not ours: no change.
    }
  }

  /** The pieces that differ from what the calls before have answered. Costs what has changed. */
  takeChanges(): StateChange[] {
    this.pieces.settle();
    return this.pieces.take();
  }

  load(key: string, value: Uint8Array): void {
    this.pieces.load(key, value);
  }

  clear(): void {
    this.tables = freshTables();
    this.directory = new ProgressDirectory(this.tables);
    this.pieces = new Pieces(this.tables, this.directory);
    this.clients = new ClientLeases(this.tables, this.directory, this.limits);
    this.receipts = new ReceiptDecisions(this.tables, this.directory);
    this.dueWatch = new DueWatch(this.tables, this.directory);
  }

  // ---- decisions -------------------------------------------------------------------------------------------------

  decidePop(request: PopRequest): PopDecision {
    this.pieces.settle();
    const { tables, limits } = this;
    const throttled = tables.blocks.count >= limits.blocksMax;
    const progressOf = (q: PopQueue): QueueProgress | undefined =>
      this.directory.find(request.groupId, q.topicId, q.queueId);
    const audiences = this.audiencesInUse;
    if (request.orderly) return decideFifoPop(request, progressOf, tables, limits, throttled, true, audiences);
    if (tables.lanes.queues === 0) return decidePop(request, progressOf, throttled, audiences);
    return this.decidePopAfterFifo(request, progressOf, throttled);
  }

  private get audiencesInUse(): Audiences | undefined {
    return this.audiences?.isEmpty === false ? this.audiences : undefined;
  }

  /** The group may have been orderly: what its lanes hold is finished first, queue by queue. */
  private decidePopAfterFifo(
    request: PopRequest,
    progressOf: (queue: PopQueue) => QueueProgress | undefined,
    throttled: boolean,
  ): PopDecision {
    const queues = request.queues.filter((queue) => !progressOf(queue)?.lanes);
    const audiences = this.audiencesInUse;
    if (queues.length === request.queues.length) return decidePop(request, progressOf, throttled, audiences);
    const orderly = request.queues.filter((queue) => progressOf(queue)?.lanes);
    const asked = { ...request, queues: orderly };
    const old = decideFifoPop(asked, progressOf, this.tables, this.limits, throttled, false, audiences);
    if (queues.length === 0) return old;
    if (old.record) return { ...old, exhausted: false };
    const now = decidePop({ ...request, queues }, progressOf, throttled, audiences);
    const nextDueMs = Math.min(old.nextDueMs ?? Infinity, now.nextDueMs ?? Infinity);
    return {
      ...now,
      deadLetters: [...old.deadLetters, ...now.deadLetters],
      exhausted: old.exhausted && now.exhausted,
      nextDueMs: nextDueMs === Infinity ? undefined : nextDueMs,
      needs: now.needs ?? old.needs,
    };
  }

  /** Receipts of any groups and queues; one record for all. */
  decideAck(receipts: readonly Receipt[], nowMs: number): ReceiptsDecision {
    this.pieces.settle();
    return this.receipts.ack(receipts, nowMs);
  }

  /**
   * ChangeInvisibleDuration, and so the nack: the message is due at a time of its own, and is no longer renewed with its
   * lease. The receipt stays good until the message is handed out again.
   */
  decideChange(changes: readonly InvisibleChange[], nowMs: number): ReceiptsDecision {
    this.pieces.settle();
    return this.receipts.change(changes, nowMs);
  }

  /** For what never reached its client: visible from `visibleAtMs`, and the delivery does not count. */
  decideHandBack(receipts: readonly Receipt[], visibleAtMs: number): ReceiptsDecision {
    this.pieces.settle();
    return this.receipts.handBack(receipts, visibleAtMs);
  }

  /** ForwardMessageToDeadLetterQueue: done for the group, if the outcome is `done`; then the message is moved. */
  decideForward(receipt: Receipt): ReceiptsDecision {
    this.pieces.settle();
    return this.receipts.forward(receipt);
  }

  /** Done, because they went to the dead-letter topic. */
  decideDeadLetter(groupId: GroupId, messages: readonly QueuedMessage[]): DecidedRecord {
    const sections = new LeasedSections();
    for (const { topicId, queueId, offset } of messages) {
      sections.add(groupId, topicId, queueId, 0, 0, ackReason.deadLettered, offset);
    }
    return { kind: RecordKind.ack, payload: encodeLeased(sections.list) };
  }

  /** What keeps the leases of living clients from ending. To be called every few seconds. */
  decideRenewals(nowMs: number, lives: (groupId: GroupId, clientId: string) => boolean): DecidedRecord[] {
    this.pieces.settle();
    return this.clients.renewals(nowMs, lives);
  }

  /** All that the client holds is visible from `visibleAtMs` at the latest. Undefined: it holds nothing longer. */
  decideClientGone(groupId: GroupId, clientId: string, visibleAtMs: number): DecidedRecord | undefined {
    this.pieces.settle();
    return this.clients.gone(groupId, clientId, visibleAtMs);
  }

  /** `ClientLeases.left`: a member says good-bye, or one of several with its client id. Undefined: it holds nothing so. */
  decideLeave(
    groupId: GroupId,
    clientId: string,
    nowMs: number,
    isIts?: (connection: string) => boolean,
  ): DecidedRecord | undefined {
    this.pieces.settle();
    return this.clients.left(groupId, clientId, nowMs, isIts);
  }

  /** The delivery that was just folded goes out on this connection. Soft: forgotten with this leader. */
  sendVia(groupId: GroupId, clientId: string, lease: LeaseId, connection: string): void {
    this.clients.sendVia(groupId, clientId, lease, connection);
  }

  /** Connections that are gone with their proxy; of what went out on them, some is known to have arrived. */
  connectionsLost(
    isLost: (connection: string) => boolean,
    hasArrived: (lease: LeaseId, handedMs: number) => boolean,
  ): void {
    this.pieces.settle();
    this.clients.connectionsLost(isLost, hasArrived);
  }

  /** Where the group begins in queues that it has never asked for. */
  decideStarts(groupId: GroupId, starts: readonly QueuedMessage[]): DecidedRecord {
    const none = new OffsetRuns();
    const queues = starts.map(({ topicId, queueId, offset }) => ({
      topicId,
      queueId,
      start: offset,
      frontier: offset,
      handed: none,
      passed: none,
      parked: none,
    }));
    const terms = { groupId, clientId: '', autoRenew: false, attemptId: '', visibleAtMs: 0, queues };
    return { kind: RecordKind.delivery, payload: encodeDelivery(terms) };
  }

  /** The group goes on at `offset`; receipts from before have no effect any more. */
  decideReset(groupId: GroupId, topicId: TopicId, queueId: QueueId, offset: QueueOffset): DecidedRecord {
    this.pieces.settle();
    const generation = (this.directory.find(groupId, topicId, queueId)?.generation ?? 0) + 1;
    return { kind: RecordKind.resetProgress, payload: encodeReset({ groupId, topicId, queueId, offset, generation }) };
  }

  decideGroupDeleted(groupId: GroupId): DecidedRecord {
    return { kind: RecordKind.groupDeleted, payload: encodeGroupDeleted(groupId) };
  }

  // ---- what is ---------------------------------------------------------------------------------------------------

  /** The earliest time that something of the topic becomes visible again for the group; in the past: it is due now. */
  nextDueMs(groupId: GroupId, topicId: TopicId): number | undefined {
    this.pieces.settle();
    let nextMs = Infinity;
    for (const progress of this.directory.queuesOf(groupId, topicId)) {
      const dueMs = progress.earliestDueMs();
      if (dueMs !== undefined && dueMs < nextMs) nextMs = dueMs;
    }
    return nextMs === Infinity ? undefined : nextMs;
  }

  /** `DueWatch.takeExhausted`: what has become a dead letter, whoever asks for messages. */
  takeExhausted(
    nowMs: number,
    attemptsMaxOf: (groupId: GroupId) => number | undefined,
    max: number,
  ): ExhaustedMessage[] {
    this.pieces.settle();
    return this.dueWatch.takeExhausted(nowMs, attemptsMaxOf, max);
  }

  /** The group may be allowed fewer attempts than before: what is due is looked at again. */
  lookAgain(groupId: GroupId, nowMs: number): void {
    this.pieces.settle();
    this.dueWatch.again(groupId, nowMs);
  }

  /**
   * What is kept for members that nobody knows: it was parked while some of them may not have been heard of yet, or its members
   * have gone. Each offset once, ascending, until `each` has enough; of millions the first.
   */
  eachKeptForNobody(
    groupId: GroupId,
    topicId: TopicId,
    queueId: QueueId,
    filters: readonly Matcher[],
    each: (offset: number) => boolean,
  ): void {
    const progress = this.directory.find(groupId, topicId, queueId);
    if (!progress || progress.parkedCount === 0) return;
    progress.unordered.eachUnclaimed((key) => isKeptFor(filters, key), each);
  }

  /** True: the message was handed out, or parked, and is not done. */
  isOpen(groupId: GroupId, message: QueuedMessage): boolean {
    this.pieces.settle();
    return this.directory.find(groupId, message.topicId, message.queueId)?.isOpen(message.offset) ?? false;
  }

  /**
   * Whether a message that the group is done with may be given to it again: `open`, it is not done with it; `orderly`, its
   * place in its message group's order has passed; `unknown`, the group never got so far in the queue.
   */
  redeliverable(groupId: GroupId, message: QueuedMessage): 'yes' | 'open' | 'orderly' | 'unknown' {
    this.pieces.settle();
    const progress = this.directory.find(groupId, message.topicId, message.queueId);
    if (!progress || message.offset >= progress.frontier) return 'unknown';
    if (progress.lanes) return 'orderly';
    return progress.isOpen(message.offset) ? 'open' : 'yes';
  }

  /** Deliveries so far of a message that is open; 0: it is not. */
  attemptsOf(groupId: GroupId, message: QueuedMessage): number {
    this.pieces.settle();
    return this.directory.find(groupId, message.topicId, message.queueId)?.attemptOf(message.offset) ?? 0;
  }

  /** The record that handed out an open message last, or had it delivered again; undefined: it is not open, or was never handed out. */
  lastHandOut(
    groupId: GroupId,
    message: QueuedMessage,
  ): { readonly epoch: number; readonly position: number } | undefined {
    this.pieces.settle();
    const slot = this.directory.find(groupId, message.topicId, message.queueId)?.slotOf(message.offset) ?? -1;
    if (slot < 0) return undefined;
    const { leases } = this.tables;
    return { epoch: leases.epoch[slot] as number, position: leases.position[slot] as number };
  }

  /**
   * What groups that have ever asked for the queue have still to do with a message of it: those that are not done with it. In
   * `held`, somebody is at work on it or on what comes before it in its order, or it is not due yet: nothing can be said.
   */
  needsOf(topicId: TopicId, queueId: QueueId, offset: QueueOffset, groupHash: number, nowMs: number): MessageNeeds {
    this.pieces.settle();
    const groups: AudienceGroup[] = [];
    let done = 0;
    for (const groupId of this.directory.groupsOf(topicId)) {
      const progress = this.directory.find(groupId, topicId, queueId);
      if (!progress) continue;
      const needs = progress.needs(offset, groupHash, nowMs);
      if (needs === 'held') return heldNeeds;
      const audience = this.audiencesInUse?.of(topicId, queueId);
      if (needs === 'done' || audience?.isFor(groupId, offset) === false) done += 1;
      else
        groups.push({ groupId, attempts: progress.attemptOf(offset) || (audience?.attemptsOf(groupId, offset) ?? 0) });
    }
    return { held: false, groups, done };
  }

  /** Where lanes of orderly groups came free since the last call: somebody may be waiting for their messages. */
  takeFreed(): readonly QueueOfGroup[] {
    const { lanes } = this.tables;
    if (lanes.freed.size === 0) return nowhere;
    const freed = [...lanes.freed];
    lanes.freed.clear();
    return freed;
  }

  /** As of `nowMs`, log time, which does not go back; left out: what is due is not counted apart. */
  figures(groupId: GroupId, topicId: TopicId, queueId: QueueId, nowMs?: number): ProgressFigures | undefined {
    this.pieces.settle();
    const progress = this.directory.find(groupId, topicId, queueId);
    return progress && figuresOf(progress, nowMs);
  }

  /** Of every queue the group has ever asked for, by topic and queue. */
  progressOf(groupId: GroupId, nowMs?: number): ProgressFigures[] {
    this.pieces.settle();
    return [...this.directory.all(groupId)]
      .map((progress) => figuresOf(progress, nowMs))
      .sort((a, b) => a.topicId - b.topicId || a.queueId - b.queueId);
  }

  /** Every group that has ever asked for anything. */
  groups(): Iterable<GroupId> {
    this.pieces.settle();
    return this.directory.groupIds();
  }

  /** Message groups of an orderly group that have something in flight. */
  *busyLanes(groupId: GroupId): Iterable<BusyLane> {
    this.pieces.settle();
    for (const progress of this.directory.all(groupId)) {
      for (const lane of progress.lanes?.all() ?? []) {
        const offset = lane.batch.find((each) => progress.isOpen(each));
        if (offset === undefined) continue;
        const slot = progress.heldBySlot(offset);
        yield {
          topicId: progress.topicId,
          queueId: progress.queueId,
          offset: offset as QueueOffset,
          attempt: progress.attemptOf(offset),
          clientId: slot < 0 ? '' : this.tables.leases.clientOf(slot).clientId,
          untilMs: progress.dueMsOf(offset),
          inFlight: lane.open,
          waiting: lane.kept + lane.spilled,
        };
      }
    }
  }

  /** What the client holds now, renewed leases and others. */
  heldBy(groupId: GroupId, clientId: string): QueuedMessage[] {
    this.pieces.settle();
    return this.clients.heldBy(groupId, clientId);
  }

  /** The whole state in a form that can be compared: a line for each queue and for each message that is not done. */
  describe(): string[] {
    this.pieces.settle();
    const { blocks, leases } = this.tables;
    const lines: string[] = [];
    for (const groupId of this.directory.groupIds()) {
      for (const progress of this.directory.all(groupId)) {
        const name = `${groupId}/${progress.topicId}/${progress.queueId}`;
        lines.push(`${name} frontier ${progress.frontier} generation ${progress.generation}`);
        for (const { hash, open, backlog, kept, spillFrom, spilled, holds } of progress.lanes?.all() ?? []) {
          const offsets = Array.from({ length: kept }, (_, i) => backlog?.at(i)).join();
          const held = holds.map(({ position, clientId, untilMs, offsets }) => [
            position,
            clientId,
            untilMs,
            ...offsets,
          ]);
          const rest = `spilled ${spilled} from ${spillFrom} held ${held
            .map((each) => each.join())
            .sort()
            .join(' ')}`;
          lines.push(`${name} lane ${hash} open ${open} kept ${offsets} ${rest}`);
        }
        for (const { offset, block, index } of progress.openOffsets()) {
          const state = blocks.state(block, index);
          const detail = blocks.detail(block, index);
          const what =
            state === DeliveryState.parked
              ? `parked ${detail}`
              : `${state === DeliveryState.held ? 'held' : 'waiting'} until ${progress.dueMsAt(block, index)} ` +
                `lease ${leases.epoch[detail]}:${leases.position[detail]} of ${leases.clientOf(detail).clientId} ` +
                `renew ${leases.autoRenew[detail]} since ${leases.handedMs[detail]} ` +
                `lane ${leases.lane[detail]} attempt ${leases.attempts.idOf(detail)}`;
          lines.push(`${name} ${offset} attempt ${blocks.attempt(block, index)} ${what}`);
        }
      }
    }
    return lines.sort();
  }

  // ---- inside ----------------------------------------------------------------------------------------------------

  private foldFifoDelivery(record: FoldedRecord): void {
    const delivery = decodeFifoDelivery(record.payload);
    const lease = this.lease(record, delivery, delivery.attemptId);
    for (const queue of delivery.queues) {
      const progress =
        this.directory.find(delivery.groupId, queue.topicId, queue.queueId) ??
        this.directory.create(delivery.groupId, queue.topicId, queue.queueId, queue.start ?? queue.frontier);
      progress.deliveryLanes(queue, lease, record.timestampMs);
    }
    lease.client.slots -= 1;
    this.tables.leases.dropIfIdle(lease.client);
  }

  private foldDelivery(record: FoldedRecord): void {
    const delivery = decodeDelivery(record.payload);
    const lease = this.lease(record, delivery, '');
    for (const queue of delivery.queues) {
      const progress =
        this.directory.find(delivery.groupId, queue.topicId, queue.queueId) ??
        this.directory.create(delivery.groupId, queue.topicId, queue.queueId, queue.start ?? queue.frontier);
      progress.delivery(queue, lease);
    }
    lease.client.slots -= 1;
    this.tables.leases.dropIfIdle(lease.client);
  }

  /** What was done is due now, as if nobody had been given it before: held by nobody, under a lease that ends with its record. */
  private foldReplayed(record: FoldedRecord): void {
    const { mode, groupId, letters } = decodeDeadLettersReplayed(record.payload);
    if (mode !== 'toGroup') return;
    const terms = { groupId, clientId: '', autoRenew: false, visibleAtMs: record.timestampMs };
    const lease = this.lease(record, terms, '');
    const byQueue = new Map<QueueProgress, number[]>();
    for (const { topicId, queueId, offset } of letters) {
      const progress = this.directory.find(groupId, topicId, queueId);
      const offsets = progress && byQueue.get(progress);
      if (offsets) offsets.push(offset);
      else if (progress) byQueue.set(progress, [offset]);
    }
    for (const [progress, offsets] of byQueue) progress.redeliver(offsets, lease);
    lease.client.slots -= 1;
    this.tables.leases.dropIfIdle(lease.client);
  }

  /** The messages are nobody's any more: what was known of them is forgotten. The record says what it was. */
  private foldTransfer({ instead, queues }: Transfer): void {
    if (instead !== undefined) return; // They were on their way before.
    for (const { topicId, queueId, messages } of queues) {
      for (const groupId of this.directory.groupsOf(topicId)) {
        const progress = this.directory.find(groupId, topicId, queueId);
        for (const { offset, groupHash } of progress ? messages : []) progress?.transferred(offset, groupHash);
      }
    }
  }

  /** The client counts one slot more, so that it stays while its older leases may be leaving: take that back. */
  private lease(
    { epoch, position, timestampMs: handedMs }: FoldedRecord,
    { groupId, clientId, autoRenew, visibleAtMs: dueMs }: DeliveryTerms,
    attemptId: string,
  ): NewLease {
    const client = this.tables.leases.clientFor(groupId, clientId);
    client.slots += 1;
    return { epoch, position, handedMs, dueMs, autoRenew, client, attemptId };
  }

  private foldExpiry(payload: Uint8Array): void {
    eachExpired(payload, (topicId, queueId, first) => {
      for (const groupId of this.directory.groupsOf(topicId)) {
        this.directory.find(groupId, topicId, queueId)?.expire(first);
      }
    });
  }
}

interface DeliveryTerms {
  readonly groupId: GroupId;
  readonly clientId: string;
  readonly autoRenew: boolean;
  readonly visibleAtMs: number;
}

/** What is still to be done with a message. */
export interface MessageNeeds {
  readonly held: boolean;
  /** Groups that are not done with it, and how often it was delivered to each. */
  readonly groups: readonly AudienceGroup[];
  /** How many are. */
  readonly done: number;
}

const heldNeeds: MessageNeeds = { held: true, groups: [], done: 0 };
const nowhere: readonly QueueOfGroup[] = [];

function figuresOf(progress: QueueProgress, nowMs: number | undefined): ProgressFigures {
  return {
    groupId: progress.groupId,
    topicId: progress.topicId,
    queueId: progress.queueId,
    committed: progress.committed as QueueOffset,
    frontier: progress.frontier as QueueOffset,
    inFlight: progress.inFlight,
    waiting: progress.waiting,
    due: nowMs === undefined ? 0 : progress.dueBy(nowMs),
    parked: progress.parkedCount,
    blocked: progress.lanes?.waitingCount() ?? 0,
    lanes: progress.lanes?.size ?? 0,
    oldestUndelivered: progress.oldestUndelivered as QueueOffset,
    nextDueMs: progress.earliestDueMs(),
    generation: progress.generation,
  };
}
