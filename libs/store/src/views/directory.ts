/**
 * The directory: for every queue its first offset still kept, its next offset, where its last message stands, and the
 * bytes its messages take. Offsets start at 0, so a first offset above 0 says that the queue has ever expired something.
 *
 * Columns over typed arrays, some 70 bytes a queue: a million queues must be thinkable. Stored in pieces of 32
 * neighbouring queues of a topic:
 *
 *   | version u8 | count u8 | topicId u32 | (queueId u32, first u64, next u64, last u64, bytes u64) × count |
 *
 * Version 1 has no bytes.
 */
import { eachLiteQueueGone, RecordKind } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { assert, getU64, putU64, viewOf } from '@cometmq/shared';

import { grown, QueueTable } from '../index/queue-table.js';
import type { LogRecord } from '../log/record.js';
import { eachExpired } from './expiry.js';
import type { Change, StateView } from './state-view.js';

const version = 2;
/** By version. */
const entryBytes = [0, 28, 36];
const pieceShift = 5;
const pieceQueues = 1 << pieceShift;
/** Ends a topic's list of queues. */
const none = 0xffffffff;

export class Directory implements StateView {
  readonly name = 'directory';
  readonly kinds: ReadonlySet<RecordKind> = new Set([
    RecordKind.message,
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
  /** Not stored: all that is folded at the start is committed. */
  private committeds = new Float64Array(32);
  /** The next queue of the same topic, by number, and the one before. */
  private siblings = new Uint32Array(32);
  private olders = new Uint32Array(32);
  private readonly topics = new Map<number, number>();
  private changed = new Uint8Array(32);
  private changedQueues: number[] = [];
  private readonly changedPieces = new Set<string>();
  /** Deleted since this process began: nothing may be appended to them. */
  private readonly deleted = new Set<number>();

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
    return this.committeds[queue] as number;
  }
  commit(queue: number, offset: number): void {
    this.committeds[queue] = offset + 1;
  }
  /** All that has been folded is committed. */
  commitAll(): void {
    this.committeds.set(this.nexts);
  }
  isDeleted(topicId: number): boolean {
    return this.deleted.has(topicId);
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
    if (queue < 0) queue = this.addQueue(topicId, queueId, offset, offset);
    assert(this.nexts[queue] === offset, 'a queue grows by one');
    this.nexts[queue] = offset + 1;
    this.lasts[queue] = position;
    this.bytes[queue] = (this.bytes[queue] as number) + size;
    this.touch(queue);
    return queue;
  }

  fold(record: LogRecord): void {
    switch (record.kind) {
      case RecordKind.message:
      case RecordKind.reference:
        this.advance(record.topicId, record.queueId, record.queueOffset, record.position, record.size);
        break;
      case RecordKind.expiry:
        eachExpired(record.payload, (topicId, queueId, first, _messages, bytes) => {
          const queue = this.table.find(topicId, queueId);
          if (queue < 0) return;
          this.bytes[queue] = Math.max(0, this.bytesOf(queue) - bytes);
          this.firsts[queue] = Math.max(this.firstOf(queue), Math.min(first, this.nextOf(queue)));
          this.touch(queue);
        });
        break;
      case RecordKind.topicDeleted:
        this.removeTopic(readTopicId(record.payload));
        break;
      case RecordKind.liteTopicsDeleted:
        eachLiteQueueGone(record.payload, ({ topicId, queueId }) => this.removeQueue(topicId, queueId));
        break;
      default:
        assert(false, 'a view is shown only the kinds it lists');
    }
  }

  takeChanges(): Change[] {
    for (const queue of this.changedQueues) {
      if (this.changed[queue] === 0) continue;
      this.changed[queue] = 0;
      this.changedPieces.add(pieceKey(this.topicOf(queue), this.queueOf(queue)));
    }
    this.changedQueues = [];
    const changes = Array.from(this.changedPieces, (key): Change => ({ key, value: this.encodePiece(key) }));
    this.changedPieces.clear();
    return changes;
  }

  load(_key: string, value: Uint8Array): void {
    const view = viewOf(value);
    const topicId = view.getUint32(2, true);
    const [of = 0, count = 0] = value;
    const size = entryBytes[of];
    assert(of > 0 && size !== undefined, 'a directory piece is of a known version');
    for (let i = 0, at = 6; i < count; i += 1, at += size) {
      const queueId = view.getUint32(at, true);
      const queue = this.addQueue(topicId, queueId, getU64(view, at + 4), getU64(view, at + 12));
      this.lasts[queue] = getU64(view, at + 20);
      if (of > 1) this.bytes[queue] = getU64(view, at + 28);
    }
  }

  clear(): void {
    this.table = new QueueTable();
    this.topics.clear();
    this.changed.fill(0);
    this.changedQueues = [];
    this.changedPieces.clear();
    this.deleted.clear();
  }

  private addQueue(topicId: number, queueId: number, first: number, next: number): number {
    const queue = this.table.add(topicId, queueId);
    if (queue >= this.firsts.length) {
      this.firsts = grown(this.firsts);
      this.nexts = grown(this.nexts);
      this.lasts = grown(this.lasts);
      this.bytes = grown(this.bytes);
      this.committeds = grown(this.committeds);
      this.siblings = grown(this.siblings);
      this.olders = grown(this.olders);
      this.changed = grown(this.changed);
    }
    this.firsts[queue] = first;
    this.nexts[queue] = next;
    this.lasts[queue] = 0;
    this.committeds[queue] = next;
    this.changed[queue] = 0;
    this.bytes[queue] = 0;
    const newest = this.topics.get(topicId) ?? none;
    if (newest !== none) this.olders[newest] = queue;
    this.siblings[queue] = newest;
    this.olders[queue] = none;
    this.topics.set(topicId, queue);
    return queue;
  }

  private removeTopic(topicId: number): void {
    const queues: number[] = [];
    this.eachQueue(topicId, (queue) => queues.push(queue));
    for (const queue of queues) {
      this.changed[queue] = 0;
      this.changedPieces.add(pieceKey(topicId, this.queueOf(queue)));
      this.table.remove(topicId, this.queueOf(queue));
    }
    this.topics.delete(topicId);
    this.deleted.add(topicId);
  }

  private removeQueue(topicId: number, queueId: number): void {
    const queue = this.table.find(topicId, queueId);
    if (queue < 0) return;
    const [next, before] = [this.siblings[queue] as number, this.olders[queue] as number];
    if (next !== none) this.olders[next] = before;
    if (before !== none) this.siblings[before] = next;
    else if (next !== none) this.topics.set(topicId, next);
    else this.topics.delete(topicId);
    this.changed[queue] = 0;
    this.changedPieces.add(pieceKey(topicId, queueId));
    this.table.remove(topicId, queueId);
  }

  private touch(queue: number): void {
    if (this.changed[queue] !== 0) return;
    this.changed[queue] = 1;
    this.changedQueues.push(queue);
  }

  private encodePiece(key: string): Uint8Array | undefined {
    const dot = key.indexOf('.');
    const topicId = Number(key.slice(0, dot));
    const firstQueue = Number(key.slice(dot + 1)) * pieceQueues;
    const found: number[] = [];
    for (let queueId = firstQueue; queueId < firstQueue + pieceQueues; queueId += 1) {
      const queue = this.table.find(topicId, queueId);
      if (queue >= 0) found.push(queue);
    }
    if (found.length === 0) return undefined;
    const size = entryBytes[version] ?? 0;
    const value = new Uint8Array(6 + found.length * size);
    const view = new DataView(value.buffer);
    value[0] = version;
    value[1] = found.length;
    view.setUint32(2, topicId, true);
    let at = 6;
    for (const queue of found) {
      view.setUint32(at, this.queueOf(queue), true);
      putU64(view, at + 4, this.firstOf(queue));
      putU64(view, at + 12, this.nextOf(queue));
      putU64(view, at + 20, this.lastOf(queue));
      putU64(view, at + 28, this.bytesOf(queue));
      at += size;
    }
    return value;
  }
}

function pieceKey(topicId: number, queueId: number): string {
  return `${topicId}.${queueId >>> pieceShift}`;
}

function readTopicId(payload: Uint8Array): number {
  return viewOf(payload).getUint32(0, true);
}
