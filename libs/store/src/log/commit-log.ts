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
 * The parts (`log-parts.ts`): records are taken (`log-intake.ts`), gather (`gathering.ts`), are written (`log-writer.ts`) into
 * segments (`segments.ts`), are read again (`log-reader.ts`); how far each has got: `log-ends.ts`. What an opening log does:
 * `log-opening.ts`, `recovery.ts`.
 */
import type { Epoch, LogPosition, RecordKind } from '@cometmq/model';
import { MqError, assert } from '@cometmq/shared';
import type { Clock } from '@cometmq/shared';

import type { Disk } from '../disk/disk.js';
import type { PreparedCompaction } from './compaction.js';
import type { EpochTable } from './epoch-table.js';
import type { LogRange } from './gaps.js';
import type { LogPieces } from './gathering.js';
import { LogIntake } from './log-intake.js';
import type { LogLimits } from './log-limits.js';
import { LogOpening } from './log-opening.js';
import type { Reloaded } from './log-opening.js';
import { LogParts } from './log-parts.js';
import type { LogEvents } from './log-parts.js';
import { notFound } from './log-reader.js';
import type { LostRange, RecordPlace } from './log-reader.js';
import { damagedSegments, prepareRepair } from './repair.js';
import type { DamagedSegment } from './repair.js';
import type { LogRecord, RecordBlock, RecordDraft } from './record.js';
import type { DurableMark } from './recovery.js';
import type { SegmentInfo } from './segment.js';
import type { Damage } from './segments.js';

export type { LogLimits } from './log-limits.js';
export { logLimits } from './log-limits.js';
export type { Reloaded } from './log-opening.js';
export type { LogEvents, TailCut } from './log-parts.js';
export type { DurableMark } from './recovery.js';
export type { SegmentInfo } from './segment.js';

export type Appended = RecordPlace;

export class CommitLog {
  /** Where each epoch begins, as far as a checkpoint or the records checked at the start say. */
  readonly epochs: EpochTable;
  private readonly parts: LogParts;
  private readonly intake: LogIntake;
  private readonly opening: LogOpening;
  private readonly ends: LogParts['ends'];
  private readonly reader: LogParts['reader'];

  constructor(disk: Disk, folder: string, limits: Partial<LogLimits>, clock: Clock, events: LogEvents) {
    const parts = (this.parts = new LogParts(disk, folder, limits, clock, events));
    this.epochs = parts.epochs;
    this.ends = parts.ends;
    this.reader = parts.reader;
    this.intake = new LogIntake(parts);
    this.opening = new LogOpening(parts, this.intake);
  }

  // ---- how far it has got

  get epoch(): Epoch {
    return this.intake.epoch;
  }
  /** The epoch in the headers of what follows. */
  setEpoch(epoch: Epoch): void {
    assert(epoch >= this.intake.epoch, 'epochs only rise');
    this.intake.epoch = epoch;
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
    return this.parts.segments.first;
  }
  /** From here on it has all that ever stood in it, as far as is known. */
  get wholeFrom(): LogPosition {
    return this.parts.segments.wholeFrom;
  }
  /** The disk is full: only reserved records are taken. */
  get full(): boolean {
    return this.parts.space.full;
  }

  /** How often a record that another member sent had a wrong checksum. */
  get receivedDamaged(): number {
    return this.parts.receivedDamaged;
  }

  /** False: all that is written comes from a leader, whole. */
  set takesDrafts(takes: boolean) {
    this.intake.takesDrafts = takes;
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
  /** Called when a batch sets out for the disk, with where it ends: it may go to other members at the same time. Answers how to end it. */
  onCut(listener: (end: LogPosition) => void): () => void {
    return this.parts.writer.onCut(listener);
  }
  /** See `Gathering.peekCut`. */
  peekCut(from: LogPosition, bytesMax: number): LogPieces | undefined {
    return this.parts.gathering.peekCut(from, bytesMax);
  }
  /** `act` is called right before each batch is cut; it may append. Answers how to end it. */
  beforeBatch(act: () => void): () => void {
    return this.parts.writer.beforeBatch(act);
  }
  /** Has a batch cut soon even if nothing has been appended: what hooks hold back must not wait for a stranger. */
  requestBatch(): void {
    this.parts.writer.requestBatch();
  }

  /** What its checksums begin from; undefined: nothing has been written yet. */
  get salt(): number | undefined {
    return this.ends.appended > 0 ? this.parts.walk.salt : undefined;
  }
  /** The same, written or not. */
  get saltNow(): number {
    return this.parts.walk.salt;
  }
  /** Positions that were given up on purpose: by retention, and by operators. */
  get givenUp(): readonly LogRange[] {
    return this.parts.segments.givenUp;
  }
  /** The log is to be a copy of one that has this salt. */
  takeSalt(salt: number): void {
    assert(this.ends.appended === 0, 'a log begins with its salt');
    this.parts.walk.salt = this.parts.gathering.salt = salt;
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
  open(mark: DurableMark | undefined, salt: number, known?: ReadonlySet<number>, giveUp = false): Promise<void> {
    return this.opening.open({ mark, salt, known }, giveUp);
  }

  /**
   * The log's files are replaced by `swap`, which finds none of them open, and answers as what to take up those that are
   * there then. Who waits for a position is told UNAVAILABLE. What was committed must still be there.
   */
  reload(swap: () => Promise<Reloaded>): Promise<Reloaded> {
    this.intake.checkOpen();
    return this.opening.reload(swap);
  }

  /** It will be closed: what finds no room from now on is given up, and whoever waits for it is told. */
  beginClose(): void {
    this.parts.writer.beginEnd();
  }

  /** Lets what was appended become durable, then gives the files back. */
  close(): Promise<void> {
    return this.opening.close();
  }

  // ---- appending

  /**
   * Takes the next position. The record goes out with the next batch; it is safe once `whenCommitted` says so.
   *
   * @throws MqError MESSAGE_TOO_LARGE, TOO_MANY_REQUESTS, STORAGE_FULL, DISK_FAILED, UNAVAILABLE (closing)
   */
  append(draft: RecordDraft): Appended {
    return this.intake.append(draft);
  }

  /** Whether a record may have this size. @throws MqError MESSAGE_TOO_LARGE */
  checkSize(kind: RecordKind, size: number): void {
    this.intake.checkSize(kind, size);
  }

  /** Records of so many bytes in all, all of them reserved, will be taken now, one behind the other. @throws MqError as `append` */
  checkRoom(bytes: number): void {
    this.intake.checkRoom(bytes);
  }

  /**
   * Takes whole records, complete as a leader wrote them, which go on where this log ends. All of them or none. Answers
   * where the log ends now; it is safe here once `whenDurable` says so.
   *
   * @throws MqError CORRUPT_RECORD when they are not that; DISK_FAILED, UNAVAILABLE
   */
  appendBytes(bytes: Uint8Array): LogPosition {
    return this.intake.appendBytes(bytes);
  }

  /**
   * Ends the log at `to`, where a record begins: what stands behind is zeroed and synced before anything new is taken.
   * Nothing that is committed can be cut off. Those who wait for what goes are told NOT_LEADER.
   */
  truncate(to: LogPosition): Promise<void> {
    return this.intake.truncate(to);
  }

  // ---- reading

  /**
   * Reads the records from `from`, a record's position, in order; stops before `until`, or at the end of what is
   * durable. A record's payload is valid only during the call of `each`. Answers where it stopped. Where `lost` is given,
   * what can't be read of sealed segments is told to it and passed over.
   *
   * @throws MqError CORRUPT_RECORD
   */
  scan(
    from: LogPosition,
    each: (record: LogRecord) => void,
    until = this.durableEnd,
    lost?: LostRange,
  ): Promise<LogPosition> {
    return this.reader.scan(from, each, until, lost);
  }

  /** The record if it is in memory, its payload a view that stays valid. Of the newest the checksum may not be set. */
  recordInMemory(position: LogPosition, size: number): LogRecord | undefined {
    return this.reader.recordInMemory(position, size);
  }

  /** The record's bytes if they are among the newest, for who is done with them in this turn of the event loop. */
  peekMemory(position: LogPosition, size: number): Uint8Array | undefined {
    return this.parts.cache.peek(position, size);
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
  salvage(first: LogPosition, each: (record: LogRecord) => void, lost: LostRange, anew = false): Promise<void> {
    return this.reader.salvage(first, each, lost, anew);
  }

  /** What is known to be lost. */
  get damages(): readonly Damage[] {
    return this.parts.segments.damages;
  }

  /** All that is known to be lost is given up: it does not count as damage any more. Answers what that is. */
  giveUp(): Promise<readonly Damage[]> {
    return this.parts.segments.giveUp();
  }
  isGivenUp(first: LogPosition, size: number): boolean {
    return this.parts.segments.isGivenUp({ first, end: first + size });
  }

  /** False: it was known. */
  noteDamage(damage: Damage): boolean {
    return this.parts.segments.noteDamage(damage);
  }

  // ---- segments

  segments(): readonly SegmentInfo[] {
    return this.parts.segments.infos();
  }

  /** Deletes a sealed segment. Should a crash bring it back, it is whole. */
  async unlink(first: LogPosition): Promise<void> {
    const segment = this.parts.segments.find(first);
    if (!segment) return;
    assert(segment.sealed, 'only a sealed segment can go');
    await this.parts.segments.unlink(segment);
  }

  /**
   * Whether the record at `position`, of a segment that is kept, was not left out of it. Undefined: the segment was
   * compacted and nobody has read from it lately, so that it can't be said at once.
   */
  holds(position: LogPosition): boolean | undefined {
    const segment = this.parts.segments.at(position);
    if (!segment) return position >= this.durableEnd && position < this.appendEnd;
    const table = this.parts.compactions.tableOf(segment) ?? segment.loadedTable;
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
    return this.parts.compactions.prepare(first, keep, bytesMax);
  }
  /**
   * Makes a damaged segment anew, beside the old file, of records of another member. `mayLack`: those in which nothing
   * lives may be missing. `replace` or `discard` must follow.
   *
   * @throws MqError CORRUPT_RECORD, NOT_FOUND, UNAVAILABLE; what `pieces` and the disk throw: nothing is left behind
   */
  prepareRepair(first: LogPosition, pieces: AsyncIterable<Uint8Array>, mayLack: boolean): Promise<PreparedCompaction> {
    const { disk, folder } = this.parts.segments;
    const old = this.parts.compactions.idleSegment(first);
    return prepareRepair(disk, folder, old, pieces, { salt: this.parts.walk.salt, mayLack });
  }
  async replace(prepared: PreparedCompaction): Promise<SegmentInfo> {
    const info = await this.parts.compactions.replace(prepared);
    this.reader.forget(prepared.old);
    this.parts.segments.forgetDamage(info);
    return info;
  }
  /** Sealed segments of which something can't be read. */
  get damagedSegments(): readonly DamagedSegment[] {
    return damagedSegments(this.parts.segments.all, this.damages);
  }
  discard(prepared: PreparedCompaction): Promise<void> {
    return this.parts.compactions.discard(prepared);
  }
}

export function untilCommitted(log: CommitLog, end: LogPosition): Promise<void> {
  return new Promise((resolve, reject) => log.whenCommitted(end, resolve, reject));
}
