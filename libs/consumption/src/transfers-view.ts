import {
  decodePendingTransfer,
  decodeTopicDeleted,
  decodeTransfer,
  decodeTransferDone,
  eachExpired,
  eachLiteQueueGone,
  encodePendingTransfer,
  encodeTransfer,
  Envelope,
  nobody,
  pendingTransferOver,
  RecordKind,
  type Audience,
  type LogPosition,
  type PendingTransfer,
  type QueueId,
  type StateChange,
  type TopicId,
  type Transfer,
  type TransferMark,
} from '@cometmq/model';
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import type { FoldedRecord } from './ports.js';
import { audienceText, QueueAudiences } from './queue-audiences.js';

/** A record with a place in a queue. */
interface QueuedRecord extends FoldedRecord {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly queueOffset: number;
}

/** How far a broker set's transfers to this one have got: this one and all before it, up to this message of it, are here. */
export interface Taken {
  readonly transfer: LogPosition;
  readonly index: number;
}

/** A transfer that the other set may not have yet, or not have all of. */
export interface OpenTransfer {
  readonly position: LogPosition;
  readonly transfer: Transfer | PendingTransfer;
}

const layout = 1;

/**
 * Messages that go from one broker set to another: in the set that gives them, those that are on their way and which transfers
 * are open; in the set that takes them, whom each is for and how far each other set has got. A view over the log, as the groups'
 * is, which asks it whom messages are for.
 *
 *   audiences/<topic>/<queue>/<piece>   queue-audiences.ts
 *   open/<position>                     the payload of the transfer's record
 *   pending/<position>                  the same of one of pending messages
 *   taken/<log>/<broker set>            | 1 | transfer | index |
 *   sent                                | 1 | messages |
 *   leaving                             | 1 | topics | topic × topics |
 */
export class TransfersView {
  readonly name = 'transfers';
  readonly kinds: ReadonlySet<RecordKind> = new Set<RecordKind>([
    ...[RecordKind.transferred, RecordKind.transferredLetter, RecordKind.returnedLetter],
    RecordKind.transferredPending,
    RecordKind.transferPending,
    RecordKind.transferPendingDone,
    RecordKind.transfer,
    RecordKind.transferDone,
    RecordKind.transfersEnded,
    RecordKind.expiry,
    RecordKind.topicDeleted,
    RecordKind.liteTopicsDeleted,
  ]);
  /** Messages that other sets have got from this one, since it began to leave. */
  sent = 0;
  /** Topics of which messages with a group have gone: those that follow them go, too, before anybody is given them. */
  readonly leaving = new Set<TopicId>();
  private readonly topics = new Map<TopicId, Map<QueueId, QueueAudiences>>();
  private readonly opened = new Map<LogPosition, Transfer | PendingTransfer>();
  /** Where pending messages stand that are in transfers which are open. */
  private readonly pendingPlaces = new Set<LogPosition>();
  private readonly taken = new Map<string, Taken>();
  private readonly audiences = new Map<string, Audience>();
  private readonly dirty = new Set<string>();
  private readonly out = new ByteWriter();

  /** Nearly always: then there is nothing to ask. */
  get isEmpty(): boolean {
    return this.topics.size === 0;
  }

  /** Messages that are in transfers which are open. */
  get onTheirWay(): number {
    let sum = 0;
    for (const transfer of this.opened.values()) sum += countOf(transfer);
    return sum;
  }

  /** Undefined: all that is in the queue is for whoever comes. */
  of(topicId: TopicId, queueId: QueueId): QueueAudiences | undefined {
    return this.topics.get(topicId)?.get(queueId);
  }

  /** In the order of the log. */
  open(): OpenTransfer[] {
    return [...this.opened]
      .map(([position, transfer]) => ({ position, transfer }))
      .sort((one, other) => one.position - other.position);
  }

  /** A pending message that stood here is on its way to another set. */
  isOnItsWay(position: LogPosition): boolean {
    return this.pendingPlaces.has(position);
  }

  /** Whether anything has ever come from another set. */
  get hasTaken(): boolean {
    return this.taken.size > 0;
  }

  takenFrom(brokerSet: string, log: number): Taken | undefined {
    return this.taken.get(`${log}/${brokerSet}`);
  }

  fold(record: FoldedRecord): void {
    switch (record.kind) {
      case RecordKind.transferred:
      case RecordKind.transferredLetter:
        return this.foldTransferred(record as QueuedRecord);
      case RecordKind.returnedLetter: {
        const { topicId, queueId, queueOffset, payload } = record as QueuedRecord;
        const mark = new Envelope(payload).transferMark;
        assert(mark !== undefined, 'a dead letter that goes back says for whom');
        return this.set(topicId, queueId, queueOffset, mark.audience);
      }
      case RecordKind.transfer:
        return this.foldTransfer(record.position, decodeTransfer(record.payload));
      case RecordKind.transferDone:
        return this.foldDone(decodeTransferDone(record.payload));
      case RecordKind.transferredPending:
        this.foldMark(record.payload);
        return;
      case RecordKind.transferPending: {
        const transfer = decodePendingTransfer(record.payload);
        this.takeOver(transfer);
        this.begin(record.position, transfer);
        return;
      }
      case RecordKind.transferPendingDone:
        return this.foldDone(pendingTransferOver(record.payload));
      case RecordKind.transfersEnded:
        this.sent = 0;
        this.leaving.clear();
        this.dirty.add('sent').add('leaving');
        return;
      case RecordKind.expiry:
        return eachExpired(record.payload, (topicId, queueId, first) => this.expire(topicId, queueId, first));
      case RecordKind.topicDeleted: {
        const topicId = decodeTopicDeleted(record.payload);
        for (const queueId of [...(this.topics.get(topicId)?.keys() ?? [])]) this.drop(topicId, queueId);
        return;
      }
      case RecordKind.liteTopicsDeleted:
        return eachLiteQueueGone(record.payload, ({ topicId, queueId }) => this.drop(topicId, queueId));
      default: // Not ours: no change.
    }
  }

  takeChanges(): StateChange[] {
    const changes = [...this.dirty].map((key) => ({ key, value: this.encode(key) }));
    this.dirty.clear();
    return changes;
  }

  load(key: string, value: Uint8Array): void {
    const [kind = '', ...rest] = key.split('/');
    if (kind === 'audiences') {
      const [topicId, queueId, piece] = rest.map(Number);
      this.queue(topicId as TopicId, queueId as QueueId).load(piece as number, value);
      return;
    }
    if (kind === 'open') {
      this.begin(Number(rest[0]) as LogPosition, decodeTransfer(value), true);
      return;
    }
    if (kind === 'pending') {
      this.begin(Number(rest[0]) as LogPosition, decodePendingTransfer(value), true);
      return;
    }
    const from = new ByteReader(value);
    assert(from.u8() === layout, 'a piece of transfers has a layout this version knows');
    if (kind === 'sent') this.sent = from.whole();
    else if (kind === 'leaving') {
      for (let left = from.whole(); left > 0; left -= 1) this.leaving.add(from.whole() as TopicId);
    } else this.taken.set(rest.join('/'), { transfer: from.whole() as LogPosition, index: from.whole() });
  }

  clear(): void {
    this.sent = 0;
    const { topics, opened, pendingPlaces, taken, audiences, leaving, dirty } = this;
    for (const each of [topics, opened, pendingPlaces, taken, audiences, leaving, dirty]) each.clear();
  }

  /** The whole state in a form that can be compared. */
  describe(): string[] {
    const lines = [`sent ${this.sent}`];
    if (this.leaving.size > 0) lines.push(`leaving ${[...this.leaving].sort((a, b) => a - b).join()}`);
    for (const [topicId, queues] of this.topics) {
      for (const [queueId, queue] of queues) {
        for (const line of queue.describe()) lines.push(`${topicId}/${queueId} ${line}`);
      }
    }
    for (const { position, transfer } of this.open()) {
      lines.push(`open ${position} to ${transfer.to}: ${countOf(transfer)} messages`);
    }
    for (const [brokerSet, { transfer, index }] of this.taken) lines.push(`from ${brokerSet} ${transfer} ${index}`);
    return lines.sort();
  }

  private foldTransferred({ topicId, queueId, queueOffset, payload }: QueuedRecord): void {
    const { audience } = this.foldMark(payload);
    // What nobody was done with, and nobody was given, is as any other message.
    if (!audience.only && audience.groups.every(({ attempts }) => attempts === 0)) return;
    this.set(topicId, queueId, queueOffset, audience);
  }

  private foldMark(payload: Uint8Array): TransferMark {
    const mark = new Envelope(payload).transferMark;
    assert(mark !== undefined, 'a message that came from another broker set says so');
    const { from, log, transfer, index } = mark;
    this.taken.set(`${log}/${from}`, { transfer, index });
    this.dirty.add(`taken/${log}/${from}`);
    return mark;
  }

  private foldTransfer(position: LogPosition, transfer: Transfer): void {
    const { instead, queues } = transfer;
    this.takeOver(transfer);
    this.begin(position, transfer);
    if (instead !== undefined) return; // They are on their way already.
    for (const { topicId, queueId, messages } of queues) {
      for (const { offset } of messages) this.set(topicId, queueId, offset, nobody);
      if (this.leaving.has(topicId) || messages.every(({ groupHash }) => groupHash === 0)) continue;
      this.leaving.add(topicId);
      this.dirty.add('leaving');
    }
  }

  private foldDone(position: LogPosition): void {
    const transfer = this.opened.get(position);
    if (!transfer) return;
    this.close(position);
    this.sent += countOf(transfer);
    this.dirty.add('sent');
  }

  private begin(position: LogPosition, transfer: Transfer | PendingTransfer, isLoaded = false): void {
    this.opened.set(position, transfer);
    if (isOfPending(transfer)) for (const message of transfer.messages) this.pendingPlaces.add(message.position);
    if (!isLoaded) this.dirty.add(openKey(position, transfer));
  }

  /** Of an earlier transfer these go elsewhere; what it has beside them may go to yet another set, by the next record. */
  private takeOver(transfer: Transfer | PendingTransfer): void {
    const { instead } = transfer;
    const earlier = instead === undefined ? undefined : this.opened.get(instead);
    if (instead === undefined || !earlier) return;
    const rest = without(earlier, transfer);
    if (countOf(rest) === 0) return this.close(instead);
    this.opened.set(instead, rest);
    this.dirty.add(openKey(instead, rest));
  }

  private close(position: LogPosition): void {
    const transfer = this.opened.get(position);
    if (!transfer) return;
    this.opened.delete(position);
    if (isOfPending(transfer)) for (const message of transfer.messages) this.pendingPlaces.delete(message.position);
    this.dirty.add(openKey(position, transfer));
  }

  private set(topicId: TopicId, queueId: QueueId, offset: number, audience: Audience): void {
    const piece = this.queue(topicId, queueId).set(offset, audience);
    this.dirty.add(`audiences/${topicId}/${queueId}/${piece}`);
  }

  private queue(topicId: TopicId, queueId: QueueId): QueueAudiences {
    let queues = this.topics.get(topicId);
    if (!queues) this.topics.set(topicId, (queues = new Map<QueueId, QueueAudiences>()));
    let queue = queues.get(queueId);
    if (!queue) queues.set(queueId, (queue = new QueueAudiences((audience) => this.same(audience))));
    return queue;
  }

  private same(audience: Audience): Audience {
    const key = audienceText(audience);
    const known = this.audiences.get(key);
    if (!known) this.audiences.set(key, audience);
    return known ?? audience;
  }

  private expire(topicId: TopicId, queueId: QueueId, first: number): void {
    const queue = this.of(topicId, queueId);
    if (!queue) return;
    for (const piece of queue.expire(first)) this.dirty.add(`audiences/${topicId}/${queueId}/${piece}`);
    if (queue.isEmpty) this.drop(topicId, queueId);
  }

  private drop(topicId: TopicId, queueId: QueueId): void {
    const queues = this.topics.get(topicId);
    const queue = queues?.get(queueId);
    if (!queues || !queue) return;
    for (const piece of queue.numbers()) this.dirty.add(`audiences/${topicId}/${queueId}/${piece}`);
    queues.delete(queueId);
    if (queues.size === 0) this.topics.delete(topicId);
    if (this.topics.size === 0) this.audiences.clear();
  }

  private encode(key: string): Uint8Array | undefined {
    const [kind = '', ...rest] = key.split('/');
    const { out } = this;
    if (kind === 'audiences') {
      const [topicId, queueId, piece] = rest.map(Number);
      return this.of(topicId as TopicId, queueId as QueueId)?.encode(piece as number, out);
    }
    if (kind === 'open' || kind === 'pending') {
      const transfer = this.opened.get(Number(rest[0]) as LogPosition);
      if (!transfer) return undefined;
      return isOfPending(transfer) ? encodePendingTransfer(transfer) : encodeTransfer(transfer);
    }
    out.begin();
    out.u8(layout);
    if (kind === 'sent') out.whole(this.sent);
    else if (kind === 'leaving') {
      out.whole(this.leaving.size);
      for (const topicId of this.leaving) out.whole(topicId);
    } else {
      const taken = this.taken.get(rest.join('/'));
      if (!taken) return undefined;
      out.whole(taken.transfer);
      out.whole(taken.index);
    }
    return out.taken();
  }
}

/** Of messages that no queue shows. */
export function isOfPending(transfer: Transfer | PendingTransfer): transfer is PendingTransfer {
  return 'messages' in transfer;
}

/** Messages that it names. */
export function countOf(transfer: Transfer | PendingTransfer): number {
  if (isOfPending(transfer)) return transfer.messages.length;
  return transfer.queues.reduce((sum, { messages }) => sum + messages.length, 0);
}

function without(earlier: Transfer | PendingTransfer, taken: Transfer | PendingTransfer): Transfer | PendingTransfer {
  if (isOfPending(earlier)) {
    const gone = new Set(isOfPending(taken) ? taken.messages.map(({ position }) => position) : []);
    return { ...earlier, messages: earlier.messages.filter(({ position }) => !gone.has(position)) };
  }
  const gone = new Set<string>();
  for (const { topicId, queueId, messages } of isOfPending(taken) ? [] : taken.queues) {
    for (const { offset } of messages) gone.add(`${topicId}/${queueId}/${offset}`);
  }
  const queues = earlier.queues.map((queue) => ({
    ...queue,
    messages: queue.messages.filter(({ offset }) => !gone.has(`${queue.topicId}/${queue.queueId}/${offset}`)),
  }));
  return { ...earlier, queues: queues.filter(({ messages }) => messages.length > 0) };
}

function openKey(position: LogPosition, transfer: Transfer | PendingTransfer): string {
  return `${isOfPending(transfer) ? 'pending' : 'open'}/${position}`;
}
