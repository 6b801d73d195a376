/**
 * A data folder made of a backup: a snapshot that was kept elsewhere, file by file. What is there is never overwritten: only
 * a folder that holds no log yet is filled, and it remembers from what.
 */
import { randomUUID } from 'node:crypto';

import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { joinPath } from '../disk/disk.js';
import type { Disk } from '../disk/disk.js';
import { DataFolder } from '../log/data-folder.js';
import { segmentFile } from '../log/segment.js';
import { cutIncoming, decideInstall, discardIncoming, putInPlace, receiveSnapshot } from './incoming-snapshot.js';
import { snapshotPieces } from './snapshot-format.js';
import type { SnapshotFacts, SnapshotFile } from './snapshot-format.js';
import { infoOf } from './snapshots.js';
import type { SnapshotInfo } from './snapshots.js';

export interface RestoreFrom {
  /** Kept in the folder. */
  readonly name: string;
  readonly facts: SnapshotFacts;
  readonly read: (file: SnapshotFile) => AsyncIterable<Uint8Array>;
  /** Records of a later time are left out; left out: none are. */
  readonly untilMs?: number | undefined;
}

export interface FolderPlace {
  readonly disk: Disk;
  readonly folder: string;
  readonly brokerName: string;
}

/** Whether a folder holds a log, and, where it was restored, from what: by the name given then. */
export async function folderHolds({
  disk,
  folder,
  brokerName,
}: FolderPlace): Promise<{ readonly log: boolean; readonly restoredFrom: string | undefined }> {
  const dataFolder = await DataFolder.open(disk, folder, brokerName);
  try {
    await putInPlace(disk, folder, dataFolder); // What was decided before.
    const { restoredFrom } = dataFolder;
    return { log: await holdsLog(disk, folder, dataFolder), restoredFrom };
  } finally {
    await dataFolder.release();
  }
}

/**
 * Fills an empty folder: nothing of what came stays on a failure, and nothing is taken that was not looked at. The store on
 * it must not be started; once this has resolved it can be, as a new member of the set.
 *
 * @throws MqError DATA_FOLDER (it holds a log), CORRUPT_RECORD, STORAGE_FULL, UNSUPPORTED; what `read` throws
 */
export async function restoreFolder(
  { disk, folder, brokerName }: FolderPlace,
  { name, facts: given, read, untilMs }: RestoreFrom,
): Promise<SnapshotInfo> {
  const dataFolder = await DataFolder.open(disk, folder, brokerName);
  try {
    await putInPlace(disk, folder, dataFolder);
    if (await holdsLog(disk, folder, dataFolder)) {
      throw new MqError(
        'DATA_FOLDER',
        `${disk.realPath(folder)} holds a log: a backup is restored into an empty folder`,
      );
    }
    const ground = { disk, folder, incarnation: randomUUID(), commitEnd: 0 as LogPosition, salt: dataFolder.salt };
    const { facts: whole } = await receiveSnapshot(ground, snapshotPieces(given, read));
    const facts = await cut(disk, folder, whole, untilMs);
    await decideInstall(disk, folder, facts, ground.incarnation, name);
    await putInPlace(disk, folder, dataFolder);
    await dataFolder.noteBegun();
    return infoOf(facts);
  } finally {
    await dataFolder.release();
  }
}

async function cut(
  disk: Disk,
  folder: string,
  facts: SnapshotFacts,
  untilMs: number | undefined,
): Promise<SnapshotFacts> {
  if (untilMs === undefined) return facts;
  try {
    return await cutIncoming(disk, folder, facts, untilMs);
  } catch (caught) {
    await discardIncoming(disk, folder);
    throw caught;
  }
}

/**
 * One snapshot whose log goes on in later ones of the same set: the state of the first, and of each segment behind it what
 * goes furthest. For a moment between the first and the last of them.
 *
 * @throws MqError NOT_FOUND where later ones lack what stands in between, as it had expired and been given back by then
 */
export function joinSnapshots(first: SnapshotFacts, later: readonly SnapshotFacts[]): SnapshotFacts {
  const longest = new Map<number, SnapshotFile>();
  const tail = first.files.findLast(({ folder }) => folder === 'log');
  if (!tail) return first;
  const tailFirst = Number.parseInt(tail.name, 10);
  for (const { salt, files } of [first, ...later]) {
    if (salt !== first.salt) throw new MqError('NOT_FOUND', 'the log was begun anew between these backups');
    for (const file of files) {
      const named = file.folder === 'log' ? segmentFile(file.name) : undefined;
      if (!named || named.compacted || named.first < tailFirst) continue;
      if ((longest.get(named.first)?.bytes ?? -1) < file.bytes) longest.set(named.first, file);
    }
  }
  const joined: SnapshotFile[] = [];
  let end = tailFirst;
  for (const at of [...longest.keys()].sort((a, b) => a - b)) {
    const file = longest.get(at) as SnapshotFile;
    if (at !== end) {
      throw new MqError(
        'NOT_FOUND',
        `what the log said from position ${end} to ${at} is in none of the backups: it had expired, and was given back, ` +
          'before the next one was made. Name the moment of a backup, or a later one',
      );
    }
    joined.push(file);
    end = at + file.bytes;
  }
  const isOwn = ({ folder, name }: SnapshotFile): boolean =>
    folder === 'state' || Number.parseInt(name, 10) < tailFirst;
  const own = first.files.filter(isOwn);
  const ofLog = own.filter(({ folder }) => folder === 'log');
  return {
    ...first,
    end: end as LogPosition,
    files: [...ofLog, ...joined, ...own.filter(({ folder }) => folder !== 'log')],
  };
}

async function holdsLog(disk: Disk, folder: string, dataFolder: DataFolder): Promise<boolean> {
  if (dataFolder.begun) return true;
  return (await disk.list(joinPath(folder, 'log'))).some((name) => segmentFile(name) !== undefined);
}
