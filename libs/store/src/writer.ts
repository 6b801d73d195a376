/**
 * A leader's way in: drafts become records, take their place in the log and in their queue, and are folded at once, so
 * that who decides next sees them.
 */
import { droppedPerRecordMax, encodeDropped, encodeReference, encodeTopicDeleted, RecordKind } from '@cometmq/model';
import { encodeExpiry, expiredPerRecordMax, featureLevelMax, releasesPending } from '@cometmq/model';
import type {
  DecidedRecord,
  Dropped,
  Epoch,
  Expired,
  LogPosition,
  QueueId,
  QueueOffset,
  TopicId,
} from '@cometmq/model';
import { MqError, assert } from '@cometmq/shared';

import type { Folding } from './folding.js';
import type { SegmentIndexes } from './index/segment-indexes.js';
import { untilCommitted } from './log/commit-log.js';
import type { CommitLog } from './log/commit-log.js';
import { hasQueueHeader, headerBytesOf, queueHeaderBytes } from './log/record.js';
import type { LogRecord, QueueFields, RecordDraft } from './log/record.js';
import type { Appended, PendingKind, Placed, QueuedKind, QueuePlace, ReferenceDraft } from './store-types.js';
import { encodeFeatureLevel } from './views/feature-level.js';
import type { MessageDraft } from './views/state-view.js';

const noBytes = new Uint8Array(0);
const noQueue: QueueFields = {
  topicId: 0 as TopicId,
  queueId: 0 as QueueId,
  queueOffset: 0 as QueueOffset,
  tagHash: 0,
  groupHash: 0,
};

/** What was appended last, for its fold: one for all, since one for each would cost more than the whole fold. */
class LastAppended implements LogRecord {
  kind: RecordKind = RecordKind.message;
  position = 0 as LogPosition;
  size = 0;
  epoch = 0 as Epoch;
  timestampMs = 0;
  topicId = noQueue.topicId;
  queueId = noQueue.queueId;
  queueOffset = noQueue.queueOffset;
  tagHash = 0;
  groupHash = 0;
  chunks: readonly Uint8Array[] = [];

  constructor(private readonly log: CommitLog) {}

  get commitKnown(): LogPosition {
    return this.log.commitEnd;
  }

  /** In one piece, without a copy: as it stands in the log's memory. Few folds ask for that of a message. */
  get payload(): Uint8Array {
    if (this.chunks.length === 1) return this.chunks[0] as Uint8Array;
    const bytes = this.log.peekMemory(this.position, this.size);
    assert(bytes !== undefined, 'what was just appended is in memory');
    return bytes.subarray(headerBytesOf(this.kind));
  }
}

export class StoreWriter {
  /** Log bytes of pending messages that may live at a time. */
  pendingBytesMax = 0;
  private readonly record: LastAppended;

  constructor(
    private readonly log: CommitLog,
    private readonly folding: Folding,
    private readonly indexes: SegmentIndexes,
  ) {
    this.record = new LastAppended(log);
  }

  /** @throws MqError MESSAGE_TOO_LARGE, TOO_MANY_REQUESTS, STORAGE_FULL, DISK_FAILED, TOPIC_NOT_FOUND */
  appendMessage(draft: MessageDraft, kind: QueuedKind = RecordKind.message): Appended {
    const { topicId, queueId, tagHash, groupHash, timestampMs, payload } = draft;
    const queueOffset = this.nextOffset(topicId, queueId);
    const queue = { topicId, queueId, queueOffset, tagHash, groupHash };
    this.folding.checkWhole();
    const placed = this.log.append({ kind, timestampMs, payload, queue, reserved: false });
    this.fold(kind, placed, timestampMs, queue, payload);
    return appended(placed.position, placed.size, queueOffset);
  }

  /** @throws MqError MESSAGE_NOT_FOUND when the target is gone; else as `appendMessage` */
  appendReference(draft: ReferenceDraft, following?: DecidedRecord): Appended {
    const { topicId, queueId, tagHash, groupHash, timestampMs, target } = draft;
    this.checkEntry(draft.entry);
    if (!this.indexes.canRefer(target.position)) {
      throw new MqError('MESSAGE_NOT_FOUND', 'the message is not kept any more');
    }
    this.checkTarget(target.position, draft.entry !== undefined || releasesPending(draft.reason));
    const queueOffset = this.nextOffset(topicId, queueId);
    const queue = { topicId, queueId, queueOffset, tagHash, groupHash };
    const payload = encodeReference(draft);
    if (following) this.checkRoom([{ kind: RecordKind.reference, payload }, following]);
    const { position, size } = this.appendNow(RecordKind.reference, timestampMs, payload, queue);
    if (following) this.append(following.kind, timestampMs, following.payload);
    return appended(position, size, queueOffset);
  }

  /** @throws MqError as `appendMessage`; TOO_MANY_REQUESTS also when the quota of pending messages is used up */
  appendPending(draft: MessageDraft, kind: PendingKind = RecordKind.pending): Placed {
    const { topicId, queueId, tagHash, groupHash, timestampMs, payload } = draft;
    if (this.folding.directory.isDeleted(topicId)) throw topicIsGone();
    this.checkPendingQuota(payload);
    const queue = { topicId, queueId, queueOffset: 0 as QueueOffset, tagHash, groupHash };
    this.folding.checkWhole();
    const placed = this.log.append({ kind, timestampMs, payload, queue, reserved: false });
    this.fold(kind, placed, timestampMs, queue, payload);
    return withEnd(placed);
  }

  appendDropped(list: readonly Dropped[], timestampMs: number): Placed {
    let from = 0;
    for (; list.length - from > droppedPerRecordMax; from += droppedPerRecordMax) {
      this.append(RecordKind.dropped, timestampMs, encodeDropped(list.slice(from, from + droppedPerRecordMax)));
    }
    return this.append(RecordKind.dropped, timestampMs, encodeDropped(list.slice(from)));
  }

  /** @throws MqError UNSUPPORTED where the broker set's feature level has no such records yet */
  append(kind: RecordKind, timestampMs: number, payload: Uint8Array): Placed {
    this.folding.featureLevel.check(kind);
    assert(!hasQueueHeader(kind), 'messages, references and pending messages have their own way in');
    return this.appendNow(kind, timestampMs, payload, undefined);
  }

  /** @throws MqError as `append`; then none was taken */
  appendAll(records: readonly DecidedRecord[], timestampMs: number): Placed {
    this.checkRoom(records);
    let placed: Placed | undefined;
    for (const { kind, payload } of records) placed = this.append(kind, timestampMs, payload);
    assert(placed !== undefined, 'something is appended');
    return placed;
  }

  /** All of them would be taken now. */
  private checkRoom(records: readonly DecidedRecord[]): void {
    let bytes = 0;
    for (const { kind, payload } of records) {
      this.folding.featureLevel.check(kind);
      const size = headerBytesOf(kind) + payload.byteLength;
      this.log.checkSize(kind, size);
      bytes += size;
    }
    this.log.checkRoom(bytes);
  }

  deleteTopic(topicId: TopicId, timestampMs: number): Placed {
    return this.append(RecordKind.topicDeleted, timestampMs, encodeTopicDeleted(topicId));
  }

  deleteLiteQueues({ kind, payload }: DecidedRecord, timestampMs: number): Placed {
    return this.append(kind, timestampMs, payload);
  }

  /** The first record of a term of leadership. Resolves when it is committed. */
  async beginEpoch(epoch: Epoch, timestampMs: number): Promise<void> {
    this.log.setEpoch(epoch);
    await untilCommitted(this.log, this.append(RecordKind.epochStart, timestampMs, noBytes).end);
  }

  raiseFeatureLevel(level: number, timestampMs: number): Placed {
    const { level: now } = this.folding.featureLevel;
    assert(level >= now && level <= featureLevelMax, 'the feature level rises, up to what this release knows');
    return this.append(RecordKind.featureLevel, timestampMs, encodeFeatureLevel(level));
  }

  /** Answers where the last of the records ends. */
  expire(list: readonly Expired[], timestampMs: number): LogPosition {
    let end = this.log.appendEnd;
    for (let from = 0; from < list.length; from += expiredPerRecordMax) {
      const payload = encodeExpiry(list.slice(from, from + expiredPerRecordMax));
      end = this.append(RecordKind.expiry, timestampMs, payload).end;
    }
    return end;
  }

  /** A record of whose payload nothing is kept back, which may use the space kept for a full disk. */
  private appendNow(kind: RecordKind, timestampMs: number, payload: Uint8Array, queue: RecordDraft['queue']): Placed {
    this.folding.checkWhole();
    const chunks = [payload];
    const placed = this.log.append({ kind, timestampMs, payload: chunks, queue, reserved: true });
    this.fold(kind, placed, timestampMs, queue ?? noQueue, chunks);
    return withEnd(placed);
  }

  private fold(
    kind: RecordKind,
    { position, size }: { readonly position: LogPosition; readonly size: number },
    timestampMs: number,
    { topicId, queueId, queueOffset, tagHash, groupHash }: QueueFields,
    chunks: readonly Uint8Array[],
  ): void {
    const { record } = this;
    record.kind = kind;
    record.position = position;
    record.size = size;
    record.epoch = this.log.epoch;
    record.timestampMs = timestampMs;
    record.chunks = chunks;
    record.topicId = topicId;
    record.queueId = queueId;
    record.queueOffset = queueOffset;
    record.tagHash = tagHash;
    record.groupHash = groupHash;
    this.folding.apply(record, chunks[0] ?? noBytes);
  }

  private nextOffset(topicId: TopicId, queueId: QueueId): QueueOffset {
    const { directory } = this.folding;
    const queue = directory.find(topicId, queueId);
    if (queue >= 0) return directory.nextOf(queue) as QueueOffset;
    if (directory.isDeleted(topicId)) throw topicIsGone();
    return 0 as QueueOffset;
  }

  /**
   * What is over is not brought back, though the file may still be here: other members may have given it back already,
   * each at a time of its own.
   */
  private checkEntry(entry: QueuePlace | undefined): void {
    if (!entry || !this.folding.directory.isOver(entry.topicId, entry.queueId, entry.offset)) return;
    throw new MqError('MESSAGE_NOT_FOUND', 'the message has expired');
  }

  /**
   * A compacted segment may lack what it once held. What lives it has: what was pending until now, and what is reached
   * through an entry that lives.
   */
  private checkTarget(position: LogPosition, lives: boolean): void {
    const held = this.log.holds(position);
    if (held === true || (held === undefined && lives)) return;
    // Whoever wants to refer to a message has just read it, and with it the table that says what its segment holds.
    if (held === undefined) throw new MqError('UNAVAILABLE', 'the message has to be read again first');
    throw new MqError('MESSAGE_NOT_FOUND', 'the message is not kept any more');
  }

  private checkPendingQuota(payload: readonly Uint8Array[]): void {
    const { pending } = this.folding;
    let bytes = queueHeaderBytes;
    for (const chunk of payload) bytes += chunk.byteLength;
    if (pending.bytes + bytes <= this.pendingBytesMax) return;
    throw new MqError(
      'TOO_MANY_REQUESTS',
      `${pending.messages} delayed and half messages of ${pending.bytes} bytes are waiting on this broker, ` +
        `at most ${this.pendingBytesMax} bytes may (pendingBytesMax)`,
    );
  }
}

function topicIsGone(): MqError {
  return new MqError('TOPIC_NOT_FOUND', 'the topic has been deleted');
}

function withEnd({ position, size }: { readonly position: LogPosition; readonly size: number }): Placed {
  return { position, size, end: (position + size) as LogPosition };
}

/** Spelled out: spreading an object costs more than the whole fold. */
function appended(position: LogPosition, size: number, offset: QueueOffset): Appended {
  return { position, size, end: (position + size) as LogPosition, offset };
}
