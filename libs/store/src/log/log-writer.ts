/**
 * The way to the disk. One batch is on its way while the next one gathers: one write and one sync serve all who wait.
 *
 * After a failed write or sync nothing is written or acknowledged any more: what the disk then holds is anyone's guess. A
 * full disk is no failure: the write is tried again, and only records marked `reserved` are still taken.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { MqError, assert, sleep, throwAssertion } from '@cometmq/shared';
import type { Clock } from '@cometmq/shared';

import { isDiskFull, joinPath } from '../disk/disk.js';
import type { DiskFile } from '../disk/disk.js';
import { addTo } from '../listeners.js';
import type { Batch, Gathering } from './gathering.js';
import type { LogEnds } from './log-ends.js';
import { roomOf } from './segment-space.js';
import type { ActiveSpace, SegmentSpace } from './segment-space.js';
import { Segment, preparedName } from './segment.js';
import type { SegmentInfo } from './segment.js';
import type { Segments } from './segments.js';
import type { TailCache } from './tail-cache.js';

const fullRetryMs = 100;
/** A batch waits for room, and the log is to stand still: it gives way. */
class GaveWay extends Error {}

export interface WriterEvents {
  /** The log is dead. Told once; every waiter has been told before. */
  onFailed(error: MqError): void;
  onSealed(segment: SegmentInfo): void;
  /** The disk has become full: whoever can make space should. */
  onFull?(): void;
  /** A batch has been written and synced: how long that took, and how many messages were in it. */
  onSynced?(tookMs: number, messages: number): void;
}

export class LogWriter {
  private readonly hooks: (() => void)[] = [];
  private readonly cutListeners: ((end: LogPosition) => void)[] = [];
  /** The process stops: what finds no room is given up. */
  private ending = false;
  /** While it is under way nothing is cut. */
  private still: Promise<void> | undefined;
  private open = false;
  private scheduled = false;
  private wanted = false;
  private pumping: Promise<void> | undefined;

  constructor(
    private readonly segments: Segments,
    private readonly gathering: Gathering,
    private readonly cache: TailCache,
    private readonly ends: LogEnds,
    private readonly room: SegmentSpace,
    private readonly clock: Clock,
    private readonly events: WriterEvents,
  ) {}

  /** `act` is called right before each batch is cut; it may append. */
  beforeBatch(act: () => void): () => void {
    return addTo(this.hooks, act);
  }

  onCut(listener: (end: LogPosition) => void): () => void {
    return addTo(this.cutListeners, listener);
  }

  /** From now on what has gathered is written. */
  async begin(): Promise<void> {
    this.open = true;
    await this.enterActive((room) => this.room.open(room));
  }

  /** Something has been gathered. */
  gathered(): void {
    if (!this.scheduled) this.schedule();
  }

  /** Has a batch cut soon even if nothing has been gathered: hooks may have something. */
  requestBatch(): void {
    this.wanted = true;
    if (!this.scheduled) this.schedule();
  }

  /** It will stop: from now on nothing waits for room. */
  beginEnd(): void {
    this.ending = true;
  }

  /** Writes what has gathered, then stops for good. */
  async end(): Promise<void> {
    if (!this.open) return;
    this.ending = true;
    await this.still?.catch(() => undefined); // Whoever asked for it is told.
    // Hooks may add a last word: who appends has been stopped before.
    while (!this.ends.failure && (this.pumping || this.wanted || !this.gathering.isEmpty)) {
      this.pump();
      await this.pumping;
    }
    this.open = false;
    await this.room.close();
  }

  /** Runs `act` while nothing is being written or made ahead, then goes on in what is the active segment then. */
  async whileStill(act: () => Promise<void>): Promise<void> {
    assert(!this.still, 'the log stands still for one at a time');
    this.still = this.standStill(act);
    try {
      await this.still;
    } catch (caught) {
      this.fail(caught); // What the files hold now is anyone's guess.
      throw caught;
    } finally {
      this.still = undefined;
    }
    this.gathered();
  }

  /** What is gathered now will be written. */
  get takes(): boolean {
    return this.open && !this.still;
  }

  private async standStill(act: () => Promise<void>): Promise<void> {
    await this.pumping;
    await this.room.leave();
    if (this.ends.failure) throw this.ends.failure;
    await act();
    await this.enterActive((room) => Promise.resolve(this.room.switchTo(room)));
  }

  fail(caught: unknown): void {
    throwAssertion(caught); // No fault of the disk.
    if (this.ends.failure) return;
    if (this.ending && isDiskFull(caught)) {
      this.ends.fail(new MqError('STORAGE_FULL', 'the disk is full, and this broker is stopping'));
      return;
    }
    const said = caught instanceof Error ? caught.message : String(caught);
    const failure = new MqError('DISK_FAILED', `the disk under the log failed: ${said}`, { cause: caught });
    this.ends.fail(failure);
    this.events.onFailed(failure);
  }

  /** Many appends of one turn of the event loop share a batch. */
  private schedule(): void {
    if (this.pumping || this.ends.failure || !this.open) return;
    this.scheduled = true;
    this.clock.soon(() => {
      this.scheduled = false;
      this.pump();
    });
  }

  private pump(): void {
    if (this.pumping || this.still || this.ends.failure) return;
    this.pumping = this.writeBatches().finally(() => {
      this.pumping = undefined;
      if (!this.still && (this.wanted || !this.gathering.isEmpty)) this.schedule();
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
      this.ends.tell(done.from, done.end);
    }
  }

  private cutBatch(): Batch | undefined {
    if (this.still) return undefined;
    this.wanted = false;
    for (const act of this.hooks) act();
    if (this.ends.failure) return undefined;
    const batch = this.gathering.cutBatch(this.ends.committed);
    if (batch) for (const listener of this.cutListeners) listener(batch.end);
    return batch;
  }

  /** False once the disk has failed, or where it gave way. */
  private async writeBatch(batch: Batch): Promise<boolean> {
    const before = this.segments.active;
    try {
      if (batch.newSegment) await this.beginSegment(batch.from);
      const segment = this.segments.active;
      const at = batch.from - segment.first;
      const end = batch.end - segment.first;
      await this.room.claim(at, end);
      await segment.use((file) => this.retryWhileFull(() => this.writeAndSync(file, batch, at), true));
      return this.ends.failure === undefined;
    } catch (caught) {
      if (caught instanceof GaveWay) this.gathering.putBack(batch, this.segments.active !== before);
      else this.fail(caught);
      return false;
    }
  }

  private async writeAndSync(file: DiskFile, { pieces, messages }: Batch, at: number): Promise<void> {
    const startMs = this.clock.monotonicMs();
    await file.writeDurably(pieces, at);
    this.events.onSynced?.(this.clock.monotonicMs() - startMs, messages);
  }

  private becomeDurable(batch: Batch): void {
    const segment = this.segments.active;
    assert(segment.end === batch.from, 'a batch starts where the last one ended');
    if (segment.end === segment.first) segment.firstTimestampMs = batch.firstTimestampMs;
    segment.lastTimestampMs = Math.max(segment.lastTimestampMs, batch.lastTimestampMs);
    segment.end = batch.end;
    this.ends.becameDurable(batch.end);
    this.cache.trim(batch.end);
    this.room.makeAhead();
  }

  /** Seals the active segment and gives the next one its name. All before `first` is durable. */
  private async beginSegment(first: number): Promise<void> {
    const { segments } = this;
    const { disk, folder, active: old } = segments;
    assert(old.end === first, 'segments follow one another');
    const prepared = await this.retryWhileFull(() => this.room.takePrepared(), true);
    const bytes = old.end - old.first;
    await old.use(async (file) => {
      await this.retryWhileFull(() => file.truncate(bytes));
      await file.sync();
    });
    const segment = new Segment(disk, folder, logPosition(first), prepared.bytes, prepared.file);
    await this.retryWhileFull(() => disk.rename(joinPath(folder, preparedName), segment.path));
    await disk.syncFolder(folder);
    old.fileBytes = bytes;
    old.sealed = true;
    segments.push(segment);
    this.room.switchTo(roomOf(segment, prepared.file));
    this.events.onSealed(old.info());
  }

  private async enterActive(enter: (room: ActiveSpace) => Promise<void>): Promise<void> {
    const segment = this.segments.active;
    const file = await segment.use((opened) => Promise.resolve(opened));
    await enter(roomOf(segment, file));
  }

  /**
   * A full disk is waited out, on the reserve if there is one. Anything else is thrown; so is GaveWay, where that is allowed and
   * somebody waits for the log to stand still: a leader that was deposed could else not step down before somebody makes room.
   */
  private async retryWhileFull<T>(act: () => Promise<T>, givesWay = false): Promise<T> {
    for (;;) {
      let full: unknown;
      try {
        return await act();
      } catch (caught) {
        if (!isDiskFull(caught) || this.ends.failure) throw caught;
        full = caught;
      }
      if (await this.room.relieve()) continue;
      // Nobody waits for ever to stop: what finds no room was never acknowledged.
      if (this.ending) throw full;
      if (givesWay && this.still) throw new GaveWay();
      await sleep(this.clock, fullRetryMs);
    }
  }
}
