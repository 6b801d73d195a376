import { MqError, type Component } from '@cometmq/shared';

import { joinPath, type Disk, type DiskLock } from './disk.js';

export const lockName = 'lock';

/**
 * Makes a folder where there is none, and holds it for this process; the lock ends with the process, however it ends.
 *
 * @throws MqError DATA_FOLDER when another process holds it, or it can't be made or opened
 */
export async function lockFolder(disk: Disk, folder: string): Promise<DiskLock> {
  const place = disk.realPath(folder);
  let lock: DiskLock | undefined;
  try {
    await disk.makeFolder(folder);
    lock = await disk.lock(joinPath(folder, lockName));
  } catch (caught) {
    const reason = caught instanceof Error ? caught.message : String(caught);
    throw new MqError('DATA_FOLDER', `the data folder ${place} can't be used: ${reason}`, { cause: caught });
  }
  if (lock) return lock;
  throw new MqError('DATA_FOLDER', `${place} is in use by another process: stop that one, or name another data folder`);
}

/** A folder that this process holds while it runs. */
export class FolderLock implements Component {
  readonly name = 'folder lock';
  private lock: DiskLock | undefined;

  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
  ) {}

  /** @throws MqError DATA_FOLDER, see `lockFolder` */
  async start(): Promise<void> {
    this.lock = await lockFolder(this.disk, this.folder);
  }

  async stop(): Promise<void> {
    await this.lock?.release();
  }
}
