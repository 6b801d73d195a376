import {
  decodeTopicDeleted,
  RecordKind,
  type GroupId,
  type QueueId,
  type QueueOffset,
  type TopicId,
  type DecidedRecord,
  type StateChange,
} from '@cometmq/model';
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import { decodeGroupDeleted } from './group-records.js';
import type { FoldedRecord } from './ports.js';

/**
 * Where groups that pull have got to, as they say themselves: one number a queue, nothing in flight. It has nothing to do
 * with what the same group is handed out. The record and the piece, written as in group-records.ts:
 *
 *   pullOffset              | 1 | group | topic | queue | offset |
 *   <group>/<topic>/<queue> | 1 | group | topic | queue | offset |
 */
const layout = 1;

interface Entry {
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly offset: QueueOffset;
}

const none: readonly Entry[] = [];

export class PullOffsets {
  readonly name = 'pullOffsets';
  readonly kinds: ReadonlySet<RecordKind> = new Set<RecordKind>([
    RecordKind.pullOffset,
    RecordKind.groupDeleted,
    RecordKind.topicDeleted,
  ]);
  private readonly entries = new Map<string, Entry>();
  private readonly dirty = new Set<string>();
  private readonly out = new ByteWriter();

  /** Undefined: the group never said. */
  get(groupId: GroupId, topicId: TopicId, queueId: QueueId): QueueOffset | undefined {
    return this.entries.get(keyOf(groupId, topicId, queueId))?.offset;
  }

  /** What groups said of one queue. */
  ofQueue(topicId: TopicId, queueId: QueueId): readonly { readonly groupId: GroupId; readonly offset: QueueOffset }[] {
    if (this.entries.size === 0) return none;
    return [...this.entries.values()].filter((entry) => entry.topicId === topicId && entry.queueId === queueId);
  }

  /** What the group said of all queues, by topic and queue. */
  of(groupId: GroupId): { topicId: TopicId; queueId: QueueId; offset: QueueOffset }[] {
    return [...this.entries.values()]
      .filter((entry) => entry.groupId === groupId)
      .map(({ topicId, queueId, offset }) => ({ topicId, queueId, offset }))
      .sort((a, b) => a.topicId - b.topicId || a.queueId - b.queueId);
  }

  decide(groupId: GroupId, topicId: TopicId, queueId: QueueId, offset: QueueOffset): DecidedRecord {
    return { kind: RecordKind.pullOffset, payload: this.encode({ groupId, topicId, queueId, offset }) };
  }

  fold({ kind, payload }: FoldedRecord): void {
    switch (kind) {
      case RecordKind.pullOffset: {
        const entry = decode(payload);
        this.set(keyOf(entry.groupId, entry.topicId, entry.queueId), entry);
        return;
      }
      case RecordKind.groupDeleted: {
        const groupId = decodeGroupDeleted(payload);
        return this.drop((entry) => entry.groupId === groupId);
      }
      case RecordKind.topicDeleted: {
        const topicId = decodeTopicDeleted(payload);
        return this.drop((entry) => entry.topicId === topicId);
      }
      default: // Not ours: no change.
    }
  }

  takeChanges(): StateChange[] {
    const changes: StateChange[] = [];
    for (const key of this.dirty) {
      const entry = this.entries.get(key);
      changes.push({ key, value: entry && this.encode(entry) });
    }
    this.dirty.clear();
    return changes;
  }

  load(key: string, value: Uint8Array): void {
    this.entries.set(key, decode(value));
  }

  clear(): void {
    this.entries.clear();
    this.dirty.clear();
  }

  private set(key: string, entry: Entry): void {
    this.entries.set(key, entry);
    this.dirty.add(key);
  }

  private drop(isGone: (entry: Entry) => boolean): void {
    for (const [key, entry] of this.entries) {
      if (!isGone(entry)) continue;
      this.entries.delete(key);
      this.dirty.add(key);
    }
  }

  private encode({ groupId, topicId, queueId, offset }: Entry): Uint8Array {
    const { out } = this;
    out.begin();
    out.u8(layout);
    for (const number of [groupId, topicId, queueId, offset]) out.whole(number);
    return out.taken();
  }
}

function decode(bytes: Uint8Array): Entry {
  const from = new ByteReader(bytes);
  assert(from.u8() === layout, 'a pull offset has a layout this version knows');
  return {
    groupId: from.whole() as GroupId,
    topicId: from.whole() as TopicId,
    queueId: from.whole() as QueueId,
    offset: from.whole() as QueueOffset,
  };
}

function keyOf(groupId: GroupId, topicId: TopicId, queueId: QueueId): string {
  return `${groupId}/${topicId}/${queueId}`;
}
