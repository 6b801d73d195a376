/** How large messages are: an entry of a queue may be small, and what it refers to large. */
import { decodeReference, RecordKind, referencePayloadBytes } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { CommitLog } from './log/commit-log.js';
import { headerBytesOf, type LogRecord } from './log/record.js';
import type { Candidate } from './store-types.js';

/** What is larger is no reference. */
const referenceBytes = headerBytesOf(RecordKind.reference) + referencePayloadBytes;

/** How many bytes of the log each is, of a reference what it refers to. At once when references are in memory. */
export function messageSizes(
  log: Pick<CommitLog, 'readAll' | 'recordInMemory'>,
  wanted: readonly Candidate[],
): readonly number[] | Promise<readonly number[]> {
  const sizes: number[] = [];
  const later: number[] = [];
  for (const { position, size } of wanted) {
    const record = size > referenceBytes ? undefined : log.recordInMemory(position, size);
    if (!record && size <= referenceBytes && size > 0) later.push(sizes.length);
    sizes.push(record ? bytesOf(record) : size);
  }
  if (later.length === 0) return sizes;
  return log.readAll(later.map((i) => wanted[i] as Candidate)).then((records) => {
    for (const [n, record] of records.entries()) {
      // Why one can't be read is told to who reads it.
      if (!(record instanceof MqError)) sizes[later[n] as number] = bytesOf(record);
    }
    return sizes;
  });
}

/** How many of them, from the first on, are no more than so many bytes together; one at the least. */
export function countWithin(sizes: readonly number[], bytesMax: number): number {
  let count = 0;
  for (let bytes = 0; count < sizes.length; count += 1) {
    bytes += sizes[count] as number;
    if (count > 0 && bytes > bytesMax) break;
  }
  return count;
}

function bytesOf({ kind, size, payload }: LogRecord): number {
  return kind === RecordKind.reference ? decodeReference(payload).target.size : size;
}
