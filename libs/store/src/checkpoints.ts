/**
 * When the state views are stored: after so many bytes of log, after some time, and at the end. A checkpoint holds what
 * was folded up to its position, and is written once all of that is committed: it never runs ahead of the commit.
 */
import type { Epoch, LogPosition } from '@cometmq/model';
import { assert } from '@cometmq/shared';
import type { Clock, Timer } from '@cometmq/shared';

import type { Folding } from './folding.js';
import type { CommitLog } from './log/commit-log.js';
import type { DurableMark } from './log/recovery.js';
import type { Snapshot } from './store-types.js';
import { Checkpointer } from './views/checkpointer.js';
import type { CheckpointStore, PinnedState } from './views/checkpoint-store.js';
import type { StateView } from './views/state-view.js';

export interface CheckpointLimits {
  readonly checkpointBytes: number;
  readonly checkpointMs: number;
}

export class Checkpoints {
  private opened: Checkpointer | undefined;
  private timer: Timer | undefined;
  private stopping = false;
  /** What is folded is about to be thrown away. */
  private abandoned = false;

  constructor(
    private readonly log: CommitLog,
    private readonly folding: Folding,
    private readonly limits: CheckpointLimits,
    private readonly clock: Clock,
    private readonly onFailed: (caught: unknown) => void,
  ) {}

  /** All records below it are stored. */
  get position(): LogPosition {
    return this.opened?.position ?? (0 as LogPosition);
  }

  open(store: CheckpointStore): void {
    this.opened = new Checkpointer(store, this.folding.views, this.onFailed);
  }

  /** Gives the views what is stored. Answers up to where that goes; undefined: nothing is. `resume` follows. */
  load(): DurableMark | undefined {
    return this.checkpointer.load();
  }

  /** The fold goes on from where what was loaded ends: what it comes to is stored again. */
  resume(): void {
    this.abandoned = false;
  }

  /** From now on one is made when its time has come. */
  begin(): void {
    this.timer = this.clock.after(this.limits.checkpointMs, () => {
      if (this.stopping) return;
      void this.closeGeneration();
      this.begin();
    });
  }

  /** The commit position has moved. */
  committed(end: LogPosition): void {
    const { opened } = this;
    if (!opened) return;
    opened.committed(end);
    if (!opened.busy && this.folding.end - opened.closed >= this.limits.checkpointBytes) void this.closeGeneration();
  }

  /** Stores all that has been folded; resolves when it is on disk, which is after its commit. */
  async make(): Promise<void> {
    await this.checkpointer.idle();
    await this.closeGeneration();
  }

  /** All pieces of all state views, as of one position: with the log from there on, it is all there is. */
  async snapshot(): Promise<Snapshot> {
    await this.make();
    const stored = this.checkpointer.stored();
    assert(stored !== undefined, 'a checkpoint was just made');
    const { position, epoch } = stored;
    return { position, epoch, pieces: new Map([...stored.pieces, ...stored.coldPieces]) };
  }

  /** The files of the last checkpoint, held open as they are. */
  pin(): Promise<PinnedState | undefined> {
    return this.checkpointer.pin();
  }

  /** The files are about to be replaced: `abandon` has been called, `open` and `load` follow. */
  async close(): Promise<void> {
    await this.opened?.stop();
    this.opened = undefined;
  }

  coldPiece(view: StateView, key: string): Uint8Array | undefined {
    return this.checkpointer.coldPiece(view, key);
  }

  /** What is folded is about to be thrown away: nothing of it is stored any more. `load` goes back to what is. */
  async abandon(): Promise<void> {
    this.abandoned = true;
    await this.checkpointer.abandon();
  }

  /** No more are begun but for a last one. */
  beginStop(): void {
    this.stopping = true;
    this.timer?.cancel();
    this.opened?.beginStop();
  }

  /** The last one, so that the next start has nothing to fold. None, where what was folded is not committed. */
  async makeLast(): Promise<void> {
    if (this.folding.end <= this.log.commitEnd) await this.closeGeneration();
    else await this.abandon();
  }

  async stop(): Promise<void> {
    await this.opened?.stop();
  }

  private get checkpointer(): Checkpointer {
    assert(this.opened !== undefined, 'the store has been started');
    return this.opened;
  }

  private closeGeneration(): Promise<void> {
    if (this.abandoned || !this.folding.isWhole) return Promise.resolve();
    const { checkpointer, log } = this;
    const { end } = this.folding;
    // Who folds again from the beginning of its active segment is behind what is stored for a while.
    if (checkpointer.busy || end <= checkpointer.position) return checkpointer.idle();
    const done = checkpointer.close(end, this.epochBelow(end));
    checkpointer.committed(log.commitEnd);
    return done;
  }

  /** Of the last record below `end`. */
  private epochBelow(end: LogPosition): Epoch {
    return this.log.epochs.at((end - 1) as LogPosition);
  }
}
