/**
 * Checkpoints in one LMDB environment. A checkpoint is one transaction, filled in slices between which the event loop
 * has its turn (nobody else writes here, so it may stay open), and committed and synced by LMDB's own thread;
 * the position it stands for is written with it under `metaKey`, so that state and position can never disagree.
 *
 * `overlappingSync` is off: LMDB then syncs within the commit, and a write that resolved is on disk.
 */
import type { Epoch, LogPosition } from '@cometmq/model';
import { assert, getU64, putU64, viewOf } from '@cometmq/shared';
import { open } from 'lmdb';
import type { RootDatabase } from 'lmdb';

import { breath } from '../breath.js';
import { coldPrefix } from './checkpoint-store.js';
import type { Checkpoint, CheckpointStore, PieceChange } from './checkpoint-store.js';

/** Sorts before every view's pieces; no view can be named so. | version u8 | epoch u32 | position u64 | */
const metaKey = '!checkpoint';
const metaBytes = 13;
const version = 1;
/** Written in one go; then the event loop has its turn. About a millisecond. */
const slicePieces = 128;

export class LmdbCheckpointStore implements CheckpointStore {
  private readonly db: RootDatabase<Uint8Array, string>;

  constructor(folder: string) {
    this.db = open<Uint8Array, string>({
      path: folder,
      encoding: 'binary',
      overlappingSync: false,
      noMemInit: false,
      cache: false,
      maxDbs: 1,
      maxReaders: 16,
    });
  }

  load(): Checkpoint | undefined {
    const meta = this.db.getBinary(metaKey);
    if (!meta) return undefined;
    assert(meta.length >= metaBytes && meta[0] === version, 'the checkpoint is of a known version');
    const view = viewOf(meta);
    return {
      epoch: view.getUint32(1, true) as Epoch,
      position: getU64(view, 5) as LogPosition,
      pieces: this.pieces({ end: coldPrefix }),
      coldPieces: this.pieces({ start: coldPrefix }),
    };
  }

  piece(key: string): Uint8Array | undefined {
    return this.db.getBinary(key);
  }

  private *pieces(range: { start?: string; end?: string }): Generator<readonly [string, Uint8Array]> {
    for (const { key, value } of this.db.getRange(range)) if (key !== metaKey) yield [key, value];
  }

  async write(position: LogPosition, epoch: Epoch, changes: Iterable<PieceChange>): Promise<void> {
    const meta = Buffer.alloc(metaBytes);
    const view = viewOf(meta);
    meta[0] = version;
    view.setUint32(1, epoch, true);
    putU64(view, 5, position);
    await this.db.transaction(async () => {
      let left = slicePieces;
      for (const { key, value } of changes) {
        if (value) void this.db.put(key, value);
        else void this.db.remove(key);
        left -= 1;
        if (left > 0) continue;
        left = slicePieces;
        await breath();
      }
      void this.db.put(metaKey, meta);
    });
  }

  close(): Promise<void> {
    return this.db.close();
  }
}
