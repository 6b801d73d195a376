/** What the store answers: a queue's bounds and entries, messages by their place, and those with an id, a key, a time. */
import { decodeReference, Envelope, KiB, RecordKind, referenceReason, type Reference } from '@cometmq/model';
import type { LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { Folding } from './folding.js';
import { entryWords, IndexEntries } from './index/index-entries.js';
import { saltedId, saltedKey, saltedTarget } from './index/key-hash.js';
import type { SegmentIndexes } from './index/segment-indexes.js';
import type { CommitLog } from './log/commit-log.js';
import type { LogRecord } from './log/record.js';
import { countWithin, messageSizes } from './message-sizes.js';
import type { Bounds, Candidate, QueueSize, ReadMessage, StoredMessage } from './store-types.js';

/** Told of what turns out to be lost. */
interface LostNotes {
  readonly lostPlace: LogPosition;
  foundHole(topicId: TopicId, queueId: QueueId, from: QueueOffset, count: number): void;
  foundRecord(position: LogPosition, size: number): void;
}

const noBounds = { first: 0, next: 0, committed: 0, everExpired: false } as unknown as Bounds;
/** A search by id or key never answers with more. */
const candidatesMax = 64 * KiB;

export class StoreReader {
  constructor(
    private readonly log: CommitLog,
    private readonly folding: Folding,
    private readonly indexes: SegmentIndexes,
    private readonly lost: LostNotes,
  ) {}

  firstOf(topicId: TopicId, queueId: QueueId): QueueOffset {
    const { directory } = this.folding;
    const queue = directory.find(topicId, queueId);
    return (queue < 0 ? 0 : directory.firstOf(queue)) as QueueOffset;
  }

  committedOf(topicId: TopicId, queueId: QueueId): QueueOffset {
    const { directory } = this.folding;
    const queue = directory.find(topicId, queueId);
    return (queue < 0 ? 0 : directory.committedOf(queue)) as QueueOffset;
  }

  bounds(topicId: TopicId, queueId: QueueId): Bounds {
    const { directory } = this.folding;
    const queue = directory.find(topicId, queueId);
    if (queue < 0) return noBounds;
    const first = directory.firstOf(queue) as QueueOffset;
    return {
      first,
      next: directory.nextOf(queue) as QueueOffset,
      committed: directory.committedOf(queue) as QueueOffset,
      everExpired: first > 0,
    };
  }

  queueSize(topicId: TopicId, queueId: QueueId): QueueSize | undefined {
    const { directory } = this.folding;
    const queue = directory.find(topicId, queueId);
    if (queue < 0) return undefined;
    return {
      messages: directory.nextOf(queue) - directory.firstOf(queue),
      bytes: directory.bytesOf(queue),
      last: directory.lastOf(queue),
    };
  }

  async positionAtTime(timeMs: number): Promise<LogPosition> {
    for (const segment of this.log.segments().toReversed()) {
      if (segment.firstTimestampMs >= timeMs) continue;
      return this.indexes.positionAtTime(segment.first, timeMs, this.folding.end);
    }
    return (this.log.segments()[0]?.first ?? 0) as LogPosition;
  }

  scan(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | Promise<IndexEntries> {
    const { lostPlace } = this.lost;
    const { start, count } = this.visible(topicId, queueId, from, max);
    const found = this.indexes.scan(topicId, queueId, start, count, this.log.commitEnd);
    if (count === 0 || (!(found instanceof Promise) && found.count > 0)) return found;
    return this.scanOrLost(topicId, queueId, start, count, found, lostPlace);
  }

  scanInMemory(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | undefined {
    const { start, count } = this.visible(topicId, queueId, from, max);
    const found = this.indexes.scanInMemory(topicId, queueId, start, count, this.log.commitEnd);
    return count > 0 && found?.count === 0 ? undefined : found;
  }

  private visible(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number) {
    const { directory } = this.folding;
    const queue = directory.find(topicId, queueId);
    const start = queue < 0 ? from : Math.max(from, directory.firstOf(queue));
    const count = queue < 0 ? 0 : Math.min(max, directory.committedOf(queue) - start);
    return { start: start as QueueOffset, count: Math.max(0, count) };
  }

  /** Where no index has what the directory says is there, entries of no size stand for what was lost. */
  private async scanOrLost(
    topicId: TopicId,
    queueId: QueueId,
    from: QueueOffset,
    max: number,
    under: IndexEntries | Promise<IndexEntries>,
    lostPlace: LogPosition,
  ): Promise<IndexEntries> {
    const found = await under;
    if (found.count > 0) return found;
    const next = await this.indexes.nextRun(topicId, queueId, from);
    // Meanwhile it may have expired, or its queue may be gone: then it is no more than that.
    const now = this.visible(topicId, queueId, from, max);
    if (now.count === 0 || now.start !== from || next === from) return found;
    if (lostPlace !== this.lost.lostPlace) return this.scan(topicId, queueId, from, max); // Something came back meanwhile.
    const count = Math.min(now.count, next === undefined ? now.count : next - from);
    this.lost.foundHole(topicId, queueId, from, count);
    return new IndexEntries(from, count, lostPlace, new Uint32Array(count * entryWords), 0);
  }

  async read(position: LogPosition, size: number): Promise<StoredMessage> {
    const [found] = await this.readAll([{ position, size }]);
    if (!found || found instanceof MqError) throw found ?? new MqError('NOT_FOUND', `no message at ${position}`);
    return found;
  }

  readAll(wanted: readonly Candidate[]): readonly ReadMessage[] | Promise<readonly ReadMessage[]> {
    const found: StoredMessage[] = [];
    for (const { position, size } of wanted) {
      const record = this.log.recordInMemory(position, size);
      const message = record && this.messageInMemory(record);
      if (!message) return this.readCold(wanted);
      found.push(message);
    }
    return found;
  }

  sizesOf(wanted: readonly Candidate[]): readonly number[] | Promise<readonly number[]> {
    return messageSizes(this.log, wanted);
  }

  /** As `readAll`, of the first of them: as many as `bytesMax` bytes of the log hold, what they refer to counted, and one. */
  readSome(wanted: readonly Candidate[], bytesMax: number): readonly ReadMessage[] | Promise<readonly ReadMessage[]> {
    const some = (sizes: readonly number[]) => this.readAll(wanted.slice(0, countWithin(sizes, bytesMax)));
    const sizes = this.sizesOf(wanted);
    return sizes instanceof Promise ? sizes.then(some) : some(sizes);
  }

  /** As `readAll`, at places that somebody else names: what is not there is no damage. */
  lookUp(wanted: readonly Candidate[]): Promise<readonly ReadMessage[]> {
    return this.followed(wanted, (places) => this.log.readAll(places));
  }

  payloadInMemory(position: LogPosition, size: number): Uint8Array | undefined {
    const record = this.log.recordInMemory(position, size);
    return record && this.messageInMemory(record)?.payload;
  }

  findById(topicId: TopicId, idHash: number, max: number): Promise<Candidate[]> {
    return this.findHash(saltedId(topicId, idHash), 0, Infinity, max);
  }

  findReferences(target: LogPosition, max: number): Promise<Candidate[]> {
    return this.findHash(saltedTarget(target), 0, Infinity, max);
  }

  findByKey(
    topicId: TopicId,
    keyHash: number,
    fromMs: number,
    toMs: number,
    max: number,
    before = Infinity,
  ): Promise<Candidate[]> {
    return this.findHash(saltedKey(topicId, keyHash), fromMs, toMs, max, before);
  }

  async offsetAtTime(topicId: TopicId, queueId: QueueId, timeMs: number): Promise<QueueOffset> {
    const { first, committed } = this.bounds(topicId, queueId);
    let low: number = first;
    let high: number = committed;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const entries = await this.scan(topicId, queueId, middle as QueueOffset, 1);
      // What expires meanwhile lies before the time asked for, or the search is over anyway.
      if (entries.count === 0 || entries.from !== middle) {
        low = Math.max(middle + 1, entries.from);
        continue;
      }
      const { timestampMs } = await this.log.read(entries.position(0), entries.size(0));
      if (timestampMs < timeMs) low = middle + 1;
      else high = middle;
    }
    return low as QueueOffset;
  }

  private messageInMemory(record: LogRecord): StoredMessage | undefined {
    if (record.kind !== RecordKind.reference) return asItLies(record);
    const reference = decodeReference(record.payload);
    const { target } = reference;
    const origin = this.log.recordInMemory(target.position, target.size);
    return origin && referred(record, origin.payload, reference);
  }

  private readCold(wanted: readonly Candidate[]): Promise<readonly ReadMessage[]> {
    return this.followed(wanted, (places) => this.readRecords(places));
  }

  /** References are followed. */
  private async followed(
    wanted: readonly Candidate[],
    read: (places: readonly Candidate[]) => Promise<readonly (LogRecord | MqError)[]>,
  ): Promise<readonly ReadMessage[]> {
    const records = await read(wanted);
    const targets: Candidate[] = [];
    for (const record of records) {
      if (record instanceof MqError || record.kind !== RecordKind.reference) continue;
      targets.push(decodeReference(record.payload).target);
    }
    const origins = targets.length > 0 ? await read(targets) : [];
    let next = 0;
    return records.map((record) => {
      if (record instanceof MqError) return record;
      if (record.kind !== RecordKind.reference) return asItLies(record);
      const reference = decodeReference(record.payload);
      const origin = origins[next++] ?? new MqError('NOT_FOUND', `no message at ${reference.target.position}`);
      return origin instanceof MqError ? origin : referred(record, origin.payload, reference);
    });
  }

  private async readRecords(wanted: readonly Candidate[]): Promise<readonly (LogRecord | MqError)[]> {
    const records = await this.log.readAll(wanted);
    for (const [i, { position, size }] of wanted.entries()) {
      const record = records[i];
      if (record instanceof MqError && record.code === 'CORRUPT_RECORD' && size > 0) {
        this.lost.foundRecord(position, size);
      }
    }
    return records;
  }

  private async findHash(
    hash: number,
    fromMs: number,
    toMs: number,
    max: number,
    before = Infinity,
  ): Promise<Candidate[]> {
    const times = new Map(this.log.segments().map((segment) => [segment.first, segment]));
    const found: Candidate[] = [];
    const limit = this.log.commitEnd;
    const wanted = (first: LogPosition): boolean => {
      if (first >= before) return false;
      const segment = times.get(first);
      if (!segment?.sealed) return true;
      return segment.firstTimestampMs <= toMs && segment.lastTimestampMs >= fromMs;
    };
    if (max <= 0) return found;
    await this.indexes.findKey(hash, wanted, (position, size) => {
      if (position < before && position + size <= limit) found.push({ position, size });
      return found.length < Math.min(max, candidatesMax);
    });
    return found;
  }
}

function referred(record: LogRecord, payload: Uint8Array, reference: Reference): StoredMessage {
  const { target, originTopicId, cause, attempts, reason, groupId } = reference;
  const letterOf = reason === referenceReason.deadLetter ? groupId : undefined;
  return { ...stored(record, payload, originTopicId, target), cause, attempts, letterOf };
}

/** A record with a body of its own. */
function asItLies(record: LogRecord): StoredMessage {
  const letter =
    record.kind === RecordKind.transferredLetter ? new Envelope(record.payload).transferMark?.letter : undefined;
  if (!letter) return stored(record, record.payload, record.topicId, record);
  const { groupId: letterOf, originTopicId, cause, attempts } = letter;
  return { ...stored(record, record.payload, originTopicId, record), cause, attempts, letterOf };
}

function stored(
  record: LogRecord,
  payload: Uint8Array,
  originTopicId: TopicId,
  { position, size }: Candidate,
): StoredMessage {
  return {
    kind: record.kind,
    position: record.position,
    size: record.size,
    epoch: record.epoch,
    timestampMs: record.timestampMs,
    commitKnown: record.commitKnown,
    payload,
    topicId: record.topicId,
    queueId: record.queueId,
    queueOffset: record.queueOffset,
    tagHash: record.tagHash,
    groupHash: record.groupHash,
    originTopicId,
    origin: { position, size },
  };
}
