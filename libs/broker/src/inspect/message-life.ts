/**
 * The life of one message, told by the log: every record that decided something on it, in the order of the log. The index
 * names the records that may; each is read, and says whether it does.
 */
import {
  ackReason,
  decodeClientLeases,
  decodeDelivery,
  decodeFifoDelivery,
  decodeLeased,
  decodeReset,
  type OffsetRuns,
} from '@cometmq/consumption';
import type { LifeEvent, LifeEventKind, MessageLife, MessagePlace } from '@cometmq/client';
import {
  decodeDeadLettersReplayed,
  decodePendingTransfer,
  decodeReference,
  decodeTransfer,
  eachDropped,
  eachExpired,
  Envelope,
  hashText,
  isTransferred,
  RecordKind,
  releasesPending,
} from '@cometmq/model';
import type { GroupId, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { MqError, type Pacing } from '@cometmq/shared';
import { isPending, type Candidate, type LogRecord, type StorePorts } from '@cometmq/store';
import { decodeMoves } from '@cometmq/timers';
import { decodeAudit, decodeChecked, decodeParked } from '@cometmq/transactions';

import { Subject } from './decision-entries.js';
import type { DecisionIndex } from './decision-index.js';

type Store = Pick<StorePorts, 'findReferences' | 'readRecords'>;

/** References to one message: a release, and a dead letter a group. */
const referencesMax = 64;
const eventsMax = 2_000;
/** Records read at once. */
const sliceRecords = 64;
/** How long a question waits for the index to reach the end of the log. */
const followMsMax = 2_000;

/** A message in a queue. */
interface Standing {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly offset: QueueOffset;
  /** Of the record that shows it there. */
  readonly position: LogPosition;
}

/** Who holds the message for a group. */
interface Holder {
  readonly clientId: string;
  readonly handedMs: number;
  readonly renews: boolean;
  readonly attempt: number;
}

export class MessageLives {
  constructor(
    private readonly store: Store,
    private readonly index: DecisionIndex,
    private readonly pacing: Pacing,
    private readonly within: (ms: number, work: Promise<unknown>) => Promise<unknown>,
  ) {}

  /** @throws MqError MESSAGE_NOT_FOUND */
  async of(place: MessagePlace): Promise<MessageLife> {
    await this.within(followMsMax, this.index.follow());
    const shown = await this.record(place);
    const origin =
      shown.kind === RecordKind.reference ? await this.record(decodeReference(shown.payload).target) : shown;
    const events: LifeEvent[] = [];
    const standings: Standing[] = [];
    const mark = isTransferred(origin.payload) ? new Envelope(origin.payload).transferMark : undefined;
    const { from, returned } = mark ?? {};
    if (isPending(origin.kind)) {
      events.push({
        ...event(from === undefined ? 'pending' : 'cameOver', origin, standingOf(origin)),
        who: from ?? '',
      });
      for (const record of await this.decisions(Subject.pending, 0, origin.position, origin.position)) {
        events.push(...pendingEvents(record, origin));
      }
    } else {
      const kind = from === undefined ? 'stored' : returned ? 'replayed' : 'cameOver';
      const told = event(kind, origin, standingOf(origin));
      const groupId = (returned && mark?.audience.groups[0]?.groupId) ?? told.groupId;
      events.push({ ...told, groupId, who: returned?.who ?? from ?? '' });
      standings.push(standingOf(origin));
    }
    for (const record of await this.references(origin)) {
      const { groupId, reason } = decodeReference(record.payload);
      // A dead letter is told by its group's own record; where it stands is looked at when that was asked for.
      if (!releasesPending(reason) && record.position !== shown.position) continue;
      standings.push(standingOf(record));
      events.push({ ...event(releasesPending(reason) ? 'visible' : 'stored', record, standingOf(record)), groupId });
    }
    let cut = false;
    for (const standing of standings) cut = !(await this.consumption(standing, events)) || cut;
    events.sort((a, b) => a.position - b.position);
    return {
      events: events.slice(0, eventsMax),
      indexedTo: this.index.indexedTo,
      cut: cut || events.length > eventsMax,
    };
  }

  /** What groups did with the message in one queue. False: there is too much of it. */
  private async consumption(standing: Standing, events: LifeEvent[]): Promise<boolean> {
    const { topicId, queueId, offset, position } = standing;
    const decided = await this.decisions(topicId, queueId, offset, position);
    const records = new Map(decided.map((record) => [record.position, record]));
    for (const { groupId, clientId, from, to } of holdings(decided, standing)) {
      for (const record of await this.decisions(Subject.client, groupId, hashText(clientId), from, to)) {
        records.set(record.position, record);
      }
      for (const record of await this.decisions(Subject.group, groupId, 0, from, to)) {
        records.set(record.position, record);
      }
    }
    const told = new Teller(standing, events);
    const pace = this.pacing.begin();
    for (const record of [...records.values()].sort((a, b) => a.position - b.position)) {
      if (pace.isOver) await pace.rest();
      told.take(record);
      if (events.length > eventsMax) return false;
    }
    return true;
  }

  private async decisions(
    topic: number,
    queue: number,
    offset: number,
    after: number,
    before?: number,
  ): Promise<LogRecord[]> {
    const places: Candidate[] = [];
    let last = -1;
    await this.index.find(
      { topic, queue, offset, after, ...(before !== undefined && { before }) },
      (position, size) => {
        if (position !== last) places.push({ position, size });
        last = position;
      },
    );
    const records: LogRecord[] = [];
    const pace = this.pacing.begin();
    for (let at = 0; at < places.length; at += sliceRecords) {
      for (const record of await pace.during(this.store.readRecords(places.slice(at, at + sliceRecords)))) {
        if (!(record instanceof MqError)) records.push(record); // It went with its segment meanwhile.
      }
      if (pace.isOver) await pace.rest();
    }
    return records;
  }

  private async references(origin: LogRecord): Promise<LogRecord[]> {
    const found = await this.store.readRecords(await this.store.findReferences(origin.position, referencesMax));
    return found.filter(
      (record): record is LogRecord =>
        !(record instanceof MqError) &&
        record.kind === RecordKind.reference &&
        decodeReference(record.payload).target.position === origin.position,
    );
  }

  private async record(place: MessagePlace): Promise<LogRecord> {
    return messageRecord(this.store, place);
  }
}

const messageKinds = [
  ...[RecordKind.message, RecordKind.reference, RecordKind.pending, RecordKind.transferredPending],
  ...[RecordKind.transferred, RecordKind.transferredLetter, RecordKind.returnedLetter],
];

/**
 * The record of a message at a place that somebody named: nothing is held against the log where there is none.
 *
 * @throws MqError MESSAGE_NOT_FOUND
 */
export async function messageRecord(store: Pick<Store, 'readRecords'>, place: MessagePlace): Promise<LogRecord> {
  const [found] = await store.readRecords([place]);
  const isMessage = found && !(found instanceof MqError) && messageKinds.some((kind) => kind === found.kind);
  if (!isMessage) throw new MqError('MESSAGE_NOT_FOUND', 'no message stands at this place of the log, or not any more');
  return found;
}

/** Goes through the records about one message in one queue, and tells what each says of it. */
class Teller {
  private readonly holders = new Map<GroupId, Holder>();
  private isExpired = false;

  constructor(
    private readonly standing: Standing,
    private readonly events: LifeEvent[],
  ) {}

  take(record: LogRecord): void {
    const { topicId, queueId, offset } = this.standing;
    switch (record.kind) {
      case RecordKind.delivery:
        return this.takeDelivery(record);
      case RecordKind.fifoDelivery:
        return this.takeFifoDelivery(record);
      case RecordKind.ack:
      case RecordKind.changeInvisible:
      case RecordKind.handBack:
        for (const section of decodeLeased(record.payload)) {
          if (section.topicId !== topicId || section.queueId !== queueId) continue;
          if (valueAt(section.offsets, offset) === undefined) continue;
          const { groupId, value } = section;
          const holder = this.holders.get(groupId);
          const kind = leasedKind(record.kind, value);
          this.tell(record, kind, groupId, holder, record.kind === RecordKind.ack ? 0 : value);
          this.holders.delete(groupId);
        }
        return;
      case RecordKind.changeClientLeases: {
        const { mode, groupId, clientId, visibleAtMs, handedAfterMs } = decodeClientLeases(record.payload);
        const holder = this.holders.get(groupId);
        if (!holder || holder.clientId !== clientId) return;
        if (mode === 'renew' && (!holder.renews || holder.handedMs <= handedAfterMs)) return;
        this.tell(record, mode === 'renew' ? 'renewed' : 'clientGone', groupId, holder, visibleAtMs);
        return;
      }
      case RecordKind.deadLettersReplayed: {
        const { mode, groupId, who, letterTopicId, letters } = decodeDeadLettersReplayed(record.payload);
        const isIt = letters.some(
          (letter) =>
            (letterTopicId === topicId && letter.letterOffset === offset) ||
            (letter.topicId === topicId && letter.queueId === queueId && letter.offset === offset) ||
            (letter.topicId === topicId && letter.sent?.queueId === queueId && letter.sent.offset === offset),
        );
        if (!isIt || this.events.some(({ position }) => position === record.position)) return;
        const kind = mode === 'toGroup' ? 'replayed' : 'resent';
        this.events.push({ ...event(kind, record, this.standing), groupId, who });
        return;
      }
      case RecordKind.returnedLetter: {
        const mark = new Envelope(record.payload).transferMark;
        const [group] = mark?.audience.groups ?? [];
        const { letterTopicId, letterOffset, who = '' } = mark?.returned ?? {};
        if (!group || letterTopicId !== topicId || letterOffset !== offset) return;
        this.events.push({ ...event('replayed', record, this.standing), groupId: group.groupId, who });
        return;
      }
      case RecordKind.transfer: {
        const { to, instead, queues } = decodeTransfer(record.payload);
        const isIt = queues.some(
          (queue) =>
            queue.topicId === topicId &&
            queue.queueId === queueId &&
            queue.messages.some((message) => message.offset === offset),
        );
        // What goes to yet another set than was said before goes once.
        if (!isIt) return;
        if (instead !== undefined)
          this.events.splice(
            this.events.findLastIndex(({ kind }) => kind === 'handedOver'),
            1,
          );
        this.holders.clear();
        this.events.push({ ...event('handedOver', record, this.standing), who: to });
        return;
      }
      case RecordKind.resetProgress: {
        const reset = decodeReset(record.payload);
        if (reset.topicId !== topicId || reset.queueId !== queueId) return;
        this.holders.delete(reset.groupId);
        this.events.push({
          ...event('moved', record, this.standing),
          groupId: reset.groupId,
          offset: reset.offset as QueueOffset,
        });
        return;
      }
      case RecordKind.groupDeleted:
        for (const [groupId, holder] of this.holders) this.tell(record, 'groupDeleted', groupId, holder, 0);
        this.holders.clear();
        return;
      case RecordKind.expiry:
        eachExpired(record.payload, (topic, queue, first) => {
          if (this.isExpired || topic !== topicId || queue !== queueId || first <= offset) return;
          this.isExpired = true;
          this.events.push(event('expired', record, this.standing));
        });
        return;
      default:
    }
  }

  private takeDelivery(record: LogRecord): void {
    const { groupId, clientId, autoRenew, visibleAtMs, queues } = decodeDelivery(record.payload);
    const { topicId, queueId, offset } = this.standing;
    for (const queue of queues) {
      if (queue.topicId !== topicId || queue.queueId !== queueId) continue;
      const attempt = valueAt(queue.handed, offset);
      if (attempt !== undefined) this.hand(record, groupId, clientId, autoRenew, attempt, visibleAtMs);
      else if (valueAt(queue.parked, offset) !== undefined) this.tell(record, 'setAside', groupId, undefined, 0);
      else if (valueAt(queue.passed, offset) !== undefined) this.tell(record, 'passedOver', groupId, undefined, 0);
    }
  }

  private takeFifoDelivery(record: LogRecord): void {
    const { groupId, clientId, autoRenew, visibleAtMs, queues } = decodeFifoDelivery(record.payload);
    const { topicId, queueId, offset } = this.standing;
    for (const queue of queues) {
      if (queue.topicId !== topicId || queue.queueId !== queueId) continue;
      if (valueAt(queue.passed, offset) !== undefined) this.tell(record, 'passedOver', groupId, undefined, 0);
      for (const { handed, kept } of queue.lanes) {
        const attempt = valueAt(handed, offset);
        if (attempt !== undefined) this.hand(record, groupId, clientId, autoRenew, attempt, visibleAtMs);
        else if (valueAt(kept, offset) !== undefined) this.tell(record, 'kept', groupId, undefined, 0);
      }
    }
  }

  private hand(
    record: LogRecord,
    groupId: GroupId,
    clientId: string,
    renews: boolean,
    attempt: number,
    untilMs: number,
  ): void {
    const holder = { clientId, renews, attempt, handedMs: record.timestampMs };
    this.holders.set(groupId, holder);
    this.tell(record, 'delivered', groupId, holder, untilMs);
  }

  private tell(
    record: LogRecord,
    kind: LifeEventKind,
    groupId: GroupId,
    holder: Holder | undefined,
    untilMs: number,
  ): void {
    this.events.push({
      ...event(kind, record, this.standing),
      groupId,
      clientId: holder?.clientId ?? '',
      attempt: holder?.attempt ?? 0,
      untilMs,
    });
  }
}

interface Holding {
  readonly groupId: GroupId;
  readonly clientId: string;
  readonly from: LogPosition;
  /** Undefined: it holds the message still, or until nobody knows when. */
  to: LogPosition | undefined;
}

/** Who held the message for which group, and between which records: beyond them nothing about the client is of interest. */
function holdings(decided: readonly LogRecord[], standing: Standing): Iterable<Holding> {
  const all = new Map<string, Holding>();
  const held = new Map<GroupId, Holding>();
  for (const record of decided) {
    const holder = delivered(record, standing);
    for (const groupId of holder ? [holder.groupId] : leasingGroups(record, standing)) {
      const holding = held.get(groupId);
      if (holding) holding.to = record.position;
      held.delete(groupId);
    }
    if (!holder) continue;
    const key = `${holder.groupId}/${holder.clientId}`;
    const holding = all.get(key) ?? { ...holder, from: record.position, to: undefined };
    holding.to = undefined;
    all.set(key, holding);
    held.set(holder.groupId, holding);
  }
  return all.values();
}

/** Groups whose lease of the message the record ends. */
function leasingGroups({ kind, payload }: LogRecord, { topicId, queueId, offset }: Standing): GroupId[] {
  if (kind !== RecordKind.ack && kind !== RecordKind.changeInvisible && kind !== RecordKind.handBack) return [];
  return decodeLeased(payload)
    .filter((section) => section.topicId === topicId && section.queueId === queueId)
    .filter(({ offsets }) => valueAt(offsets, offset) !== undefined)
    .map(({ groupId }) => groupId);
}

function leasedKind(kind: RecordKind, value: number): LifeEventKind {
  if (kind === RecordKind.ack) return value === ackReason.deadLettered ? 'deadLettered' : 'acknowledged';
  return kind === RecordKind.handBack ? 'handedBack' : 'timeChanged';
}

/** Whom the record handed the message to. */
function delivered(
  record: LogRecord,
  { topicId, queueId, offset }: Standing,
): { readonly groupId: GroupId; readonly clientId: string } | undefined {
  if (record.kind === RecordKind.delivery) {
    const { groupId, clientId, queues } = decodeDelivery(record.payload);
    const isIt = queues.some(
      (queue) => queue.topicId === topicId && queue.queueId === queueId && valueAt(queue.handed, offset) !== undefined,
    );
    return isIt ? { groupId, clientId } : undefined;
  }
  if (record.kind !== RecordKind.fifoDelivery) return undefined;
  const { groupId, clientId, queues } = decodeFifoDelivery(record.payload);
  const isIt = queues.some(
    (queue) =>
      queue.topicId === topicId &&
      queue.queueId === queueId &&
      queue.lanes.some(({ handed }) => valueAt(handed, offset) !== undefined),
  );
  return isIt ? { groupId, clientId } : undefined;
}

function pendingEvents(record: LogRecord, origin: LogRecord): LifeEvent[] {
  const standing = standingOf(origin);
  const isIt = (position: number): boolean => position === origin.position;
  switch (record.kind) {
    case RecordKind.timerMoved:
      return decodeMoves(record.payload)
        .filter(({ timer }) => isIt(timer.position))
        .map(({ dueMs }) => ({ ...event('rescheduled', record, standing), untilMs: dueMs }));
    case RecordKind.transactionChecked:
      return decodeChecked(record.payload)
        .filter(({ position }) => isIt(position))
        .map(({ nextCheckMs }) => ({ ...event('checked', record, standing), untilMs: nextCheckMs }));
    case RecordKind.transactionParked:
      return decodeParked(record.payload)
        .filter(isIt)
        .map(() => event('checksEnded', record, standing));
    case RecordKind.transactionAudited: {
      const { who, position } = decodeAudit(record.payload);
      return isIt(position) ? [{ ...event('operatorDecided', record, standing), who }] : [];
    }
    case RecordKind.transferPending: {
      const { to, messages } = decodePendingTransfer(record.payload);
      return messages
        .filter(({ position }) => isIt(position))
        .map(() => ({ ...event('handedOver', record, standing), who: to }));
    }
    case RecordKind.dropped: {
      const dropped: LifeEvent[] = [];
      eachDropped(record.payload, (position) => {
        if (isIt(position)) dropped.push(event('dropped', record, standing));
      });
      return dropped;
    }
    default:
      return [];
  }
}

function standingOf({ topicId, queueId, queueOffset: offset, position }: LogRecord): Standing {
  return { topicId, queueId, offset, position };
}

function event(kind: LifeEventKind, record: LogRecord, { topicId, queueId, offset }: Standing): LifeEvent {
  return {
    atMs: record.timestampMs,
    kind,
    position: record.position,
    groupId: 0 as GroupId,
    clientId: '',
    attempt: 0,
    untilMs: 0,
    topicId,
    queueId,
    offset,
    who: '',
  };
}

function valueAt({ starts, counts, values }: OffsetRuns, offset: number): number | undefined {
  for (let i = 0; i < starts.length; i += 1) {
    const start = starts[i] as number;
    if (offset >= start && offset < start + (counts[i] as number)) return values[i];
  }
  return undefined;
}
