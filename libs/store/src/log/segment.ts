/**
 * A segment: a file that holds the records from one position up to another, and nothing before them. It has no header;
 * its name is its first position. A sealed segment's file ends where its last record does, so its size says which
 * positions it holds. The active one has zeros behind its last record: room made ahead of use. A sealed segment may have
 * been compacted: then its file has another name and another layout (`compacted-file.ts`), and says more of itself.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import { assert, MqError } from '@cometmq/shared';

import { joinPath } from '../disk/disk.js';
import type { Disk, DiskFile } from '../disk/disk.js';
import { compactedHeadBytes, readTable } from './compacted-file.js';
import type { CompactedHead, PositionTable } from './compacted-file.js';

export interface SegmentInfo {
  readonly first: LogPosition;
  /** Behind the last record: of the active segment, behind the last durable one. */
  readonly end: LogPosition;
  /** Of the first record; 0 while there is none. */
  readonly firstTimestampMs: number;
  /** No record here is later. After a restart a sealed segment says the first timestamp of the one after it. */
  readonly lastTimestampMs: number;
  readonly sealed: boolean;
  readonly fileBytes: number;
  /** How often it was compacted. */
  readonly generation: number;
  /** All records that ever stood in it are there, as far as is known. */
  readonly complete: boolean;
  /** Nothing of it can be read. */
  readonly lost: boolean;
}

const digits = 16; // 2^53 has as many.
const suffix = '.log';
const compactedSuffix = '.compacted';

/** The next segment's file, while it is made ahead of its first position being known. */
export const preparedName = 'prepared';
/** Space given back when the disk is full: to the log, and to compaction. */
export const reserveName = 'reserve';
export const compactionReserveName = 'reserve-compaction';

export function segmentName(first: number): string {
  return `${String(first).padStart(digits, '0')}${suffix}`;
}

export function compactedName(first: number): string {
  return `${String(first).padStart(digits, '0')}${compactedSuffix}`;
}

/** What a segment's file is by its name; undefined: it is something else. */
export function segmentFile(name: string): { first: LogPosition; compacted: boolean } | undefined {
  const text = name.slice(0, digits);
  const rest = name.slice(digits);
  if (!/^\d{16}$/.test(text) || (rest !== suffix && rest !== compactedSuffix)) return undefined;
  return { first: logPosition(Number(text)), compacted: rest === compactedSuffix };
}

export class Segment {
  end: LogPosition;
  firstTimestampMs = 0;
  lastTimestampMs = 0;
  sealed = false;
  /** Why nothing of it can be read: its file is gone, or what says where its records stand is damaged. */
  lost: MqError | undefined;
  /** Its file is named as a compacted one, whether or not that can be read. */
  isNamedCompacted: boolean;
  private opening: Promise<DiskFile> | undefined;
  private users = 0;
  private closeWanted = false;
  private positions: PositionTable | undefined;

  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
    readonly first: LogPosition,
    /** What the file holds, zeros included. */
    public fileBytes: number,
    open?: DiskFile,
    /** Of a compacted segment. */
    readonly compacted?: CompactedHead,
  ) {
    this.end = first;
    this.opening = open && Promise.resolve(open);
    this.isNamedCompacted = compacted !== undefined;
    if (!compacted) return;
    this.end = compacted.end;
    this.firstTimestampMs = compacted.firstTimestampMs;
    this.lastTimestampMs = compacted.lastTimestampMs;
    this.sealed = true;
  }

  get path(): string {
    return joinPath(this.folder, this.isNamedCompacted ? compactedName(this.first) : segmentName(this.first));
  }

  get isOpen(): boolean {
    return this.opening !== undefined;
  }

  get inUse(): boolean {
    return this.users > 0;
  }

  info(): SegmentInfo {
    const { first, end, firstTimestampMs, lastTimestampMs, sealed, fileBytes } = this;
    return {
      first,
      end,
      firstTimestampMs,
      lastTimestampMs,
      sealed,
      fileBytes,
      generation: this.generation,
      complete: this.complete,
      lost: this.lost !== undefined,
    };
  }

  /** Nothing was left out. */
  get complete(): boolean {
    const { compacted } = this;
    return !this.lost && (!compacted || compacted.tableAt - compactedHeadBytes === compacted.end - compacted.first);
  }

  get generation(): number {
    return this.compacted?.generation ?? 0;
  }

  /** Of a compacted segment, while its file is open; undefined: nobody has asked for it since. */
  get loadedTable(): PositionTable | undefined {
    return this.positions;
  }

  /** Of a compacted segment: where its records stand. */
  async table(file: DiskFile): Promise<PositionTable> {
    assert(this.compacted !== undefined, 'only a compacted segment has a table');
    this.positions ??= await readTable(file, this.compacted);
    if (this.positions) return this.positions;
    throw new MqError(
      'CORRUPT_RECORD',
      `the table of the compacted segment ${this.disk.realPath(this.path)} is damaged: bring this file back from a copy`,
    );
  }

  /** The file's bytes that hold records; behind them stand zeros or a table. */
  get recordBytes(): number {
    return this.compacted?.tableAt ?? this.fileBytes;
  }

  /** Lends the open file; opens it when it is not. */
  async use<T>(act: (file: DiskFile) => Promise<T>): Promise<T> {
    if (this.lost) throw this.lost;
    this.users += 1;
    try {
      this.opening ??= this.disk.open(this.path, { durable: true });
      return await act(await this.opening);
    } catch (caught) {
      if (this.users === 1) await this.forgetFailedOpening();
      throw caught;
    } finally {
      this.users -= 1;
      if (this.users === 0 && this.closeWanted) await this.closeNow();
    }
  }

  /** Closes the file once nobody uses it; it opens again when asked for. */
  async close(): Promise<void> {
    if (this.users > 0) this.closeWanted = true;
    else await this.closeNow();
  }

  private async closeNow(): Promise<void> {
    assert(this.users === 0, 'a file in use stays open');
    this.closeWanted = false;
    this.positions = undefined;
    const opening = this.opening;
    this.opening = undefined;
    if (opening) await (await opening).close();
  }

  private async forgetFailedOpening(): Promise<void> {
    const opening = this.opening;
    const failed = await opening?.then(
      () => false,
      () => true,
    );
    if (failed && this.opening === opening) this.opening = undefined;
  }
}
