import {
  decodeTopicDeleted,
  eachLiteQueueGone,
  encodeLiteQueuesGone,
  firstLiteQueue,
  RecordKind,
  type LiteQueueGone,
  type LogPosition,
  type QueueId,
  type TopicId,
  type DecidedRecord,
  type StateChange,
} from '@cometmq/model';
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import { LiteTopicTable } from './lite-topic-table.js';

/**
 * Which lite topics a broker set has: (parent, name) → queue of the parent, a deterministic fold over the records of the
 * log. The leader decides, the record says what was decided. A queue's number is never given twice, also when its lite
 * topic is gone and made again: so a name that comes back starts clean, and old receipts mean the old queue.
 *
 *   liteTopicsCreated   | 1 | topic | count | (queue | name text) × count |            whole numbers are varints
 *   liteTopicsDeleted   model's records/lite-queues-gone.ts
 *
 * Pieces, which a checkpoint writes when they changed:
 *
 *   <topic>             | 1 | next queue |
 *   <topic>.<block>     | 1 | count | (queue | name text) × count |                    32 neighbouring queues
 */
export class LiteTopicsView {
  readonly name = 'lite';
  readonly kinds: ReadonlySet<RecordKind> = new Set<RecordKind>([
    RecordKind.liteTopicsCreated,
    RecordKind.liteTopicsDeleted,
    RecordKind.topicDeleted,
  ]);
  private table = new LiteTopicTable();
  private readonly parents = new Map<TopicId, Parent>();
  /** Gone since the last checkpoint, with the blocks that may have been saved. */
  private readonly parentsGone = new Map<TopicId, Set<number>>();
  private readonly out = new ByteWriter();

  /** Lite topics of all parents. */
  get count(): number {
    return this.table.size;
  }

  countOf(topicId: TopicId): number {
    return this.parents.get(topicId)?.count ?? 0;
  }

  /** The parents that ever had a lite topic here. */
  topics(): Iterable<TopicId> {
    return this.parents.keys();
  }

  find(topicId: TopicId, name: string): QueueId | undefined {
    const slot = this.table.find(topicId, name);
    return slot < 0 ? undefined : this.table.queueOf(slot);
  }

  nameOf(topicId: TopicId, queueId: QueueId): string | undefined {
    const slot = this.table.findQueue(topicId, queueId);
    return slot < 0 ? undefined : this.table.nameOf(slot);
  }

  /**
   * Looks at up to `max` places from `from` on and shows the lite topics found there. Answers where to go on, undefined
   * at the end. All that is there from the first look to the last is shown; what comes or goes meanwhile may be.
   */
  walk(
    from: number,
    max: number,
    show: (topicId: TopicId, queueId: QueueId, place: number) => void,
  ): number | undefined {
    const end = Math.min(this.table.end, from + max);
    for (let slot = from; slot < end; slot += 1) {
      if (!this.table.isFree(slot)) show(this.table.parentOf(slot), this.table.queueOf(slot), slot);
    }
    return end < this.table.end ? end : undefined;
  }

  /** Of a place that `walk` has just shown. */
  nameAt(place: number): string {
    return this.table.nameOf(place);
  }

  nameAtStartsWith(place: number, prefix: string): boolean {
    return this.table.nameStartsWith(place, prefix);
  }

  // ---- decisions -------------------------------------------------------------------------------------------------

  /** A lite topic that is not there. Append the record and fold it before the next decision. */
  decideCreate(topicId: TopicId, name: string): { readonly queueId: QueueId; readonly record: DecidedRecord } {
    assert(this.table.find(topicId, name) < 0, 'a lite topic is made when it is not there');
    const queueId = (this.parents.get(topicId)?.nextQueue ?? firstLiteQueue) as QueueId;
    const out = this.out.begin();
    out.u8(layout);
    out.whole(topicId);
    out.whole(1);
    out.whole(queueId);
    out.text(name);
    return { queueId, record: { kind: RecordKind.liteTopicsCreated, payload: out.taken() } };
  }

  decideDelete(gone: readonly LiteQueueGone[]): DecidedRecord {
    return { kind: RecordKind.liteTopicsDeleted, payload: encodeLiteQueuesGone(gone) };
  }

  // ---- the view --------------------------------------------------------------------------------------------------

  fold(record: FoldedRecord): void {
    switch (record.kind) {
      case RecordKind.liteTopicsCreated: {
        const from = new ByteReader(record.payload);
        assert(from.u8() === layout, 'a record of lite topics has a layout this version knows');
        const topicId = from.whole() as TopicId;
        for (let left = from.whole(); left > 0; left -= 1) this.create(topicId, from.whole() as QueueId, from.text());
        return;
      }
      case RecordKind.liteTopicsDeleted:
        eachLiteQueueGone(record.payload, ({ topicId, queueId }) => this.remove(topicId, queueId));
        return;
      case RecordKind.topicDeleted:
        this.removeParent(decodeTopicDeleted(record.payload));
        return;
      default: // Not ours: no change.
    }
  }

  takeChanges(): StateChange[] {
    const changes: StateChange[] = [];
    for (const [topicId, blocks] of this.parentsGone) {
      changes.push({ key: `${topicId}`, value: undefined });
      for (const block of blocks) changes.push({ key: `${topicId}.${block}`, value: undefined });
    }
    this.parentsGone.clear();
    for (const [topicId, parent] of this.parents) {
      if (parent.dirty.size === 0) continue;
      if (parent.savedNext !== parent.nextQueue) {
        parent.savedNext = parent.nextQueue;
        changes.push({ key: `${topicId}`, value: this.encodeParent(parent) });
      }
      for (const block of parent.dirty) {
        changes.push({ key: `${topicId}.${block}`, value: this.encodeBlock(topicId, block) });
      }
      parent.dirty.clear();
    }
    return changes;
  }

  load(key: string, value: Uint8Array): void {
    const from = new ByteReader(value);
    assert(from.u8() === layout, 'a piece of the lite topics has a layout this version knows');
    const [topic = '', block] = key.split('.');
    const topicId = Number(topic) as TopicId;
    const parent = this.parentOf(topicId);
    if (block === undefined) {
      parent.nextQueue = parent.savedNext = from.whole();
      return;
    }
    for (let left = from.whole(); left > 0; left -= 1) {
      const queueId = from.whole() as QueueId;
      this.table.add(topicId, from.text(), queueId);
      parent.count += 1;
    }
  }

  clear(): void {
    this.table = new LiteTopicTable();
    this.parents.clear();
    this.parentsGone.clear();
  }

  /** The whole state in a form that can be compared. */
  describe(): string[] {
    const lines: string[] = [];
    for (const [topicId, { nextQueue, count }] of this.parents) lines.push(`${topicId} next ${nextQueue} has ${count}`);
    this.walk(0, Infinity, (topicId, queueId, place) => lines.push(`${topicId} ${this.nameAt(place)} is ${queueId}`));
    return lines.sort();
  }

  private create(topicId: TopicId, queueId: QueueId, name: string): void {
    const parent = this.parentOf(topicId);
    this.table.add(topicId, name, queueId);
    parent.count += 1;
    parent.nextQueue = Math.max(parent.nextQueue, queueId + 1);
    parent.dirty.add(blockOf(queueId));
  }

  private remove(topicId: TopicId, queueId: QueueId): void {
    const slot = this.table.findQueue(topicId, queueId);
    const parent = this.parents.get(topicId);
    if (slot < 0 || !parent) return;
    this.table.remove(slot);
    parent.count -= 1;
    parent.dirty.add(blockOf(queueId));
  }

  private removeParent(topicId: TopicId): void {
    const parent = this.parents.get(topicId);
    if (!parent) return;
    const blocks = parent.dirty;
    this.walk(0, Infinity, (of, queueId, place) => {
      if (of !== topicId) return;
      blocks.add(blockOf(queueId));
      this.table.remove(place);
    });
    this.parents.delete(topicId);
    this.parentsGone.set(topicId, blocks);
  }

  private parentOf(topicId: TopicId): Parent {
    let parent = this.parents.get(topicId);
    if (!parent) {
      parent = { nextQueue: firstLiteQueue, savedNext: 0, count: 0, dirty: new Set() };
      this.parents.set(topicId, parent);
    }
    return parent;
  }

  private encodeParent({ nextQueue }: Parent): Uint8Array {
    const out = this.out.begin();
    out.u8(layout);
    out.whole(nextQueue);
    return out.taken();
  }

  private encodeBlock(topicId: TopicId, block: number): Uint8Array | undefined {
    const slots: number[] = [];
    for (let queue = block * blockQueues; queue < (block + 1) * blockQueues; queue += 1) {
      const slot = this.table.findQueue(topicId, queue as QueueId);
      if (slot >= 0) slots.push(slot);
    }
    if (slots.length === 0) return undefined;
    const out = this.out.begin();
    out.u8(layout);
    out.whole(slots.length);
    for (const slot of slots) {
      out.whole(this.table.queueOf(slot));
      out.text(this.table.nameOf(slot));
    }
    return out.taken();
  }
}

const layout = 1;
const blockQueues = 32;

interface Parent {
  nextQueue: number;
  savedNext: number;
  count: number;
  /** Blocks that differ from what was saved. */
  readonly dirty: Set<number>;
}

function blockOf(queueId: QueueId): number {
  return Math.floor(queueId / blockQueues);
}

/** What the view is given of a record of the log. */
export interface FoldedRecord {
  readonly kind: RecordKind;
  readonly position: LogPosition;
  readonly payload: Uint8Array;
}
