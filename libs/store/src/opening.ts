/**
 * How a store comes up and goes down: the folder is taken, the log's end found, what is newer than the checkpoint folded;
 * at the end a last checkpoint is made, and everything given back.
 */
import type { Epoch, LogPosition } from '@cometmq/model';
import { MqError, assert } from '@cometmq/shared';

import { isDiskFull, isSystemError, joinPath } from './disk/disk.js';
import { indexedFirsts } from './index/segment-indexes.js';
import { mendPart } from './log/damaged-part.js';
import type { DamagedPart } from './log/damaged-part.js';
import { DataFolder } from './log/data-folder.js';
import type { DurableMark } from './log/recovery.js';
import { replaceBySnapshot } from './snapshot/snapshots.js';
import type { SnapshotInfo } from './snapshot/snapshots.js';
import { checkStartsWithin } from './start-checks.js';
import type { StoreParts } from './store-parts.js';

export class Opening {
  /** What was folded again at the start; undefined: nothing was. */
  recovered: { readonly from: LogPosition; readonly end: LogPosition } | undefined;
  private ready = false;

  constructor(private readonly parts: StoreParts) {}

  /** See `MessageStore.start`. */
  async start(): Promise<void> {
    const { held, checkpoints, folding, options } = this.parts;
    const startMs = options.clock.monotonicMs();
    await held.open().catch(async (caught: unknown) => {
      await held.release();
      throw whyNotOpened(caught);
    });
    const stored = await this.openLog().catch(async (caught: unknown) => {
      await checkpoints.close();
      folding.clear();
      await held.release();
      throw whyNotOpened(caught);
    });
    await this.begin(stored).catch(async (caught: unknown) => {
      this.parts.stopping = true;
      await this.giveBack().catch(() => undefined); // Why it was not opened says more.
      throw whyNotBegun(caught);
    });
    this.parts.openingMs = options.clock.monotonicMs() - startMs;
  }

  private async begin(stored: DurableMark | undefined): Promise<void> {
    const { options, held, damage, log, replication, writer, checkpoints, scrub } = this.parts;
    const { disk, folder } = options;
    await held.now.noteBegun();
    damage.tellKnown();
    const stateFolder = joinPath(folder, 'state');
    checkStartsWithin(log.segments(), stored, disk.realPath(stateFolder), await disk.list(stateFolder));
    await replication.begin(stored);
    const from = stored?.position ?? (0 as LogPosition);
    const end = log.appendEnd;
    if (end > from) this.recovered = { from, end };
    writer.pendingBytesMax = await this.findPendingMax();
    this.ready = true;
    checkpoints.begin();
    scrub.begin();
    if (!replication.isLeader) this.parts.reclaim(); // What an earlier process did not come to.
  }

  private async openLog(): Promise<DurableMark | undefined> {
    const { options, held, log, checkpoints, indexFolder } = this.parts;
    checkpoints.open(await held.openState());
    const stored = checkpoints.load();
    const known = await indexedFirsts(options.disk, indexFolder);
    await log.open(stored, held.now.salt, known, options.giveUpDamage === true);
    return stored;
  }

  /** See `StoreMembership.restore`. */
  restore(pieces: AsyncIterable<Uint8Array>): Promise<SnapshotInfo> {
    assert(!this.parts.held.isHeld, 'a folder that was opened is not restored');
    return replaceBySnapshot(this.parts.options, pieces, 'the same member');
  }

  /** See `StoreMembership.mendPart`. */
  async mendPart(part: DamagedPart, setEpoch: Epoch | undefined, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    assert(!this.parts.held.isHeld, 'a folder that was opened is not mended so');
    const { disk, folder, brokerName } = this.parts.options;
    const dataFolder = await DataFolder.open(disk, folder, brokerName);
    try {
      await mendPart(disk, joinPath(folder, 'log'), part, pieces, { salt: dataFolder.salt, setEpoch });
    } finally {
      await dataFolder.release();
    }
  }

  /** See `MessageStore.stop`. */
  async stop(): Promise<void> {
    const { parts } = this;
    const { checkpoints, scrub, retention, log, holds, replication } = parts;
    parts.stopping = true;
    log.beginClose();
    checkpoints.beginStop();
    try {
      await scrub.stop();
      retention.beginStop();
      // Else the round may be waiting for a commit that does not come: it moves nothing any more.
      if (log.commitsWhenDurable) await retention.idle();
      await holds.take();
      await replication.changed;
      if (this.ready && !parts.failure) {
        log.requestBatch(); // Hooks may have a last word to append.
        await log.close();
        await checkpoints.makeLast();
        await retention.idle();
      }
    } finally {
      await this.giveBack();
    }
  }

  private async giveBack(): Promise<void> {
    const { indexes, log, checkpoints, held } = this.parts;
    log.beginClose();
    checkpoints.beginStop();
    try {
      await indexes.close();
      await log.close();
      await checkpoints.stop();
    } finally {
      await held.release();
    }
  }

  /** Half of what the log's disk can take, where nothing else is said. */
  private async findPendingMax(): Promise<number> {
    const { limits, log, options } = this.parts;
    if (limits.pendingMessageBytesMax > 0) return limits.pendingMessageBytesMax;
    const free = await options.disk.freeBytes(options.folder);
    return Math.floor((log.segments().reduce((sum, { fileBytes }) => sum + fileBytes, 0) + free) / 2);
  }
}

/** A fault of the disk, in words; others say themselves what they are. */
function whyNotOpened(caught: unknown): unknown {
  if (!isSystemError(caught)) return caught;
  const code = isDiskFull(caught) ? 'STORAGE_FULL' : 'DISK_FAILED';
  return new MqError(code, `the data folder could not be opened: ${caught.message}`, { cause: caught });
}

/** What was good when the log was opened is not any more: the next start finds it, and can be helped. */
function whyNotBegun(caught: unknown): unknown {
  if (!(caught instanceof MqError) || caught.code !== 'CORRUPT_RECORD') return whyNotOpened(caught);
  return new MqError('DISK_FAILED', `what was whole at first can not be read any more: ${caught.reason}`, {
    cause: caught,
  });
}
