/**
 * The newest records, in the very buffers they were put in: what is waiting to be written, then what readers most
 * often want.
 *
 * A row of chunks, oldest first; each holds a run of whole records. Once nothing in a chunk waits for the disk, it goes
 * when the row is over its limit. A chunk that never was read from is used again; one that was lent stays with whoever
 * holds a view of it, and the garbage collector ends it.
 */
import { assert } from '@cometmq/shared';

import { RecordBlock } from './record.js';

export interface Chunk {
  readonly block: RecordBlock;
  /** The position of the chunk's first byte. */
  first: number;
  /** Behind the chunk's last record. */
  end: number;
  lent: boolean;
}

const sparesMax = 4;

export class TailCache {
  private row: Chunk[] = [];
  private rowBytes = 0;
  private readonly spares: RecordBlock[] = [];
  /** The next record begins a chunk of its own. */
  private fresh = false;

  constructor(
    private readonly bytesMax: number,
    private readonly chunkBytes: number,
  ) {}

  get bytes(): number {
    return this.rowBytes;
  }

  /** Takes room for a record at `position`, which is where the last one ended. */
  place(position: number, size: number): Chunk {
    const last = this.row[this.row.length - 1];
    const fits = last && position - last.first + size <= last.block.bytes.byteLength;
    if (fits && !this.fresh && last.end === position) {
      last.end += size;
      return last;
    }
    assert(!last || last.end === position, 'records follow one another');
    const block = this.takeBlock(size);
    const chunk: Chunk = { block, first: position, end: position + size, lent: false };
    this.row.push(chunk);
    this.fresh = false;
    this.rowBytes += block.bytes.byteLength;
    return chunk;
  }

  /** The chunk that holds the record at `position`. */
  find(position: number): Chunk | undefined {
    const row = this.row;
    let low = 0;
    let high = row.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const chunk = row[middle] as Chunk;
      if (position < chunk.first) high = middle - 1;
      else if (position >= chunk.end) low = middle + 1;
      else return chunk;
    }
    return undefined;
  }

  /** A view that stays valid for as long as it is held. */
  view(position: number, size: number): Uint8Array | undefined {
    const chunk = this.find(position);
    if (!chunk) return undefined;
    const at = position - chunk.first;
    chunk.lent = true;
    return chunk.block.bytes.subarray(at, at + size);
  }

  /** A view for this turn only: its chunk may be written over afterwards. */
  peek(position: number, size: number): Uint8Array | undefined {
    const chunk = this.find(position);
    return chunk?.block.bytes.subarray(position - chunk.first, position - chunk.first + size);
  }

  /** Lets go of the oldest chunks over the limit, as far as they lie below `writtenEnd`. */
  trim(writtenEnd: number): void {
    let gone = 0;
    while (this.rowBytes > this.bytesMax && gone < this.row.length) {
      const chunk = this.row[gone] as Chunk;
      if (chunk.end > writtenEnd || gone === this.row.length - 1) break;
      this.rowBytes -= chunk.block.bytes.byteLength;
      const reusable = !chunk.lent && chunk.block.bytes.byteLength === this.chunkBytes;
      if (reusable && this.spares.length < sparesMax) this.spares.push(chunk.block);
      gone += 1;
    }
    if (gone > 0) this.row = this.row.slice(gone);
  }

  /** Forgets what stands at `end` and behind it; who holds views of it keeps them as they are. */
  cut(end: number): void {
    for (let last = this.row.at(-1); last && last.first >= end; last = this.row.at(-1)) {
      this.row.pop();
      this.rowBytes -= last.block.bytes.byteLength;
    }
    const last = this.row.at(-1);
    if (last && last.end > end) last.end = end;
    this.fresh = true;
  }

  private takeBlock(size: number): RecordBlock {
    const spare = size <= this.chunkBytes ? this.spares.pop() : undefined;
    return spare ?? new RecordBlock(Buffer.allocUnsafeSlow(Math.max(size, this.chunkBytes)));
  }
}
