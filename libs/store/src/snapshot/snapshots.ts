/**
 * Snapshots of a running store: given to members that lack too much, and taken by a follower in the place of all that it
 * has, without a restart.
 */
import { randomUUID } from 'node:crypto';

import type { Epoch, LogPosition } from '@cometmq/model';
import { assert, MqError } from '@cometmq/shared';

import { joinPath } from '../disk/disk.js';
import type { Disk } from '../disk/disk.js';
import { indexedFirsts } from '../index/segment-indexes.js';
import { DataFolder } from '../log/data-folder.js';
import type { Replication } from '../replication.js';
import type { CheckpointStore } from '../views/checkpoint-store.js';
import { decideInstall, putInPlace, receiveSnapshot, withdrawInstall } from './incoming-snapshot.js';
import { snapshotBytes } from './snapshot-format.js';
import type { SnapshotFacts } from './snapshot-format.js';
import { pinSnapshot, streamSnapshot } from './snapshot-source.js';
import type { PinnedSnapshot, SnapshotGround } from './snapshot-source.js';

export interface SnapshotParts extends SnapshotGround {
  readonly replication: Replication;
  dataFolder(): DataFolder;
  openState(): Promise<CheckpointStore>;
}

/** What comes, told before most of it has come. */
export interface SnapshotInfo {
  readonly position: LogPosition;
  readonly epoch: Epoch;
  /** Where the log ends that comes with it: fetching goes on there. */
  readonly end: LogPosition;
  /** Of all files. */
  readonly bytes: number;
}

export class Snapshots {
  private installing = false;

  constructor(private readonly parts: SnapshotParts) {}

  /**
   * All that a member needs which lacks too much, in pieces of 256 KiB at the most; `install` of another store takes them.
   * While it is read no segment is given back: whoever reads must end it, or is given up after a minute without a word.
   *
   * @throws MqError UNAVAILABLE
   */
  stream(): AsyncGenerator<Uint8Array, void, undefined> {
    return streamSnapshot(this.parts);
  }

  /**
   * The same for who reads its files in an order of its own: all that is committed now, its state as of now. While it is
   * held no segment is given back.
   */
  async pin(): Promise<PinnedSnapshot> {
    await this.parts.checkpoints.make();
    return pinSnapshot(this.parts);
  }

  /**
   * Takes a snapshot in the place of the log and of all views of this follower, and goes on with it. Until all of it is
   * here and was looked at, nothing changes, and a failure leaves everything as it was. Nobody may append meanwhile.
   *
   * @throws MqError CORRUPT_RECORD (it is not whole), CONFLICT (it is older than what is committed here), STORAGE_FULL,
   * UNSUPPORTED (it is of a newer version); what `pieces` throws
   */
  async install(
    pieces: AsyncIterable<Uint8Array>,
    onFacts: (info: SnapshotInfo) => void = () => undefined,
  ): Promise<SnapshotInfo> {
    const { disk, folder, log, replication } = this.parts;
    assert(!replication.isLeader, 'a leader takes a snapshot from nobody');
    assert(!this.installing, 'one snapshot at a time');
    this.installing = true;
    const release = await this.parts.holds.take(); // Segments that are here already may stay: none may go meanwhile.
    try {
      const ground = {
        disk,
        folder,
        incarnation: this.parts.dataFolder().incarnation,
        commitEnd: log.commitEnd,
        salt: log.saltNow,
        onFacts: (facts: SnapshotFacts) => onFacts(infoOf(facts)),
      };
      const { facts, damages } = await receiveSnapshot(ground, pieces);
      await this.putInPlace(facts);
      for (const damage of damages) log.noteDamage(damage);
      return infoOf(facts);
    } finally {
      release();
      this.installing = false;
    }
  }

  private async putInPlace(facts: SnapshotFacts): Promise<void> {
    const { disk, folder, log, checkpoints, replication } = this.parts;
    let unknown: unknown;
    const decide = async (): Promise<void> => {
      try {
        if (facts.end < log.commitEnd)
          throw new MqError('CONFLICT', 'more has been committed here than the snapshot holds');
        await decideInstall(disk, folder, facts, this.parts.dataFolder().incarnation);
      } catch (caught) {
        await withdrawInstall(disk, folder).catch((failure: unknown) => (unknown = failure));
        if (unknown === undefined) throw caught;
      }
    };
    await replication.reload(decide, async () => {
      // Whether it was decided the next start will see: nothing may be written before.
      if (unknown !== undefined) {
        const why = 'the disk does not say whether a snapshot was decided on: the next start will see';
        throw new MqError('DISK_FAILED', why, { cause: unknown });
      }
      await checkpoints.close();
      await putInPlace(disk, folder, this.parts.dataFolder());
      checkpoints.open(await this.parts.openState());
      const mark = checkpoints.load();
      return {
        mark,
        salt: facts.salt,
        committed: facts.end,
        known: await indexedFirsts(disk, joinPath(folder, 'index')),
      };
    });
  }
}

/**
 * Takes a snapshot in the place of what a data folder holds that can't be opened any more: its log or its state is
 * damaged where nothing but another member can help. What the member once acknowledged may be missing in the snapshot,
 * unless it is one of the leader of the set's current epoch: then the folder may stay the same member's. The store on it
 * must not be started; it can be afterwards.
 *
 * @throws MqError as `Snapshots.install`
 */
export async function replaceBySnapshot(
  { disk, folder, brokerName }: { readonly disk: Disk; readonly folder: string; readonly brokerName: string },
  pieces: AsyncIterable<Uint8Array>,
  as: 'the same member' | 'another member',
): Promise<SnapshotInfo> {
  const dataFolder = await DataFolder.open(disk, folder, brokerName);
  try {
    await putInPlace(disk, folder, dataFolder); // What was decided before.
    const incarnation = as === 'the same member' ? dataFolder.incarnation : randomUUID();
    const { salt } = dataFolder;
    const { facts } = await receiveSnapshot({ disk, folder, incarnation, commitEnd: 0 as LogPosition, salt }, pieces);
    await decideInstall(disk, folder, facts, incarnation);
    await putInPlace(disk, folder, dataFolder);
    await dataFolder.noteBegun();
    return infoOf(facts);
  } finally {
    await dataFolder.release();
  }
}

export function infoOf(facts: SnapshotFacts): SnapshotInfo {
  const { position, epoch, end } = facts;
  return { position, epoch, end, bytes: snapshotBytes(facts) };
}
