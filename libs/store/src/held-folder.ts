/**
 * The data folder while this process has it: whose it is, what it must not forget, and the state that lies in it.
 */
import { MqError, assert } from '@cometmq/shared';

import { joinPath } from './disk/disk.js';
import { DataFolder } from './log/data-folder.js';
import type { StoreOptions } from './store-types.js';
import { putInPlace } from './snapshot/incoming-snapshot.js';
import { checkLogIsThere } from './start-checks.js';
import { TermNotes } from './term-note.js';
import type { CheckpointStore } from './views/checkpoint-store.js';
import { openState } from './views/state-folder.js';

/** What a log says of its salt. */
interface SaltedLog {
  readonly salt: number | undefined;
  takeSalt(salt: number): void;
}

export class HeldFolder {
  private opened: DataFolder | undefined;
  private notes: TermNotes | undefined;

  constructor(private readonly options: StoreOptions) {}

  get isHeld(): boolean {
    return this.opened !== undefined;
  }
  get now(): DataFolder {
    assert(this.opened !== undefined, 'the store has been started');
    return this.opened;
  }
  get term(): TermNotes {
    assert(this.notes !== undefined, 'the store has been started');
    return this.notes;
  }

  /** Takes it, and brings to an end what an earlier process had begun. @throws MqError DATA_FOLDER */
  async open(): Promise<void> {
    const { disk, folder, brokerName, onTrouble } = this.options;
    this.opened = await DataFolder.open(disk, folder, brokerName, onTrouble);
    await putInPlace(disk, folder, this.opened);
    await checkLogIsThere(disk, folder, this.opened.begun);
    this.notes = await TermNotes.open(disk, folder, this.opened.noted, { onTrouble });
    await this.opened.noteNoted();
  }

  async release(): Promise<void> {
    await this.notes?.close();
    await this.opened?.release();
    this.opened = undefined;
  }

  async openState(): Promise<CheckpointStore> {
    const { disk, folder, clock, onTrouble, checkpoints } = this.options;
    const given = checkpoints?.(disk.realPath(joinPath(folder, 'state')));
    return given ?? openState({ disk, folder, log: this.now.incarnation, clock, onTrouble });
  }

  /** See `StoreMembership.takeSalt`. */
  async takeSalt(log: SaltedLog, salt: number): Promise<void> {
    const { now } = this;
    if (log.salt === salt) return;
    if (log.salt !== undefined) {
      const where = this.options.disk.realPath(this.options.folder);
      throw new MqError(
        'DATA_FOLDER',
        `the log in ${where} did not begin as a copy of the one that this broker set has: it is another set's. Name the ` +
          'right folder; or start with an empty one, as a new member',
      );
    }
    await now.takeSalt(salt);
    log.takeSalt(salt);
  }
}
