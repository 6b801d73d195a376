/** Small stores for specs: limits so low that a few messages fill a segment, and messages that tell who they are. */
import {
  decodeTopicDeleted,
  encodeEnvelope,
  Envelope,
  hashText,
  RecordKind,
  referenceReason,
  type StateChange,
} from '@cometmq/model';
import type { DecidedRecord, GroupId, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';
import { ManualClock } from '@cometmq/shared/testing';

import type { Disk } from './disk/disk.js';
import { MemoryDisk } from './disk/memory-disk.js';
import type { LogRecord } from './log/record.js';
import type { Damage } from './log/segments.js';
import { MessageStore } from './message-store.js';
import type { Appended, MessageDraft, Placed, QueuePlace, StoredMessage, StoreLimits } from './store-types.js';
import type { CheckpointStore } from './views/checkpoint-store.js';
import { MemoryCheckpointStore } from './views/memory-checkpoint-store.js';
import type { StateView } from './views/state-view.js';

export const smallLimits: Partial<StoreLimits> = {
  segmentBytes: 4096,
  recordBytesMax: 2048,
  batchBytesMax: 4096,
  pendingBytesMax: 256 * 1024,
  tailCacheBytes: 8 * 1024,
  aheadBytes: 4096,
  reserveBytes: 4096,
  compactionReserveBytes: 4096,
  freeBytesMin: 0,
  checkpointBytes: 1024 * 1024,
  checkpointMs: 60_000,
  indexCacheBytes: 64 * 1024,
  pendingWindowBytes: 1024,
};

export interface OpenedStore {
  readonly store: MessageStore;
  readonly disk: Disk;
  readonly clock: ManualClock;
  readonly failures: MqError[];
  readonly view: TallyView;
  readonly troubles: unknown[];
}

interface Given {
  readonly disk?: Disk;
  readonly checkpoints?: CheckpointStore | 'on the disk';
  readonly limits?: Partial<StoreLimits>;
  readonly clock?: ManualClock;
  readonly views?: readonly StateView[];
  readonly follows?: boolean;
  readonly giveUpDamage?: boolean;
  readonly onDamage?: (damage: Damage) => void;
}

export async function openStore(given: Given = {}): Promise<OpenedStore> {
  const built = buildStore(given);
  await built.store.start();
  return built;
}

/** One that is not opened yet. */
export function buildStore(given: Given = {}): OpenedStore {
  const disk = given.disk ?? new MemoryDisk();
  const clock = given.clock ?? new ManualClock();
  const failures: MqError[] = [];
  const troubles: unknown[] = [];
  const view = new TallyView();
  const checkpoints = given.checkpoints ?? new MemoryCheckpointStore();
  const store = new MessageStore({
    disk,
    folder: 'data',
    brokerName: 'b1',
    clock,
    limits: { ...smallLimits, ...given.limits },
    views: [view, ...(given.views ?? [])],
    ...(given.follows && { follows: true }),
    giveUpDamage: given.giveUpDamage,
    ...(given.onDamage && { onDamage: given.onDamage }),
    ...(checkpoints !== 'on the disk' && {
      checkpoints: () => (checkpoints instanceof MemoryCheckpointStore ? checkpoints.session() : checkpoints),
    }),
    onFailed: (error) => failures.push(error),
    onTrouble: (_what, cause) => troubles.push(cause),
  });
  return { store, disk, clock, failures, view, troubles };
}

/** A state view that adds up what acknowledgement records say: | slot u8 | amount u8 |. */
export class TallyView implements StateView {
  readonly name = 'tally';
  readonly kinds = new Set<RecordKind>([RecordKind.ack, RecordKind.topicDeleted]);
  readonly sums = new Map<string, number>();
  /** Cold pieces that the next checkpoint takes. */
  readonly cold: StateChange[] = [];
  private readonly changed = new Set<string>();

  fold(record: LogRecord): void {
    if (record.kind === RecordKind.topicDeleted) {
      const key = String(decodeTopicDeleted(record.payload));
      this.sums.delete(key);
      this.changed.add(key);
      return;
    }
    const key = String(record.payload[0]);
    this.sums.set(key, (this.sums.get(key) ?? 0) + (record.payload[1] ?? 0));
    this.changed.add(key);
  }

  takeChanges(): StateChange[] {
    const changes = [...this.changed].map((key): StateChange => {
      const sum = this.sums.get(key);
      return { key, value: sum === undefined ? undefined : Buffer.from(String(sum)) };
    });
    this.changed.clear();
    return [...changes, ...this.cold.splice(0)];
  }

  load(key: string, value: Uint8Array): void {
    this.sums.set(key, Number(Buffer.from(value).toString()));
  }

  clear(): void {
    this.sums.clear();
    this.changed.clear();
  }
}

export interface TestMessage {
  readonly topic: number;
  readonly queue: number;
  readonly id: string;
  readonly keys?: readonly string[];
  readonly timestampMs: number;
  readonly tagHash?: number;
  readonly groupHash?: number;
  readonly bodyBytes?: number;
}

export function send(store: MessageStore, message: TestMessage): Appended {
  return store.appendMessage(draftOf(message));
}

/** As `send`, but no queue shows it. */
export function sendPending(store: MessageStore, message: TestMessage): Placed {
  return store.appendPending(draftOf(message));
}

function draftOf(message: TestMessage): MessageDraft {
  const envelope = encodeEnvelope({
    type: 0 as never,
    tag: Buffer.alloc(0),
    id: Buffer.from(message.id),
    group: Buffer.alloc(0),
    keys: (message.keys ?? []).map((key) => Buffer.from(key)),
  });
  return {
    topicId: message.topic as TopicId,
    queueId: message.queue as QueueId,
    tagHash: message.tagHash ?? 0,
    groupHash: message.groupHash ?? 0,
    timestampMs: message.timestampMs,
    payload: [envelope, Buffer.alloc(message.bodyBytes ?? 20, message.id)],
  };
}

export function refer(
  store: MessageStore,
  to: { topic: number; queue: number; timestampMs: number },
  target: { position: LogPosition; size: number; topic: number },
  reason: number = referenceReason.deadLetter,
  entry?: QueuePlace,
  following?: DecidedRecord,
): Appended {
  const draft = {
    topicId: to.topic as TopicId,
    queueId: to.queue as QueueId,
    tagHash: 0,
    groupHash: 0,
    timestampMs: to.timestampMs,
    target,
    entry,
    originTopicId: target.topic as TopicId,
    groupId: 9 as GroupId,
    reason,
  };
  return store.appendReference(draft, following);
}

export function committed(store: MessageStore, end: LogPosition = store.appendEnd): Promise<void> {
  return new Promise((resolve, reject) => store.whenCommitted(end, (error) => (error ? reject(error) : resolve())));
}

/** All that consumers can see of a queue, read one scan after another. */
export async function readQueue(store: MessageStore, topic: number, queue: number, max = 7): Promise<StoredMessage[]> {
  const found: StoredMessage[] = [];
  const { first } = store.bounds(topic as TopicId, queue as QueueId);
  for (let from: QueueOffset = first; ;) {
    const entries = await store.scan(topic as TopicId, queue as QueueId, from, max);
    if (entries.count === 0) return found;
    for (let i = 0; i < entries.count; i += 1) {
      const message = await store.read(entries.position(i), entries.size(i));
      found.push(message);
      // Plain comparisons: there are many.
      const { topicId, queueId, queueOffset, tagHash, groupHash } = message;
      const right =
        (topicId as number) === topic &&
        (queueId as number) === queue &&
        queueOffset === entries.from + i &&
        tagHash === entries.tagHash(i) &&
        groupHash === entries.groupHash(i);
      if (!right)
        throw new Error(`entry ${entries.from + i} of ${topic}/${queue} names ${topicId}/${queueId}/${queueOffset}`);
    }
    from = entries.end;
  }
}

export function idOf(message: StoredMessage): string {
  return new Envelope(message.payload).id;
}

export async function idsOf(store: MessageStore, topic: number, queue: number): Promise<string[]> {
  return (await readQueue(store, topic, queue)).map(idOf);
}

/** Damages a file. */
export function flipByte(disk: MemoryDisk, path: string, at = 3): void {
  const bytes = disk.peek(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
}

export { hashText };
