import { MqError, type Part } from '@cometmq/shared';

import type { Disk, DiskLock } from './disk.js';

/** Holds a folder for this process; ends with the process, however it ends. */
export class FolderLock implements Part {
  readonly name = 'folder lock';
  private lock: DiskLock | undefined;

  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
  ) {}

  /** @throws MqError DATA_FOLDER when another process holds it */
  async start(): Promise<void> {
    await this.disk.makeFolder(this.folder);
    this.lock = await this.disk.lock(`${this.folder}/lock`);
    if (this.lock) return;
    const place = this.disk.realPath(this.folder);
    throw new MqError(
      'DATA_FOLDER',
      `${place} is in use by another process; stop that one, or name another data folder`,
    );
  }

  async stop(): Promise<void> {
    await this.lock?.release();
  }
}
