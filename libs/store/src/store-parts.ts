/**
 * What a store is made of, and who tells whom: built here, in the order in which the parts need one another, and by nobody
 * else. Nothing is opened yet.
 */
import { MqError, throwAssertion } from '@cometmq/shared';

import { Checkpoints } from './checkpoints.js';
import { DamageNotes } from './damage-notes.js';
import { joinPath } from './disk/disk.js';
import { Folding } from './folding.js';
import { HeldFolder } from './held-folder.js';
import { Holds } from './holds.js';
import { SegmentIndexes } from './index/segment-indexes.js';
import { CommitLog } from './log/commit-log.js';
import { StoreReader } from './reader.js';
import { Repairs } from './repairs.js';
import { Replication } from './replication.js';
import { RetentionPort } from './retention-port.js';
import { Retention } from './retention.js';
import { Scrub } from './scrub.js';
import { Snapshots } from './snapshot/snapshots.js';
import { storeLimits } from './store-types.js';
import type { StoreLimits, StoreOptions } from './store-types.js';
import { StoreWriter } from './writer.js';

export class StoreParts {
  readonly limits: StoreLimits;
  readonly held: HeldFolder;
  readonly holds = new Holds();
  readonly log: CommitLog;
  readonly damage: DamageNotes;
  readonly indexes: SegmentIndexes;
  readonly folding: Folding;
  readonly checkpoints: Checkpoints;
  readonly writer: StoreWriter;
  readonly reader: StoreReader;
  readonly replication: Replication;
  readonly snapshots: Snapshots;
  readonly repairs: Repairs;
  readonly scrub: Scrub;
  readonly retention: Retention;
  /** Why nothing is acknowledged any more. */
  failure: MqError | undefined;
  tailCutBytes = 0;
  openingMs = 0;
  /** Parts of the log that were found not to hold what was written. */
  damagesFound = 0;
  /** What goes wrong now is not told any more. */
  stopping = false;

  constructor(readonly options: StoreOptions) {
    this.limits = { ...storeLimits, ...options.limits };
    this.held = new HeldFolder(options);
    this.log = this.buildLog();
    this.damage = new DamageNotes(this.log, (damage) => {
      this.damagesFound += 1;
      options.onDamage?.(damage);
    });
    this.indexes = this.buildIndexes();
    this.folding = this.buildFolding();
    const { log, limits, indexes, folding, holds, damage, held } = this;
    const { disk, folder, clock } = options;
    this.checkpoints = new Checkpoints(log, folding, limits, clock, (caught) => this.checkpointFailed(caught));
    this.writer = new StoreWriter(log, folding, indexes);
    this.reader = new StoreReader(log, folding, indexes, damage);
    const { checkpoints, writer } = this;
    this.replication = new Replication(log, folding, indexes, checkpoints, holds, damage, options.follows !== true, {
      onFailed: (caught) => this.fail(MqError.from(caught)),
      onGapStays: (caught) => this.trouble('an index file could not be made', caught),
      onEnded: () => this.reclaim(),
    });
    const { replication } = this;
    this.snapshots = new Snapshots({
      ...{ disk, folder, clock, log, indexes, checkpoints, holds, replication },
      incarnation: () => held.now.incarnation,
      dataFolder: () => held.now,
      openState: () => held.openState(),
    });
    this.repairs = new Repairs(log, indexes, checkpoints, holds, damage);
    this.scrub = new Scrub(log, damage, limits, clock, (caught) => {
      this.trouble('the log could not be looked through; trying again later', caught);
    });
    const ground = new RetentionPort(log, indexes, folding, writer, checkpoints, holds, replication);
    this.retention = new Retention(ground, limits.segmentBytes);
  }

  get indexFolder(): string {
    return joinPath(this.options.folder, 'index');
  }

  /** What records say is over is given back as they are folded: a follower asks no clock. */
  reclaim(): void {
    this.retention.reclaim().catch((caught: unknown) => {
      // What it was concluded from has been cut off: it is looked anew with the next commit.
      if (caught instanceof MqError && caught.code === 'NOT_LEADER') return;
      this.trouble('what has expired could not be given back; trying again later', caught);
    });
  }

  private buildLog(): CommitLog {
    const { options, limits } = this;
    const { disk, folder, clock } = options;
    return new CommitLog(disk, joinPath(folder, 'log'), limits, clock, {
      onFailed: (error) => this.fail(error),
      onTailCut: (cut) => {
        this.tailCutBytes += cut.bytes;
        options.onTailCut?.(cut);
      },
      onSealed: (segment) => this.folding.sealed(segment.first),
      onFull: () => options.onFull?.(),
      onSynced: (tookMs, messages) => options.onSynced?.(tookMs, messages),
      onTrouble: options.onTrouble,
    });
  }

  private buildIndexes(): SegmentIndexes {
    const { options, log, limits } = this;
    return new SegmentIndexes(
      options.disk,
      this.indexFolder,
      log,
      limits.indexCacheBytes,
      (caught) => options.onTrouble?.('an index file could not be written; it stays in memory', caught),
      (_first, lost) => this.damage.foundLost(lost),
    );
  }

  private buildFolding(): Folding {
    const { segmentBytes, pendingWindowBytes } = this.limits;
    return new Folding({
      indexes: this.indexes,
      epochs: this.log.epochs,
      views: this.options.views,
      ...{ segmentBytes, pendingWindowBytes },
      coldPiece: (view, key) => this.checkpoints.coldPiece(view, key),
      onFailed: (error) => this.fail(error),
    });
  }

  private fail(error: MqError): void {
    if (this.failure) return;
    this.failure = error;
    this.options.onFailed(error);
  }

  private checkpointFailed(caught: unknown): void {
    throwAssertion(caught); // No fault of the disk.
    // Another member has what is damaged, or the log says all of it: the next start sees to that.
    if (caught instanceof MqError && caught.code === 'CORRUPT_RECORD') {
      this.fail(caught);
      return;
    }
    const said = caught instanceof Error ? caught.message : String(caught);
    this.fail(new MqError('DISK_FAILED', `the checkpoint could not be written or read: ${said}`, { cause: caught }));
  }

  private trouble(what: string, caught: unknown): void {
    if (!this.stopping) this.options.onTrouble?.(what, caught);
  }
}
