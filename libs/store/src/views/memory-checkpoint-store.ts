import type { Epoch, LogPosition } from '@cometmq/model';

import { coldPrefix } from './checkpoint-store.js';
import type { Checkpoint, CheckpointStore, PieceChange } from './checkpoint-store.js';

/**
 * A checkpoint store on no disk. A write waits until `settle` says so (or at once when `auto`); `crash` loses what
 * waits whole, as a transaction that was never synced is lost.
 */
export class MemoryCheckpointStore implements CheckpointStore {
  /** False: a write stays unsynced until `settle`. */
  auto = true;
  /** How many writes became durable. */
  written = 0;
  position: LogPosition | undefined;
  private epoch: Epoch = 0 as Epoch;
  private readonly pieces = new Map<string, Uint8Array>();
  private sessions = 0;
  private waiting: { apply: () => void; fail: (error: Error) => void } | undefined;

  load(): Checkpoint | undefined {
    if (this.position === undefined) return undefined;
    const isCold = ([key]: readonly [string, Uint8Array]): boolean => key.startsWith(coldPrefix);
    return {
      position: this.position,
      epoch: this.epoch,
      pieces: [...this.pieces].filter((piece) => !isCold(piece)),
      coldPieces: [...this.pieces].filter(isCold),
    };
  }

  piece(key: string): Uint8Array | undefined {
    const value = this.pieces.get(key);
    return value && Uint8Array.from(value);
  }

  write(position: LogPosition, epoch: Epoch, changes: Iterable<PieceChange>): Promise<void> {
    return new Promise((resolve, reject) => {
      const apply = (): void => {
        for (const { key, value } of changes) {
          if (value) this.pieces.set(key, Uint8Array.from(value));
          else this.pieces.delete(key);
        }
        this.position = position;
        this.epoch = epoch;
        this.written += 1;
        resolve();
      };
      if (this.auto) apply();
      else this.waiting = { apply, fail: reject };
    });
  }

  /** As one process has it: once there is a later session, nothing that the dead process still writes arrives. */
  session(): CheckpointStore {
    const number = (this.sessions += 1);
    const never = new Promise<void>(() => undefined);
    return {
      load: () => this.load(),
      piece: (key) => this.piece(key),
      write: (...args) => (number === this.sessions ? this.write(...args) : never),
      beginClose: () => this.beginClose(),
      close: () => this.close(),
    };
  }

  /** What the next process would find if this one ended now. */
  copy(): MemoryCheckpointStore {
    const copy = new MemoryCheckpointStore();
    copy.position = this.position;
    copy.epoch = this.epoch;
    for (const [key, value] of this.pieces) copy.pieces.set(key, value);
    return copy;
  }

  get isWriting(): boolean {
    return this.waiting !== undefined;
  }

  /** The write under way becomes durable, or fails with `error`. */
  settle(error?: Error): void {
    const { waiting } = this;
    this.waiting = undefined;
    if (error) waiting?.fail(error);
    else waiting?.apply();
  }

  /** The write under way is lost; nobody hears of it. */
  crash(): void {
    this.waiting = undefined;
  }

  beginClose(): void {
    // Never waits.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
