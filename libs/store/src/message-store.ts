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
 * (drafts), `folding.ts` (the fold), `reader.ts`, `checkpoints.ts`, `replication.ts` (who folds when).
 */
import type { DecidedRecord, Dropped, Epoch, EpochStart, LogPosition, RecordKind } from '@cometmq/model';
import type { QueueId, QueueOffset, TopicId } from '@cometmq/model';
import type { Component, MqError } from '@cometmq/shared';

import { pendingSizeOf, queueIdsOf, sizesOf, topicIdsOf, topicSizeOf } from './figures.js';
import type { IndexEntries } from './index/index-entries.js';
import type { DamagedPart } from './log/damaged-part.js';
import type { LogRecord } from './log/record.js';
import { Opening } from './opening.js';
import type { StorePorts } from './ports/store-ports.js';
import { StoreParts } from './store-parts.js';
import type { Appended, Bounds, Candidate, MessageDraft, PendingKind, Placed } from './store-types.js';
import type { QueuedKind, QueueSize } from './store-types.js';
import type { ReadMessage } from './store-types.js';
import type { ReferenceDraft, Snapshot, StoredMessage, StoreOptions, StoreSizes, TopicSize } from './store-types.js';
import type { SnapshotInfo } from './snapshot/snapshots.js';
import type { StateView } from './views/state-view.js';

export class MessageStore implements StorePorts, Component {
  readonly name = 'store';
  readonly retention: StoreParts['retention'];
  readonly replication: StoreParts['replication'];
  readonly snapshots: StoreParts['snapshots'];
  readonly repairs: StoreParts['repairs'];
  readonly damage: StoreParts['damage'];
  private readonly parts: StoreParts;
  private readonly opening: Opening;
  private readonly log: StoreParts['log'];
  private readonly writer: StoreParts['writer'];
  private readonly reader: StoreParts['reader'];

  /** Builds only; `start` opens. */
  constructor(private readonly options: StoreOptions) {
    const parts = (this.parts = new StoreParts(options));
    this.opening = new Opening(parts);
    this.retention = parts.retention;
    this.replication = parts.replication;
    this.snapshots = parts.snapshots;
    this.repairs = parts.repairs;
    this.damage = parts.damage;
    this.log = parts.log;
    this.writer = parts.writer;
    this.reader = parts.reader;
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

  // ---- reading

  firstOf(topicId: TopicId, queueId: QueueId): QueueOffset {
    return this.reader.firstOf(topicId, queueId);
  }
  committedOf(topicId: TopicId, queueId: QueueId): QueueOffset {
    return this.reader.committedOf(topicId, queueId);
  }
  bounds(topicId: TopicId, queueId: QueueId): Bounds {
    return this.reader.bounds(topicId, queueId);
  }
  queueSize(topicId: TopicId, queueId: QueueId): QueueSize | undefined {
    return this.reader.queueSize(topicId, queueId);
  }
  positionAtTime(timeMs: number): Promise<LogPosition> {
    return this.reader.positionAtTime(timeMs);
  }
  scan(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | Promise<IndexEntries> {
    return this.reader.scan(topicId, queueId, from, max);
  }
  scanInMemory(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | undefined {
    return this.reader.scanInMemory(topicId, queueId, from, max);
  }
  read(position: LogPosition, size: number): Promise<StoredMessage> {
    return this.reader.read(position, size);
  }
  readAll(wanted: readonly Candidate[]): readonly ReadMessage[] | Promise<readonly ReadMessage[]> {
    return this.reader.readAll(wanted);
  }
  lookUp(wanted: readonly Candidate[]): Promise<readonly ReadMessage[]> {
    return this.reader.lookUp(wanted);
  }
  payloadInMemory(position: LogPosition, size: number): Uint8Array | undefined {
    return this.reader.payloadInMemory(position, size);
  }
  findById(topicId: TopicId, idHash: number, max: number): Promise<Candidate[]> {
    return this.reader.findById(topicId, idHash, max);
  }
  findReferences(target: LogPosition, max: number): Promise<Candidate[]> {
    return this.reader.findReferences(target, max);
  }
  readonly records: StorePorts['records'] = (from, each, until, lost) =>
    this.log.scan(from, each, Math.min(until, this.log.commitEnd) as LogPosition, (first, end) => {
      this.damage.foundLost([{ from: first, to: end }]);
      lost(first, end);
    });
  readRecords(places: readonly Candidate[]): Promise<readonly (LogRecord | MqError)[]> {
    return this.log.readAll(places);
  }
  readonly noteKinds: StorePorts['noteKinds'] = (kinds) => this.parts.folding.noteKinds(kinds);
  get firstPosition(): LogPosition {
    return this.log.first;
  }
  findByKey(topicId: TopicId, keyHash: number, fromMs: number, toMs: number, max: number): Promise<Candidate[]> {
    return this.reader.findByKey(topicId, keyHash, fromMs, toMs, max);
  }
  offsetAtTime(topicId: TopicId, queueId: QueueId, timeMs: number): Promise<QueueOffset> {
    return this.reader.offsetAtTime(topicId, queueId, timeMs);
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
