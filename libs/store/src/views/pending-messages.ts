/**
 * How many pending messages still live (were appended, and neither released by a reference, nor dropped, nor
 * handed over to another broker set), and how many
 * bytes of log they take: for the quota, for figures, and so that no segment goes while one lives in it.
 *
 * Counted by windows of the log, 16 MiB each, and topics: no entry a message, and the fold needs not know where segments
 * begin. Whose release comes twice is decided by the views of timers and transactions; here it is an assertion.
 *
 * Pieces: `w<window>` → | version u8 | window bytes u32 | (topic id u32, messages u32, bytes u64) × topics |, and
 * `t<topic id>` → | version u8 | for each topic that ever had one: after its deletion, releases of its messages are void.
 */
import {
  decodeTopicDeleted,
  eachDropped,
  eachPendingReleased,
  MiB,
  RecordKind,
  decodeReference,
  releasesPending,
  type StateChange,
} from '@cometmq/model';
import { assert, getU64, putU64, viewOf } from '@cometmq/shared';

import type { LogRecord } from '../log/record.js';
import type { StateView } from './state-view.js';

const version = 1;
const prefixBytes = 5;
const entryBytes = 16;

export const pendingWindowBytes = 16 * MiB;

interface Tally {
  messages: number;
  bytes: number;
}

const nothing: Readonly<Tally> = { messages: 0, bytes: 0 };

export class PendingMessages implements StateView {
  readonly name = 'pending';
  readonly kinds: ReadonlySet<RecordKind> = new Set([
    RecordKind.pending,
    RecordKind.transferredPending,
    RecordKind.transferPendingDone,
    RecordKind.reference,
    RecordKind.dropped,
    RecordKind.topicDeleted,
  ]);
  /** Over all topics. */
  messages = 0;
  bytes = 0;
  /** By number; only those in which something lives. */
  private readonly windows = new Map<number, Map<number, Tally>>();
  private readonly topics = new Map<number, Tally>();
  private readonly changedWindows = new Set<number>();
  private readonly changedTopics = new Set<number>();

  constructor(readonly windowBytes = pendingWindowBytes) {}

  topic(topicId: number): Readonly<Tally> {
    return this.topics.get(topicId) ?? nothing;
  }

  eachTopic(each: (topicId: number, messages: number, bytes: number) => void): void {
    for (const [topicId, { messages, bytes }] of this.topics) if (messages > 0) each(topicId, messages, bytes);
  }

  /** Whether a pending message may live between the two positions. Errs on the safe side, by less than a window. */
  livesIn(first: number, end: number): boolean {
    for (let number = this.windowOf(first); number <= this.windowOf(end - 1); number += 1) {
      if (this.windows.has(number)) return true;
    }
    return false;
  }

  livesInWindow(number: number): boolean {
    return this.windows.has(number);
  }

  /** What the pending messages between the two positions that live take; also those beside them, in the same windows. */
  bytesIn(first: number, end: number): number {
    let bytes = 0;
    for (let number = this.windowOf(first); number <= this.windowOf(end - 1); number += 1) {
      for (const tally of this.windows.get(number)?.values() ?? []) bytes += tally.bytes;
    }
    return bytes;
  }

  fold(record: LogRecord): void {
    switch (record.kind) {
      case RecordKind.pending:
      case RecordKind.transferredPending:
        this.grow(record.position, record.size, record.topicId);
        break;
      case RecordKind.reference: {
        const { target, reason, originTopicId } = decodeReference(record.payload);
        if (releasesPending(reason)) this.release(target.position, target.size, originTopicId);
        break;
      }
      case RecordKind.dropped:
        eachDropped(record.payload, (position, size, topicId) => this.release(position, size, topicId));
        break;
      case RecordKind.transferPendingDone:
        eachPendingReleased(record.payload, (position, size, topicId) => this.release(position, size, topicId));
        break;
      case RecordKind.topicDeleted:
        this.forget(decodeTopicDeleted(record.payload));
        break;
      default:
        assert(false, 'a view is shown only the kinds it lists');
    }
  }

  takeChanges(): StateChange[] {
    const changes: StateChange[] = [];
    for (const number of this.changedWindows) changes.push({ key: `w${number}`, value: this.encode(number) });
    for (const topicId of this.changedTopics) {
      changes.push({ key: `t${topicId}`, value: this.topics.has(topicId) ? Uint8Array.of(version) : undefined });
    }
    this.changedWindows.clear();
    this.changedTopics.clear();
    return changes;
  }

  load(key: string, value: Uint8Array): void {
    assert(value[0] === version, 'a piece of the pending messages is of a known version');
    const number = Number(key.slice(1));
    if (key.startsWith('t')) {
      if (!this.topics.has(number)) this.topics.set(number, { ...nothing });
      return;
    }
    const view = viewOf(value);
    assert(view.getUint32(1, true) === this.windowBytes, 'windows keep their size');
    for (let at = prefixBytes; at < value.length; at += entryBytes) {
      const tally = { messages: view.getUint32(at + 4, true), bytes: getU64(view, at + 8) };
      this.add(number, view.getUint32(at, true), tally);
    }
  }

  clear(): void {
    this.windows.clear();
    this.topics.clear();
    this.changedWindows.clear();
    this.changedTopics.clear();
    this.messages = 0;
    this.bytes = 0;
  }

  private windowOf(position: number): number {
    return Math.floor(position / this.windowBytes);
  }

  private grow(position: number, size: number, topicId: number): void {
    const number = this.windowOf(position);
    if (!this.topics.has(topicId)) this.changedTopics.add(topicId);
    this.add(number, topicId, { messages: 1, bytes: size });
    this.changedWindows.add(number);
  }

  private release(position: number, size: number, topicId: number): void {
    const topic = this.topics.get(topicId);
    if (!topic) return; // Deleted, and its pending messages with it.
    const number = this.windowOf(position);
    const window = this.windows.get(number);
    const tally = window?.get(topicId);
    assert(tally !== undefined && tally.bytes >= size, 'a pending message is released once');
    tally.messages -= 1;
    tally.bytes -= size;
    topic.messages -= 1;
    topic.bytes -= size;
    this.messages -= 1;
    this.bytes -= size;
    if (tally.messages === 0) window?.delete(topicId);
    if (window?.size === 0) this.windows.delete(number);
    this.changedWindows.add(number);
  }

  private forget(topicId: number): void {
    const topic = this.topics.get(topicId);
    if (!topic) return;
    this.messages -= topic.messages;
    this.bytes -= topic.bytes;
    this.topics.delete(topicId);
    this.changedTopics.add(topicId);
    for (const [number, window] of this.windows) {
      if (!window.delete(topicId)) continue;
      this.changedWindows.add(number);
      if (window.size === 0) this.windows.delete(number);
    }
  }

  private add(number: number, topicId: number, { messages, bytes }: Tally): void {
    let window = this.windows.get(number);
    if (!window) this.windows.set(number, (window = new Map<number, Tally>()));
    for (const tallies of [window, this.topics]) {
      const tally = tallies.get(topicId);
      if (!tally) tallies.set(topicId, { messages, bytes });
      else {
        tally.messages += messages;
        tally.bytes += bytes;
      }
    }
    this.messages += messages;
    this.bytes += bytes;
  }

  private encode(number: number): Uint8Array | undefined {
    const window = this.windows.get(number);
    if (!window) return undefined;
    const value = new Uint8Array(prefixBytes + window.size * entryBytes);
    const view = viewOf(value);
    value[0] = version;
    view.setUint32(1, this.windowBytes, true);
    let at = prefixBytes;
    for (const [topicId, { messages, bytes }] of window) {
      view.setUint32(at, topicId, true);
      view.setUint32(at + 4, messages, true);
      putU64(view, at + 8, bytes);
      at += entryBytes;
    }
    return value;
  }
}
