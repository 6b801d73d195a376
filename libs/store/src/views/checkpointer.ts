/**
 * Checkpoints of the state views. What has changed since the last one is a generation: it is closed at a position
 * (the changed pieces are encoded as of then), waits until that position is committed, and is then written in one
 * transaction with its position; a view with much to say is read while it is written. So a checkpoint never runs ahead of what is committed, and while one is waiting or
 * being written the next one gathers in the views, which only note what changed.
 *
 *   stored position ≤ position of the generation under way ≤ append end
 */
import type { Epoch, LogPosition, StateChange } from '@cometmq/model';
import { assert, MqError } from '@cometmq/shared';

import { coldPrefix } from './checkpoint-store.js';
import type { Checkpoint, CheckpointStore, PieceChange, PinnedState } from './checkpoint-store.js';
import type { StateView } from './state-view.js';

interface Generation {
  readonly position: LogPosition;
  readonly epoch: Epoch;
  readonly changes: Iterable<PieceChange>;
  readonly done: () => void;
}

export class Checkpointer {
  private storedEnd = 0 as LogPosition;
  private closedEnd = 0 as LogPosition;
  private waiting: Generation | undefined;
  private writing: Promise<void> | undefined;
  /**
   * Cold pieces of the generation closed last: not in the store yet, or not in sight there. Kept until the next one is
   * closed, as who reads in the turn in which a write ends may still see the store as it was before.
   */
  private cold: ReadonlyMap<string, Uint8Array | undefined> = new Map();
  private under: Promise<void> | undefined;
  private stopping = false;
  /** What is being written need not be: it will be folded again. */
  private abandoning = false;

  constructor(
    private readonly store: CheckpointStore,
    private readonly views: readonly StateView[],
    private readonly onFailed: (caught: unknown) => void,
  ) {
    const names = new Set(views.map((view) => view.name));
    assert(names.size === views.length, 'each view has a name of its own');
    for (const name of names) assert(/^[a-z][A-Za-z0-9]*$/.test(name), 'a view is named by letters and digits');
  }

  /** All records below it are in the checkpoint store. */
  get position(): LogPosition {
    return this.storedEnd;
  }
  /** All records below it are in the store or in a generation that is on its way there. */
  get closed(): LogPosition {
    return this.closedEnd;
  }
  get busy(): boolean {
    return this.under !== undefined;
  }

  /** Gives the views their stored pieces. Answers the position from which they must fold; undefined: from the start. */
  load(): { position: LogPosition; epoch: Epoch } | undefined {
    const stored = this.store.load();
    if (!stored) return undefined;
    const byName = new Map(this.views.map((view) => [view.name, view]));
    for (const [key, value] of stored.pieces) {
      const slash = key.indexOf('/');
      // A view that no longer exists may have left pieces.
      byName.get(key.slice(0, slash))?.load(key.slice(slash + 1), value);
    }
    this.storedEnd = this.closedEnd = stored.position;
    return { position: stored.position, epoch: stored.epoch };
  }

  /** Closes a generation at `position`, up to which all views have folded. Resolves when it is durable. */
  close(position: LogPosition, epoch: Epoch): Promise<void> {
    assert(!this.under, 'one generation at a time');
    assert(position >= this.closedEnd, 'checkpoints do not go back');
    const now: PieceChange[] = [];
    const taken = new Map<string, Uint8Array | undefined>();
    const later: (readonly [StateView, Iterable<StateChange>])[] = [];
    for (const view of this.views) {
      const changes = view.takeChanges();
      if (!Array.isArray(changes)) {
        later.push([view, changes]);
        continue;
      }
      for (const { key, value, cold } of changes as StateChange[]) {
        const name = pieceKey(view, key, cold === true);
        if (cold) taken.set(name, value);
        now.push({ key: name, value });
      }
    }
    this.cold = taken;
    this.closedEnd = position;
    this.under = new Promise(
      (resolve) => (this.waiting = { position, epoch, changes: inTurn(now, later), done: resolve }),
    );
    return this.under;
  }

  /** A cold piece as the view last wrote it, on disk or on its way there. */
  coldPiece(view: StateView, key: string): Uint8Array | undefined {
    const name = pieceKey(view, key, true);
    if (this.cold.has(name)) return this.cold.get(name);
    try {
      return this.store.piece(name);
    } catch (caught) {
      this.onFailed(caught);
      throw caught;
    }
  }

  /** The files of the last checkpoint on disk; see `CheckpointStore.pin`. @throws MqError UNSUPPORTED */
  async pin(): Promise<PinnedState | undefined> {
    if (!this.store.pin) throw new MqError('UNSUPPORTED', 'the checkpoints of this store are in no files');
    return this.store.pin();
  }

  /** The last checkpoint on disk. */
  stored(): Checkpoint | undefined {
    return this.store.load();
  }

  /** Resolves when no generation is on its way. */
  async idle(): Promise<void> {
    await this.under;
  }

  /** To be called whenever the commit position has moved, and once after `close`. */
  committed(commitEnd: LogPosition): void {
    const next = this.waiting;
    if (!next || commitEnd < next.position) return;
    this.waiting = undefined;
    this.writing = this.write(next);
  }

  /** The generation that waits for its commit will never have it: it is forgotten, and `load` goes back to what is stored. */
  async abandon(): Promise<void> {
    const { waiting } = this;
    this.waiting = undefined;
    if (waiting) this.over(waiting);
    // Another is being written: all of it is committed. Where it waits for room, that may come only once this is over.
    this.abandoning = true;
    this.store.giveUp?.();
    await this.under;
    this.abandoning = false;
    this.cold = new Map();
    this.closedEnd = this.storedEnd;
  }

  /** From now on a full disk ends a checkpoint: the next start folds from the one before. */
  beginStop(): void {
    this.stopping = true;
    this.store.beginClose();
  }

  async stop(): Promise<void> {
    this.beginStop();
    await this.writing;
    await this.store.close();
  }

  private async write(generation: Generation): Promise<void> {
    try {
      await this.store.write(generation.position, generation.epoch, generation.changes);
    } catch (caught) {
      if ((this.stopping || this.abandoning) && caught instanceof MqError && caught.code === 'STORAGE_FULL') {
        this.over(generation);
        return;
      }
      // The pieces taken are lost to this process; the stored checkpoint and the log are whole.
      this.onFailed(caught);
      return;
    }
    this.storedEnd = generation.position;
    this.over(generation);
  }

  private over(generation: Generation): void {
    this.under = undefined;
    generation.done();
  }
}

function* inTurn(
  now: readonly PieceChange[],
  later: readonly (readonly [StateView, Iterable<StateChange>])[],
): Generator<PieceChange> {
  yield* now;
  for (const [view, changes] of later) {
    for (const { key, value } of changes) yield { key: pieceKey(view, key, false), value };
  }
}

function pieceKey(view: StateView, key: string, cold: boolean): string {
  return `${cold ? coldPrefix : ''}${view.name}/${key}`;
}
