/**
 * How many messages a topic has and how many bytes of log they take: what size retention, the console and metrics go
 * by. A piece a topic: | version u8 | messages u64 | bytes u64 |.
 */
import { decodeTopicDeleted, eachExpired, eachLiteQueueGone, RecordKind, type StateChange } from '@cometmq/model';
import { assert, getU64, putU64, viewOf } from '@cometmq/shared';

import type { LogRecord } from '../log/record.js';
import type { StateView } from './state-view.js';

const version = 1;

export class TopicSizes {
  messages = 0;
  bytes = 0;
  changed = false;
}

export class Sizes implements StateView {
  readonly name = 'sizes';
  readonly kinds: ReadonlySet<RecordKind> = new Set([
    RecordKind.message,
    ...[RecordKind.transferred, RecordKind.transferredLetter, RecordKind.returnedLetter],
    RecordKind.reference,
    RecordKind.expiry,
    RecordKind.topicDeleted,
    RecordKind.liteTopicsDeleted,
  ]);
  /** Over all topics. */
  messages = 0;
  bytes = 0;
  private readonly topics = new Map<number, TopicSizes>();
  private changed: number[] = [];
  private lastId = -1;
  private last = new TopicSizes();

  topic(topicId: number): Readonly<TopicSizes> | undefined {
    return this.topics.get(topicId);
  }

  /** The fold of a message or reference. */
  grow(topicId: number, size: number): void {
    const sizes = topicId === this.lastId ? this.last : this.find(topicId);
    sizes.messages += 1;
    sizes.bytes += size;
    this.messages += 1;
    this.bytes += size;
    if (!sizes.changed) this.touch(topicId, sizes);
  }

  fold(record: LogRecord): void {
    switch (record.kind) {
      case RecordKind.message:
      case RecordKind.transferred:
      case RecordKind.transferredLetter:
      case RecordKind.returnedLetter:
      case RecordKind.reference:
        this.grow(record.topicId, record.size);
        break;
      case RecordKind.expiry:
        eachExpired(record.payload, (topicId, _queueId, _first, messages, bytes) => {
          if (this.topics.has(topicId)) this.shrink(topicId, messages, bytes);
        });
        break;
      case RecordKind.liteTopicsDeleted:
        eachLiteQueueGone(record.payload, ({ topicId, messages, bytes }) => {
          if (this.topics.has(topicId)) this.shrink(topicId, messages, bytes);
        });
        break;
      case RecordKind.topicDeleted: {
        const topicId = decodeTopicDeleted(record.payload);
        const sizes = this.topics.get(topicId);
        if (!sizes) return;
        this.shrink(topicId, sizes.messages, sizes.bytes);
        this.topics.delete(topicId);
        this.lastId = -1;
        break;
      }
      default:
        assert(false, 'a view is shown only the kinds it lists');
    }
  }

  takeChanges(): StateChange[] {
    const changes = this.changed.map((topicId): StateChange => {
      const sizes = this.topics.get(topicId);
      if (!sizes) return { key: String(topicId), value: undefined };
      sizes.changed = false;
      const value = new Uint8Array(17);
      const view = viewOf(value);
      value[0] = version;
      putU64(view, 1, sizes.messages);
      putU64(view, 9, sizes.bytes);
      return { key: String(topicId), value };
    });
    this.changed = [];
    return changes;
  }

  load(key: string, value: Uint8Array): void {
    assert(value[0] === version, 'a piece of the sizes is of a known version');
    const sizes = new TopicSizes();
    const view = viewOf(value);
    sizes.messages = getU64(view, 1);
    sizes.bytes = getU64(view, 9);
    this.topics.set(Number(key), sizes);
    this.messages += sizes.messages;
    this.bytes += sizes.bytes;
  }

  clear(): void {
    this.topics.clear();
    this.changed = [];
    this.lastId = -1;
    this.messages = 0;
    this.bytes = 0;
  }

  private shrink(topicId: number, messages: number, bytes: number): void {
    const sizes = this.find(topicId);
    sizes.messages -= messages;
    sizes.bytes -= bytes;
    this.messages -= messages;
    this.bytes -= bytes;
    if (!sizes.changed) this.touch(topicId, sizes);
  }

  private find(topicId: number): TopicSizes {
    let sizes = this.topics.get(topicId);
    if (!sizes) this.topics.set(topicId, (sizes = new TopicSizes()));
    this.lastId = topicId;
    this.last = sizes;
    return sizes;
  }

  private touch(topicId: number, sizes: TopicSizes): void {
    sizes.changed = true;
    this.changed.push(topicId);
  }
}
