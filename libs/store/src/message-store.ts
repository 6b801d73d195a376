/**
 * The front door: one log, and all views of it, as one thing that stores messages and finds them again.
 *
 *   append → log (position) → folded at once: segment index, directory, sizes, state views
 *   commit → consumers may see it: `committed` of the queue, `scan`, `onArrival`, whoever waits in `whenCommitted`
 *
 * Truth is the log. At the start the state views take up their last checkpoint and fold what is newer; the index of
 * the active segment is folded anew; indexes of sealed segments are files that are read when wanted.
 * What is appended is decided on at once, so `next` of a queue counts appended messages, `committed` visible ones.
 */
import {
  decodeReference,
  droppedPerRecordMax,
  eachLiteQueueGone,
  encodeDropped,
  encodeExpiry,
  encodeReference,
  encodeTopicDeleted,
  expiredPerRecordMax,
  KiB,
  MiB,
  RecordKind,
  releasesPending,
} from '@cometmq/model';
import type { Dropped, Epoch, Expired, GroupId, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { MqError, assert, broken } from '@cometmq/shared';
import type { Clock, Part, Timer } from '@cometmq/shared';

import { DataFolder } from './log/data-folder.js';
import { joinPath } from './disk/disk.js';
import type { Disk } from './disk/disk.js';
import type { IndexEntries } from './index/index-entries.js';
import { saltedId, saltedKey } from './index/key-hash.js';
import { foldIntoIndex, SegmentIndexes } from './index/segment-indexes.js';
import type { SealedSegment } from './index/segment-indexes.js';
import { unknownSegment } from './index/segment-index.js';
import { CommitLog, logLimits } from './log/commit-log.js';
import type { LogLimits } from './log/commit-log.js';
import type { EpochStart } from './log/epoch-table.js';
import { hasQueueHeader, headerBytesOf, queueHeaderBytes } from './log/record.js';
import type { LogRecord } from './log/record.js';
import { Retention } from './retention.js';
import type { RetentionGround } from './retention-ground.js';
import { Arrivals } from './views/arrivals.js';
import { Checkpointer } from './views/checkpointer.js';
import type { CheckpointStore } from './views/checkpoint-store.js';
import { Directory } from './views/directory.js';
import { PendingMessages, pendingWindowBytes } from './views/pending-messages.js';
import { ReleasedPending } from './views/released-pending.js';
import { Sizes } from './views/sizes.js';
import { Epochs } from './views/epochs.js';
import { openState } from './views/state-folder.js';
import type { MessageDraft, StateView } from './views/state-view.js';

export type { MessageDraft } from './views/state-view.js';

export interface StoreLimits extends LogLimits {
  /** Log bytes after which a checkpoint is made: bounds what is folded again after a crash. */
  readonly checkpointBytes: number;
  /** And the time, if anything was appended. */
  readonly checkpointMs: number;
  /** What is kept in memory of the sealed segments' indexes. */
  readonly indexCacheBytes: number;
  /** Log bytes of pending messages that may live at a time; 0: half of what the disk can take. */
  readonly pendingMessageBytesMax: number;
  /** How finely they are counted. A data folder keeps what it began with. */
  readonly pendingWindowBytes: number;
}

export const storeLimits: StoreLimits = {
  ...logLimits,
  checkpointBytes: 64 * MiB,
  checkpointMs: 10_000,
  indexCacheBytes: 24 * MiB,
  pendingMessageBytesMax: 0,
  pendingWindowBytes,
};

export interface StoreOptions {
  readonly disk: Disk;
  /** On the disk; made when missing. Holds `log/`, `index/` and `state/`. */
  readonly folder: string;
  readonly brokerName: string;
  readonly clock: Clock;
  readonly limits?: Partial<StoreLimits>;
  readonly views: readonly StateView[];
  /** Opens the checkpoints in a folder (a path of the operating system); left out: files on the disk. */
  readonly checkpoints?: (folder: string) => CheckpointStore;
  /** The disk can no longer be trusted: nothing is acknowledged from now on, and the broker must exit. Told once. */
  readonly onFailed: (error: MqError) => void;
  /** Told of what heals by itself but should be known. */
  readonly onTrouble?: (what: string, cause: unknown) => void;
}

export interface ReferenceDraft {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly tagHash: number;
  readonly groupHash: number;
  readonly timestampMs: number;
  /** The record that is to be visible in this queue too: a message, not a reference. */
  readonly target: { readonly position: LogPosition; readonly size: number };
  readonly originTopicId: TopicId;
  readonly groupId: GroupId;
  readonly reason: number;
}

export interface Placed {
  readonly position: LogPosition;
  /** Of the whole record. */
  readonly size: number;
  /** Behind the record: what `whenCommitted` is to be given. */
  readonly end: LogPosition;
}

export interface Appended extends Placed {
  readonly offset: QueueOffset;
}

/** A message as it stands in a queue; for a reference, with the payload of the message it refers to. */
export interface StoredMessage extends LogRecord {
  /** The topic the message was sent to. Another one than `topicId` for, say, a dead letter. */
  readonly originTopicId: TopicId;
  /** The record that holds the payload: this one, or for a reference the one it refers to. */
  readonly origin: { readonly position: LogPosition; readonly size: number };
}

/** Or why it can't be read: CORRUPT_RECORD; NOT_FOUND when it is gone. */
export type ReadMessage = StoredMessage | MqError;

export interface Bounds {
  /** The oldest offset kept. */
  readonly first: QueueOffset;
  /** One above the newest appended. */
  readonly next: QueueOffset;
  /** One above the newest that consumers may see. */
  readonly committed: QueueOffset;
  /** Whether a message of this queue ever expired. */
  readonly everExpired: boolean;
}

export interface QueueSize {
  /** Those that have not expired. */
  readonly messages: number;
  /** What they take in the log. */
  readonly bytes: number;
  readonly last: LogPosition;
}

/** A record that may carry the id or key: hashes collide, and it may have expired. Read it and look. */
export interface Candidate {
  readonly position: LogPosition;
  readonly size: number;
}

/** Plain numbers for metrics and administrators. */
export interface StoreSizes {
  readonly messages: number;
  readonly messageBytes: number;
  readonly queues: number;
  readonly segments: number;
  /** Of them, those that were compacted. */
  readonly segmentsCompacted: number;
  /** Bytes of the log's files. */
  readonly logBytes: number;
  /** Of the oldest record kept; 0: there is none. */
  readonly oldestTimestampMs: number;
  /** Those that live: neither visible yet nor dropped. */
  readonly pendingMessages: number;
  readonly pendingMessageBytes: number;
  /** The quota on the latter. */
  readonly pendingMessageBytesMax: number;
  readonly diskFull: boolean;
  readonly checkpointPosition: LogPosition;
  readonly indexesRebuilt: number;
}

export interface Snapshot {
  readonly position: LogPosition;
  readonly epoch: Epoch;
  /** `<view>/<key>` → bytes. */
  readonly pieces: ReadonlyMap<string, Uint8Array>;
}

const noBounds = { first: 0, next: 0, committed: 0, everExpired: false } as unknown as Bounds;
/** A search by id or key never answers with more. */
const candidatesMax = 64 * KiB;

export class MessageStore implements Part {
  readonly name = 'store';
  readonly retention: Retention;
  private readonly limits: StoreLimits;
  private readonly log: CommitLog;
  private readonly directory = new Directory();
  private readonly topicSizes = new Sizes();
  private readonly pending: PendingMessages;
  private readonly released: ReleasedPending;
  private pendingBytesMax = 0;
  /** Behind the newest record that may have ended a life: what it freed may go once it is committed. */
  private lastEnding = 0 as LogPosition;
  private readonly indexes: SegmentIndexes;
  private readonly arrivals: Arrivals;
  private readonly stateViews: readonly StateView[];
  /** By record kind: the views that fold it by `fold`; directory and sizes have a way of their own for queue entries. */
  private readonly folders: (readonly StateView[])[] = [];
  private readonly messageViews: readonly StateView[];
  /** The same, if none of them wants a record made for each message. */
  private readonly quickViews: readonly StateView[] | undefined;
  private readonly listeners: ((topicId: TopicId, queueId: QueueId) => void)[] = [];
  private dataFolder: DataFolder | undefined;
  private checkpointer: Checkpointer | undefined;
  private timer: Timer | undefined;
  private failure: MqError | undefined;
  private ready = false;
  private stopping = false;

  /** Builds only; `start` opens. */
  constructor(private readonly options: StoreOptions) {
    const { disk, folder, clock } = options;
    this.limits = { ...storeLimits, ...options.limits };
    this.log = new CommitLog(disk, joinPath(folder, 'log'), this.limits, clock, {
      onFailed: (error) => this.fail(error),
      onSealed: (segment) => this.indexes.onSealed(segment.first),
    });
    const source = {
      scan: (from: LogPosition, each: (record: LogRecord) => void, until?: LogPosition) =>
        this.log.scan(from, each, until),
    };
    this.indexes = new SegmentIndexes(disk, joinPath(folder, 'index'), source, this.limits.indexCacheBytes, (caught) =>
      this.options.onTrouble?.('an index file could not be written; it stays in memory', caught),
    );
    this.pending = new PendingMessages(this.limits.pendingWindowBytes);
    this.released = new ReleasedPending(this.pending, (key) => this.coldPiece(this.released, key));
    const ours = [new Epochs(this.log.epochs), this.pending, this.released];
    this.stateViews = [this.directory, this.topicSizes, ...ours, ...options.views];
    for (const kind of Object.values(RecordKind)) {
      this.folders[kind] = [...ours, ...options.views].filter((view) => view.kinds.has(kind));
    }
    this.messageViews = this.folders[RecordKind.message] ?? [];
    this.quickViews = this.messageViews.every((view) => 'foldAppended' in view) ? this.messageViews : undefined;
    this.arrivals = new Arrivals(this.directory, (topicId, queueId) => {
      for (const listener of this.listeners) listener(topicId as TopicId, queueId as QueueId);
    });
    this.log.onCommitted((_from, end) => this.committed(end));
    this.retention = new Retention(this.ground(), this.limits.segmentBytes);
  }

  /**
   * Takes the data folder, finds the log's end, folds what is newer than the checkpoint. Ready when it resolves.
   *
   * @throws MqError DATA_FOLDER, CORRUPT_RECORD: says where and what to do
   */
  async start(): Promise<void> {
    const { disk, folder, brokerName } = this.options;
    this.dataFolder = await DataFolder.open(disk, folder, brokerName);
    const stateFolder = joinPath(folder, 'state');
    const checkpoints = this.options.checkpoints?.(disk.realPath(stateFolder)) ?? (await this.openState());
    this.checkpointer = new Checkpointer(checkpoints, this.stateViews, (caught) => {
      const said = caught instanceof Error ? caught.message : String(caught);
      this.fail(new MqError('DISK_FAILED', `the checkpoint could not be written or read: ${said}`, { cause: caught }));
    });
    const stored = this.checkpointer.load();
    await this.log.open(stored, this.dataFolder.salt);
    const segments = this.log.segments();
    const active = segments[segments.length - 1];
    assert(active !== undefined, 'an open log has a segment');
    const from = stored?.position ?? 0;
    const oldest = segments[0]?.first ?? 0;
    if (!stored && oldest > 0) {
      throw new MqError(
        'DATA_FOLDER',
        `the log begins at ${oldest}, and what came before it is known only to the checkpoint in ` +
          `${disk.realPath(stateFolder)}, which is gone. Bring it back from a copy, or start with an empty data folder`,
      );
    }
    const known = stored?.position ?? 0;
    const ahead = segments.find((segment) => segment.generation > 0 && segment.end > known);
    if (ahead) {
      throw new MqError(
        'DATA_FOLDER',
        `what the log said below ${ahead.end} is partly known only to the checkpoint in ${disk.realPath(stateFolder)}, ` +
          `which ends at ${known}. Bring the newest one back from a copy, or start with an empty data folder`,
      );
    }
    await this.indexes.open(segments, active.first);
    await this.foldLog(from, active.first);
    this.directory.commitAll();
    this.pendingBytesMax = await this.findPendingMax();
    this.indexes.fillGaps().catch((caught: unknown) => this.trouble('an index file could not be made', caught));
    this.ready = true;
    this.armTimer();
  }

  /** A last checkpoint, so that the next start has nothing to fold; then gives everything back. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.timer?.cancel();
    this.checkpointer?.beginStop();
    try {
      await this.retention.stop();
      if (this.ready && !this.failure) {
        this.log.requestBatch(); // Hooks may have a last word to append.
        await this.log.close();
        await this.closeGeneration();
      }
      await this.indexes.close();
      await this.log.close();
      await this.checkpointer?.stop();
    } finally {
      await this.dataFolder?.release();
      this.dataFolder = undefined;
    }
  }

  /** All state views, the store's own first. */
  get views(): readonly Pick<StateView, 'name' | 'kinds'>[] {
    return this.stateViews;
  }
  /** Of this data folder: another one after it was lost. */
  get incarnation(): string {
    assert(this.dataFolder !== undefined, 'the store has been started');
    return this.dataFolder.incarnation;
  }
  get epoch(): Epoch {
    return this.log.epoch;
  }
  /** Of the newest record; 0 while there is none. Time does not go back behind it. */
  get lastTimestampMs(): number {
    const segments = this.log.segments();
    return segments[segments.length - 1]?.lastTimestampMs ?? 0;
  }
  /** Where each epoch of the log begins. */
  get epochs(): readonly EpochStart[] {
    return this.log.epochs.all;
  }
  get appendEnd(): LogPosition {
    return this.log.appendEnd;
  }
  /** All below it is visible. */
  get commitEnd(): LogPosition {
    return this.log.commitEnd;
  }

  /** Begins the reign of a leader: its first record. Decisions may be made once it resolves. */
  async beginEpoch(epoch: Epoch, timestampMs = this.options.clock.wallMs()): Promise<void> {
    this.log.setEpoch(epoch);
    const { end } = this.append(RecordKind.epochStart, timestampMs, new Uint8Array(0));
    await this.untilCommitted(end);
  }

  /** @throws MqError MESSAGE_TOO_LARGE, TOO_MANY_REQUESTS, STORAGE_FULL, DISK_FAILED, TOPIC_NOT_FOUND */
  appendMessage(draft: MessageDraft): Appended {
    const { topicId, queueId, tagHash, groupHash, timestampMs, payload } = draft;
    const queueOffset = this.nextOffset(topicId, queueId);
    this.checkWhole();
    const placed = this.log.append({
      kind: RecordKind.message,
      timestampMs,
      payload,
      queue: { topicId, queueId, queueOffset, tagHash, groupHash },
      reserved: false,
    });
    try {
      const index = this.foldEntry(draft, queueOffset, placed.position, placed.size);
      const envelope = payload[0];
      if (envelope) index.addKeys(topicId, envelope);
      if (this.quickViews) {
        for (const view of this.quickViews) view.foldAppended?.(draft, placed.position, placed.size);
      } else this.showViews(RecordKind.message, placed, timestampMs, draft, queueOffset, payload);
    } catch (caught) {
      this.foldFailed(RecordKind.message, placed.position, caught);
    }
    return appended(placed.position, placed.size, queueOffset);
  }

  /**
   * Makes an earlier message visible in another queue.
   *
   * @throws MqError MESSAGE_NOT_FOUND when the target is gone; else as `appendMessage`
   */
  appendReference(draft: ReferenceDraft): Appended {
    const { topicId, queueId, tagHash, groupHash, timestampMs, target } = draft;
    if (!this.indexes.canRefer(target.position)) {
      throw new MqError('MESSAGE_NOT_FOUND', 'the message is not kept any more');
    }
    this.checkTarget(target.position, draft.reason);
    const queueOffset = this.nextOffset(topicId, queueId);
    const payload = [encodeReference(draft)];
    this.checkWhole();
    const placed = this.log.append({
      kind: RecordKind.reference,
      timestampMs,
      payload,
      queue: { topicId, queueId, queueOffset, tagHash, groupHash },
      reserved: true,
    });
    try {
      this.foldEntry(draft, queueOffset, placed.position, placed.size).addReference(target.position);
      this.indexes.noteReference(target.position);
      this.showViews(RecordKind.reference, placed, timestampMs, draft, queueOffset, payload);
    } catch (caught) {
      this.foldFailed(RecordKind.reference, placed.position, caught);
    }
    return appended(placed.position, placed.size, queueOffset);
  }

  /**
   * A message that no queue shows until a reference to it does, for which its body is stored once. Found by id and key
   * meanwhile; kept however old it gets, until it is released or dropped.
   *
   * @throws MqError as `appendMessage`; TOO_MANY_REQUESTS also when the quota of pending messages is used up
   */
  appendPending(draft: MessageDraft): Placed {
    const { topicId, queueId, tagHash, groupHash, timestampMs, payload } = draft;
    if (this.directory.isDeleted(topicId)) throw new MqError('TOPIC_NOT_FOUND', 'the topic has been deleted');
    this.checkPendingQuota(payload);
    const queue = { topicId, queueId, queueOffset: 0 as QueueOffset, tagHash, groupHash };
    this.checkWhole();
    const placed = this.log.append({ kind: RecordKind.pending, timestampMs, payload, queue, reserved: false });
    try {
      this.rollTo(placed.position, placed.size);
      const index = this.indexes.current;
      index.addQueueless(placed.position, placed.size, tagHash, groupHash, timestampMs);
      if (payload[0]) index.addKeys(topicId, payload[0]);
      this.showViews(RecordKind.pending, placed, timestampMs, draft, 0 as QueueOffset, payload);
    } catch (caught) {
      this.foldFailed(RecordKind.pending, placed.position, caught);
    }
    return withEnd(placed);
  }

  /** Pending messages will never be visible: their space comes free. May use the space kept for a full disk. */
  appendDropped(list: readonly Dropped[], timestampMs: number): Placed {
    let from = 0;
    for (; list.length - from > droppedPerRecordMax; from += droppedPerRecordMax) {
      this.append(RecordKind.dropped, timestampMs, encodeDropped(list.slice(from, from + droppedPerRecordMax)));
    }
    return this.append(RecordKind.dropped, timestampMs, encodeDropped(list.slice(from)));
  }

  /** A record of the state views' own. May use the space kept for a full disk. */
  append(kind: RecordKind, timestampMs: number, payload: Uint8Array): Placed {
    assert(!hasQueueHeader(kind), 'messages, references and pending messages have their own way in');
    this.checkWhole();
    const placed = this.log.append({ kind, timestampMs, payload: [payload], reserved: true });
    try {
      this.rollTo(placed.position, placed.size);
      this.showViews(kind, placed, timestampMs, undefined, 0 as QueueOffset, [payload]);
    } catch (caught) {
      this.foldFailed(kind, placed.position, caught);
    }
    return withEnd(placed);
  }

  /** The topic's queues are gone at once, and its space with its segments. Its id must never be used again. */
  deleteTopic(topicId: TopicId, timestampMs = this.options.clock.wallMs()): Placed {
    this.arrivals.forget((queue) => this.directory.topicOf(queue) === topicId);
    return this.append(RecordKind.topicDeleted, timestampMs, encodeTopicDeleted(topicId));
  }

  /** The queues of lite topics are gone, each with all its messages. Their numbers must never be used again. */
  deleteLiteQueues(record: { readonly kind: RecordKind; readonly payload: Uint8Array }, timestampMs: number): Placed {
    const going = new Set<number>();
    eachLiteQueueGone(record.payload, ({ topicId, queueId }) => going.add(this.directory.find(topicId, queueId)));
    this.arrivals.forget((queue) => going.has(queue));
    const placed = this.append(record.kind, timestampMs, record.payload);
    this.indexes.livesChanged();
    return placed;
  }

  /** Calls `act` when all below `end` is committed, in order of `end`; with the error when the disk fails before. */
  whenCommitted(end: LogPosition, act: (error?: MqError) => void): void {
    this.log.whenCommitted(end, act, act);
  }
  /** Called right before each batch is cut; may append, so that what has gathered becomes one record. */
  beforeBatch(act: () => void): void {
    this.log.beforeBatch(act);
  }
  /** Has a batch cut soon even if nothing is appended until then. */
  requestBatch(): void {
    this.log.requestBatch();
  }
  /** Called after a commit with each queue that has newly visible messages, once, before those who wait for it. */
  onArrival(listener: (topicId: TopicId, queueId: QueueId) => void): void {
    this.listeners.push(listener);
  }

  /** `bounds(…).first`, and no object for it. */
  firstOf(topicId: TopicId, queueId: QueueId): QueueOffset {
    const queue = this.directory.find(topicId, queueId);
    return (queue < 0 ? 0 : this.directory.firstOf(queue)) as QueueOffset;
  }

  /** `bounds(…).committed`, and no object for it. */
  committedOf(topicId: TopicId, queueId: QueueId): QueueOffset {
    const queue = this.directory.find(topicId, queueId);
    return (queue < 0 ? 0 : this.directory.committedOf(queue)) as QueueOffset;
  }

  /** A queue nothing was ever appended to has zeros. */
  bounds(topicId: TopicId, queueId: QueueId): Bounds {
    const queue = this.directory.find(topicId, queueId);
    if (queue < 0) return noBounds;
    const first = this.directory.firstOf(queue) as QueueOffset;
    return {
      first,
      next: this.directory.nextOf(queue) as QueueOffset,
      committed: this.directory.committedOf(queue) as QueueOffset,
      everExpired: first > 0,
    };
  }

  /** What a queue holds, and where its newest message stands. Undefined: nothing was ever appended to it. */
  queueSize(topicId: TopicId, queueId: QueueId): QueueSize | undefined {
    const queue = this.directory.find(topicId, queueId);
    if (queue < 0) return undefined;
    return {
      messages: this.directory.nextOf(queue) - this.directory.firstOf(queue),
      bytes: this.directory.bytesOf(queue),
      last: this.directory.lastOf(queue),
    };
  }

  /** All messages below it are older than `timeMs`, to a second. */
  async positionAtTime(timeMs: number): Promise<LogPosition> {
    for (const segment of this.log.segments().toReversed()) {
      if (segment.firstTimestampMs >= timeMs) continue;
      return this.indexes.positionAtTime(segment.first, timeMs, this.appendEnd);
    }
    return (this.log.segments()[0]?.first ?? 0) as LogPosition;
  }

  /**
   * Index entries of up to `max` visible messages from offset `from` on (from the first one kept, if that is higher:
   * look at `from` of the answer). May be fewer than there are; none at the queue's end only. At once when in memory.
   *
   * @throws MqError CORRUPT_RECORD (as a rejection) when an index has to be made again and its segment is damaged
   */
  scan(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | Promise<IndexEntries> {
    const queue = this.directory.find(topicId, queueId);
    const start = queue < 0 ? from : Math.max(from, this.directory.firstOf(queue));
    const count = queue < 0 ? 0 : Math.min(max, this.directory.committedOf(queue) - start);
    return this.indexes.scan(topicId, queueId, start, Math.max(0, count), this.commitEnd);
  }

  /** As `scan` where that is answered at once; undefined: it lies on disk, and nothing was begun. */
  scanInMemory(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | undefined {
    const queue = this.directory.find(topicId, queueId);
    const start = queue < 0 ? from : Math.max(from, this.directory.firstOf(queue));
    const count = queue < 0 ? 0 : Math.min(max, this.directory.committedOf(queue) - start);
    return this.indexes.scanInMemory(topicId, queueId, start, Math.max(0, count), this.commitEnd);
  }

  /**
   * The message that an index entry names. A reference is followed: the answer has the payload of its target.
   *
   * @throws MqError (as a rejection) CORRUPT_RECORD; NOT_FOUND when it is gone
   */
  async read(position: LogPosition, size: number): Promise<StoredMessage> {
    const [found] = await this.readAll([{ position, size }]);
    if (!found || found instanceof MqError) throw found ?? new MqError('NOT_FOUND', `no message at ${position}`);
    return found;
  }

  /** Many messages, in the order they are named; in place of one that can't be read, why. At once when in memory. */
  readAll(wanted: readonly Candidate[]): readonly ReadMessage[] | Promise<readonly ReadMessage[]> {
    const found: StoredMessage[] = [];
    for (const { position, size } of wanted) {
      const record = this.log.recordInMemory(position, size);
      const message = record && this.messageInMemory(record);
      if (!message) return this.readCold(wanted);
      found.push(message);
    }
    return found;
  }

  /** What the record of a message says, or the one that a reference names. Undefined: it lies on disk only. */
  payloadInMemory(position: LogPosition, size: number): Uint8Array | undefined {
    const record = this.log.recordInMemory(position, size);
    return record && this.messageInMemory(record)?.payload;
  }

  /** Newest first. `idHash` as the envelope has it. */
  async findById(topicId: TopicId, idHash: number, max: number): Promise<Candidate[]> {
    return this.findHash(saltedId(topicId, idHash), 0, Infinity, max);
  }

  /** Those of segments that may hold messages stored between the two times. Newest segment first. */
  async findByKey(topicId: TopicId, keyHash: number, fromMs: number, toMs: number, max: number): Promise<Candidate[]> {
    return this.findHash(saltedKey(topicId, keyHash), fromMs, toMs, max);
  }

  /** The first visible offset stored at or after `timeMs`; the committed end when there is none. */
  async offsetAtTime(topicId: TopicId, queueId: QueueId, timeMs: number): Promise<QueueOffset> {
    const { first, committed } = this.bounds(topicId, queueId);
    let low: number = first;
    let high: number = committed;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const entries = await this.scan(topicId, queueId, middle as QueueOffset, 1);
      // What expires meanwhile lies before the time asked for, or the search is over anyway.
      if (entries.count === 0 || entries.from !== middle) {
        low = Math.max(middle + 1, entries.from);
        continue;
      }
      const { timestampMs } = await this.log.read(entries.position(0), entries.size(0));
      if (timestampMs < timeMs) low = middle + 1;
      else high = middle;
    }
    return low as QueueOffset;
  }

  get sizes(): StoreSizes {
    const segments = this.log.segments();
    let logBytes = 0;
    let segmentsCompacted = 0;
    for (const { fileBytes, generation } of segments) {
      logBytes += fileBytes;
      if (generation > 0) segmentsCompacted += 1;
    }
    return {
      messages: this.topicSizes.messages,
      messageBytes: this.topicSizes.bytes,
      queues: this.directory.queueCount,
      segments: segments.length,
      segmentsCompacted,
      logBytes,
      oldestTimestampMs: segments[0]?.firstTimestampMs ?? 0,
      pendingMessages: this.pending.messages,
      pendingMessageBytes: this.pending.bytes,
      pendingMessageBytesMax: this.pendingBytesMax,
      diskFull: this.log.full,
      checkpointPosition: this.checkpointer?.position ?? (0 as LogPosition),
      indexesRebuilt: this.indexes.rebuilt,
    };
  }

  topicSize(topicId: TopicId): { readonly messages: number; readonly bytes: number } {
    const { messages, bytes } = this.topicSizes.topic(topicId) ?? { messages: 0, bytes: 0 };
    return { messages, bytes };
  }

  /** Every topic of which something is kept. */
  topicIds(): TopicId[] {
    const ids = new Set<TopicId>();
    this.directory.eachTopic((topicId) => ids.add(topicId as TopicId));
    this.pending.eachTopic((topicId) => ids.add(topicId as TopicId));
    return [...ids];
  }

  /** Of the topic's pending messages that live. */
  pendingSize(topicId: TopicId): { readonly messages: number; readonly bytes: number } {
    const { messages, bytes } = this.pending.topic(topicId);
    return { messages, bytes };
  }

  /** What the file system can still take. */
  freeBytes(): Promise<number> {
    return this.options.disk.freeBytes(this.options.folder);
  }

  /** A cold piece of one of the views, as it was last taken from it. At once; a read of the disk's cache, or of the disk. */
  coldPiece(view: StateView, key: string): Uint8Array | undefined {
    assert(this.checkpointer !== undefined, 'the store has been started');
    return this.checkpointer.coldPiece(view, key);
  }

  /** Makes a checkpoint of all that has been appended; resolves when it is on disk. */
  async checkpoint(): Promise<void> {
    assert(this.checkpointer !== undefined, 'the store has been started');
    await this.checkpointer.idle();
    await this.closeGeneration();
  }

  /** All pieces of all state views, as of one position: with the log from there on, it is all there is. */
  async snapshot(): Promise<Snapshot> {
    await this.checkpoint();
    const stored = this.checkpointer?.stored();
    assert(stored !== undefined, 'a checkpoint was just made');
    return {
      position: stored.position,
      epoch: stored.epoch,
      pieces: new Map([...stored.pieces, ...stored.coldPieces]),
    };
  }

  /** Resolves when no index file is being written. */
  async idle(): Promise<void> {
    await this.indexes.idle();
  }

  private openState(): Promise<CheckpointStore> {
    const { disk, folder, clock, onTrouble } = this.options;
    return openState({ disk, folder, log: this.incarnation, clock, onTrouble });
  }

  // ---- folding

  private nextOffset(topicId: TopicId, queueId: QueueId): QueueOffset {
    const queue = this.directory.find(topicId, queueId);
    if (queue >= 0) return this.directory.nextOf(queue) as QueueOffset;
    if (this.directory.isDeleted(topicId)) throw new MqError('TOPIC_NOT_FOUND', 'the topic has been deleted');
    return 0 as QueueOffset;
  }

  /** A compacted segment may lack what it once held. What was pending until now it has: that has lived all the time. */
  private checkTarget(position: LogPosition, reason: number): void {
    const held = this.log.holds(position);
    if (held === true || (held === undefined && releasesPending(reason))) return;
    // Whoever wants to refer to a message has just read it, and with it the table that says what its segment holds.
    if (held === undefined) throw new MqError('UNAVAILABLE', 'the message has to be read again first');
    throw new MqError('MESSAGE_NOT_FOUND', 'the message is not kept any more');
  }

  /** The fold of a queue entry at its append. Answers the index it went to. */
  private foldEntry(draft: MessageDraft | ReferenceDraft, offset: QueueOffset, position: LogPosition, size: number) {
    this.rollTo(position, size);
    const { topicId, queueId } = draft;
    const index = this.indexes.current;
    const local = index.add(
      topicId,
      queueId,
      offset,
      position,
      size,
      draft.tagHash,
      draft.groupHash,
      draft.timestampMs,
    );
    if (offset > 0 && index.isNew(local)) {
      const last = this.directory.lastOf(this.directory.find(topicId, queueId));
      index.setPrev(local, this.indexes.segmentAt(last));
    }
    const queue = this.directory.advance(topicId, queueId, offset, position, size);
    this.topicSizes.grow(topicId, size);
    this.arrivals.add(queue, offset, position + size);
    return index;
  }

  /** The log begins a new segment with a record that does not fit the last one; so does its index. */
  private rollTo(position: LogPosition, size: number): void {
    if (position + size - this.indexes.current.first > this.limits.segmentBytes) this.indexes.roll(position);
  }

  private showViews(
    kind: RecordKind,
    placed: { position: LogPosition; size: number },
    timestampMs: number,
    entry: MessageDraft | ReferenceDraft | undefined,
    queueOffset: QueueOffset,
    payload: readonly Uint8Array[],
  ): void {
    const views = this.folders[kind] ?? [];
    const ours = this.directory.kinds.has(kind) && !hasQueueHeader(kind);
    if (views.length === 0 && !ours) return;
    const record: LogRecord = {
      kind,
      position: placed.position,
      size: placed.size,
      epoch: this.log.epoch,
      timestampMs,
      commitKnown: this.commitEnd,
      payload: payload.length === 1 && payload[0] ? payload[0] : this.payloadInLog(kind, placed),
      topicId: entry?.topicId ?? (0 as TopicId),
      queueId: entry?.queueId ?? (0 as QueueId),
      queueOffset,
      tagHash: entry?.tagHash ?? 0,
      groupHash: entry?.groupHash ?? 0,
    };
    if (ours) {
      this.directory.fold(record);
      this.topicSizes.fold(record);
    }
    for (const view of views) view.fold(record);
    if (ours || kind === RecordKind.dropped || kind === RecordKind.reference) this.lastEnding = withEnd(placed).end;
  }

  /** The payload in one piece, without a copy: as it stands in the log's memory. */
  private payloadInLog(kind: RecordKind, { position, size }: { position: LogPosition; size: number }): Uint8Array {
    const bytes = this.log.peekMemory(position, size);
    assert(bytes !== undefined, 'what was just appended is in memory');
    return bytes.subarray(headerBytesOf(kind));
  }

  /** The fold at the start: state views from the checkpoint on, the active segment's index from its beginning. */
  private async foldLog(stateFrom: number, active: LogPosition): Promise<void> {
    const { directory, topicSizes, indexes } = this;
    await this.log.scan(Math.min(stateFrom, active) as LogPosition, (record) => {
      const { kind, position } = record;
      if (position >= active) {
        const local = foldIntoIndex(indexes.current, record);
        // Below the checkpoint the directory already knows what comes later: where the queue was before is not known.
        if (local >= 0 && position >= stateFrom && indexes.current.prevOf(local) === unknownSegment) {
          const queue = directory.find(record.topicId, record.queueId);
          if (queue >= 0 && indexes.current.isNew(local)) {
            indexes.current.setPrev(local, indexes.segmentAt(directory.lastOf(queue)));
          }
        }
      }
      if (position < stateFrom) return;
      if (directory.kinds.has(kind)) {
        directory.fold(record);
        topicSizes.fold(record);
      }
      for (const view of this.folders[kind] ?? []) view.fold(record);
    });
  }

  // ---- commit and checkpoints

  private committed(end: LogPosition): void {
    this.arrivals.commit(end);
    const { checkpointer } = this;
    if (!checkpointer) return;
    checkpointer.committed(end);
    if (!checkpointer.busy && this.appendEnd - checkpointer.closed >= this.limits.checkpointBytes) {
      void this.closeGeneration();
    }
  }

  private closeGeneration(): Promise<void> {
    const { checkpointer } = this;
    assert(checkpointer !== undefined, 'the store has been started');
    if (checkpointer.busy || this.appendEnd === checkpointer.position) return checkpointer.idle();
    const done = checkpointer.close(this.appendEnd, this.log.epoch);
    checkpointer.committed(this.commitEnd);
    return done;
  }

  private armTimer(): void {
    this.timer = this.options.clock.after(this.limits.checkpointMs, () => {
      if (this.failure || this.stopping) return;
      void this.closeGeneration();
      this.armTimer();
    });
  }

  /** Nothing is decided on views that missed a record. @throws MqError */
  private checkWhole(): void {
    if (this.failure) throw this.failure;
  }

  /**
   * The log has the record and a view does not: memory is no longer what the log says. Whoever appended it must not be
   * answered, and nothing may be decided or checkpointed any more; the next start folds the log anew.
   */
  private foldFailed(kind: RecordKind, position: LogPosition, caught: unknown): never {
    const said = caught instanceof Error ? caught.message : String(caught);
    const promise = `the record of kind ${kind} at log position ${position} is folded: ${said}`;
    this.fail(new MqError('INTERNAL', promise, { cause: caught }));
    throw broken(promise, caught);
  }

  private fail(error: MqError): void {
    if (this.failure) return;
    this.failure = error;
    this.options.onFailed(error);
  }

  private trouble(what: string, caught: unknown): void {
    if (!this.stopping) this.options.onTrouble?.(what, caught);
  }

  private async untilCommitted(end: LogPosition): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.whenCommitted(end, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Half of what the log's disk can take, where nothing else is said. */
  private async findPendingMax(): Promise<number> {
    const { pendingMessageBytesMax } = this.limits;
    if (pendingMessageBytesMax > 0) return pendingMessageBytesMax;
    return Math.floor((this.sizes.logBytes + (await this.freeBytes())) / 2);
  }

  private checkPendingQuota(payload: readonly Uint8Array[]): void {
    let bytes = queueHeaderBytes;
    for (const chunk of payload) bytes += chunk.byteLength;
    if (this.pending.bytes + bytes <= this.pendingBytesMax) return;
    throw new MqError(
      'TOO_MANY_REQUESTS',
      `${this.pending.messages} delayed and half messages of ${this.pending.bytes} bytes are waiting on this broker, ` +
        `at most ${this.pendingBytesMax} bytes may (pendingBytesMax)`,
    );
  }

  // ---- reading

  private messageInMemory(record: LogRecord): StoredMessage | undefined {
    if (record.kind !== RecordKind.reference) return stored(record, record.payload, record.topicId, record);
    const { target, originTopicId } = decodeReference(record.payload);
    const origin = this.log.recordInMemory(target.position, target.size);
    return origin && stored(record, origin.payload, originTopicId, target);
  }

  private async readCold(wanted: readonly Candidate[]): Promise<readonly ReadMessage[]> {
    const records = await this.log.readAll(wanted);
    const targets: Candidate[] = [];
    for (const record of records) {
      if (record instanceof MqError || record.kind !== RecordKind.reference) continue;
      targets.push(decodeReference(record.payload).target);
    }
    const origins = targets.length > 0 ? await this.log.readAll(targets) : [];
    let next = 0;
    return records.map((record) => {
      if (record instanceof MqError) return record;
      if (record.kind !== RecordKind.reference) return stored(record, record.payload, record.topicId, record);
      const { target, originTopicId } = decodeReference(record.payload);
      const origin = origins[next++] ?? new MqError('NOT_FOUND', `no message at ${target.position}`);
      return origin instanceof MqError ? origin : stored(record, origin.payload, originTopicId, target);
    });
  }

  private async findHash(hash: number, fromMs: number, toMs: number, max: number): Promise<Candidate[]> {
    const times = new Map(this.log.segments().map((segment) => [segment.first, segment]));
    const found: Candidate[] = [];
    const limit = this.commitEnd;
    const wanted = (first: LogPosition): boolean => {
      const segment = times.get(first);
      if (!segment?.sealed) return true;
      return segment.firstTimestampMs <= toMs && segment.lastTimestampMs >= fromMs;
    };
    if (max <= 0) return found;
    await this.indexes.findKey(hash, wanted, (position, size) => {
      if (position + size <= limit) found.push({ position, size });
      return found.length < Math.min(max, candidatesMax);
    });
    return found;
  }

  // ---- retention

  private ground(): RetentionGround {
    const commitEnd = (): LogPosition => this.commitEnd;
    const diskFull = (): boolean => this.log.full;
    const checkpointEnd = (): LogPosition => this.checkpointer?.position ?? (0 as LogPosition);
    return {
      directory: this.directory,
      sizes: this.topicSizes,
      indexes: this.indexes,
      pending: this.pending,
      released: this.released,
      log: this.log,
      get diskFull() {
        return diskFull();
      },
      segments: () => this.log.segments(),
      get commitEnd() {
        return commitEnd();
      },
      get checkpointEnd() {
        return checkpointEnd();
      },
      expire: (list, timestampMs) => this.expire(list, timestampMs),
      checkpoint: () => this.checkpoint(),
      settled: () => this.untilCommitted(this.lastEnding),
      unlink: (segment) => this.unlink(segment),
    };
  }

  private async expire(list: readonly Expired[], timestampMs: number): Promise<void> {
    let end = this.appendEnd;
    for (let from = 0; from < list.length; from += expiredPerRecordMax) {
      const payload = encodeExpiry(list.slice(from, from + expiredPerRecordMax));
      end = this.append(RecordKind.expiry, timestampMs, payload).end;
    }
    await this.untilCommitted(end);
  }

  private async unlink(segment: SealedSegment): Promise<void> {
    await this.indexes.remove(segment);
    await this.log.unlink(segment.first);
  }
}

function withEnd({ position, size }: { readonly position: LogPosition; readonly size: number }): Placed {
  return { position, size, end: (position + size) as LogPosition };
}

/** Spelled out: spreading an object costs more than the whole fold. */
function appended(position: LogPosition, size: number, offset: QueueOffset): Appended {
  return { position, size, end: (position + size) as LogPosition, offset };
}

function stored(
  record: LogRecord,
  payload: Uint8Array,
  originTopicId: TopicId,
  { position, size }: { readonly position: LogPosition; readonly size: number },
): StoredMessage {
  return {
    kind: record.kind,
    position: record.position,
    size: record.size,
    epoch: record.epoch,
    timestampMs: record.timestampMs,
    commitKnown: record.commitKnown,
    payload,
    topicId: record.topicId,
    queueId: record.queueId,
    queueOffset: record.queueOffset,
    tagHash: record.tagHash,
    groupHash: record.groupHash,
    originTopicId,
    origin: { position, size },
  };
}
