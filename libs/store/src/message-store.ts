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
 * The parts: `writer.ts` (drafts), `folding.ts` (the fold), `reader.ts`, `checkpoints.ts`, `replication.ts` (who folds when).
 */
import { type EpochStart, RecordKind } from '@cometmq/model';
import type { DecidedRecord, Dropped, Epoch, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { MqError, assert } from '@cometmq/shared';
import type { Component } from '@cometmq/shared';

import { Checkpoints } from './checkpoints.js';
import { DamageNotes } from './damage-notes.js';
import { joinPath } from './disk/disk.js';
import { queueIdsOf, sizesOf, topicIdsOf } from './figures.js';
import { Folding } from './folding.js';
import { Holds } from './holds.js';
import type { IndexEntries } from './index/index-entries.js';
import { indexedFirsts, SegmentIndexes } from './index/segment-indexes.js';
import { CommitLog } from './log/commit-log.js';
import { DataFolder } from './log/data-folder.js';
import type { DurableMark } from './log/recovery.js';
import type { LogRecord } from './log/record.js';
import { StoreReader } from './reader.js';
import { Replication } from './replication.js';
import { Repairs } from './repairs.js';
import { Retention } from './retention.js';
import { RetentionPort, untilCommitted } from './retention-port.js';
import { Scrub } from './scrub.js';
import { storeLimits } from './store-types.js';
import type { Appended, Bounds, Candidate, MessageDraft, Placed, QueueSize, ReadMessage } from './store-types.js';
import type { ReferenceDraft, Snapshot, StoredMessage, StoreLimits, StoreOptions, StoreSizes } from './store-types.js';
import { checkLogIsThere, checkStartsWithin } from './start-checks.js';
import { TermNotes } from './term-note.js';
import { openState } from './views/state-folder.js';
import type { StateView } from './views/state-view.js';
import { putInPlace } from './snapshot/incoming-snapshot.js';
import { replaceBySnapshot, Snapshots } from './snapshot/snapshots.js';
import type { SnapshotInfo } from './snapshot/snapshots.js';
import type { CheckpointStore } from './views/checkpoint-store.js';
import { StoreWriter } from './writer.js';

export class MessageStore implements Component {
  readonly name = 'store';
  readonly retention: Retention;
  /** What copies of this store need of it, and of each other. */
  readonly replication: Replication;
  /** What a member gets that lacks too much to be sent records. */
  readonly snapshots: Snapshots;
  /** What damage is mended by, and found by where nothing else looks. */
  readonly repairs: Repairs;
  private readonly limits: StoreLimits;
  /** What of the log is lost, as far as it is known. */
  readonly damage: DamageNotes;
  private readonly log: CommitLog;
  private readonly indexes: SegmentIndexes;
  private readonly folding: Folding;
  private readonly checkpoints: Checkpoints;
  private readonly writer: StoreWriter;
  private readonly reader: StoreReader;
  private readonly scrub: Scrub;
  private readonly holds = new Holds();
  private dataFolder: DataFolder | undefined;
  private termNotes: TermNotes | undefined;
  private failure: MqError | undefined;
  private tailCutBytes = 0;
  private ready = false;
  private refolded: { readonly from: LogPosition; readonly end: LogPosition } | undefined;
  private stopping = false;

  /** Builds only; `start` opens. */
  constructor(private readonly options: StoreOptions) {
    const { disk, folder, clock, views } = options;
    const limits = (this.limits = { ...storeLimits, ...options.limits });
    const log = (this.log = new CommitLog(disk, joinPath(folder, 'log'), limits, clock, {
      onFailed: (error) => this.fail(error),
      onTailCut: (cut) => {
        this.tailCutBytes += cut.bytes;
        options.onTailCut?.(cut);
      },
      onSealed: (segment) => this.folding.sealed(segment.first),
      onFull: () => this.options.onFull?.(),
      onTrouble: options.onTrouble,
    }));
    this.damage = new DamageNotes(log, (damage) => options.onDamage?.(damage));
    this.indexes = new SegmentIndexes(
      disk,
      this.indexFolder,
      log,
      limits.indexCacheBytes,
      (caught) => options.onTrouble?.('an index file could not be written; it stays in memory', caught),
      (_first, lost) => this.damage.foundLost(lost),
    );
    const { segmentBytes, pendingWindowBytes } = limits;
    const { indexes } = this;
    this.folding = new Folding({
      indexes,
      epochs: log.epochs,
      views,
      segmentBytes,
      pendingWindowBytes,
      coldPiece: (view, key) => this.coldPiece(view, key),
      onFailed: (error) => this.fail(error),
    });
    this.checkpoints = new Checkpoints(log, this.folding, limits, clock, (caught) => this.checkpointFailed(caught));
    this.writer = new StoreWriter(log, this.folding, indexes);
    this.reader = new StoreReader(log, this.folding, indexes, this.damage);
    const leads = options.follows !== true;
    const { holds } = this;
    this.replication = new Replication(log, this.folding, indexes, this.checkpoints, holds, leads, {
      onFailed: (caught) => this.fail(MqError.from(caught)),
      onGapStays: (caught) => this.trouble('an index file could not be made', caught),
      onEnded: () => this.reclaim(),
    });
    this.snapshots = new Snapshots({
      disk,
      folder,
      clock,
      log,
      indexes,
      checkpoints: this.checkpoints,
      holds,
      replication: this.replication,
      dataFolder: () => this.heldFolder(),
      openState: () => this.openState(),
    });
    this.repairs = new Repairs(log, indexes, this.checkpoints, holds);
    this.scrub = new Scrub(log, this.damage, limits, clock, (caught) => {
      this.trouble('the log could not be looked through; trying again later', caught);
    });
    const ground = new RetentionPort(
      log,
      indexes,
      this.folding,
      this.writer,
      this.checkpoints,
      holds,
      this.replication,
    );
    this.retention = new Retention(ground, segmentBytes);
  }

  /**
   * Takes the data folder, finds the log's end, folds what is newer than the checkpoint. Ready when it resolves. Where the
   * folder can't be opened, it is given back, and `start` may be called again once that was mended (`restore`).
   *
   * @throws MqError DATA_FOLDER, CORRUPT_RECORD: says where and what to do
   */
  async start(): Promise<void> {
    const { disk, folder, brokerName, onTrouble, giveUpDamage } = this.options;
    this.dataFolder = await DataFolder.open(disk, folder, brokerName, onTrouble);
    await putInPlace(disk, folder, this.dataFolder);
    await checkLogIsThere(disk, folder, this.dataFolder.begun);
    this.termNotes = await TermNotes.open(disk, folder, this.dataFolder.noted, { onTrouble });
    await this.dataFolder.noteNoted();
    const stateFolder = disk.realPath(joinPath(folder, 'state'));
    const stored = await this.openLog(giveUpDamage === true).catch(async (caught: unknown) => {
      await this.checkpoints.close();
      this.folding.clear();
      await this.dataFolder?.release();
      this.dataFolder = undefined;
      throw caught;
    });
    await this.dataFolder.noteBegun();
    this.damage.tellKnown();
    checkStartsWithin(this.log.segments(), stored, stateFolder, await disk.list(joinPath(folder, 'state')));
    await this.replication.begin(stored);
    const from = stored?.position ?? (0 as LogPosition);
    const end = this.log.appendEnd;
    if (end > from) this.refolded = { from, end };
    this.writer.pendingBytesMax = await this.findPendingMax();
    this.ready = true;
    this.checkpoints.begin();
    this.scrub.begin();
    if (!this.replication.isLeader) this.reclaim(); // What an earlier process did not come to.
  }

  private async openLog(giveUpDamage: boolean): Promise<DurableMark | undefined> {
    const { disk } = this.options;
    this.checkpoints.open(await this.openState());
    const stored = this.checkpoints.load();
    await this.log.open(stored, this.heldFolder().salt, await indexedFirsts(disk, this.indexFolder), giveUpDamage);
    return stored;
  }

  /**
   * Takes a snapshot in the place of what a folder holds that `start` found to be damaged; `start` may follow. It must be
   * one of the leader of the set's current epoch: that has all that this member ever acknowledged.
   *
   * @throws MqError as `Snapshots.install`
   */
  restore(pieces: AsyncIterable<Uint8Array>): Promise<SnapshotInfo> {
    assert(this.dataFolder === undefined, 'a folder that was opened is not restored');
    return replaceBySnapshot(this.options, pieces, 'the same member');
  }

  /** What was folded again at the start, as the last stop was not a clean one; undefined: nothing was. */
  get recovered(): { readonly from: LogPosition; readonly end: LogPosition } | undefined {
    return this.refolded;
  }

  /** A last checkpoint, so that the next start has nothing to fold; then gives everything back. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.checkpoints.beginStop();
    try {
      await this.scrub.stop();
      this.retention.beginStop();
      // Else the round may be waiting for a commit that does not come: it moves nothing any more.
      if (this.log.commitsWhenDurable) await this.retention.idle();
      await this.holds.take();
      if (this.ready && !this.failure) {
        this.log.requestBatch(); // Hooks may have a last word to append.
        await this.log.close();
        await this.checkpoints.makeLast();
        await this.retention.idle();
      }
      await this.indexes.close();
      await this.log.close();
      await this.checkpoints.stop();
    } finally {
      await this.dataFolder?.release();
      this.dataFolder = undefined;
    }
  }

  /** All state views, the store's own first. */
  get views(): readonly Pick<StateView, 'name' | 'kinds'>[] {
    return this.folding.views;
  }
  /** Of this data folder: another one after it was lost. */
  get incarnation(): string {
    return this.heldFolder().incarnation;
  }
  /** What checksums of the log begin from: the same on all members. Undefined: its log has not begun. */
  get salt(): number | undefined {
    return this.log.salt;
  }
  /**
   * The log is to be a copy of one that has this salt; durable once it resolves, before anything is taken from there.
   *
   * @throws MqError DATA_FOLDER where it has begun as another log
   */
  async takeSalt(salt: number): Promise<void> {
    const { log } = this;
    const dataFolder = this.heldFolder();
    if (log.salt === salt) return;
    if (log.salt !== undefined) {
      const where = this.options.disk.realPath(this.options.folder);
      throw new MqError(
        'DATA_FOLDER',
        `the log in ${where} did not begin as a copy of the one that this broker set has: it is another set's. Name the ` +
          'right folder; or start with an empty one, as a new member',
      );
    }
    await dataFolder.takeSalt(salt);
    log.takeSalt(salt);
  }
  /** What this member must not forget; read and written durably. */
  get term(): TermNotes {
    assert(this.termNotes !== undefined, 'the store has been started');
    return this.termNotes;
  }
  get epoch(): Epoch {
    return this.log.epoch;
  }
  /** Of the newest record; 0 while there is none. Time does not go back behind it. */
  get lastTimestampMs(): number {
    return this.log.segments().at(-1)?.lastTimestampMs ?? 0;
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

  /** All below it is folded: alone, and as leader, all that was appended. */
  get foldedEnd(): LogPosition {
    return this.folding.end;
  }

  // ---- writing

  /** Begins a term of leadership: its first record. Decisions may be made once it resolves. */
  async beginEpoch(epoch: Epoch, timestampMs = this.options.clock.wallMs()): Promise<void> {
    this.log.setEpoch(epoch);
    const { end } = this.append(RecordKind.epochStart, timestampMs, new Uint8Array(0));
    await untilCommitted(this.log, end);
  }
  /** @throws MqError MESSAGE_TOO_LARGE, TOO_MANY_REQUESTS, STORAGE_FULL, DISK_FAILED, TOPIC_NOT_FOUND */
  appendMessage(draft: MessageDraft): Appended {
    return this.writer.appendMessage(draft);
  }
  /** Makes an earlier message visible in another queue. @throws MqError MESSAGE_NOT_FOUND when the target is gone */
  appendReference(draft: ReferenceDraft): Appended {
    return this.writer.appendReference(draft);
  }
  /**
   * A message that no queue shows until a reference to it does, for which its body is stored once. Found by id and key
   * meanwhile; kept however old it gets, until it is released or dropped.
   *
   * @throws MqError as `appendMessage`; TOO_MANY_REQUESTS also when the quota of pending messages is used up
   */
  appendPending(draft: MessageDraft): Placed {
    return this.writer.appendPending(draft);
  }
  /** Pending messages will never be visible: their space comes free. May use the space kept for a full disk. */
  appendDropped(list: readonly Dropped[], timestampMs: number): Placed {
    return this.writer.appendDropped(list, timestampMs);
  }
  /** A record of the state views' own. May use the space kept for a full disk. */
  append(kind: RecordKind, timestampMs: number, payload: Uint8Array): Placed {
    return this.writer.append(kind, timestampMs, payload);
  }
  /** Of the broker set: kinds of record that came later than this level are not written. Rises by a record. */
  get featureLevel(): number {
    return this.folding.featureLevel.level;
  }
  /** Once all members run a release that knows the level: `featureLevelMax` of model says what this one knows. */
  raiseFeatureLevel(level: number, timestampMs: number): Placed {
    return this.writer.raiseFeatureLevel(level, timestampMs);
  }
  /** The topic's queues are gone at once, and its space with its segments. Its id must never be used again. */
  deleteTopic(topicId: TopicId, timestampMs = this.options.clock.wallMs()): Placed {
    return this.writer.deleteTopic(topicId, timestampMs);
  }
  /** The queues of lite topics are gone, each with all its messages. Their numbers must never be used again. */
  deleteLiteQueues(record: DecidedRecord, timestampMs: number): Placed {
    return this.writer.deleteLiteQueues(record, timestampMs);
  }

  // ---- commit

  /** Calls `act` when all below `end` is committed, in order of `end`; with the error when that can't come any more. */
  whenCommitted(end: LogPosition, act: (error?: MqError) => void): void {
    this.log.whenCommitted(end, act, act);
  }
  /** Called right before each batch is cut; may append, so that what has gathered becomes one record. Answers how to end it. */
  beforeBatch(act: () => void): () => void {
    return this.log.beforeBatch(act);
  }
  /** Has a batch cut soon even if nothing is appended until then. */
  requestBatch(): void {
    this.log.requestBatch();
  }
  /**
   * Called after a commit with each queue that has newly visible messages, once, before those who wait for it. Answers how
   * to end it.
   */
  onArrival(listener: (topicId: TopicId, queueId: QueueId) => void): () => void {
    return this.folding.onArrival(listener);
  }

  // ---- reading

  /** `bounds(…).first`, and no object for it. */
  firstOf(topicId: TopicId, queueId: QueueId): QueueOffset {
    return this.reader.firstOf(topicId, queueId);
  }
  /** `bounds(…).committed`, and no object for it. */
  committedOf(topicId: TopicId, queueId: QueueId): QueueOffset {
    return this.reader.committedOf(topicId, queueId);
  }
  /** A queue nothing was ever appended to has zeros. */
  bounds(topicId: TopicId, queueId: QueueId): Bounds {
    return this.reader.bounds(topicId, queueId);
  }
  /** What a queue holds, and where its newest message stands. Undefined: nothing was ever appended to it. */
  queueSize(topicId: TopicId, queueId: QueueId): QueueSize | undefined {
    return this.reader.queueSize(topicId, queueId);
  }
  /** All messages below it are older than `timeMs`, to a second. */
  positionAtTime(timeMs: number): Promise<LogPosition> {
    return this.reader.positionAtTime(timeMs);
  }
  /**
   * Index entries of up to `max` visible messages from offset `from` on (from the first one kept, if that is higher:
   * look at `from` of the answer). May be fewer than there are; none at the queue's end only. At once when in memory.
   *
   * @throws MqError CORRUPT_RECORD (as a rejection) when an index has to be made again and its segment is damaged
   */
  scan(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | Promise<IndexEntries> {
    return this.reader.scan(topicId, queueId, from, max);
  }
  /** As `scan` where that is answered at once; undefined: it lies on disk, and nothing was begun. */
  scanInMemory(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | undefined {
    return this.reader.scanInMemory(topicId, queueId, from, max);
  }
  /**
   * The message that an index entry names. A reference is followed: the answer has the payload of its target.
   *
   * @throws MqError (as a rejection) CORRUPT_RECORD; NOT_FOUND when it is gone
   */
  read(position: LogPosition, size: number): Promise<StoredMessage> {
    return this.reader.read(position, size);
  }
  /** Many messages, in the order they are named; in place of one that can't be read, why. At once when in memory. */
  readAll(wanted: readonly Candidate[]): readonly ReadMessage[] | Promise<readonly ReadMessage[]> {
    return this.reader.readAll(wanted);
  }
  /** What the record of a message says, or the one that a reference names. Undefined: it lies on disk only. */
  payloadInMemory(position: LogPosition, size: number): Uint8Array | undefined {
    return this.reader.payloadInMemory(position, size);
  }
  /** Newest first. `idHash` as the envelope has it. */
  findById(topicId: TopicId, idHash: number, max: number): Promise<Candidate[]> {
    return this.reader.findById(topicId, idHash, max);
  }
  /** References to the record at `target`; as all hashes do, this one may name others too. */
  findReferences(target: LogPosition, max: number): Promise<Candidate[]> {
    return this.reader.findReferences(target, max);
  }

  /**
   * Every committed record from `from` on, whatever it says, in order; those of segments that are gone are left out. For
   * who looks at what was decided. A payload is valid during the call of `each`. Answers where it stopped.
   *
   * @throws MqError CORRUPT_RECORD
   */
  records(from: LogPosition, each: (record: LogRecord) => void, until: LogPosition): Promise<LogPosition> {
    return this.log.scan(from, each, Math.min(until, this.log.commitEnd) as LogPosition);
  }
  /** Records as they stand, in the order they are named; in place of one that can't be read, why. */
  readRecords(places: readonly Candidate[]): Promise<readonly (LogRecord | MqError)[]> {
    return this.log.readAll(places);
  }
  /** Where the oldest segment that is kept begins. */
  get firstPosition(): LogPosition {
    return this.log.first;
  }

  /** Those of segments that may hold messages stored between the two times. Newest segment first. */
  findByKey(topicId: TopicId, keyHash: number, fromMs: number, toMs: number, max: number): Promise<Candidate[]> {
    return this.reader.findByKey(topicId, keyHash, fromMs, toMs, max);
  }
  /** The first visible offset stored at or after `timeMs`; the committed end when there is none. */
  offsetAtTime(topicId: TopicId, queueId: QueueId, timeMs: number): Promise<QueueOffset> {
    return this.reader.offsetAtTime(topicId, queueId, timeMs);
  }

  // ---- figures and checkpoints

  /** New messages are refused. */
  get diskFull(): boolean {
    return this.log.full;
  }

  get sizes(): StoreSizes {
    return sizesOf({
      folding: this.folding,
      segments: this.log.segments(),
      pendingMessageBytesMax: this.writer.pendingBytesMax,
      diskFull: this.log.full,
      checkpointPosition: this.checkpoints.position,
      indexesRebuilt: this.indexes.rebuilt,
      lostBytes: this.damage.bytes,
      tailCutBytes: this.tailCutBytes,
    });
  }
  topicSize(topicId: TopicId): { readonly messages: number; readonly bytes: number } {
    const { messages, bytes } = this.folding.sizes.topic(topicId) ?? { messages: 0, bytes: 0 };
    return { messages, bytes };
  }
  /** Of the topic's pending messages that live. */
  pendingSize(topicId: TopicId): { readonly messages: number; readonly bytes: number } {
    const { messages, bytes } = this.folding.pending.topic(topicId);
    return { messages, bytes };
  }
  /** Every topic of which something is kept. */
  topicIds(): TopicId[] {
    return topicIdsOf(this.folding);
  }

  /** Every queue of the topic that anything was ever appended to, in their order. */
  queueIds(topicId: TopicId): QueueId[] {
    return queueIdsOf(this.folding, topicId);
  }
  /** What the file system can still take. */
  freeBytes(): Promise<number> {
    return this.options.disk.freeBytes(this.options.folder);
  }
  /** A cold piece of one of the views, as it was last taken from it. At once; a read of the disk's cache, or of the disk. */
  coldPiece(view: StateView, key: string): Uint8Array | undefined {
    return this.checkpoints.coldPiece(view, key);
  }
  /** Makes a checkpoint of all that has been folded; resolves when it is on disk. */
  checkpoint(): Promise<void> {
    return this.checkpoints.make();
  }
  /** All pieces of all state views, as of one position: with the log from there on, it is all there is. */
  snapshot(): Promise<Snapshot> {
    return this.checkpoints.snapshot();
  }
  /** Resolves when no index file is being written. */
  idle(): Promise<void> {
    return this.indexes.idle();
  }

  private heldFolder(): DataFolder {
    assert(this.dataFolder !== undefined, 'the store has been started');
    return this.dataFolder;
  }

  private async openState(): Promise<CheckpointStore> {
    const { disk, folder, clock, onTrouble, checkpoints } = this.options;
    const given = checkpoints?.(disk.realPath(joinPath(folder, 'state')));
    return given ?? openState({ disk, folder, log: this.incarnation, clock, onTrouble });
  }

  private get indexFolder(): string {
    return joinPath(this.options.folder, 'index');
  }

  private fail(error: MqError): void {
    if (this.failure) return;
    this.failure = error;
    this.options.onFailed(error);
  }

  private checkpointFailed(caught: unknown): void {
    const said = caught instanceof Error ? caught.message : String(caught);
    this.fail(new MqError('DISK_FAILED', `the checkpoint could not be written or read: ${said}`, { cause: caught }));
  }

  /** What records say is over is given back as they are folded: a follower asks no clock. */
  private reclaim(): void {
    this.retention.reclaim().catch((caught: unknown) => {
      // What it was concluded from has been cut off: it is looked anew with the next commit.
      if (caught instanceof MqError && caught.code === 'NOT_LEADER') return;
      this.trouble('what has expired could not be given back; trying again later', caught);
    });
  }

  private trouble(what: string, caught: unknown): void {
    if (!this.stopping) this.options.onTrouble?.(what, caught);
  }

  /** Half of what the log's disk can take, where nothing else is said. */
  private async findPendingMax(): Promise<number> {
    const { pendingMessageBytesMax } = this.limits;
    if (pendingMessageBytesMax > 0) return pendingMessageBytesMax;
    return Math.floor((this.sizes.logBytes + (await this.freeBytes())) / 2);
  }
}
