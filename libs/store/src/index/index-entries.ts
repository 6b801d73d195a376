import type { LogPosition, QueueOffset } from '@cometmq/model';

/** One entry as numbers: position within its segment, record size, tag hash, message-group hash. */
export const entryWords = 4;

/**
 * Consecutive messages of one queue, as their index tells them: no object a message. All are of one segment, so a
 * run that crosses segments is read in more than one scan.
 */
export class IndexEntries {
  constructor(
    /** The offset of entry 0. */
    readonly from: QueueOffset,
    readonly count: number,
    private readonly segmentFirst: number,
    private readonly words: Uint32Array,
    private readonly at: number,
  ) {}

  /** One past the last entry's offset: where the next scan goes on. */
  get end(): QueueOffset {
    return (this.from + this.count) as QueueOffset;
  }
  position(i: number): LogPosition {
    return (this.segmentFirst + (this.words[this.at + i * entryWords] as number)) as LogPosition;
  }
  /** Bytes of the whole record; `read` wants it. */
  size(i: number): number {
    return this.words[this.at + i * entryWords + 1] as number;
  }
  tagHash(i: number): number {
    return this.words[this.at + i * entryWords + 2] as number;
  }
  /** The same entries and no more: what a page holds beside them can go. */
  copy(): IndexEntries {
    const words = this.words.slice(this.at, this.at + this.count * entryWords);
    return new IndexEntries(this.from, this.count, this.segmentFirst, words, 0);
  }
  groupHash(i: number): number {
    return this.words[this.at + i * entryWords + 3] as number;
  }
}

export const noWords = new Uint32Array(0);
