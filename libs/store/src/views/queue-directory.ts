/**
 * The directory: for every queue its first offset still kept, its next offset, where its last message stands, and the
 * bytes its messages take. Offsets start at 0, so a first offset above 0 says that the queue has ever expired something.
 *
 * Columns over typed arrays, some 60 bytes a queue: a million queues must be thinkable. Stored in pieces of 32 queues
 * with numbers beside one another, so that a piece is encoded in a microsecond; key: number >> 5.
 *
 *   | version u8 | (number & 31 u8, topicId u32, queueId u32, first u64, next u64, last u64, bytes u64) × queues |
 *
 * What was deleted has pieces of its own: `tombstones.ts`.
 */
import { decodeTopicDeleted, eachExpired, eachLiteQueueGone, RecordKind, type StateChange } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { assert, getU64, putU64, viewOf } from '@cometmq/shared';

import { grown, QueueTable } from '../index/queue-table.js';
import type { LogRecord } from '../log/record.js';
import type { StateView } from './state-view.js';
import { Tombstones } from './tombstones.js';

const version = 3;
const entryBytes = 41;
const pieceShift = 5;
const pieceQueues = 1 << pieceShift;
/** What `marks` says of a piece: it changed; or it did before the last `takeChanges`, and is still to be read. */
const changedMark = 1;
const closingMark = 2;
/** Ends a topic's list of queues. */
const none = 0xffffffff;

export class QueueDirectory implements StateView {
  readonly name = 'directory';
  readonly kinds: ReadonlySet<RecordKind> = new Set([
    RecordKind.message,
    ...[RecordKind.transferred, RecordKind.transferredLetter, RecordKind.returnedLetter],
    RecordKind.reference,
    RecordKind.expiry,
    RecordKind.topicDeleted,
    RecordKind.liteTopicsDeleted,
  ]);
  private table = new QueueTable();
  private firsts = new Float64Array(32);
  private nexts = new Float64Array(32);
  private lasts = new Float64Array(32);
  private bytes = new Float64Array(32);
  /** How many of the newest are not committed. Not stored: all that is folded at the start is. */
  private uncommitted = new Uint32Array(32);
  /** The next queue of the same topic, by number, and the one before. */
  private siblings = new Uint32Array(32);
  private olders = new Uint32Array(32);
  private readonly topics = new Map<number, number>();
  /** By piece. */
  private marks = new Uint8Array(32);
  private changedPieces: number[] = [];
  /** Pieces that are being read, and those of them that have changed meanwhile, as they were. */
  private closing: number[] = [];
  private readonly saved = new Map<number, Uint8Array | undefined>();
  /** What records have deleted: nothing may be appended to it, and only it is dead without being known here. */
  private readonly deleted = new Tombstones();

  /** One above the highest queue number. */
  get end(): number {
    return this.table.end;
  }
  get queueCount(): number {
    return this.table.size;
  }
  /** A queue's number, or -1. Numbers are given again after a topic's deletion. */
  find(topicId: number, queueId: number): number {
    return this.table.find(topicId, queueId);
  }
  topicOf(queue: number): number {
    return this.table.topicOf(queue);
  }
  queueOf(queue: number): number {
    return this.table.queueOf(queue);
  }
  firstOf(queue: number): number {
    return this.firsts[queue] as number;
  }
  nextOf(queue: number): number {
    return this.nexts[queue] as number;
  }
  /** Position of the queue's newest message. */
  lastOf(queue: number): LogPosition {
    return this.lasts[queue] as LogPosition;
  }
  /** What its messages take in the log. */
  bytesOf(queue: number): number {
    return this.bytes[queue] as number;
  }
  /** One above the newest offset that consumers may see. */
  committedOf(queue: number): number {
    return (this.nexts[queue] as number) - (this.uncommitted[queue] as number);
  }
  commit(queue: number, offset: number): void {
    this.uncommitted[queue] = (this.nexts[queue] as number) - offset - 1;
  }
  /** All that has been folded is committed. */
  commitAll(): void {
    this.uncommitted.fill(0);
  }
  isDeleted(topicId: number): boolean {
    return this.deleted.hasTopic(topicId);
  }
  /**
   * Whether the message at `offset` is over: it has expired, or a record has deleted its queue. One of a queue that is
   * not known here, and that nothing says was deleted, lives.
   */
  isOver(topicId: number, queueId: number, offset: number): boolean {
    const queue = this.table.find(topicId, queueId);
    return queue < 0 ? this.deleted.hasQueue(topicId, queueId) : offset < this.firstOf(queue);
  }
  hasTopic(topicId: number): boolean {
    return this.topics.has(topicId);
  }
  eachTopic(each: (topicId: number) => void): void {
    for (const topicId of this.topics.keys()) each(topicId);
  }
  /** Every queue of a topic, by number, in no order. */
  eachQueue(topicId: number, each: (queue: number) => void): void {
    let queue = this.topics.get(topicId) ?? none;
    while (queue !== none) {
      each(queue);
      queue = this.siblings[queue] as number;
    }
  }

  /** One more message of a queue, which is the fold of a message or reference. Answers the queue's number. */
  advance(topicId: number, queueId: number, offset: number, position: number, size: number): number {
    let queue = this.table.find(topicId, queueId);
    if (queue < 0) queue = this.addQueue(topicId, queueId, offset);
    else this.touch(queue);
    assert(this.nexts[queue] === offset, 'a queue grows by one');
    this.nexts[queue] = offset + 1;
    this.uncommitted[queue] = (this.uncommitted[queue] as number) + 1;
    this.lasts[queue] = position;
    this.bytes[queue] = (this.bytes[queue] as number) + size;
    return queue;
  }

  fold(record: LogRecord): void {
    switch (record.kind) {
      case RecordKind.message:
      case RecordKind.transferred:
      case RecordKind.transferredLetter:
      case RecordKind.returnedLetter:
      case RecordKind.reference:
        this.advance(record.topicId, record.queueId, record.queueOffset, record.position, record.size);
        break;
      case RecordKind.expiry:
        eachExpired(record.payload, (topicId, queueId, first, _messages, bytes) => {
          const queue = this.table.find(topicId, queueId);
          if (queue < 0) return;
          this.touch(queue);
          this.bytes[queue] = Math.max(0, this.bytesOf(queue) - bytes);
          this.firsts[queue] = Math.max(this.firstOf(queue), Math.min(first, this.nextOf(queue)));
        });
        break;
      case RecordKind.topicDeleted:
        this.removeTopic(decodeTopicDeleted(record.payload));
        break;
      case RecordKind.liteTopicsDeleted:
        eachLiteQueueGone(record.payload, ({ topicId, queueId }) => this.removeQueue(topicId, queueId));
        break;
      default:
        assert(false, 'a view is shown only the kinds it lists');
    }
  }

  /** Read a slice at a time while the directory goes on: a piece that is about to change is encoded before it does. */
  takeChanges(): Iterable<StateChange> {
    assert(this.closing.length === 0, 'the last changes have been read');
    this.closing = this.changedPieces;
    this.changedPieces = [];
    for (const piece of this.closing) this.marks[piece] = closingMark;
    return this.readClosing(this.deleted.takeChanges());
  }

  load(key: string, value: Uint8Array): void {
    if (Tombstones.owns(key)) {
      this.deleted.load(key, value);
      return;
    }
    const view = viewOf(value);
    assert(value[0] === version, 'a directory piece is of a known version');
    const base = Number(key) * pieceQueues;
    for (let at = 1; at < value.length; at += entryBytes) {
      const number = base + view.getUint8(at);
      this.table.put(number, view.getUint32(at + 1, true), view.getUint32(at + 5, true));
      this.setUp(number, getU64(view, at + 9), getU64(view, at + 17));
      this.lasts[number] = getU64(view, at + 25);
      this.bytes[number] = getU64(view, at + 33);
    }
  }

  clear(): void {
    this.table = new QueueTable();
    this.topics.clear();
    this.marks.fill(0);
    this.changedPieces = [];
    this.closing = [];
    this.saved.clear();
    this.deleted.clear();
  }

  private addQueue(topicId: number, queueId: number, offset: number): number {
    const queue = this.table.next;
    this.touch(queue); // Before it is there: what is being read of the piece does not have it.
    this.table.put(queue, topicId, queueId);
    this.setUp(queue, offset, offset);
    return queue;
  }

  /** A queue's first offsets, and its place among those of its topic. */
  private setUp(queue: number, first: number, next: number): void {
    while (queue >= this.firsts.length) {
      this.firsts = grown(this.firsts);
      this.nexts = grown(this.nexts);
      this.lasts = grown(this.lasts);
      this.bytes = grown(this.bytes);
      this.uncommitted = grown(this.uncommitted);
      this.siblings = grown(this.siblings);
      this.olders = grown(this.olders);
    }
    const topicId = this.topicOf(queue);
    this.firsts[queue] = first;
    this.nexts[queue] = next;
    this.lasts[queue] = 0;
    this.bytes[queue] = 0;
    this.uncommitted[queue] = 0;
    const newest = this.topics.get(topicId) ?? none;
    if (newest !== none) this.olders[newest] = queue;
    this.siblings[queue] = newest;
    this.olders[queue] = none;
    this.topics.set(topicId, queue);
  }

  private removeTopic(topicId: number): void {
    const queues: number[] = [];
    this.eachQueue(topicId, (queue) => queues.push(queue));
    for (const queue of queues) {
      this.touch(queue);
      this.table.remove(topicId, this.queueOf(queue));
    }
    this.topics.delete(topicId);
    this.deleted.addTopic(topicId);
  }

  private removeQueue(topicId: number, queueId: number): void {
    this.deleted.addQueue(topicId, queueId);
    const queue = this.table.find(topicId, queueId);
    if (queue < 0) return;
    const [next, before] = [this.siblings[queue] as number, this.olders[queue] as number];
    if (next !== none) this.olders[next] = before;
    if (before !== none) this.siblings[before] = next;
    else if (next !== none) this.topics.set(topicId, next);
    else this.topics.delete(topicId);
    this.touch(queue);
    this.table.remove(topicId, queueId);
  }

  /** The queue is about to change. */
  private touch(queue: number): void {
    const piece = queue >>> pieceShift;
    while (piece >= this.marks.length) this.marks = grown(this.marks);
    if (this.marks[piece] === changedMark) return;
    if (this.marks[piece] === closingMark) this.saved.set(piece, this.encodePiece(piece));
    this.marks[piece] = changedMark;
    this.changedPieces.push(piece);
  }

  private *readClosing(deleted: readonly StateChange[]): Generator<StateChange> {
    const { closing } = this;
    yield* deleted;
    for (const piece of closing) {
      let value = this.saved.get(piece);
      if (this.marks[piece] === closingMark) {
        this.marks[piece] = 0;
        value = this.encodePiece(piece);
      }
      yield { key: String(piece), value };
    }
    this.closing = [];
    this.saved.clear();
  }

  private encodePiece(piece: number): Uint8Array | undefined {
    const base = piece * pieceQueues;
    let count = 0;
    for (let i = 0; i < pieceQueues; i += 1) if (this.table.has(base + i)) count += 1;
    if (count === 0) return undefined;
    const value = new Uint8Array(1 + count * entryBytes);
    const view = viewOf(value);
    value[0] = version;
    let at = 1;
    for (let i = 0; i < pieceQueues; i += 1) {
      const queue = base + i;
      if (!this.table.has(queue)) continue;
      view.setUint8(at, i);
      view.setUint32(at + 1, this.topicOf(queue), true);
      view.setUint32(at + 5, this.queueOf(queue), true);
      putU64(view, at + 9, this.firstOf(queue));
      putU64(view, at + 17, this.nextOf(queue));
      putU64(view, at + 25, this.lastOf(queue));
      putU64(view, at + 33, this.bytesOf(queue));
      at += entryBytes;
    }
    return value;
  }
}
