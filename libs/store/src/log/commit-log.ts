/**
 * The commit log: every record this broker set holds, in order of arrival, as one run of bytes that only grows, cut
 * into segments.
 *
 *   0 … unlinked … | segment | segment | active segment: … records | zeros |
 *                                        durableEnd ≤ cutEnd ≤ appendEnd     positions are bytes, never used twice
 *
 * Invariants:
 * - What lies below `durableEnd` outlives a power cut. Nobody is told of a position before that.
 * - One batch is on its way to the disk while the next one gathers; a batch lies in one segment.
 * - A segment is sealed (cut to its last record, synced) before the next one gets its name, so a torn tail can only be
 *   in the last segment; a bad record anywhere else is damage.
 * - After a failed write or sync nothing is written or acknowledged any more: what the disk then holds is anyone's
 *   guess. A full disk is no failure: the write is tried again, and only records marked `reserved` are still taken.
 */
import { KiB, MiB, epoch as toEpoch, logPosition } from '@cometmq/model';
import type { Epoch, LogPosition } from '@cometmq/model';
import { MqError, assert, sleep } from '@cometmq/shared';
import type { Clock } from '@cometmq/shared';

import { isDiskFull, joinPath } from '../disk/disk.js';
import type { Disk, DiskFile } from '../disk/disk.js';
import { BlockCache } from './block-cache.js';
import { RecordBlock, headerBytes, headerBytesOf } from './record.js';
import type { LogRecord, RecordDraft } from './record.js';
import { findProofBehind, lastNonZero, walkRecords } from './record-reader.js';
import type { WalkRules, Walked } from './record-reader.js';
import { Room } from './room.js';
import type { ActiveRoom } from './room.js';
import { readHead } from './compacted-file.js';
import { compactionSliceBytes, prepareCompaction } from './compaction.js';
import type { PreparedCompaction } from './compaction.js';
import { Segment, preparedName, compactedName, segmentFile, segmentName } from './segment.js';
import type { SegmentInfo } from './segment.js';
import { TailCache } from './tail-cache.js';
import { Waiters } from './waiters.js';

export type { SegmentInfo } from './segment.js';

export interface LogLimits {
  /** A segment's file is not made longer than this. */
  readonly segmentBytes: number;
  /** Header included. */
  readonly recordBytesMax: number;
  /** A batch takes no further record once it has this many bytes. */
  readonly batchBytesMax: number;
  /** Bytes that may wait for the disk. Reserved records may wait with as many again. */
  readonly pendingBytesMax: number;
  /** Newest records kept in memory for readers. */
  readonly tailCacheBytes: number;
  /** Older blocks kept in memory for readers, once there are some. */
  readonly blockCacheBytes: number;
  /** Zeros kept ahead of the last record. */
  readonly aheadBytes: number;
  /** Space that is given back when the disk is full. */
  readonly reserveBytes: number;
  /** And space that is given to compaction then, so that it can make more. */
  readonly compactionReserveBytes: number;
  /** The disk counts as full when less than this is free on it. */
  readonly freeBytesMin: number;
}

export const logLimits: LogLimits = {
  segmentBytes: 256 * MiB,
  recordBytesMax: 8 * MiB,
  batchBytesMax: 4 * MiB,
  pendingBytesMax: 64 * MiB,
  tailCacheBytes: 32 * MiB,
  blockCacheBytes: 16 * MiB,
  aheadBytes: 16 * MiB,
  reserveBytes: 32 * MiB,
  compactionReserveBytes: 32 * MiB,
  freeBytesMin: 64 * MiB,
};

/** No record of any version is larger: what a reader believes a size up to. */
const recordBytesCeiling = 64 * MiB;
const cacheChunkBytes = 1 * MiB;
const readBlockBytes = 256 * KiB;
/** Sealed segments whose files stay open for readers. */
const openSegmentsMax = 64;
const fullRetryMs = 100;

export interface LogEvents {
  /** The log is dead. Told once; every waiter has been told before. */
  onFailed(error: MqError): void;
  onSealed(segment: SegmentInfo): void;
}

/** Up to where a checkpoint knows the log to be durable. */
export interface DurableMark {
  readonly position: LogPosition;
  readonly epoch: Epoch;
}

export interface Appended {
  readonly position: LogPosition;
  readonly size: number;
}

export class CommitLog {
  private readonly limits: LogLimits;
  private readonly room: Room;
  private readonly cache: TailCache;
  private readonly blocks: BlockCache;
  private readonly waiters = new Waiters();
  private readonly hooks: (() => void)[] = [];
  private readonly listeners: ((from: LogPosition, end: LogPosition) => void)[] = [];
  /** In order of position; the last one is active. */
  private rows: Segment[] = [];
  /** Segments that are about to be replaced. */
  private readonly compactions = new Map<Segment, PreparedCompaction>();
  /** Positions at which, going on from the segment being written, a next one begins. */
  private readonly rolls: number[] = [];
  /** The first position of the segment that the next record goes to. */
  private appendFirst = 0;
  private appended = logPosition(0);
  private cut = 0;
  private durable = logPosition(0);
  private epochNow = toEpoch(0);
  private salt = 0;
  /** Records below have had their checksum checked by this process. */
  private readonly checked = { from: 0, to: 0 };
  private state: 'new' | 'open' | 'closing' | 'closed' = 'new';
  private ending = false;
  private failure: MqError | undefined;
  private scheduled = false;
  private wanted = false;
  private pumping: Promise<void> | undefined;
  /** Sealed segments whose files may be open, the longest unread first. */
  private readonly lastUsed = new Set<Segment>();

  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
    limits: Partial<LogLimits>,
    private readonly clock: Clock,
    private readonly events: LogEvents,
  ) {
    this.limits = { ...logLimits, ...limits };
    assert(this.limits.recordBytesMax <= this.limits.segmentBytes, 'a record fits a segment');
    assert(this.limits.recordBytesMax <= recordBytesCeiling, 'a record is one that readers believe');
    const chunkBytes = Math.min(cacheChunkBytes, Math.max(4 * KiB, this.limits.tailCacheBytes / 4));
    this.cache = new TailCache(this.limits.tailCacheBytes, chunkBytes);
    this.blocks = new BlockCache(this.limits.blockCacheBytes, readBlockBytes);
    this.room = new Room(disk, folder, this.limits, clock, (caught) => this.fail(caught));
  }

  get epoch(): Epoch {
    return this.epochNow;
  }

  /** The epoch in the headers of what follows. */
  setEpoch(epoch: Epoch): void {
    assert(epoch >= this.epochNow, 'epochs only rise');
    this.epochNow = epoch;
  }

  get appendEnd(): LogPosition {
    return this.appended;
  }

  get durableEnd(): LogPosition {
    return this.durable;
  }

  /** The disk is full: only reserved records are taken. */
  get full(): boolean {
    return this.room.full;
  }

  /** The oldest position kept. */
  get first(): LogPosition {
    return this.rows[0]?.first ?? logPosition(0);
  }

  /**
   * Finds the log's end: checks the records from the segment that holds `mark` on (from the oldest, without one), tells
   * a torn tail from damage, zeroes and syncs what is behind the end. Safe to break off and repeat at any point.
   * `salt` is what the checksums of this log begin from.
   *
   * @throws MqError CORRUPT_RECORD where the log is damaged or ends below the mark; DATA_FOLDER for a newer format
   */
  async open(mark: DurableMark | undefined, salt: number): Promise<void> {
    assert(this.state === 'new', 'a log is opened once');
    this.salt = salt;
    await this.disk.makeFolder(this.folder);
    await this.listSegments();
    const end = await this.findEnd(mark);
    await this.clearBehind(end);
    // What was found may have been written but never synced, and a name may never have reached its folder.
    await this.active.use((file) => file.sync());
    await this.disk.syncFolder(this.folder);
    this.active.end = end;
    this.appended = this.durable = end;
    this.cut = end;
    this.appendFirst = this.active.first;
    this.state = 'open';
    const file = await this.active.use((opened) => Promise.resolve(opened));
    await this.room.open(roomOf(this.active, file));
  }

  /**
   * Reads the records from `from`, a record's position, in order; stops before `until`, or at the end of what is
   * durable. A record's payload is valid only during the call of `each`. Answers where it stopped.
   *
   * @throws MqError CORRUPT_RECORD
   */
  async scan(from: LogPosition, each: (record: LogRecord) => void, until = this.durable): Promise<LogPosition> {
    let position = from;
    const end = Math.min(until, this.durable);
    while (position < end) {
      const segment = this.rows.find((row) => position < row.end);
      if (!segment) break;
      position = logPosition(Math.max(position, segment.first)); // Segments between may be gone.
      const to = Math.min(end, segment.end);
      const walked = await this.walk(segment, position, to, (block, at) => each(block.record(at)));
      if (walked.end < to && (!segment.compacted || !isEnd(walked))) throw this.damage(segment, walked);
      position = logPosition(segment.compacted ? to : walked.end);
      await this.touch(segment);
    }
    return position;
  }

  /**
   * Takes the next position. The record goes out with the next batch; it is safe once `whenDurable` says so.
   *
   * @throws MqError MESSAGE_TOO_LARGE, TOO_MANY_REQUESTS, STORAGE_FULL, DISK_FAILED, UNAVAILABLE (closing)
   */
  append(draft: RecordDraft): Appended {
    let size = headerBytesOf(draft.kind);
    for (const chunk of draft.payload) size += chunk.byteLength;
    this.checkAppend(size, draft.reserved === true);
    const position = this.appended;
    if (position + size - this.appendFirst > this.limits.segmentBytes) {
      this.rolls.push(position);
      this.appendFirst = position;
    }
    const chunk = this.cache.place(position, size);
    chunk.block.put(position - chunk.first, draft, size, this.epochNow, position);
    this.appended = logPosition(position + size);
    if (!this.scheduled) this.schedule();
    return { position, size };
  }

  /**
   * Calls `act` once all below `end` is durable: at once if it is, else in order of `end`. `failed` is called instead
   * when the disk fails first.
   */
  whenDurable(end: LogPosition, act: () => void, failed?: (error: MqError) => void): void {
    if (end <= this.durable) act();
    else if (this.failure) failed?.(this.failure);
    else this.waiters.add(end, act, failed);
  }

  /** `act` is called right before each batch is cut; it may append. */
  beforeBatch(act: () => void): void {
    this.hooks.push(act);
  }

  /** Has a batch cut soon even if nothing has been appended: what hooks hold back must not wait for a stranger. */
  requestBatch(): void {
    this.wanted = true;
    if (!this.scheduled) this.schedule();
  }

  /** Called after each batch, before those who wait for it. */
  onDurable(listener: (from: LogPosition, end: LogPosition) => void): void {
    this.listeners.push(listener);
  }

  /** The record if it is in memory, its payload a view that stays valid. Of the newest the checksum may not be set. */
  recordInMemory(position: LogPosition, size: number): LogRecord | undefined {
    const chunk = this.cache.find(position);
    if (chunk) {
      const at = position - chunk.first;
      if (!chunk.block.hasHeader(at, position, recordBytesCeiling) || chunk.block.sizeAt(at) !== size) return undefined;
      chunk.lent = true;
      return chunk.block.record(at);
    }
    const segment = this.segmentAt(position);
    return segment && this.recordInBlocks(segment, position, size);
  }

  /** The record's bytes if they are among the newest, for who is done with them in this turn of the event loop. */
  peekMemory(position: LogPosition, size: number): Uint8Array | undefined {
    return this.cache.peek(position, size);
  }

  /**
   * One record, from memory or from the disk with its checksum checked.
   *
   * @throws MqError CORRUPT_RECORD; NOT_FOUND where the log no longer, or not yet, holds the position
   */
  async read(position: LogPosition, size: number): Promise<LogRecord> {
    const [found] = await this.readAll([{ position, size }]);
    if (!found || found instanceof MqError) throw found ?? this.notFound(position, size);
    return found;
  }

  /** Records in the order they are named; in place of one that can't be read, what `read` would throw. */
  async readAll(wanted: readonly Appended[]): Promise<readonly (LogRecord | MqError)[]> {
    const found: (LogRecord | MqError | undefined)[] = [];
    const reads: Promise<unknown>[] = [];
    const later: number[] = [];
    for (const { position, size } of wanted) {
      const record = this.recordInMemory(position, size);
      const segment = record ? undefined : this.segmentAt(position);
      found.push(record ?? (segment && position + size <= segment.end ? undefined : this.notFound(position, size)));
      if (!segment || found[found.length - 1]) continue;
      later.push(found.length - 1);
      const place = placeOf(segment, position);
      if (place !== undefined) this.blocks.wish(segment, place, size);
    }
    for (const i of later) {
      const { position, size } = wanted[i] as Appended;
      const segment = this.segmentAt(position);
      if (!segment) continue;
      reads.push(
        this.readCold(segment, position, size).then(
          (record) => (found[i] = record),
          (caught: unknown) => (found[i] = MqError.from(caught)),
        ),
      );
    }
    await Promise.all(reads);
    return found as (LogRecord | MqError)[];
  }

  segments(): readonly SegmentInfo[] {
    return this.rows.map((segment) => segment.info());
  }

  /** Deletes a sealed segment. Should a crash bring it back, it is whole. */
  async unlink(first: LogPosition): Promise<void> {
    const segment = this.rows.find((row) => row.first === first);
    if (!segment) return;
    assert(segment.sealed, 'only a sealed segment can go');
    this.rows = this.rows.filter((row) => row !== segment);
    this.lastUsed.delete(segment);
    await segment.close();
    await this.disk.unlink(segment.path);
    await this.disk.syncFolder(this.folder);
  }

  /**
   * Whether the record at `position`, of a segment that is kept, was not left out of it. Undefined: the segment was
   * compacted and nobody has read from it lately, so that it can't be said at once.
   */
  holds(position: LogPosition): boolean | undefined {
    const segment = this.segmentAt(position);
    if (!segment) return position >= this.durable && position < this.appended;
    const table = this.compactions.get(segment)?.table ?? segment.loadedTable;
    if (table) return table.placeOf(position) >= 0;
    return segment.compacted ? undefined : true;
  }

  /**
   * Writes a sealed segment anew, beside the old one, with only the records that `keep` wants; undefined when that takes
   * more than `bytesMax`. From now on `holds` goes by what was kept. `replace` or `discard` must follow.
   *
   * @throws MqError CORRUPT_RECORD; what the disk throws, a full one too: nothing is left behind, and nothing is lost
   */
  async prepareCompaction(
    first: LogPosition,
    keep: (record: LogRecord) => boolean,
    bytesMax: number,
  ): Promise<PreparedCompaction | undefined> {
    const old = this.rows.find((row) => row.first === first);
    assert(old?.sealed === true && !this.compactions.has(old), 'a sealed segment is compacted, once at a time');
    const slice = new RecordBlock(Buffer.allocUnsafeSlow(compactionSliceBytes));
    const walk = async (
      from: number,
      until: number,
      each: (block: RecordBlock, at: number) => void,
    ): Promise<number> => {
      const walked = await this.walk(old, from, until, each, { checkedTo: old.end, block: slice });
      if (!isEnd(walked)) throw this.damage(old, walked);
      return walked.end;
    };
    const isWhole = (block: RecordBlock, at: number): boolean => block.isWhole(at, this.salt);
    const write = (): Promise<PreparedCompaction | undefined> =>
      prepareCompaction(this.disk, this.folder, old, walk, isWhole, keep, bytesMax);
    const prepared = await write().catch(async (caught: unknown) => {
      if (!isDiskFull(caught) || !(await this.room.lendToCompaction())) throw caught;
      return write();
    });
    if (prepared) this.compactions.set(old, prepared);
    return prepared;
  }

  /** Puts a compacted segment in the old one's place. Whenever the power goes, one of them is whole and is found. */
  async replace(prepared: PreparedCompaction): Promise<SegmentInfo> {
    const { old, next } = prepared;
    // Nobody opens the old file by its name from now on: it is open until all who read from it are done.
    await old.use(async () => {
      try {
        await this.disk.rename(prepared.path, next.path);
        await this.disk.syncFolder(this.folder);
      } catch (caught) {
        this.fail(caught); // Which of the two the name now means is anyone's guess.
        throw caught;
      }
      this.rows = this.rows.map((row) => (row === old ? next : row));
      this.compactions.delete(old);
      this.lastUsed.delete(old);
    });
    await old.close();
    if (old.path !== next.path) {
      await this.disk.unlink(old.path);
      await this.disk.syncFolder(this.folder);
    }
    return next.info();
  }

  /** The old segment stays. */
  async discard(prepared: PreparedCompaction): Promise<void> {
    this.compactions.delete(prepared.old);
    await this.disk.unlink(prepared.path);
  }

  /** Lets what was appended become durable, then gives the files back. */
  async close(): Promise<void> {
    if (this.state === 'new') this.state = 'closed';
    if (this.state !== 'open') return;
    this.ending = true;
    // Hooks may add a last word: who appends has been stopped before.
    while (!this.failure && (this.pumping || this.wanted || this.cut < this.appended)) {
      this.pump();
      await this.pumping;
    }
    this.state = 'closing';
    await this.room.close();
    for (const segment of this.rows) await segment.close();
    this.state = 'closed';
    this.waiters.fail(new MqError('UNAVAILABLE', 'this broker is stopping'));
  }

  // ---- reading

  private recordInBlocks(segment: Segment, position: LogPosition, size: number): LogRecord | undefined {
    const place = placeOf(segment, position);
    if (place === undefined) return undefined;
    return this.blocks.find(segment, place, size, (block, at) => wholeRecord(block, at, position, size, this.salt));
  }

  private async readCold(segment: Segment, position: LogPosition, size: number): Promise<LogRecord> {
    const record = await segment.use(async (file) => {
      if (segment.compacted) await segment.table(file);
      const place = placeOf(segment, position);
      if (place === undefined) {
        throw new MqError('NOT_FOUND', `the record at log position ${position} is not kept any more`);
      }
      if (this.blocks.pays(segment, place, size)) {
        const fileEnd = segment.compacted ? segment.recordBytes : segment.end - segment.first;
        await this.blocks.load(segment, file, place, size, fileEnd);
        const found = this.recordInBlocks(segment, position, size);
        if (found) return found; // Else it had to make room for others already, or is damaged.
      }
      const block = new RecordBlock(Buffer.allocUnsafeSlow(size));
      const read = await file.read(block.bytes, place);
      return read === size ? wholeRecord(block, 0, position, size, this.salt) : undefined;
    });
    if (!record) throw this.corrupt(segment, position, 'a record that was good before is not any more');
    await this.touch(segment);
    return record;
  }

  private notFound(position: number, size: number): MqError {
    return new MqError('NOT_FOUND', `no record of ${size} bytes at log position ${position}`);
  }

  // ---- the way to the disk

  private checkAppend(size: number, reserved: boolean): void {
    if (this.failure) throw this.failure;
    if (this.state !== 'open') throw new MqError('UNAVAILABLE', 'this broker is stopping');
    if (size > this.limits.recordBytesMax) {
      throw new MqError('MESSAGE_TOO_LARGE', `a record of ${size} bytes, at most ${this.limits.recordBytesMax}`);
    }
    const pendingMax = this.limits.pendingBytesMax * (reserved ? 2 : 1);
    if (this.appended - this.durable + size > pendingMax) {
      throw new MqError('TOO_MANY_REQUESTS', `${pendingMax} bytes are waiting for the disk already`);
    }
    if (this.room.full && !reserved) {
      throw new MqError('STORAGE_FULL', 'the disk is full: new messages are refused until space comes free');
    }
  }

  /** Many appends of one turn of the event loop share a batch. */
  private schedule(): void {
    if (this.pumping || this.failure || this.state !== 'open') return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.pump();
    });
  }

  private pump(): void {
    if (this.pumping || this.failure) return;
    this.pumping = this.writeBatches().finally(() => {
      this.pumping = undefined;
      if (this.wanted || this.cut < this.appended) this.schedule();
    });
  }

  private async writeBatches(): Promise<void> {
    let batch = this.cutBatch();
    let writing = batch && this.writeBatch(batch);
    while (batch && writing) {
      if (!(await writing)) return;
      const done = batch;
      this.becomeDurable(done);
      // The next batch is on its way before anyone is told of this one.
      batch = this.cutBatch();
      writing = batch && this.writeBatch(batch);
      for (const listener of this.listeners) listener(done.from, done.end);
      this.waiters.reached(done.end);
    }
  }

  /** Completes the records of the next batch, and takes them out of what gathers. */
  private cutBatch(): Batch | undefined {
    this.wanted = false;
    for (const act of this.hooks) act();
    const from = this.cut;
    if (from === this.appended || this.failure) return undefined;
    const newSegment = this.rolls[0] === from;
    if (newSegment) this.rolls.shift();
    const stop = Math.min(this.rolls[0] ?? this.appended, from + this.limits.batchBytesMax);
    const pieces: Uint8Array[] = [];
    const commitKnown = this.durable;
    let firstTimestampMs = 0;
    let lastTimestampMs = 0;
    let position: number = from;
    while (position < stop) {
      const chunk = this.cache.find(position);
      assert(chunk !== undefined, 'what waits for the disk is in memory');
      const { block } = chunk;
      const pieceAt = position - chunk.first;
      let at = pieceAt;
      const atStop = Math.min(chunk.end, stop) - chunk.first;
      while (at < atStop) {
        const timestampMs = block.timestampMsAt(at);
        if (position === from) firstTimestampMs = timestampMs;
        if (timestampMs > lastTimestampMs) lastTimestampMs = timestampMs;
        at += block.finish(at, commitKnown, this.salt);
        position = chunk.first + at;
      }
      pieces.push(block.bytes.subarray(pieceAt, at));
    }
    this.cut = position;
    return {
      from: logPosition(from),
      end: logPosition(position),
      pieces,
      newSegment,
      firstTimestampMs,
      lastTimestampMs,
    };
  }

  /** False once the disk has failed. */
  private async writeBatch(batch: Batch): Promise<boolean> {
    try {
      if (batch.newSegment) await this.beginSegment(batch.from);
      const segment = this.active;
      const at = batch.from - segment.first;
      const end = batch.end - segment.first;
      await this.room.claim(at, end);
      await segment.use((file) => this.retryWhileFull(() => file.writeDurably(batch.pieces, at)));
      return this.failure === undefined;
    } catch (caught) {
      this.fail(caught);
      return false;
    }
  }

  private becomeDurable(batch: Batch): void {
    const segment = this.active;
    assert(segment.end === batch.from, 'a batch starts where the last one ended');
    if (segment.end === segment.first) segment.firstTimestampMs = batch.firstTimestampMs;
    segment.lastTimestampMs = Math.max(segment.lastTimestampMs, batch.lastTimestampMs);
    segment.end = batch.end;
    this.durable = batch.end;
    this.cache.trim(batch.end);
    this.room.makeAhead();
  }

  /** Seals the active segment and gives the next one its name. All before `first` is durable. */
  private async beginSegment(first: LogPosition): Promise<void> {
    const old = this.active;
    assert(old.end === first, 'segments follow one another');
    const prepared = await this.retryWhileFull(() => this.room.takePrepared());
    const bytes = old.end - old.first;
    await old.use(async (file) => {
      await this.retryWhileFull(() => file.truncate(bytes));
      await file.sync();
    });
    const segment = new Segment(this.disk, this.folder, first, prepared.bytes, prepared.file);
    await this.retryWhileFull(() => this.disk.rename(joinPath(this.folder, preparedName), segment.path));
    await this.disk.syncFolder(this.folder);
    old.fileBytes = bytes;
    old.sealed = true;
    this.rows.push(segment);
    this.room.switchTo(roomOf(segment, prepared.file));
    this.lastUsed.add(old);
    this.events.onSealed(old.info());
  }

  /** A full disk is waited out, on the reserve if there is one. Anything else is thrown. */
  private async retryWhileFull<T>(act: () => Promise<T>): Promise<T> {
    for (;;) {
      let full: unknown;
      try {
        return await act();
      } catch (caught) {
        if (!isDiskFull(caught) || this.failure) throw caught;
        full = caught;
      }
      if (await this.room.relieve()) continue;
      // Nobody waits for ever to stop: what finds no room was never acknowledged.
      if (this.ending) throw full;
      await sleep(this.clock, fullRetryMs);
    }
  }

  private fail(caught: unknown): void {
    if (this.failure) return;
    if (this.ending && isDiskFull(caught)) {
      this.failure = new MqError('STORAGE_FULL', 'the disk is full, and this broker is stopping');
      this.waiters.fail(this.failure);
      return;
    }
    const said = caught instanceof Error ? caught.message : String(caught);
    this.failure = new MqError('DISK_FAILED', `the disk under the log failed: ${said}`, { cause: caught });
    this.waiters.fail(this.failure);
    this.events.onFailed(this.failure);
  }

  // ---- finding the end

  private async listSegments(): Promise<void> {
    const compacted = new Set<LogPosition>();
    for (const name of await this.disk.list(this.folder)) {
      if (name.endsWith('.tmp')) await this.disk.unlink(joinPath(this.folder, name));
      const file = segmentFile(name);
      if (!file) continue;
      const { first } = file;
      if (!file.compacted && compacted.has(first)) {
        await this.disk.unlink(joinPath(this.folder, name)); // It has been replaced already.
        continue;
      }
      if (file.compacted) compacted.add(first);
      const segment = file.compacted ? await this.compactedSegment(first) : await this.plainSegment(first);
      const before = this.rows[this.rows.length - 1];
      if (before) {
        before.sealed = true;
        if (!before.compacted) before.lastTimestampMs = segment.firstTimestampMs;
        if (before.end > first) throw this.corrupt(before, first, 'the next segment begins inside this one');
      }
      this.rows.push(segment);
      await this.touch(segment);
    }
  }

  private async plainSegment(first: LogPosition): Promise<Segment> {
    const segment = new Segment(this.disk, this.folder, first, 0);
    segment.fileBytes = await segment.use((file) => file.size());
    segment.end = logPosition(first + segment.fileBytes);
    await this.readFirstTimestamp(segment);
    return segment;
  }

  private async compactedSegment(first: LogPosition): Promise<Segment> {
    const path = joinPath(this.folder, compactedName(first));
    const file = await this.disk.open(path);
    try {
      const head = await readHead(file, first);
      if (head) return new Segment(this.disk, this.folder, first, await file.size(), undefined, head);
    } finally {
      await file.close();
    }
    throw new MqError(
      'CORRUPT_RECORD',
      `the compacted segment ${this.disk.realPath(path)} is damaged: bring this file back from a copy, or start with ` +
        'an empty data folder',
    );
  }

  private async readFirstTimestamp(segment: Segment): Promise<void> {
    const block = new RecordBlock(Buffer.alloc(headerBytes));
    const read = await segment.use((file) => file.read(block.bytes, 0));
    if (read === headerBytes && block.hasHeader(0, segment.first, recordBytesCeiling)) {
      segment.firstTimestampMs = block.timestampMsAt(0);
    }
  }

  private async findEnd(mark: DurableMark | undefined): Promise<LogPosition> {
    const oldest = this.rows[0];
    if (!oldest) {
      if (mark && mark.position > 0) {
        throw new MqError(
          'CORRUPT_RECORD',
          `the log in ${this.disk.realPath(this.folder)} is gone: its checkpoint knows of ${mark.position} bytes. ` +
            'Bring the files back, or start with an empty data folder',
        );
      }
      const file = await this.disk.open(joinPath(this.folder, segmentName(0)), { create: true, durable: true });
      this.rows.push(new Segment(this.disk, this.folder, logPosition(0), 0, file));
      return logPosition(0);
    }
    if (mark && mark.position < oldest.first) {
      throw this.corrupt(oldest, mark.position, `the log begins only at ${oldest.first}, the checkpoint before it`);
    }
    const start = mark ? this.rows.findLastIndex((row) => row.first <= mark.position) : 0;
    let markSeen = !mark;
    let epochMin = 0;
    let end: LogPosition = oldest.first;
    this.checked.from = this.rows[start]?.first ?? 0;
    for (const segment of this.rows.slice(start)) {
      const last = segment === this.active;
      const note = (block: RecordBlock, at: number): void => {
        if (block.positionAt(at) === mark?.position) markSeen = true;
        segment.lastTimestampMs = Math.max(segment.lastTimestampMs, block.timestampMsAt(at));
      };
      const walked = await this.walk(segment, segment.first, Infinity, note, { epochMin });
      await this.checkEnd(segment, walked, last, mark);
      if (walked.end === mark?.position) markSeen = true;
      epochMin = walked.epoch;
      end = logPosition(walked.end);
    }
    if (mark && !markSeen)
      throw this.corrupt(this.active, mark.position, 'the checkpoint ends here, but no record begins');
    this.epochNow = toEpoch(Math.max(epochMin, mark?.epoch ?? 0));
    this.checked.to = end;
    return end;
  }

  /** Whether where a segment's records end is where they may. */
  private async checkEnd(
    segment: Segment,
    walked: Walked,
    last: boolean,
    mark: DurableMark | undefined,
  ): Promise<void> {
    if (last && segment.compacted) throw this.corrupt(segment, segment.end, 'the segments behind it are gone');
    if (walked.found === 'end of file' && (!last || walked.end >= (mark?.position ?? 0))) return;
    if (!last || walked.found === 'newer version' || walked.end < (mark?.position ?? 0))
      throw this.damage(segment, walked);
    const rules = this.walkRules(segment, Infinity);
    const proof = await segment.use((file) => findProofBehind(file, walked.end, rules));
    if (proof === undefined) return;
    throw this.corrupt(
      segment,
      walked.end,
      `${walked.found}, but the record at ${proof} proves that one was committed`,
    );
  }

  /** Zeroes what stands behind the end of the log, so that nothing of it is ever taken for a record. */
  private async clearBehind(end: LogPosition): Promise<void> {
    const segment = this.active;
    await segment.use(async (file) => {
      const from = end - segment.first;
      const last = await lastNonZero(file, from, segment.fileBytes);
      if (last < 0) return;
      const zeros = Buffer.alloc(Math.min(MiB, last + 1 - from));
      for (let at = from; at <= last; at += zeros.byteLength) {
        await file.write([zeros.subarray(0, Math.min(zeros.byteLength, last + 1 - at))], at);
      }
      await file.sync();
    });
  }

  /** Walks a segment's records from position `from` on, whichever way they stand in its file. */
  private walk(
    segment: Segment,
    from: number,
    until: number,
    each: (block: RecordBlock, at: number) => void,
    more: Partial<WalkRules> = {},
  ): Promise<Walked> {
    return segment.use(async (file) => {
      const rules = { ...this.walkRules(segment, until), ...more };
      if (!segment.compacted) return walkRecords(file, from, rules, each);
      const place = (await segment.table(file)).placeFrom(from);
      return walkRecords(file, from, { ...rules, gaps: true, place }, each);
    });
  }

  private walkRules(segment: Segment, until: number): WalkRules {
    return {
      salt: this.salt,
      recordBytesMax: recordBytesCeiling,
      fileBytes: segment.recordBytes,
      first: segment.first,
      checkedTo: segment.first >= this.checked.from && !segment.compacted ? this.checked.to : 0,
      epochMin: 0,
      until,
    };
  }

  private damage(segment: Segment, walked: Walked): MqError {
    if (walked.found !== 'newer version') return this.corrupt(segment, walked.end, walked.found);
    return new MqError(
      'DATA_FOLDER',
      `the log holds a record of a newer version at position ${walked.end}: start this broker with the newer release`,
    );
  }

  private corrupt(segment: Segment, position: number, what: string): MqError {
    const file = this.disk.realPath(segment.path);
    return new MqError(
      'CORRUPT_RECORD',
      `the log is damaged at position ${position} (${file}, byte ${position - segment.first}): ${what}. ` +
        'Nothing was changed; bring this file back from a copy, or start with an empty data folder',
    );
  }

  // ---- segments

  private get active(): Segment {
    const last = this.rows[this.rows.length - 1];
    assert(last !== undefined, 'an open log has a segment');
    return last;
  }

  private segmentAt(position: number): Segment | undefined {
    let low = 0;
    let high = this.rows.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const row = this.rows[middle] as Segment;
      if (position < row.first) high = middle - 1;
      else if (position >= row.end) low = middle + 1;
      else return row;
    }
    return undefined;
  }

  /** Keeps the number of open files down: the sealed segment that was read longest ago is closed. */
  private async touch(segment: Segment): Promise<void> {
    if (!segment.sealed) return;
    this.lastUsed.delete(segment);
    this.lastUsed.add(segment);
    if (this.lastUsed.size <= openSegmentsMax) return;
    for (const oldest of this.lastUsed) {
      if (oldest.inUse) continue;
      this.lastUsed.delete(oldest);
      await oldest.close();
      return;
    }
  }
}

/** Whether a walk ended where it should. */
function isEnd(walked: Walked): boolean {
  return walked.found === 'end of file' || walked.found === 'until';
}

interface Batch {
  readonly from: LogPosition;
  readonly end: LogPosition;
  readonly pieces: readonly Uint8Array[];
  /** The batch is the first of a segment that is yet to begin. */
  readonly newSegment: boolean;
  readonly firstTimestampMs: number;
  readonly lastTimestampMs: number;
}

function roomOf(segment: Segment, file: DiskFile): ActiveRoom {
  return {
    file,
    used: () => segment.end - segment.first,
    get fileBytes(): number {
      return segment.fileBytes;
    },
    set fileBytes(bytes: number) {
      segment.fileBytes = bytes;
    },
  };
}

/** Where the record stands in its segment's file. Undefined: it was left out, or the table that says is not loaded. */
function placeOf(segment: Segment, position: LogPosition): number | undefined {
  if (!segment.compacted) return position - segment.first;
  const place = segment.loadedTable?.placeOf(position) ?? -1;
  return place < 0 ? undefined : place;
}

/** The record at `at` if it is the one that was asked for, and whole. */
function wholeRecord(
  block: RecordBlock,
  at: number,
  position: LogPosition,
  size: number,
  salt: number,
): LogRecord | undefined {
  const good =
    block.hasHeader(at, position, recordBytesCeiling) && block.sizeAt(at) === size && block.isWhole(at, salt);
  return good ? block.record(at) : undefined;
}
