/**
 * Up to where the log is known to be durable, beside the log. Batches prove one another (a record knows what was
 * committed before it), but for the last one: without this, damage to it could not be told from a write that never
 * reached the disk.
 *
 *   durable     | end u64 | checksum u32 |
 *
 * Written some time after a batch, in place and not synced: it never says more than was synced before, and what it says
 * less only makes damage look like a torn tail.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { getU64, putU64, viewOf } from '@cometmq/shared';
import type { Clock, Timer } from '@cometmq/shared';

import { isDiskFull, joinPath } from '../disk/disk.js';
import type { Disk, DiskFile } from '../disk/disk.js';
import { readOrNothing } from '../disk/read-around.js';
import { checksum } from './checksum.js';

export const durableName = 'durable';
const bytesMax = 12;
/** So long after a batch at the latest. */
const noteMs = 100;

export class DurableNote {
  /** What was found at the start; 0: nothing. */
  end = logPosition(0);
  private file: DiskFile | undefined;
  private timer: Timer | undefined;
  private wanted = logPosition(0);
  private writing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
    private readonly clock: Clock,
    private readonly onFailed: (caught: unknown) => void,
  ) {}

  get path(): string {
    return joinPath(this.folder, durableName);
  }

  async open(): Promise<void> {
    this.file = await this.disk.open(this.path, { create: true });
    this.end = this.wanted = logPosition(0);
    const bytes = new Uint8Array(bytesMax);
    const read = await readOrNothing(this.file, bytes, 0);
    if (read === bytesMax && sumOf(bytes) === viewOf(bytes).getUint32(8, true))
      this.end = this.wanted = logPosition(getU64(viewOf(bytes), 0));
  }

  /** All below `end` has been synced. */
  reached(end: LogPosition): void {
    this.wanted = end;
    this.timer ??= this.clock.after(noteMs, () => {
      this.timer = undefined;
      this.writing = this.writing.then(() => this.write(this.wanted)).catch((caught: unknown) => this.onFailed(caught));
    });
  }

  /** The log is about to end at `end`, or this process does. Durable once it resolves. */
  async settle(end: LogPosition): Promise<void> {
    this.timer?.cancel();
    this.timer = undefined;
    this.wanted = end;
    await this.writing;
    // On a full disk it may say less than there is, but not more: rather none at all.
    if (!(await this.write(end)) && this.end > end) await this.drop();
    await this.file?.sync();
  }

  private async drop(): Promise<void> {
    await this.file?.close();
    await this.disk.unlink(this.path);
    await this.disk.syncFolder(this.folder);
    this.end = logPosition(0);
    this.file = await this.disk.open(this.path, { create: true });
  }

  async close(): Promise<void> {
    this.timer?.cancel();
    this.timer = undefined;
    await this.writing;
    await this.file?.close();
    this.file = undefined;
  }

  /** False: the disk is full. */
  private async write(end: LogPosition): Promise<boolean> {
    if (end === this.end) return true;
    if (!this.file) return true;
    const bytes = new Uint8Array(bytesMax);
    putU64(viewOf(bytes), 0, end);
    viewOf(bytes).setUint32(8, sumOf(bytes), true);
    try {
      await this.file.write([bytes], 0);
      this.end = end;
      return true;
    } catch (caught) {
      if (!isDiskFull(caught)) throw caught;
      return false; // Another time.
    }
  }
}

function sumOf(bytes: Uint8Array): number {
  return checksum(bytes.subarray(0, 8));
}
