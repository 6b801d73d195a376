/** The references that still live, wherever their index is: what they refer to must stay. */
import type { LogPosition } from '@cometmq/model';

import { eachReferenceOf } from './index/sealed-head.js';
import type { SealedHead } from './index/sealed-head.js';
import type { SealedSegment, SegmentIndexes } from './index/segment-indexes.js';
import type { QueueDirectory } from './views/queue-directory.js';

export interface ReferenceGround {
  readonly directory: QueueDirectory;
  readonly indexes: SegmentIndexes;
  readonly commitEnd: LogPosition;
}

/** Calls `each` with the target of every living reference, in no order; those in memory all live: they are new. */
export async function eachLivingReference(
  { directory, indexes, commitEnd }: ReferenceGround,
  each: (target: number) => void,
): Promise<void> {
  // Before anything is waited for: what is in memory now may be sealed, and gone from here, in a moment.
  for (const { index } of indexes.inMemory(commitEnd)) index.eachReference((_entry, target) => each(target));
  for (const segment of indexes.sealedSegments) {
    const head = await indexes.head(segment);
    if (head.refCount === 0) continue;
    const references = referencesOf(indexes, segment, head);
    let reference = await references.next();
    // Both are in the order of entries: one pass over the rows finds each reference's queue and offset.
    for await (const { topicId, queueId, first, count, at } of indexes.rows(segment)) {
      for (; !reference.done && reference.value.entry < at + count; reference = await references.next()) {
        const offset = first + reference.value.entry - at;
        if (!directory.isOver(topicId, queueId, offset)) each(reference.value.target);
      }
      if (reference.done) break;
    }
  }
}

async function* referencesOf(
  indexes: SegmentIndexes,
  segment: SealedSegment,
  head: SealedHead,
): AsyncGenerator<{ entry: number; target: number }> {
  for (let i = 0; i < head.refPages; i += 1) {
    const found: { entry: number; target: number }[] = [];
    const page = await indexes.page(segment, head.firstRefPage + i, false);
    eachReferenceOf(page, (entry, target) => found.push({ entry, target }));
    yield* found;
  }
}
