/** The records that another member gave for a range of a log, one by one, each looked at before it is taken. */
import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { PieceReader } from '../piece-reader.js';
import { recordBytesCeiling } from './log-limits.js';
import { headerBytes, RecordBlock, recordVersion } from './record.js';

export interface ReceivedRules {
  /** What checksums begin from. */
  readonly salt: number;
  /** Records may be missing. */
  readonly mayLack: boolean;
  /** Of the record before the range. */
  readonly epochMin?: number;
}

export class ReceivedRecords {
  /** Of the last one. */
  epoch: number;
  private position: number;

  constructor(
    private readonly range: { readonly first: LogPosition; readonly end: LogPosition },
    private readonly from: PieceReader,
    private readonly rules: ReceivedRules,
  ) {
    this.position = range.first;
    this.epoch = rules.epochMin ?? 0;
  }

  /** Undefined: that was all. @throws MqError CORRUPT_RECORD where these are not the records of the range, each at its place */
  async next(): Promise<RecordBlock | undefined> {
    const { range, rules, from } = this;
    if (!(await from.hasMore())) {
      if (this.position < range.end && !rules.mayLack) throw this.wrong(this.position);
      return undefined;
    }
    const head = await from.exactly(headerBytes);
    const headBlock = new RecordBlock(head);
    const fits = headBlock.looksLikeHeader(0, recordBytesCeiling) && headBlock.versionAt(0) === recordVersion;
    if (!fits) throw this.wrong(this.position);
    const stands = headBlock.positionAt(0);
    const size = headBlock.sizeAt(0);
    const isNext = rules.mayLack ? stands >= this.position : stands === this.position;
    if (!isNext || stands + size > range.end || headBlock.epochAt(0) < this.epoch) throw this.wrong(this.position);
    const block = new RecordBlock(Buffer.concat([head, await from.exactly(size - headerBytes)]));
    if (!block.isWhole(0, rules.salt)) throw this.wrong(stands);
    this.epoch = block.epochAt(0);
    this.position = stands + size;
    return block;
  }

  private wrong(position: number): MqError {
    return new MqError(
      'CORRUPT_RECORD',
      `what was received for the log from position ${this.range.first} on has no whole record of it at position ${position}`,
    );
  }
}
