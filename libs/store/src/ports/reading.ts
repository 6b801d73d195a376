import type { LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';

import type { IndexEntries } from '../index/index-entries.js';
import type { Bounds, Candidate, QueueSize, ReadMessage, StoredMessage } from '../store-types.js';
import type { StateView } from '../views/state-view.js';

/** What stands in the queues. */
export interface StoreReading {
  /** `bounds(…).first`, and no object for it. */
  firstOf(topicId: TopicId, queueId: QueueId): QueueOffset;
  /** `bounds(…).committed`, and no object for it. */
  committedOf(topicId: TopicId, queueId: QueueId): QueueOffset;
  /** A queue nothing was ever appended to has zeros. */
  bounds(topicId: TopicId, queueId: QueueId): Bounds;
  /** What a queue holds, and where its newest message stands. Undefined: nothing was ever appended to it. */
  queueSize(topicId: TopicId, queueId: QueueId): QueueSize | undefined;
  /** All messages below it are older than `timeMs`, to a second. */
  positionAtTime(timeMs: number): Promise<LogPosition>;
  /** The first visible offset stored at or after `timeMs`; the committed end when there is none. */
  offsetAtTime(topicId: TopicId, queueId: QueueId, timeMs: number): Promise<QueueOffset>;
  /**
   * Index entries of up to `max` visible messages from offset `from` on (from the first one kept, if that is higher:
   * look at `from` of the answer). May be fewer than there are; none at the queue's end only. At once when in memory.
   *
   * @throws MqError CORRUPT_RECORD (as a rejection) when an index has to be made again and its segment is damaged
   */
  scan(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | Promise<IndexEntries>;
  /** As `scan` where that is answered at once; undefined: it lies on disk, and nothing was begun. */
  scanInMemory(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | undefined;
  /**
   * The message that an index entry names. A reference is followed: the answer has the payload of its target.
   *
   * @throws MqError (as a rejection) CORRUPT_RECORD; NOT_FOUND when it is gone
   */
  read(position: LogPosition, size: number): Promise<StoredMessage>;
  /** Many messages, in the order they are named; in place of one that can't be read, why. At once when in memory. */
  readAll(wanted: readonly Candidate[]): readonly ReadMessage[] | Promise<readonly ReadMessage[]>;
  /**
   * How many bytes of the log each of them is. An entry that refers to a message is small: what it refers to counts. At once
   * when in memory.
   */
  sizesOf(wanted: readonly Candidate[]): readonly number[] | Promise<readonly number[]>;
  /** As `readAll`, of the first of them: as many as `bytesMax` bytes of `sizesOf` hold, and one at the least. */
  readSome(wanted: readonly Candidate[], bytesMax: number): readonly ReadMessage[] | Promise<readonly ReadMessage[]>;
  /**
   * As `readAll`, for places that were named by another process: that nothing stands there is no damage of this log.
   * In place of one that can't be read, why: NOT_FOUND, CORRUPT_RECORD.
   */
  lookUp(wanted: readonly Candidate[]): Promise<readonly ReadMessage[]>;
  /** What the record of a message says, or the one that a reference names. Undefined: it lies on disk only. */
  payloadInMemory(position: LogPosition, size: number): Uint8Array | undefined;
  /** Newest first. `idHash` as the envelope has it. */
  findById(topicId: TopicId, idHash: number, max: number): Promise<Candidate[]>;
  /** Those before a position, of segments that may hold messages stored between the two times. Newest first. */
  findByKey(
    topicId: TopicId,
    keyHash: number,
    fromMs: number,
    toMs: number,
    max: number,
    before?: number,
  ): Promise<Candidate[]>;
  /** References to the record at `target`; as all hashes do, this one may name others too. */
  findReferences(target: LogPosition, max: number): Promise<Candidate[]>;
  /** A cold piece of one of the views, as it was last taken from it. At once; a read of the disk's cache, or of the disk. */
  coldPiece(view: StateView, key: string): Uint8Array | undefined;
}
