/**
 * SegmentSpace on the disk for what the log will write: real zeros ahead of use, so that a batch overwrites and its sync need
 * not touch the file system's own books; and reserves to live on when the disk is full.
 *
 *   | records | zeros made ahead |                the active segment
 *   | zeros |                                     `prepared`: the next one, made when the active has its full size
 *   | zeros |                                     `reserve`: deleted when the disk is full, made again afterwards
 *   | zeros |                                     `reserve-compaction`: the same, for who makes space
 *
 * One background task makes the zeros, a slice and a sync at a time, so that a batch never waits for more than a slice.
 * A disk that is full, or nearly, sets `full`; a timer then looks whether space has come back.
 */
import type { Clock, Timer } from '@cometmq/shared';

import { isDiskFull, joinPath, splitPath } from '../disk/disk.js';
import type { Disk, DiskFile } from '../disk/disk.js';
import { compactionReserveName, preparedName, reserveName } from './segment.js';
import type { Segment } from './segment.js';

export interface RoomLimits {
  readonly segmentBytes: number;
  /** Zeros kept ahead of the last record. */
  readonly aheadBytes: number;
  /** Size of the reserve file. */
  readonly reserveBytes: number;
  readonly compactionReserveBytes: number;
  /** The disk counts as full when less than this is free on it. */
  readonly freeBytesMin: number;
}

/** What the room needs to know of the segment that is being written. */
export interface ActiveSpace {
  readonly file: DiskFile;
  /** Where the last record ends in the file. */
  used(): number;
  /** What the file holds, zeros included. */
  fileBytes: number;
}

export function roomOf(segment: Segment, file: DiskFile): ActiveSpace {
  return {
    file,
    used: () => segment.end - segment.first,
    get fileBytes(): number {
      return segment.fileBytes;
    },
    set fileBytes(bytes: number) {
      segment.fileBytes = bytes;
    },
  };
}

/** A file of zeros that gives its space back. */
class Reserve {
  ready = false;

  constructor(
    readonly path: string,
    readonly bytes: number,
  ) {}
}

const sliceBytes = 1024 * 1024;
/**
 * A batch of this size pays for making the file longer by itself: cheaper than writing everything twice. Measured:
 * docs/decisions/writer.md.
 */
const largeBatchBytes = 128 * 1024;
/** How often, in bytes by which the log's files grew, the free space is looked at. */
const checkBytes = 16 * 1024 * 1024;
const retryMs = 1_000;

export class SegmentSpace {
  /** New messages find no room. */
  full = false;
  private active: ActiveSpace | undefined;
  private prepared: { file: DiskFile; bytes: number } | undefined;
  private readonly reserve: Reserve;
  private readonly compactionReserve: Reserve;
  /** The slice under way. */
  private slice: Promise<void> | undefined;
  private task: Promise<void> | undefined;
  private retry: Timer | undefined;
  private closed = false;
  private zeros: Buffer | undefined;
  private batchesAreLarge = false;
  /** Growth since the free space was looked at. */
  private unchecked = checkBytes;

  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
    private readonly limits: RoomLimits,
    private readonly clock: Clock,
    private readonly onFailed: (caught: unknown) => void,
    /** The disk has become full. */
    private readonly onFull: () => void = () => undefined,
  ) {
    this.reserve = new Reserve(joinPath(folder, reserveName), limits.reserveBytes);
    this.compactionReserve = new Reserve(joinPath(folder, compactionReserveName), limits.compactionReserveBytes);
  }

  /** At the start: whatever an earlier process had prepared is of unknown content, so it goes. */
  async open(active: ActiveSpace): Promise<void> {
    await this.disk.unlink(joinPath(this.folder, preparedName));
    this.active = active;
    for (const reserve of this.reserves) reserve.ready = reserve.bytes === 0 || (await this.hasReserve(reserve));
    this.makeAhead();
  }

  /** Starts the background task unless it is at work or nothing is to do. */
  makeAhead(): void {
    if (this.task || this.closed || this.full || this.retry || !this.somethingToMake()) return;
    this.task = this.work().finally(() => {
      this.task = undefined;
    });
  }

  /**
   * A batch will be written from `from` to `end` of the active file. Where it makes the file longer, no zeros are made
   * over it from now on; one that is being made is waited for.
   */
  claim(from: number, end: number): Promise<void> | undefined {
    this.batchesAreLarge = end - from >= largeBatchBytes;
    const active = this.active;
    if (!active || end <= active.fileBytes) return undefined;
    if (this.slice) return this.slice.then(() => this.claim(from, end));
    this.unchecked += end - active.fileBytes;
    active.fileBytes = end;
    return undefined;
  }

  /** The file of the next segment and its bytes of zeros, all durable; still named `prepared`. */
  async takePrepared(): Promise<{ file: DiskFile; bytes: number }> {
    await this.leave();
    const taken = this.prepared ?? { file: await this.newPrepared(), bytes: 0 };
    this.prepared = undefined;
    return taken;
  }

  /** The active segment is going to change: nothing more is made ahead in it. */
  async leave(): Promise<void> {
    this.active = undefined;
    while (this.slice) await this.slice;
  }

  /** The taken file has become the active segment. */
  switchTo(active: ActiveSpace): void {
    this.active = active;
    this.makeAhead();
  }

  /** A write of the log found the disk full: new messages stop. True when space was given back, so try again at once. */
  async relieve(): Promise<boolean> {
    this.becomeFull();
    while (this.slice) await this.slice;
    return this.give(this.reserve);
  }

  /** Compaction found the disk full. True when space was given back, so try again at once. */
  async lendToCompaction(): Promise<boolean> {
    this.becomeFull();
    return this.give(this.compactionReserve);
  }

  private async give(reserve: Reserve): Promise<boolean> {
    if (!reserve.ready || reserve.bytes === 0) return false;
    reserve.ready = false;
    await this.disk.unlink(reserve.path);
    return true;
  }

  private get reserves(): readonly Reserve[] {
    return [this.reserve, this.compactionReserve];
  }

  async close(): Promise<void> {
    this.closed = true;
    this.retry?.cancel();
    await this.task;
    await this.prepared?.file.close();
    this.prepared = undefined;
  }

  private somethingToMake(): boolean {
    return this.unchecked >= checkBytes || this.aheadMissing() || !this.reserve.ready || !this.compactionReserve.ready;
  }

  private aheadMissing(): boolean {
    const active = this.active;
    if (!active || this.batchesAreLarge) return false;
    const ahead = Math.max(0, active.fileBytes - active.used()) + (this.prepared?.bytes ?? 0);
    if (ahead >= this.limits.aheadBytes) return false;
    return active.fileBytes < this.limits.segmentBytes || (this.prepared?.bytes ?? 0) < this.limits.segmentBytes;
  }

  private async work(): Promise<void> {
    try {
      while (!this.closed && !this.full && this.somethingToMake()) {
        if (this.unchecked >= checkBytes) {
          this.unchecked = 0;
          if ((await this.disk.freeBytes(this.folder)) < this.limits.freeBytesMin) {
            this.becomeFull();
            return;
          }
        } else if (this.aheadMissing()) await this.makeSlice();
        else await this.makeReserves();
      }
    } catch (caught) {
      if (isDiskFull(caught)) this.becomeFull();
      else this.onFailed(caught);
    }
  }

  private async makeSlice(): Promise<void> {
    const slice = this.writeSlice();
    // Those who wait for the slice only want it over; its failure is told once, by the task.
    const over = slice
      .catch(() => undefined)
      .finally(() => {
        if (this.slice === over) this.slice = undefined;
      });
    this.slice = over;
    await slice;
  }

  private async writeSlice(): Promise<void> {
    const active = this.active;
    if (active && active.fileBytes < this.limits.segmentBytes) {
      const bytes = Math.min(sliceBytes, this.limits.segmentBytes - active.fileBytes);
      await this.writeZeros(active.file, active.fileBytes, bytes);
      active.fileBytes += bytes;
      return;
    }
    this.prepared ??= { file: await this.newPrepared(), bytes: 0 };
    const prepared = this.prepared;
    const bytes = Math.min(sliceBytes, this.limits.segmentBytes - prepared.bytes);
    await this.writeZeros(prepared.file, prepared.bytes, bytes);
    prepared.bytes += bytes;
  }

  private async newPrepared(): Promise<DiskFile> {
    const path = joinPath(this.folder, preparedName);
    await this.disk.unlink(path);
    return this.disk.open(path, { create: true, durable: true });
  }

  private async writeZeros(file: DiskFile, at: number, bytes: number): Promise<void> {
    this.zeros ??= Buffer.alloc(sliceBytes);
    await file.writeDurably([this.zeros.subarray(0, bytes)], at);
    this.unchecked += bytes;
  }

  private async hasReserve({ path, bytes }: Reserve): Promise<boolean> {
    if (!(await this.disk.list(this.folder)).includes(splitPath(path).name)) return false;
    const file = await this.disk.open(path);
    try {
      return (await file.size()) >= bytes;
    } finally {
      await file.close();
    }
  }

  private async makeReserves(): Promise<void> {
    for (const reserve of this.reserves) if (!reserve.ready) await this.makeReserve(reserve);
  }

  private async makeReserve(reserve: Reserve): Promise<void> {
    const file = await this.disk.open(reserve.path, { create: true, durable: true });
    try {
      for (let at = await file.size(); at < reserve.bytes && !this.closed; at += sliceBytes) {
        await this.writeZeros(file, at, Math.min(sliceBytes, reserve.bytes - at));
      }
      reserve.ready = (await file.size()) >= reserve.bytes;
    } finally {
      await file.close();
    }
  }

  private becomeFull(): void {
    const was = this.full;
    this.full = true;
    if (!was) this.onFull();
    if (this.retry || this.closed) return;
    this.retry = this.clock.after(retryMs, () => {
      this.retry = undefined;
      void this.lookForSpace();
    });
  }

  /** Full ends when the reserves could be made again and the free space asked for is there beside it. */
  private async lookForSpace(): Promise<void> {
    try {
      const wanted = this.limits.freeBytesMin + this.limits.aheadBytes;
      let missing = 0;
      for (const { ready, bytes } of this.reserves) if (!ready) missing += bytes;
      if (!this.closed && (await this.disk.freeBytes(this.folder)) >= wanted + missing) {
        await this.makeReserves();
        this.full = false;
        this.makeAhead();
        return;
      }
    } catch (caught) {
      if (!isDiskFull(caught)) {
        this.onFailed(caught);
        return;
      }
    }
    if (!this.closed) this.becomeFull();
  }
}
