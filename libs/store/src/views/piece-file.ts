/**
 * A file of pieces sorted by key, written once and never changed. Little-endian:
 *
 *   | block | block | … | index |
 *   block:  | keyBytes u16 | valueBytes u32 | key | value | × pieces                         some 32 KiB
 *   index:  | at u64 | bytes u32 | checksum u32 | keyBytes u16 | first key | × blocks
 *
 * `valueBytes` 0xffffffff says that the piece is gone: it hides an older file's. Where the index stands, and its
 * checksum, is told by who lists the file, so every byte of it is covered by a checksum that is known before it is read.
 */
import { getU64, MqError, putU64, viewOf } from '@cometmq/shared';

import { isUnreadable } from '../disk/disk.js';
import type { DiskFile } from '../disk/disk.js';
import { readOrNothing } from '../disk/read-around.js';
import { checksum } from '../log/checksum.js';

/** A piece and its key; no value: it is gone. */
export interface Piece {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** What must be known of a file to read it. */
export interface PieceFileInfo {
  readonly number: number;
  readonly bytes: number;
  readonly indexAt: number;
  readonly indexChecksum: number;
}

const blockBytesMin = 32 * 1024;
const writeBytes = 1024 * 1024;
const entryBytes = 6;
const rowBytes = 18;
const goneBytes = 0xffffffff;

/** Takes pieces in the order of their keys. */
export class PieceFileWriter {
  private written = 0;
  private pieces = 0;
  private chunks: Uint8Array[] = [];
  private chunkBytes = 0;
  private block: Uint8Array[] = [];
  private blockBytes = 0;
  private firstKey: Buffer = Buffer.alloc(0);
  private readonly index: Uint8Array[] = [];

  constructor(private readonly file: DiskFile) {}

  /** Resolves to nothing, at once, but where a write is due. */
  add({ key, value }: Piece): Promise<void> | undefined {
    const keyBytes = Buffer.from(key);
    if (this.block.length === 0) this.firstKey = keyBytes;
    const head = Buffer.alloc(entryBytes);
    head.writeUInt16LE(keyBytes.byteLength, 0);
    head.writeUInt32LE(value ? value.byteLength : goneBytes, 2);
    this.block.push(head, keyBytes);
    if (value) this.block.push(value);
    this.blockBytes += entryBytes + keyBytes.byteLength + (value?.byteLength ?? 0);
    this.pieces += 1;
    if (this.blockBytes >= blockBytesMin) this.closeBlock();
    return this.chunkBytes >= writeBytes ? this.flush() : undefined;
  }

  /** Durable once it resolves, but for the file's name. */
  async finish(number: number): Promise<PieceFileInfo & { readonly pieces: number }> {
    if (this.block.length > 0) this.closeBlock();
    const indexAt = this.written + this.chunkBytes;
    const index = Buffer.concat(this.index);
    this.chunks.push(index);
    this.chunkBytes += index.byteLength;
    await this.flush();
    await this.file.sync();
    return { number, bytes: this.written, indexAt, indexChecksum: checksum(index), pieces: this.pieces };
  }

  private closeBlock(): void {
    const block = Buffer.concat(this.block, this.blockBytes);
    const row = new Uint8Array(rowBytes + this.firstKey.byteLength);
    const view = viewOf(row);
    putU64(view, 0, this.written + this.chunkBytes);
    view.setUint32(8, block.byteLength, true);
    view.setUint32(12, checksum(block), true);
    view.setUint16(16, this.firstKey.byteLength, true);
    row.set(this.firstKey, rowBytes);
    this.index.push(row);
    this.chunks.push(block);
    this.chunkBytes += block.byteLength;
    this.block = [];
    this.blockBytes = 0;
  }

  private async flush(): Promise<void> {
    const { chunks, chunkBytes, written } = this;
    this.chunks = [];
    this.chunkBytes = 0;
    this.written += chunkBytes;
    if (chunkBytes > 0) await this.file.write(chunks, written);
  }
}

/** What is wrong with a file, in the operator's words. */
export class PieceFileDamage extends MqError {
  constructor(
    path: string,
    readonly what: string,
  ) {
    super('CORRUPT_RECORD', `the checkpoint file ${path} is damaged: ${what}`);
  }
}

export class PieceFile {
  private constructor(
    readonly info: PieceFileInfo,
    private readonly file: DiskFile,
    private readonly rows: readonly Row[],
  ) {}

  /** @throws PieceFileDamage */
  static async open(file: DiskFile, info: PieceFileInfo): Promise<PieceFile> {
    const size = await file.size();
    if (size !== info.bytes) throw new PieceFileDamage(file.path, `it has ${size} bytes instead of ${info.bytes}`);
    const index = Buffer.alloc(info.bytes - info.indexAt);
    const read = await readOrNothing(file, index, info.indexAt);
    if (read < index.byteLength || checksum(index) !== info.indexChecksum) {
      throw new PieceFileDamage(file.path, 'its index does not have the checksum that it was written with');
    }
    return new PieceFile(info, file, rowsOf(index));
  }

  get blockCount(): number {
    return this.rows.length;
  }

  /** The only block that may hold the key; -1: none does. */
  blockOf(key: string): number {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.rows[middle] as Row).firstKey <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** @throws PieceFileDamage */
  async block(number: number): Promise<Buffer> {
    const { bytes, at } = this.rows[number] as Row;
    const block = Buffer.allocUnsafeSlow(bytes);
    return this.checked(number, block, await readOrNothing(this.file, block, at));
  }

  /** The same, at once. @throws PieceFileDamage */
  blockNow(number: number): Buffer {
    const { bytes, at } = this.rows[number] as Row;
    const block = Buffer.allocUnsafeSlow(bytes);
    return this.checked(number, block, this.readNow(block, at));
  }

  private readNow(into: Buffer, at: number): number {
    try {
      return this.file.readNow(into, at);
    } catch (caught) {
      if (!isUnreadable(caught)) throw caught;
      return 0;
    }
  }

  /** Reads all of it. @throws PieceFileDamage */
  async check(): Promise<void> {
    for (let number = 0; number < this.rows.length; number += 1) await this.block(number);
  }

  close(): Promise<void> {
    return this.file.close();
  }

  private checked(number: number, block: Buffer, read: number): Buffer {
    const { at, sum } = this.rows[number] as Row;
    if (read === block.byteLength && checksum(block) === sum) return block;
    const what = `what stands at byte ${at} does not have the checksum that it was written with`;
    throw new PieceFileDamage(this.file.path, what);
  }
}

interface Row {
  readonly at: number;
  readonly bytes: number;
  readonly sum: number;
  readonly firstKey: string;
}

function rowsOf(index: Buffer): Row[] {
  const view = viewOf(index);
  const rows: Row[] = [];
  for (let at = 0; at < index.byteLength;) {
    const keyAt = at + rowBytes;
    const keyEnd = keyAt + view.getUint16(at + 16, true);
    rows.push({
      at: getU64(view, at),
      bytes: view.getUint32(at + 8, true),
      sum: view.getUint32(at + 12, true),
      firstKey: index.toString('utf8', keyAt, keyEnd),
    });
    at = keyEnd;
  }
  return rows;
}

/** Goes through the pieces of one block, or of an array, in the order of their keys. */
export class BlockCursor {
  key = '';
  value: Uint8Array | undefined;
  private at = 0;

  constructor(private readonly block: Buffer) {}

  /** False: there is no further piece. */
  next(): boolean {
    const { block, at } = this;
    if (at >= block.byteLength) return false;
    const keyAt = at + entryBytes;
    const valueAt = keyAt + block.readUInt16LE(at);
    const valueBytes = block.readUInt32LE(at + 2);
    this.key = block.toString('utf8', keyAt, valueAt);
    this.value = valueBytes === goneBytes ? undefined : block.subarray(valueAt, valueAt + valueBytes);
    this.at = valueAt + (this.value?.byteLength ?? 0);
    return true;
  }
}

/** Finds a piece in its block; undefined: it is not there. */
export function findInBlock(block: Buffer, key: string): Piece | undefined {
  const cursor = new BlockCursor(block);
  while (cursor.next()) {
    if (cursor.key === key) return { key, value: cursor.value };
    if (cursor.key > key) return undefined;
  }
  return undefined;
}
