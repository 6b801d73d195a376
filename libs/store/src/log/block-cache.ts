/**
 * Blocks of segment files, kept for readers: neighbours in the log are wanted soon after one another, whichever queue
 * they belong to, so one read of the disk serves many messages.
 *
 *   file:  | block 0 | block 1 | …           a record may lie across two blocks; then it is copied together
 *
 * A block is read only when a second record of it is wanted while it is remembered: a queue whose messages lie far apart
 * costs no more than its messages. Blocks in memory are bounded by bytes, remembered ones by number; the longest unused
 * goes. A block is never written over, so a view of it stays valid for as long as it is held.
 */
import type { DiskFile } from '../disk/disk.js';
import { readAround } from '../disk/read-around.js';
import { Slots } from '../disk/slots.js';
import { RecordBlock } from './record.js';
import type { Segment } from './segment.js';

interface Block {
  readonly segment: Segment;
  readonly index: number;
  wishes: number;
  records: RecordBlock | undefined;
  /** Bytes of the file that are in it. The active segment's grow. */
  filled: number;
  loading: Promise<void> | undefined;
}

const rememberedMax = 2_048;
/** Blocks read at a time: what is on its way is beside what is kept. */
const readsMax = 8;

export class BlockCache {
  private readonly segments = new Map<Segment, Map<number, Block>>();
  /** Blocks in memory, the longest unused first. */
  private readonly loaded = new Set<Block>();
  /** Others that were asked for. */
  private readonly remembered = new Set<Block>();
  private readonly reads = new Slots(readsMax);

  constructor(
    private readonly bytesMax: number,
    readonly blockBytes: number,
  ) {}

  /** Bytes held in memory. */
  get bytes(): number {
    return this.loaded.size * this.blockBytes;
  }

  /** Larger records are read by themselves. */
  get recordBytesMax(): number {
    return Math.min(this.blockBytes, this.bytesMax) / 4;
  }

  /** Notes that the record at `place` of the file is wanted. */
  wish(segment: Segment, place: number, size: number): void {
    if (size <= this.recordBytesMax) this.block(segment, Math.floor(place / this.blockBytes)).wishes += 1;
  }

  /** Whether reading the whole block that the record begins in pays. */
  pays(segment: Segment, place: number, size: number): boolean {
    if (size > this.recordBytesMax) return false;
    return (this.segments.get(segment)?.get(Math.floor(place / this.blockBytes))?.wishes ?? 0) > 1;
  }

  /** Calls `use` with where the record's bytes are, if all of them are in memory. */
  find<T>(segment: Segment, place: number, size: number, use: (records: RecordBlock, at: number) => T): T | undefined {
    const blocks = this.segments.get(segment);
    if (!blocks) return undefined;
    const index = Math.floor(place / this.blockBytes);
    const at = place - index * this.blockBytes;
    const head = this.filledOf(blocks.get(index), Math.min(at + size, this.blockBytes));
    if (!head) return undefined;
    if (at + size <= this.blockBytes) return use(head, at);
    const tailBytes = at + size - this.blockBytes;
    const tail = this.filledOf(blocks.get(index + 1), tailBytes);
    if (!tail) return undefined;
    const joined = Buffer.concat([head.bytes.subarray(at), tail.bytes.subarray(0, tailBytes)], size);
    return use(new RecordBlock(joined), 0);
  }

  /** Reads the blocks that the record lies in. `fileEnd`: where the file's records end, as far as they are durable. */
  load(segment: Segment, file: DiskFile, place: number, size: number, fileEnd: number): Promise<unknown> {
    const first = Math.floor(place / this.blockBytes);
    const last = Math.floor((place + size - 1) / this.blockBytes);
    const head = this.loadBlock(this.block(segment, first), file, fileEnd);
    return last === first ? head : Promise.all([head, this.loadBlock(this.block(segment, last), file, fileEnd)]);
  }

  /** The segment is gone: nothing of it is kept, but for what is being read now, which goes with time. */
  forget(segment: Segment): void {
    for (const block of this.segments.get(segment)?.values() ?? []) {
      this.loaded.delete(block);
      this.remembered.delete(block);
    }
    this.segments.delete(segment);
  }

  private filledOf(block: Block | undefined, bytes: number): RecordBlock | undefined {
    if (!block?.records || block.filled < bytes) return undefined;
    this.loaded.delete(block);
    this.loaded.add(block);
    return block.records;
  }

  private loadBlock(block: Block, file: DiskFile, fileEnd: number): Promise<void> {
    const from = block.index * this.blockBytes;
    const wanted = Math.min(this.blockBytes, fileEnd - from);
    if (block.records && block.filled >= wanted) return Promise.resolve();
    block.loading ??= this.reads
      .use(() => this.readBlock(block, file, from, wanted))
      .finally(() => (block.loading = undefined));
    return block.loading;
  }

  private async readBlock(block: Block, file: DiskFile, from: number, wanted: number): Promise<void> {
    const records = new RecordBlock(Buffer.allocUnsafeSlow(wanted));
    block.filled = await readAround(file, records.bytes, from);
    block.records = records;
    this.remembered.delete(block);
    this.loaded.delete(block);
    this.loaded.add(block);
    if (this.segments.get(block.segment)?.get(block.index) !== block) this.put(block);
    while (this.bytes > this.bytesMax && this.loaded.size > 2) this.dropFirst(this.loaded);
  }

  private block(segment: Segment, index: number): Block {
    const known = this.segments.get(segment)?.get(index);
    if (known) return known;
    const block = { segment, index, wishes: 0, records: undefined, filled: 0, loading: undefined };
    this.put(block);
    this.remembered.add(block);
    if (this.remembered.size > rememberedMax) this.dropFirst(this.remembered);
    return block;
  }

  private put(block: Block): void {
    const blocks = this.segments.get(block.segment);
    if (blocks) blocks.set(block.index, block);
    else this.segments.set(block.segment, new Map([[block.index, block]]));
  }

  private dropFirst(from: Set<Block>): void {
    for (const block of from) {
      from.delete(block);
      const blocks = this.segments.get(block.segment);
      if (blocks?.get(block.index) === block) blocks.delete(block.index);
      if (blocks?.size === 0) this.segments.delete(block.segment);
      return;
    }
  }
}
