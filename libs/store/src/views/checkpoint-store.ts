import type { Epoch, LogPosition } from '@cometmq/model';

import type { DiskFile } from '../disk/disk.js';
import type { PieceFileInfo } from './piece-file.js';

/** Where the pieces of the state views are kept, all of them as of one position of the log. */
export interface CheckpointStore {
  /**
   * The last checkpoint that was written whole; undefined: there is none. Keys are `<view>/<key of the view>`, those of
   * cold pieces `~<view>/<key of the view>`.
   */
  load(): Checkpoint | undefined;
  /** One piece of the last checkpoint that was written whole. */
  piece(key: string): Uint8Array | undefined;
  /** All or nothing, and durable once it resolves. One at a time. `changes` is read once, at leisure. */
  write(position: LogPosition, epoch: Epoch, changes: Iterable<PieceChange>): Promise<void>;
  /** The last checkpoint's files, held open as they are now; undefined: there is none. Left out: it is in no files. */
  pin?(): Promise<PinnedState | undefined>;
  /** The write under way fails with STORAGE_FULL where it waits for room. Left out: none ever waits. */
  giveUp?(): void;
  /** From now on a write that can't be done now fails instead of waiting. */
  beginClose(): void;
  close(): Promise<void>;
}

export interface Checkpoint {
  /** All records below it are in the pieces, none at or above it. */
  readonly position: LogPosition;
  /** Of the last record below `position`. */
  readonly epoch: Epoch;
  readonly pieces: Iterable<readonly [key: string, value: Uint8Array]>;
  readonly coldPieces: Iterable<readonly [key: string, value: Uint8Array]>;
}

/** A checkpoint whose files can be read though newer ones have taken their place, until it is released. */
export interface PinnedState {
  readonly position: LogPosition;
  readonly files: readonly PinnedFile[];
  release(): Promise<void>;
}

export interface PinnedFile {
  readonly name: string;
  readonly info: PieceFileInfo;
  readonly file: DiskFile;
}

/** Begins the keys of cold pieces: sorts behind every view's name. */
export const coldPrefix = '~';

export interface PieceChange {
  readonly key: string;
  /** Undefined: the piece is gone. */
  readonly value: Uint8Array | undefined;
}
