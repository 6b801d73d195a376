/**
 * The front door: one log, and all views of it, as one thing that stores messages and finds them again.
 *
 *   append → log (position) → folded at once: segment index, directory, sizes, state views
 *   commit → consumers may see it: `committed` of the queue, `scan`, `onArrival`, whoever waits in `whenCommitted`
 *
 * Truth is the log. At the start the state views take up their last checkpoint and fold what is newer; the index of
 * the active segment is folded anew; indexes of sealed segments are files that are read when wanted.
 * What is appended is decided on at once, so `next` of a queue counts appended messages, `committed` visible ones.
 *
 * What each call promises: `ports/`. The parts: `store-parts.ts` (what is built, and who tells whom), `opening.ts`, `writer.ts`
 * (drafts), `folding.ts` (the fold), `store-reads.ts` and `reader.ts`, `checkpoints.ts`, `replication.ts` (who folds when).
 */
import type { DecidedRecord, Dropped, Epoch, EpochStart, LogPosition, RecordKind } from '@cometmq/model';
import type { QueueId, TopicId } from '@cometmq/model';
import type { Component, MqError } from '@cometmq/shared';

import { pendingSizeOf, queueIdsOf, sizesOf, topicIdsOf, topicSizeOf } from './figures.js';
import type { DamagedPart } from './log/damaged-part.js';
import { Opening } from './opening.js';
import type { StorePorts } from './ports/store-ports.js';
import { StoreParts } from './store-parts.js';
import { StoreReads } from './store-reads.js';
import type { Appended, MessageDraft, PendingKind, Placed, QueuedKind } from './store-types.js';
import type { ReferenceDraft, Snapshot, StoreOptions, StoreSizes, TopicSize } from './store-types.js';
import type { SnapshotInfo } from './snapshot/snapshots.js';
import type { StateView } from './views/state-view.js';

export class MessageStore extends StoreReads implements StorePorts, Component {
  readonly name = 'store';
  readonly retention: StoreParts['retention'];
  readonly replication: StoreParts['replication'];
  readonly snapshots: StoreParts['snapshots'];
  readonly repairs: StoreParts['repairs'];
  private readonly opening: Opening;
  private readonly writer: StoreParts['writer'];

  /** Builds only; `start` opens. */
  constructor(private readonly options: StoreOptions) {
    const parts = new StoreParts(options);
    super(parts);
    this.opening = new Opening(parts);
    this.retention = parts.retention;
    this.replication = parts.replication;
    this.snapshots = parts.snapshots;
    this.repairs = parts.repairs;
    this.writer = parts.writer;
  }

  /**
   * Takes the data folder, finds the log's end, folds what is newer than the checkpoint. Ready when it resolves. Where the
   * folder can't be opened, it is given back, and `start` may be called again once that was mended (`mendPart`, `restore`).
   * @throws MqError DATA_FOLDER, CORRUPT_RECORD: says where and what to do
   */
  start(): Promise<void> {
    return this.opening.start();
  }
  /** A last checkpoint, so that the next start has nothing to fold; then gives everything back. */
  stop(): Promise<void> {
    return this.opening.stop();
  }
  restore(pieces: AsyncIterable<Uint8Array>): Promise<SnapshotInfo> {
    return this.opening.restore(pieces);
  }
  mendPart(part: DamagedPart, setEpoch: Epoch | undefined, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    return this.opening.mendPart(part, setEpoch, pieces);
  }
  get recovered(): { readonly from: LogPosition; readonly end: LogPosition } | undefined {
    return this.opening.recovered;
  }

  // ---- whose it is, and how far it has got

  get incarnation(): string {
    return this.parts.held.now.incarnation;
  }
  get restoredFrom(): string | undefined {
    return this.parts.held.now.restoredFrom;
  }
  get salt(): number | undefined {
    return this.log.salt;
  }
  takeSalt(salt: number): Promise<void> {
    return this.parts.held.takeSalt(this.log, salt);
  }
  get term(): StorePorts['term'] {
    return this.parts.held.term;
  }
  get epoch(): Epoch {
    return this.log.epoch;
  }
  get epochs(): readonly EpochStart[] {
    return this.log.epochs.all;
  }
  get lastTimestampMs(): number {
    // The newest segment may have nothing in it yet.
    return this.log.segments().findLast(({ lastTimestampMs }) => lastTimestampMs > 0)?.lastTimestampMs ?? 0;
  }
  get appendEnd(): LogPosition {
    return this.log.appendEnd;
  }
  get commitEnd(): LogPosition {
    return this.log.commitEnd;
  }
  get foldedEnd(): LogPosition {
    return this.parts.folding.end;
  }
  /** All state views, the store's own first. */
  get views(): readonly Pick<StateView, 'name' | 'kinds'>[] {
    return this.parts.folding.views;
  }

  // ---- writing

  beginEpoch(epoch: Epoch, timestampMs = this.options.clock.wallMs()): Promise<void> {
    return this.writer.beginEpoch(epoch, timestampMs);
  }
  appendMessage(draft: MessageDraft, kind?: QueuedKind): Appended {
    return this.writer.appendMessage(draft, kind);
  }
  appendReference(draft: ReferenceDraft, following?: DecidedRecord): Appended {
    return this.writer.appendReference(draft, following);
  }
  appendPending(draft: MessageDraft, kind?: PendingKind): Placed {
    return this.writer.appendPending(draft, kind);
  }
  appendDropped(list: readonly Dropped[], timestampMs: number): Placed {
    return this.writer.appendDropped(list, timestampMs);
  }
  append(kind: RecordKind, timestampMs: number, payload: Uint8Array): Placed {
    return this.writer.append(kind, timestampMs, payload);
  }
  appendAll(records: readonly DecidedRecord[], timestampMs: number): Placed {
    return this.writer.appendAll(records, timestampMs);
  }
  get featureLevel(): number {
    return this.parts.folding.featureLevel.level;
  }
  raiseFeatureLevel(level: number, timestampMs: number): Placed {
    return this.writer.raiseFeatureLevel(level, timestampMs);
  }
  deleteTopic(topicId: TopicId, timestampMs = this.options.clock.wallMs()): Placed {
    return this.writer.deleteTopic(topicId, timestampMs);
  }
  deleteLiteQueues(record: DecidedRecord, timestampMs: number): Placed {
    return this.writer.deleteLiteQueues(record, timestampMs);
  }

  // ---- commit

  whenCommitted(end: LogPosition, act: (error?: MqError) => void): void {
    this.log.whenCommitted(end, act, act);
  }
  beforeBatch(act: () => void): () => void {
    return this.log.beforeBatch(act);
  }
  requestBatch(): void {
    this.log.requestBatch();
  }
  onArrival(listener: (topicId: TopicId, queueId: QueueId) => void): () => void {
    return this.parts.folding.onArrival(listener);
  }

  // ---- figures and checkpoints

  get diskFull(): boolean {
    return this.log.full;
  }
  get sizes(): StoreSizes {
    return sizesOf(this.parts);
  }
  topicSize(topicId: TopicId): TopicSize {
    return topicSizeOf(this.parts.folding, topicId);
  }
  pendingSize(topicId: TopicId): TopicSize {
    return pendingSizeOf(this.parts.folding, topicId);
  }
  topicIds(): TopicId[] {
    return topicIdsOf(this.parts.folding);
  }
  queueIds(topicId: TopicId): QueueId[] {
    return queueIdsOf(this.parts.folding, topicId);
  }
  freeBytes(): Promise<number> {
    return this.options.disk.freeBytes(this.options.folder);
  }
  coldPiece(view: StateView, key: string): Uint8Array | undefined {
    return this.parts.checkpoints.coldPiece(view, key);
  }
  checkpoint(): Promise<void> {
    return this.parts.checkpoints.make();
  }
  snapshot(): Promise<Snapshot> {
    return this.parts.checkpoints.snapshot();
  }
  idle(): Promise<void> {
    return this.parts.indexes.idle();
  }
}
