/**
 * The commit log: every record this broker set holds, in order of arrival, as one run of bytes that only grows, cut
 * into segments.
 *
 *   0 … unlinked … | segment | segment | active segment: … records | zeros |
 *                          commitEnd ≤ durableEnd ≤ appendEnd     positions are bytes, never used twice
 *
 * Invariants:
 * - What lies below `durableEnd` outlives a power cut here; below `commitEnd` nothing is ever taken back. Nobody is told
 *   of a position before that.
 * - One batch is on its way to the disk while the next one gathers; a batch lies in one segment.
 * - A segment is sealed (cut to its last record, synced) before the next one gets its name, so a torn tail can only be
 *   in the last segment; a bad record anywhere else is damage.
 *
 * The parts: records gather (`gathering.ts`), are written (`log-writer.ts`) into segments (`segments.ts`), are read again
 * (`log-reader.ts`); how far each has got: `log-ends.ts`. What an opening log does: `recovery.ts`.
 */
import { KiB, MiB, epoch as toEpoch, logPosition } from '@cometmq/model';
import type { Epoch, LogPosition } from '@cometmq/model';
import { MqError, assert } from '@cometmq/shared';
import type { Clock } from '@cometmq/shared';

import type { Disk } from '../disk/disk.js';
import type { OnTrouble } from '../disk/two-copies.js';
import { Compactions } from './compaction.js';
import type { PreparedCompaction } from './compaction.js';
import { DurableNote } from './durable-note.js';
import { EpochTable } from './epoch-table.js';
import { Gathering } from './gathering.js';
import type { LogRange } from './gaps.js';
import type { Batch } from './gathering.js';
import { LogEnds } from './log-ends.js';
import { logLimits, recordBytesCeiling } from './log-limits.js';
import type { LogLimits } from './log-limits.js';
import { LogReader, notFound } from './log-reader.js';
import type { RecordPlace } from './log-reader.js';
import { LogWriter } from './log-writer.js';
import type { WriterEvents } from './log-writer.js';
import { eachReceived } from './received.js';
import { damagedSegments, prepareRepair } from './repair.js';
import type { DamagedSegment } from './repair.js';
import { RecordBlock, headerBytesOf } from './record.js';
import type { LogRecord, RecordDraft } from './record.js';
import { clearBehind, findEnd } from './recovery.js';
import type { DurableMark, FoundEnd } from './recovery.js';
import { SegmentSpace } from './segment-space.js';
import type { SegmentInfo } from './segment.js';
import { Segments } from './segments.js';
import type { Damage } from './segments.js';
import { SegmentWalk } from './segment-walk.js';
import { TailCache } from './tail-cache.js';

export type { LogLimits } from './log-limits.js';
export { logLimits } from './log-limits.js';
export type { DurableMark } from './recovery.js';
export type { SegmentInfo } from './segment.js';

const cacheChunkBytes = 1 * MiB;

export interface LogEvents extends WriterEvents {
  /** Told at the start of what stood behind the log's end, or that of a sealed segment, and was cut off. */
  onTailCut?(cut: TailCut): void;
  /** One of two copies of a small file was damaged, and is written again. */
  readonly onTrouble?: OnTrouble | undefined;
}

export interface TailCut {
  /** Where the log, or the segment, ends now. */
  readonly from: LogPosition;
  readonly bytes: number;
  /** What stood there instead of a record. */
  readonly found: string;
}

export type Appended = RecordPlace;

/** As what the files of a log are taken up. */
export interface Reloaded {
  /** Up to where a checkpoint knows it to be durable. */
  readonly mark: DurableMark | undefined;
  /** What its checksums begin from. */
  readonly salt: number;
  /** All below it is known to be committed. */
  readonly committed: LogPosition;
  /** Where else segments are known to begin. */
  readonly known?: ReadonlySet<number> | undefined;
}

export class CommitLog {
  /** Where each epoch begins, as far as a checkpoint or the records checked at the start say. */
  readonly epochs = new EpochTable();
  private readonly limits: LogLimits;
  private readonly segmentsHeld: Segments;
  private readonly walk: SegmentWalk;
  private readonly room: SegmentSpace;
  private readonly cache: TailCache;
  private readonly ends = new LogEnds();
  private readonly gathering: Gathering;
  private readonly durableNote: DurableNote;
  private readonly reader: LogReader;
  private readonly writer: LogWriter;
  private readonly compactions: Compactions;
  private epochNow = toEpoch(0);
  private opened = false;
  /** False: all that is written comes from a leader, whole. */
  takesDrafts = true;

  constructor(
    disk: Disk,
    folder: string,
    limits: Partial<LogLimits>,
    clock: Clock,
    private readonly events: LogEvents,
  ) {
    this.limits = { ...logLimits, ...limits };
    assert(this.limits.recordBytesMax <= this.limits.segmentBytes, 'a record fits a segment');
    assert(this.limits.recordBytesMax <= recordBytesCeiling, 'a record is one that readers believe');
    const chunkBytes = Math.min(cacheChunkBytes, Math.max(4 * KiB, this.limits.tailCacheBytes / 4));
    const fail = (caught: unknown): void => this.writer.fail(caught);
    const segments = (this.segmentsHeld = new Segments(disk, folder, events.onTrouble));
    this.walk = new SegmentWalk(segments);
    this.cache = new TailCache(this.limits.tailCacheBytes, chunkBytes);
    this.room = new SegmentSpace(disk, folder, this.limits, clock, fail, () => events.onFull?.());
    this.gathering = new Gathering(this.cache, this.limits);
    this.reader = new LogReader(segments, this.walk, this.cache, this.ends, this.limits);
    this.writer = new LogWriter(segments, this.gathering, this.cache, this.ends, this.room, clock, events);
    this.durableNote = new DurableNote(disk, folder, clock, fail);
    this.ends.onDurable((_from, end) => this.durableNote.reached(end));
    this.compactions = new Compactions(segments, this.walk, this.room, fail);
  }

  // ---- how far it has got

  get epoch(): Epoch {
    return this.epochNow;
  }
  /** The epoch in the headers of what follows. */
  setEpoch(epoch: Epoch): void {
    assert(epoch >= this.epochNow, 'epochs only rise');
    this.epochNow = epoch;
  }
  get appendEnd(): LogPosition {
    return this.ends.appended;
  }
  get durableEnd(): LogPosition {
    return this.ends.durable;
  }
  /** All below it is promised: consumers may see it, and nothing takes it back. */
  get commitEnd(): LogPosition {
    return this.ends.committed;
  }
  /** The oldest position kept. */
  get first(): LogPosition {
    return this.segmentsHeld.first;
  }
  /** From here on it has all that ever stood in it, as far as is known. */
  get wholeFrom(): LogPosition {
    return this.segmentsHeld.wholeFrom;
  }
  /** The disk is full: only reserved records are taken. */
  get full(): boolean {
    return this.room.full;
  }

  /** True, as it is at the start: what is durable here is committed. False: `advanceCommit` says what is. */
  set commitsWhenDurable(alone: boolean) {
    this.ends.commitsWhenDurable = alone;
  }
  get commitsWhenDurable(): boolean {
    return this.ends.commitsWhenDurable;
  }
  /** All below `end` is committed; what is not durable here yet counts as soon as it is. Never goes back. */
  advanceCommit(end: LogPosition): void {
    this.ends.advanceCommit(end);
  }

  /** Calls `act` once all below `end` is durable here, in order of `end`; `failed` when that can't come any more. */
  whenDurable(end: LogPosition, act: () => void, failed?: (error: MqError) => void): void {
    this.ends.whenDurable(end, act, failed);
  }
  /** Calls `act` once all below `end` is committed, in order of `end`; `failed` when that can't come any more. */
  whenCommitted(end: LogPosition, act: () => void, failed?: (error: MqError) => void): void {
    this.ends.whenCommitted(end, act, failed);
  }
  /** Those who wait for a commit that has not come are told so. */
  failCommits(error: MqError): void {
    this.ends.failCommits(error);
  }
  /** Called after each batch, before those who wait for it. */
  onDurable(listener: (from: LogPosition, end: LogPosition) => void): void {
    this.ends.onDurable(listener);
  }
  /** Called whenever the commit position has moved, before those who wait for it. */
  onCommitted(listener: (from: LogPosition, end: LogPosition) => void): void {
    this.ends.onCommitted(listener);
  }
  /** Called with each batch when it sets out for the disk: what goes to other members at the same time. Answers how to end it. */
  onCut(listener: (batch: Batch) => void): () => void {
    return this.writer.onCut(listener);
  }
  /** `act` is called right before each batch is cut; it may append. Answers how to end it. */
  beforeBatch(act: () => void): () => void {
    return this.writer.beforeBatch(act);
  }
  /** Has a batch cut soon even if nothing has been appended: what hooks hold back must not wait for a stranger. */
  requestBatch(): void {
    this.writer.requestBatch();
  }

  /** What its checksums begin from; undefined: nothing has been written yet. */
  get salt(): number | undefined {
    return this.ends.appended > 0 ? this.walk.salt : undefined;
  }
  /** The same, written or not. */
  get saltNow(): number {
    return this.walk.salt;
  }
  /** Positions that were given up on purpose: by retention, and by operators. */
  get givenUp(): readonly LogRange[] {
    return this.segmentsHeld.givenUp;
  }
  /** The log is to be a copy of one that has this salt. */
  takeSalt(salt: number): void {
    assert(this.ends.appended === 0, 'a log begins with its salt');
    this.walk.salt = this.gathering.salt = salt;
  }

  // ---- opening and closing

  /**
   * Finds the log's end: checks the records from the segment that holds `mark` on (from the oldest, without one), tells
   * a torn tail from damage, zeroes and syncs what is behind the end. Safe to break off and repeat at any point.
   * `salt` is what the checksums of this log begin from; `known`, where else segments are known to begin. `giveUp`: an
   * operator has said to go on without what of the newest segment can't be read, and what stands behind a sealed one's end.
   *
   * @throws MqError CORRUPT_RECORD where the log is damaged or ends below the mark; DATA_FOLDER for a newer format
   */
  async open(mark: DurableMark | undefined, salt: number, known?: ReadonlySet<number>, giveUp = false): Promise<void> {
    assert(!this.opened, 'a log is opened once');
    this.opened = true;
    const { end, committed } = await this.enter({ mark, salt, known }, giveUp).catch(async (caught: unknown) => {
      await this.unopen();
      throw caught;
    });
    this.ends.open(end, logPosition(Math.max(committed, mark?.position ?? 0)));
    await this.writer.begin();
  }

  /**
   * The log's files are replaced by `swap`, which finds none of them open, and answers as what to take up those that are
   * there then. Who waits for a position is told UNAVAILABLE. What was committed must still be there.
   */
  async reload(swap: () => Promise<Reloaded>): Promise<Reloaded> {
    this.checkOpen();
    let reloaded: Reloaded | undefined;
    await this.writer.whileStill(async () => {
      await this.durableNote.close();
      for (const segment of this.segmentsHeld.all) this.reader.forget(segment);
      await this.segmentsHeld.close();
      this.segmentsHeld.clear();
      this.walk.checked.from = this.walk.checked.to = 0;
      this.cache.cut(0);
      this.epochs.cut(logPosition(0));
      reloaded = await swap();
      const { end } = await this.enter(reloaded);
      assert(end >= this.commitEnd, 'what is committed stays');
      this.ends.reopen(
        end,
        reloaded.committed,
        new MqError('UNAVAILABLE', 'the log was replaced by a snapshot of another member'),
      );
    });
    assert(reloaded !== undefined, 'the log has been replaced');
    return reloaded;
  }

  /** What was found is forgotten: once somebody has mended it the log can be opened again. */
  private async unopen(): Promise<void> {
    await this.durableNote.close();
    await this.segmentsHeld.close();
    this.segmentsHeld.clear();
    this.walk.checked.from = this.walk.checked.to = 0;
    this.epochs.cut(logPosition(0));
    this.opened = false;
  }

  /** Takes up the files that are there. Answers where the log ends, and what of it is known to be committed. */
  private async enter(
    { mark, salt, known }: Omit<Reloaded, 'committed'>,
    giveUp = false,
  ): Promise<Pick<FoundEnd, 'end' | 'committed'>> {
    const { disk, folder } = this.segmentsHeld;
    this.walk.salt = this.gathering.salt = salt;
    await disk.makeFolder(folder);
    await this.segmentsHeld.open(known, giveUp);
    this.epochs.cut(mark?.position ?? logPosition(0)); // What lies behind is found again, if it is still there.
    await this.durableNote.open();
    const synced = { end: this.durableNote.end, path: disk.realPath(this.durableNote.path) };
    const { segmentsHeld, walk, epochs } = this;
    const { end, found, committed, damaged } = await findEnd(segmentsHeld, walk, epochs, mark, synced, giveUp);
    for (const { segment, bytes } of await segmentsHeld.cutSurplus()) {
      this.events.onTailCut?.({ from: segment.end, bytes, found: `the end of a sealed segment (${segment.path})` });
    }
    if (damaged) await segmentsHeld.beginBehind(end);
    this.epochNow = toEpoch(Math.max(this.epochs.last, mark?.epoch ?? 0));
    const { active } = this.segmentsHeld;
    const cut = await active.use((file) => clearBehind(file, end - active.first, active.fileBytes));
    if (cut > 0) this.events.onTailCut?.({ from: end, bytes: cut, found });
    // What was found may have been written but never synced, and a name may never have reached its folder.
    await active.use((file) => file.sync());
    await disk.syncFolder(folder);
    await this.segmentsHeld.settleGaps();
    active.end = end;
    this.gathering.open(end, active.first);
    return { end, committed };
  }

  /** Lets what was appended become durable, then gives the files back. */
  async close(): Promise<void> {
    await this.writer.end();
    if (this.opened && !this.ends.failure) await this.durableNote.settle(this.ends.durable);
    await this.durableNote.close();
    await this.segmentsHeld.close();
    this.ends.close(new MqError('UNAVAILABLE', 'this broker is stopping'));
  }

  // ---- appending

  /**
   * Takes the next position. The record goes out with the next batch; it is safe once `whenCommitted` says so.
   *
   * @throws MqError MESSAGE_TOO_LARGE, TOO_MANY_REQUESTS, STORAGE_FULL, DISK_FAILED, UNAVAILABLE (closing)
   */
  append(draft: RecordDraft): Appended {
    let size = headerBytesOf(draft.kind);
    for (const chunk of draft.payload) size += chunk.byteLength;
    this.checkAppend(size, draft.reserved === true);
    const epoch = this.epochNow;
    const position = this.gathering.put(draft, size, epoch);
    if (epoch > this.epochs.last) this.epochs.note(epoch, position);
    this.ends.appended = logPosition(position + size);
    this.writer.gathered();
    return { position, size };
  }

  /**
   * Takes whole records, complete as a leader wrote them, which go on where this log ends. All of them or none. Answers
   * where the log ends now; it is safe here once `whenDurable` says so.
   *
   * @throws MqError CORRUPT_RECORD when they are not that; DISK_FAILED, UNAVAILABLE
   */
  appendBytes(bytes: Uint8Array): LogPosition {
    this.checkOpen();
    const block = new RecordBlock(bytes);
    const { salt } = this.walk;
    eachReceived(block, { from: this.ends.appended, epochMin: this.epochNow, salt }, () => undefined);
    eachReceived(block, { from: this.ends.appended, epochMin: this.epochNow, salt: undefined }, (at, size, epoch) => {
      this.epochs.note(epoch, this.ends.appended);
      this.epochNow = epoch;
      this.gathering.putComplete(block, at, size);
      this.ends.appended = logPosition(this.ends.appended + size);
    });
    this.writer.gathered();
    return this.ends.appended;
  }

  /**
   * Ends the log at `to`, where a record begins: what stands behind is zeroed and synced before anything new is taken.
   * Nothing that is committed can be cut off. Those who wait for what goes are told NOT_LEADER.
   */
  async truncate(to: LogPosition): Promise<void> {
    this.checkOpen();
    assert(to >= this.commitEnd && to <= this.appendEnd, 'what is committed stays');
    await this.writer.whileStill(async () => {
      const written = logPosition(Math.min(to, this.durableEnd));
      await this.durableNote.settle(written); // Before anything goes: else what went would be missed.
      const cut = await this.segmentsHeld.cutBehind(written);
      const { active } = this.segmentsHeld;
      for (const segment of cut) this.reader.forget(segment);
      await active.use((file) => clearBehind(file, written - active.first, active.fileBytes));
      this.walk.checked.to = Math.min(this.walk.checked.to, to);
      this.cache.cut(to);
      this.gathering.truncate(to, active.first);
      this.epochs.cut(to);
      this.epochNow = this.epochs.last;
      this.ends.cut(to, new MqError('NOT_LEADER', 'this broker does not lead any more: what it wrote last is gone'));
    });
  }

  // ---- reading

  /**
   * Reads the records from `from`, a record's position, in order; stops before `until`, or at the end of what is
   * durable. A record's payload is valid only during the call of `each`. Answers where it stopped.
   *
   * @throws MqError CORRUPT_RECORD
   */
  scan(from: LogPosition, each: (record: LogRecord) => void, until = this.durableEnd): Promise<LogPosition> {
    return this.reader.scan(from, each, until);
  }

  /** The record if it is in memory, its payload a view that stays valid. Of the newest the checksum may not be set. */
  recordInMemory(position: LogPosition, size: number): LogRecord | undefined {
    return this.reader.recordInMemory(position, size);
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
    if (!found || found instanceof MqError) throw found ?? notFound(position, size);
    return found;
  }

  /** Records in the order they are named; in place of one that can't be read, what `read` would throw. */
  readAll(wanted: readonly RecordPlace[]): Promise<readonly (LogRecord | MqError)[]> {
    return this.reader.readAll(wanted);
  }

  /**
   * The log's own bytes from `from` on, whole records of one segment, `bytesMax` at the most but one record at the least;
   * none at the end of what is durable. Undefined: the log no longer has all that stood there.
   *
   * @throws MqError CORRUPT_RECORD
   */
  readBytes(from: LogPosition, bytesMax: number): Promise<Uint8Array | undefined> {
    return this.reader.readBytes(from, bytesMax);
  }

  /** See `LogReader.check`. */
  check(
    from: LogPosition,
    end: LogPosition,
    each: (block: RecordBlock, at: number) => void,
    slice?: (position: LogPosition) => Promise<void>,
  ): Promise<void> {
    return this.reader.check(from, end, each, slice);
  }

  /**
   * The records of one sealed segment as far as they can be read, in order. `lost` is told of what lies between them
   * and can't.
   */
  salvage(
    first: LogPosition,
    each: (record: LogRecord) => void,
    lost: (from: LogPosition, to: LogPosition) => void,
    anew = false,
  ): Promise<void> {
    return this.reader.salvage(first, each, lost, anew);
  }

  /** What is known to be lost. */
  get damages(): readonly Damage[] {
    return this.segmentsHeld.damages;
  }

  /** All that is known to be lost is given up: it does not count as damage any more. Answers what that is. */
  giveUp(): Promise<readonly Damage[]> {
    return this.segmentsHeld.giveUp();
  }
  isGivenUp(first: LogPosition, size: number): boolean {
    return this.segmentsHeld.isGivenUp({ first, end: first + size });
  }

  /** False: it was known. */
  noteDamage(damage: Damage): boolean {
    return this.segmentsHeld.noteDamage(damage);
  }

  // ---- segments

  segments(): readonly SegmentInfo[] {
    return this.segmentsHeld.infos();
  }

  /** Deletes a sealed segment. Should a crash bring it back, it is whole. */
  async unlink(first: LogPosition): Promise<void> {
    const segment = this.segmentsHeld.find(first);
    if (!segment) return;
    assert(segment.sealed, 'only a sealed segment can go');
    await this.segmentsHeld.unlink(segment);
  }

  /**
   * Whether the record at `position`, of a segment that is kept, was not left out of it. Undefined: the segment was
   * compacted and nobody has read from it lately, so that it can't be said at once.
   */
  holds(position: LogPosition): boolean | undefined {
    const segment = this.segmentsHeld.at(position);
    if (!segment) return position >= this.durableEnd && position < this.appendEnd;
    const table = this.compactions.tableOf(segment) ?? segment.loadedTable;
    if (table) return table.placeOf(position) >= 0;
    return segment.compacted ? undefined : true;
  }

  /**
   * Writes a sealed segment anew, beside the old one, with only the records that `keep` wants; undefined when that takes
   * more than `bytesMax`. From now on `holds` goes by what was kept. `replace` or `discard` must follow.
   *
   * @throws MqError CORRUPT_RECORD; what the disk throws, a full one too: nothing is left behind, and nothing is lost
   */
  prepareCompaction(
    first: LogPosition,
    keep: (record: LogRecord) => boolean,
    bytesMax: number,
  ): Promise<PreparedCompaction | undefined> {
    return this.compactions.prepare(first, keep, bytesMax);
  }
  /**
   * Makes a damaged segment anew, beside the old file, of records of another member. `mayLack`: those in which nothing
   * lives may be missing. `replace` or `discard` must follow.
   *
   * @throws MqError CORRUPT_RECORD, NOT_FOUND, UNAVAILABLE; what `pieces` and the disk throw: nothing is left behind
   */
  prepareRepair(first: LogPosition, pieces: AsyncIterable<Uint8Array>, mayLack: boolean): Promise<PreparedCompaction> {
    const { disk, folder } = this.segmentsHeld;
    const old = this.compactions.idleSegment(first);
    return prepareRepair(disk, folder, old, pieces, { salt: this.walk.salt, mayLack });
  }
  async replace(prepared: PreparedCompaction): Promise<SegmentInfo> {
    const info = await this.compactions.replace(prepared);
    this.reader.forget(prepared.old);
    this.segmentsHeld.forgetDamage(info);
    return info;
  }
  /** Sealed segments of which something can't be read. */
  get damagedSegments(): readonly DamagedSegment[] {
    return damagedSegments(this.segmentsHeld.all, this.damages);
  }
  discard(prepared: PreparedCompaction): Promise<void> {
    return this.compactions.discard(prepared);
  }

  private checkOpen(): void {
    if (this.ends.failure) throw this.ends.failure;
    if (!this.writer.takes) throw new MqError('UNAVAILABLE', 'this broker is stopping');
  }

  private checkAppend(size: number, reserved: boolean): void {
    this.checkOpen();
    if (!this.takesDrafts) throw new MqError('NOT_LEADER', 'this broker does not lead: it writes what its leader does');
    if (size > this.limits.recordBytesMax) {
      throw new MqError('MESSAGE_TOO_LARGE', `a record of ${size} bytes, at most ${this.limits.recordBytesMax}`);
    }
    const pendingMax = this.limits.pendingBytesMax * (reserved ? 2 : 1);
    if (this.ends.appended - this.ends.committed + size > pendingMax) {
      throw new MqError('TOO_MANY_REQUESTS', `${pendingMax} bytes are waiting for the disk already`);
    }
    if (this.room.full && !reserved) {
      throw new MqError('STORAGE_FULL', 'the disk is full: new messages are refused until space comes free');
    }
  }
}
