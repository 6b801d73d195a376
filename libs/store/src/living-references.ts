/** The references that still live, wherever their index is: what they refer to must stay. */
import type { LogPosition } from '@cometmq/model';

import type { SegmentIndexes } from './index/segment-indexes.js';
import type { Directory } from './views/directory.js';

export interface ReferenceGround {
  readonly directory: Directory;
  readonly indexes: SegmentIndexes;
  readonly commitEnd: LogPosition;
}

/** Calls `each` with the target of every living reference, in no order; those in memory all live: they are new. */
export async function eachLivingReference(
  { directory, indexes, commitEnd }: ReferenceGround,
  each: (target: number) => void,
): Promise<void> {
  const lives = (topicId: number, queueId: number, offset: number): boolean => {
    const queue = directory.find(topicId, queueId);
    return queue >= 0 && directory.firstOf(queue) <= offset;
  };
  // Before anything is waited for: what is in memory now may be sealed, and gone from here, in a moment.
  for (const { index } of indexes.inMemory(commitEnd)) index.eachReference((_entry, target) => each(target));
  for (const segment of indexes.sealedSegments) {
    const head = await indexes.head(segment);
    if (head.refCount === 0) continue;
    // Both are in the order of entries: one pass over the rows' runs finds each reference's queue and offset.
    const rows = Array.from({ length: head.queueCount }, (_, i) => head.row(i)).sort((a, b) => a.at - b.at);
    let i = 0;
    head.eachReference((entry, target) => {
      let row = rows[i];
      while (row && entry >= row.at + row.count) row = rows[++i];
      if (row && lives(row.topicId, row.queueId, row.first + entry - row.at)) each(target);
    });
  }
}
