/** Records as another member sent them: looked at one by one before any of them is taken. */
import { epoch as toEpoch } from '@cometmq/model';
import type { Epoch } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { recordBytesCeiling } from './log-limits.js';
import { headerBytes, recordVersion } from './record.js';
import type { RecordBlock } from './record.js';

export interface ReceivedRules {
  /** Where the first of them stands. */
  readonly from: number;
  /** No record has a lower epoch than the one before it. */
  readonly epochMin: number;
  /** What checksums begin from; undefined: they have been checked. */
  readonly salt: number | undefined;
  /** Told of a record whose checksum is wrong. */
  readonly damaged?: () => void;
}

/** @throws MqError CORRUPT_RECORD where the bytes are not whole records that follow one another from `from` on */
export function eachReceived(
  block: RecordBlock,
  { from, epochMin, salt, damaged }: ReceivedRules,
  each: (at: number, size: number, epoch: Epoch) => void,
): void {
  const bytes = block.bytes.byteLength;
  let epoch = epochMin;
  for (let at = 0; at < bytes;) {
    const fits = at + headerBytes <= bytes && block.hasHeader(at, from + at, recordBytesCeiling);
    const size = fits ? block.sizeAt(at) : 0;
    if (!fits || at + size > bytes || block.versionAt(at) !== recordVersion || block.epochAt(at) < epoch) {
      throw wrong(from + at);
    }
    if (salt !== undefined && !block.isWhole(at, salt)) {
      damaged?.();
      throw wrong(from + at);
    }
    epoch = block.epochAt(at);
    each(at, size, toEpoch(epoch));
    at += size;
  }
}

function wrong(position: number): MqError {
  return new MqError('CORRUPT_RECORD', `what was received is no record of this log at position ${position}`);
}
