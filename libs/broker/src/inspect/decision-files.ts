/**
 * The files of the index of decisions, and what of them is kept in memory.
 *
 *   `<from>-<to>`         a piece: its decisions, and what it can't be about (decision-bounds.ts)
 *   `<from>-<to>.part`    a part of the piece that grows: taken up at the next start, of no use once the piece is written
 *   `<from>-<to>.lacks`   a piece of which something could not be read: made again at the next start
 *
 *   file | magic u32 | crc32 of the entries u32 | crc32 of the bounds u32 | 0 u32 | bounds | entries: see decision-entries.ts |
 */
import { crc32 } from 'node:zlib';
import { KiB, type LogPosition } from '@cometmq/model';
import type { Pace, Pacing } from '@cometmq/shared';
import { isMissing, joinPath, replaceFile, type Disk, type DiskFile } from '@cometmq/store';

import { boundsBytes, DecisionBounds } from './decision-bounds.js';
import { DecisionEntries, entryWords } from './decision-entries.js';

export interface Stretch {
  readonly from: LogPosition;
  readonly to: LogPosition;
}
export interface Piece extends Stretch {
  readonly kind: 'whole' | 'part' | 'lacks';
}

const magic = 0x32_49_44_43;
const headBytes = 16;
const entriesAt = headBytes + boundsBytes;
/** Of a file, checked at once. */
const checkedBytes = 256 * KiB;
/** Pieces kept in memory for the next question. */
const keptMax = 4;

export class DecisionFiles {
  private readonly kept = new Map<LogPosition, DecisionEntries>();
  private readonly bounds = new Map<LogPosition, DecisionBounds>();

  constructor(
    private readonly disk: Disk,
    private readonly folder: string,
    private readonly pacing: Pacing,
  ) {}

  /** By where they begin; of two that begin there the longer one first. */
  async list(): Promise<Piece[]> {
    await this.disk.makeFolder(this.folder);
    const found = (await this.disk.list(this.folder)).map(pieceOf).filter((piece) => piece !== undefined);
    return found.sort((a, b) => a.from - b.from || b.to - a.to);
  }

  /** False: nothing of the piece names an offset between the two. Then no entry of it is read. */
  async mayHold(piece: Piece, topic: number, queue: number, first: number, last: number, pace: Pace): Promise<boolean> {
    let bounds = this.kept.get(piece.from)?.bounds ?? this.bounds.get(piece.from);
    if (!bounds) {
      bounds = await pace.during(this.readBounds(piece));
      if (!bounds) return true;
      this.bounds.set(piece.from, bounds);
    }
    return bounds.mayHold(topic, queue, first, last);
  }

  /** Undefined: it is missing or damaged. */
  async entries(piece: Piece, pace: Pace): Promise<DecisionEntries | undefined> {
    const known = this.kept.get(piece.from);
    if (known) return known;
    const entries = await this.read(piece, pace);
    if (entries) this.keep(piece, entries);
    return entries;
  }

  keep({ from }: Piece, entries: DecisionEntries): void {
    this.kept.set(from, entries);
    this.bounds.set(from, entries.bounds);
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= keptMax) break;
      this.kept.delete(oldest);
    }
  }

  /** The pieces are to be read again. */
  forget(pieces: readonly Piece[]): void {
    for (const { from } of pieces) {
      this.kept.delete(from);
      this.bounds.delete(from);
    }
  }

  async write(piece: Piece, { words, count, bounds }: DecisionEntries): Promise<void> {
    const body = Buffer.from(words.buffer, words.byteOffset, count * entryWords * 4);
    const { values } = bounds;
    const outline = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    const head = Buffer.alloc(headBytes);
    head.writeUInt32LE(magic, 0);
    head.writeUInt32LE(await checksumOf(body, this.pacing.begin()), 4);
    head.writeUInt32LE(crc32(outline), 8);
    await replaceFile(this.disk, this.pathOf(piece), [head, outline, body]);
  }

  /** Whatever of it is in memory is left as it is. */
  async read(piece: Piece, pace: Pace): Promise<DecisionEntries | undefined> {
    return this.within(piece, async (file) => {
      const size = await pace.during(file.size());
      if (size < entriesAt || (size - entriesAt) % (entryWords * 4) !== 0) return undefined;
      const bytes = Buffer.from(new ArrayBuffer(size));
      if ((await pace.during(file.read(bytes, 0))) < size) return undefined;
      const bounds = boundsOf(bytes);
      if (!bounds || bytes.readUInt32LE(4) !== (await checksumOf(bytes.subarray(entriesAt), pace))) return undefined;
      return new DecisionEntries(piece.from, new Uint32Array(bytes.buffer, entriesAt), bounds);
    });
  }

  async unlink(piece: Piece): Promise<void> {
    await this.disk.unlink(this.pathOf(piece));
  }

  pathOf({ from, to, kind }: Piece): string {
    return joinPath(this.folder, `${from}-${to}${kind === 'whole' ? '' : `.${kind}`}`);
  }

  private readBounds(piece: Piece): Promise<DecisionBounds | undefined> {
    return this.within(piece, async (file) => {
      const bytes = Buffer.from(new ArrayBuffer(entriesAt));
      return (await file.read(bytes, 0)) < entriesAt ? undefined : boundsOf(bytes);
    });
  }

  private async within<T>(piece: Piece, use: (file: DiskFile) => Promise<T | undefined>): Promise<T | undefined> {
    let file: DiskFile;
    try {
      file = await this.disk.open(this.pathOf(piece));
    } catch (caught) {
      if (isMissing(caught)) return undefined;
      throw caught;
    }
    try {
      return await use(file);
    } finally {
      await file.close();
    }
  }
}

/** Of the beginning of a file. */
function boundsOf(bytes: Buffer<ArrayBuffer>): DecisionBounds | undefined {
  const outline = bytes.subarray(headBytes, entriesAt);
  if (bytes.readUInt32LE(0) !== magic || bytes.readUInt32LE(8) !== crc32(outline)) return undefined;
  return new DecisionBounds(new Float64Array(bytes.buffer.slice(headBytes, entriesAt)));
}

/** Of a few MiB: a little at a time. */
async function checksumOf(bytes: Uint8Array, pace: Pace): Promise<number> {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += checkedBytes) {
    sum = crc32(bytes.subarray(at, at + checkedBytes), sum);
    if (pace.isOver) await pace.rest();
  }
  return sum;
}

function pieceOf(name: string): Piece | undefined {
  const [, from, to, kind = 'whole'] = /^(\d{1,16})-(\d{1,16})(?:\.(part|lacks))?$/.exec(name) ?? [];
  if (from === undefined || to === undefined) return undefined;
  return { from: Number(from) as LogPosition, to: Number(to) as LogPosition, kind: kind as Piece['kind'] };
}
