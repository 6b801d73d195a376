/**
 * Opens the checkpoints of a data folder, and knows what can be done when they are damaged: state is made again from the
 * log where the log still says all of it; else nothing is touched, and the operator is told what only they knew.
 */
import { MqError } from '@cometmq/shared';
import type { Clock } from '@cometmq/shared';

import { joinPath } from '../disk/disk.js';
import type { Disk } from '../disk/disk.js';
import { segmentFile } from '../log/segment.js';
import type { CheckpointStore } from './checkpoint-store.js';
import { DiskCheckpointStore } from './disk-checkpoint-store.js';

export interface StateFolder {
  readonly disk: Disk;
  /** The data folder: holds `log/` and `state/`. */
  readonly folder: string;
  /** Of this data folder's log. */
  readonly log: string;
  readonly clock: Clock;
  readonly onTrouble?: ((what: string, cause: unknown) => void) | undefined;
}

/** @throws MqError DATA_FOLDER: the state is damaged, and the log alone can't make it again */
export async function openState({ disk, folder, log, clock, onTrouble }: StateFolder): Promise<CheckpointStore> {
  const stateFolder = joinPath(folder, 'state');
  const open = (): Promise<CheckpointStore> => DiskCheckpointStore.open(disk, stateFolder, log, clock, onTrouble);
  try {
    return await open();
  } catch (caught) {
    if (!(caught instanceof MqError) || caught.code !== 'CORRUPT_RECORD') throw caught;
    const lost = await whatTheLogLacks(disk, joinPath(folder, 'log'));
    if (lost !== undefined) throw refusal(disk.realPath(stateFolder), caught, lost);
    onTrouble?.(
      'the checkpoint is damaged: state is made again from the log, which is whole; the damaged files are put aside',
      caught,
    );
    await DiskCheckpointStore.putAside(disk, stateFolder);
    return open();
  }
}

/** Undefined: the log says all that the state was folded from. */
async function whatTheLogLacks(disk: Disk, folder: string): Promise<string | undefined> {
  let end: number | undefined;
  for (const name of await disk.list(folder)) {
    const file = segmentFile(name);
    if (!file) continue;
    if (file.compacted) return `the segment at position ${file.first} was compacted`;
    if (file.first !== (end ?? 0)) return `the log below position ${file.first} is not all there`;
    end = file.first + (await sizeOf(disk, joinPath(folder, name)));
  }
  return end === undefined ? 'there is no log' : undefined;
}

async function sizeOf(disk: Disk, path: string): Promise<number> {
  const file = await disk.open(path);
  try {
    return await file.size();
  } finally {
    await file.close();
  }
}

function refusal(where: string, damage: MqError, lost: string): MqError {
  return new MqError(
    'DATA_FOLDER',
    `${damage.reason}. The state can't be made again from the log alone: ${lost}, and what those records said of ` +
      `consumers' progress, timers, transactions and first offsets is known only to the checkpoint. The messages that are ` +
      `left are whole. Nothing was changed. Bring back ${where} from a copy of this data folder, the newest there is (what ` +
      'came after it is folded from the log), or start with an empty data folder',
    { cause: damage },
  );
}
