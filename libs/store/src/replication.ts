/**
 * Who leads, and when records are folded: a leader folds what it appends at once, everybody else what is committed. A
 * follower that becomes leader folds the rest first; a leader that is deposed throws away what it has folded, cuts its
 * log, and folds again from its checkpoint, which never ran ahead of the commit, unless all that it wrote is committed.
 * Between members go bytes of the log.
 */
import type { EpochStart, LogPosition } from '@cometmq/model';
import { assert, OneByOne } from '@cometmq/shared';
import type { MqError } from '@cometmq/shared';

import type { Checkpoints } from './checkpoints.js';
import type { DamageNotes } from './damage-notes.js';
import type { Folding } from './folding.js';
import type { SegmentIndexes } from './index/segment-indexes.js';
import type { Holds } from './holds.js';
import type { CommitLog, Reloaded } from './log/commit-log.js';
import type { LogPieces } from './log/gathering.js';
import type { DurableMark } from './log/recovery.js';

export interface ReplicationEvents {
  onFailed(caught: unknown): void;
  onGapStays(caught: unknown): void;
  /** A follower has folded records by which something is over: what they free may be given back. */
  onEnded(): void;
}

export class Replication {
  private catchingUp: Promise<void> | undefined;
  /** Index files that were missing are being made. */
  private gaps: Promise<void> | undefined;
  /** False while what was folded is no state of this log. */
  private folds = false;
  private readonly changes = new OneByOne();

  constructor(
    private readonly log: CommitLog,
    private readonly folding: Folding,
    private readonly indexes: SegmentIndexes,
    private readonly checkpoints: Checkpoints,
    private readonly holds: Holds,
    private readonly damage: DamageNotes,
    private leads: boolean,
    private readonly events: ReplicationEvents,
  ) {
    log.commitsWhenDurable = log.takesDrafts = leads;
    log.onCommitted((_from, end) => this.committed(end));
  }

  get isLeader(): boolean {
    return this.leads;
  }

  /** What the checkpoint says has been loaded: folds the rest. */
  async begin(stored: DurableMark | undefined): Promise<void> {
    const { log, folding } = this;
    const segments = log.segments();
    const active = segments[segments.length - 1];
    assert(active !== undefined, 'an open log has a segment');
    await this.indexes.open(segments, active.first);
    folding.begin(active.first, stored?.position ?? (0 as LogPosition));
    this.checkpoints.resume();
    await log.scan(folding.end, (record) => folding.apply(record), log.commitEnd);
    folding.settle();
    this.folds = true;
    // In the background: whoever wants one before makes it.
    this.gaps = this.indexes.fillGaps().catch((caught: unknown) => this.events.onGapStays(caught));
  }

  get appendEnd(): LogPosition {
    return this.log.appendEnd;
  }
  /** What is durable here, committed or not. */
  get durableEnd(): LogPosition {
    return this.log.durableEnd;
  }
  /**
   * From here on the log has all that ever stood in it: nothing was left out, given back or lost. Whoever ends before has to
   * take a snapshot.
   */
  get oldest(): LogPosition {
    return this.log.wholeFrom;
  }
  /** True, as a leader begins: what is durable here is committed. False: `advanceCommit` says what is. */
  set commitsWhenDurable(alone: boolean) {
    this.log.commitsWhenDurable = alone;
  }
  /** All below `end` is committed; what is not durable here yet counts as soon as it is. */
  advanceCommit(end: LogPosition): void {
    this.log.advanceCommit(end);
  }
  /**
   * A term is over, as of now: nothing is decided any more, by whoever has begun to. Those who wait for a commit that has not
   * come are told so, and may ask the next leader. `stepDown` follows.
   */
  endTerm(error: MqError): void {
    this.log.takesDrafts = false;
    this.log.failCommits(error);
  }
  /** Called when a batch sets out for the disk, with where it ends: it goes to the others at the same time. Answers how to end it. */
  onCut(listener: (end: LogPosition) => void): () => void {
    return this.log.onCut(listener);
  }
  /** The newest records, as far as they have set out for the disk and are in memory; see `Gathering.peekCut`. */
  peekCut(from: LogPosition, bytesMax: number): LogPieces | undefined {
    return this.log.peekCut(from, bytesMax);
  }
  /** Calls `act` once all below `end` is durable here; `failed` when that can't come any more. */
  whenDurable(end: LogPosition, act: () => void, failed?: (error: MqError) => void): void {
    this.log.whenDurable(end, act, failed);
  }
  /** Up to where our log and one that has these epochs and this end are the same. */
  commonEnd(theirs: readonly EpochStart[], theirEnd: LogPosition): LogPosition {
    return this.log.epochs.commonEnd(this.log.appendEnd, theirs, theirEnd);
  }
  /** What one that lags behind fetches; see `CommitLog.readBytes`. */
  readBytes(from: LogPosition, bytesMax: number): Promise<Uint8Array | undefined> {
    const end = (from + bytesMax) as LogPosition;
    return this.damage.whileReading(from, end, () => this.log.readBytes(from, bytesMax));
  }

  /** Whole records of the leader, which go on where this log ends. Answers where it ends now. */
  append(bytes: Uint8Array): LogPosition {
    assert(!this.leads, 'a leader takes records from nobody');
    return this.log.appendBytes(bytes);
  }

  /** From now on this broker decides. All that its log holds is folded when it resolves. */
  async lead(): Promise<void> {
    const { log, folding } = this;
    assert(!this.leads, 'who leads already need not begin to');
    await new Promise<void>((resolve, reject) => log.whenDurable(log.appendEnd, resolve, reject));
    while (this.catchingUp) await this.catchingUp; // One that ends may have begun another.
    this.leads = true;
    await log.scan(folding.end, (record) => folding.apply(record), log.appendEnd);
    log.takesDrafts = true;
  }

  /** From now on another one decides, whose log is the same as ours below `to`. Nobody may be appending any more. */
  async stepDown(to: LogPosition): Promise<void> {
    const { log, folding, checkpoints } = this;
    const keeps = this.leads && this.isAllCommitted && to === log.appendEnd;
    this.leads = false;
    log.commitsWhenDurable = log.takesDrafts = false;
    if (keeps) return; // What was folded is what any member comes to, as after a planned hand-over.
    this.folds = false;
    await this.changes.take(async () => {
      await this.catchingUp;
      const release = await this.holds.take(); // What was concluded from what goes must not move files meanwhile.
      try {
        await checkpoints.abandon();
        await log.truncate(to);
        await this.gaps;
        await this.indexes.idle(); // What was sealed meanwhile too.
        folding.clear();
        await this.begin(checkpoints.load());
      } finally {
        release();
      }
    });
  }

  /** What the views say, and the pieces that they have put on disk, is a state of this log. */
  get isSettled(): boolean {
    return this.folds;
  }
  /** Resolves when nothing that was folded is being thrown away: until then the views have less than the fold says. */
  get changed(): Promise<unknown> {
    return this.changes.done;
  }

  /**
   * All that the log holds is replaced by `swap`, once `decide` has said that it will be; folds again from what is stored
   * then. A failure of `decide` leaves everything as it was; one behind it ends this process, and the next start goes on.
   */
  async reload(decide: () => Promise<void>, swap: () => Promise<Reloaded>): Promise<void> {
    assert(!this.leads, 'a leader keeps its log');
    await this.changes.take(() => this.reloadHeld(decide, swap));
  }

  private async reloadHeld(decide: () => Promise<void>, swap: () => Promise<Reloaded>): Promise<void> {
    const release = await this.holds.take();
    try {
      this.folds = false;
      await this.catchingUp;
      await decide().catch((caught: unknown) => {
        this.folds = true;
        this.catchUp();
        throw caught;
      });
      await this.reloadNow(swap).catch((caught: unknown) => {
        this.events.onFailed(caught);
        throw caught;
      });
    } finally {
      release();
    }
  }

  private async reloadNow(swap: () => Promise<Reloaded>): Promise<void> {
    await this.checkpoints.abandon();
    await this.gaps;
    await this.indexes.close();
    this.folding.clear();
    const { mark } = await this.log.reload(swap);
    this.damage.forget();
    await this.begin(mark);
  }

  /** Nothing was written, here at least, that may be taken back. */
  private get isAllCommitted(): boolean {
    const { log, folding, folds } = this;
    const { appendEnd } = log;
    return folds && log.durableEnd === appendEnd && log.commitEnd === appendEnd && folding.end === appendEnd;
  }

  private committed(end: LogPosition): void {
    if (!this.leads) {
      this.catchUp();
      return;
    }
    this.folding.committed(end);
    this.checkpoints.committed(end);
  }

  private catchUp(): void {
    if (this.catchingUp || !this.folds) return;
    this.catchingUp = this.foldCommitted()
      .then(
        () => true,
        (caught: unknown) => {
          this.events.onFailed(caught);
          return false; // What could not be read a moment ago would be read, and fail, without end.
        },
      )
      .then((isCaughtUp) => {
        this.catchingUp = undefined;
        // It may have been told of since the last look.
        if (isCaughtUp && !this.leads && this.folding.end < this.log.commitEnd) this.catchUp();
      });
  }

  private async foldCommitted(): Promise<void> {
    const { log, folding, checkpoints } = this;
    const { lastEnding } = folding;
    while (!this.leads && this.folds && folding.end < log.commitEnd) {
      await log.scan(folding.end, (record) => folding.apply(record), log.commitEnd);
      folding.committed(folding.end);
      checkpoints.committed(folding.end);
    }
    if (!this.leads && folding.lastEnding !== lastEnding) this.events.onEnded();
  }
}
