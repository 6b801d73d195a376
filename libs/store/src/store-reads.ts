/** The front door's half for those who read: what is stored, and where it is. What each call promises: `ports/`. */
import type { LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';

import type { IndexEntries } from './index/index-entries.js';
import type { LogRecord } from './log/record.js';
import type { StorePorts } from './ports/store-ports.js';
import type { StoreParts } from './store-parts.js';
import type { Bounds, Candidate, QueueSize, ReadMessage, StoredMessage } from './store-types.js';

export abstract class StoreReads {
  readonly damage: StoreParts['damage'];
  protected readonly log: StoreParts['log'];
  private readonly reader: StoreParts['reader'];

  constructor(protected readonly parts: StoreParts) {
    this.damage = parts.damage;
    this.log = parts.log;
    this.reader = parts.reader;
  }

  firstOf(topicId: TopicId, queueId: QueueId): QueueOffset {
    return this.reader.firstOf(topicId, queueId);
  }
  committedOf(topicId: TopicId, queueId: QueueId): QueueOffset {
    return this.reader.committedOf(topicId, queueId);
  }
  bounds(topicId: TopicId, queueId: QueueId): Bounds {
    return this.reader.bounds(topicId, queueId);
  }
  queueSize(topicId: TopicId, queueId: QueueId): QueueSize | undefined {
    return this.reader.queueSize(topicId, queueId);
  }
  positionAtTime(timeMs: number): Promise<LogPosition> {
    return this.reader.positionAtTime(timeMs);
  }
  scan(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | Promise<IndexEntries> {
    return this.reader.scan(topicId, queueId, from, max);
  }
  scanInMemory(topicId: TopicId, queueId: QueueId, from: QueueOffset, max: number): IndexEntries | undefined {
    return this.reader.scanInMemory(topicId, queueId, from, max);
  }
  read(position: LogPosition, size: number): Promise<StoredMessage> {
    return this.reader.read(position, size);
  }
  readAll(wanted: readonly Candidate[]): readonly ReadMessage[] | Promise<readonly ReadMessage[]> {
    return this.reader.readAll(wanted);
  }
  sizesOf(wanted: readonly Candidate[]): readonly number[] | Promise<readonly number[]> {
    return this.reader.sizesOf(wanted);
  }
  readSome(wanted: readonly Candidate[], bytesMax: number): readonly ReadMessage[] | Promise<readonly ReadMessage[]> {
    return this.reader.readSome(wanted, bytesMax);
  }
  lookUp(wanted: readonly Candidate[]): Promise<readonly ReadMessage[]> {
    return this.reader.lookUp(wanted);
  }
  payloadInMemory(position: LogPosition, size: number): Uint8Array | undefined {
    return this.reader.payloadInMemory(position, size);
  }
  findById(topicId: TopicId, idHash: number, max: number): Promise<Candidate[]> {
    return this.reader.findById(topicId, idHash, max);
  }
  findReferences(target: LogPosition, max: number): Promise<Candidate[]> {
    return this.reader.findReferences(target, max);
  }
  readonly records: StorePorts['records'] = (from, each, until, lost) =>
    this.log.scan(from, each, Math.min(until, this.log.commitEnd) as LogPosition, (first, end) => {
      this.damage.foundLost([{ from: first, to: end }]);
      lost(first, end);
    });
  readRecords(places: readonly Candidate[]): Promise<readonly (LogRecord | MqError)[]> {
    return this.log.readAll(places);
  }
  readonly noteKinds: StorePorts['noteKinds'] = (kinds) => this.parts.folding.noteKinds(kinds);
  get firstPosition(): LogPosition {
    return this.log.first;
  }
  findByKey(...asked: Parameters<StoreParts['reader']['findByKey']>): Promise<Candidate[]> {
    return this.reader.findByKey(...asked);
  }
  offsetAtTime(topicId: TopicId, queueId: QueueId, timeMs: number): Promise<QueueOffset> {
    return this.reader.offsetAtTime(topicId, queueId, timeMs);
  }
}
