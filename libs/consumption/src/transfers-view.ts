import {
  decodeTopicDeleted,
  decodeTransfer,
  decodeTransferDone,
  eachExpired,
  eachLiteQueueGone,
  encodeTransfer,
  Envelope,
  nobody,
  RecordKind,
  type Audience,
  type LogPosition,
  type QueueId,
  type StateChange,
  type TopicId,
  type Transfer,
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
  readonly transfer: Transfer;
}

const layout = 1;

/**
 * Messages that go from one broker set to another: in the set that gives them, those that are on their way and which transfers
 * are open; in the set that takes them, whom each is for and how far each other set has got. A view over the log, as the groups'
 * is, which asks it whom messages are for.
 *
 *   audiences/<topic>/<queue>/<piece>   queue-audiences.ts
 *   open/<position>                     the payload of the transfer's record
 *   taken/<log>/<broker set>            | 1 | transfer | index |
 *   sent                                | 1 | messages |
 *   leaving                             | 1 | topics | topic × topics |
 */
export class TransfersView {
  readonly name = 'transfers';
  readonly kinds: ReadonlySet<RecordKind> = new Set<RecordKind>([
    RecordKind.transferred,
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
  private readonly opened = new Map<LogPosition, Transfer>();
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

  takenFrom(brokerSet: string, log: number): Taken | undefined {
    return this.taken.get(`${log}/${brokerSet}`);
  }

  fold(record: FoldedRecord): void {
    switch (record.kind) {
      case RecordKind.transferred:
        return this.foldTransferred(record as QueuedRecord);
      case RecordKind.transfer:
        return this.foldTransfer(record.position, decodeTransfer(record.payload));
      case RecordKind.transferDone:
        return this.foldDone(decodeTransferDone(record.payload));
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
      this.opened.set(Number(rest[0]) as LogPosition, decodeTransfer(value));
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
    for (const each of [this.topics, this.opened, this.taken, this.audiences, this.leaving, this.dirty]) each.clear();
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
    const mark = new Envelope(payload).transferMark;
    assert(mark !== undefined, 'a message that came from another broker set says so');
    const { from, log, transfer, index, audience } = mark;
    this.taken.set(`${log}/${from}`, { transfer, index });
    this.dirty.add(`taken/${log}/${from}`);
    // What nobody was done with, and nobody was given, is as any other message.
    if (!audience.only && audience.groups.every(({ attempts }) => attempts === 0)) return;
    this.set(topicId, queueId, queueOffset, audience);
  }

  private foldTransfer(position: LogPosition, transfer: Transfer): void {
    const { instead, queues } = transfer;
    if (instead !== undefined) this.close(instead);
    this.opened.set(position, transfer);
    this.dirty.add(`open/${position}`);
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

  private close(position: LogPosition): void {
    this.opened.delete(position);
    this.dirty.add(`open/${position}`);
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
    if (kind === 'open') {
      const transfer = this.opened.get(Number(rest[0]) as LogPosition);
      return transfer && encodeTransfer(transfer);
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

/** Messages that it names. */
export function countOf({ queues, delayed }: Transfer): number {
  return queues.reduce((sum, { messages }) => sum + messages.length, delayed.length);
}
