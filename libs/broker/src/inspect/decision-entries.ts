/**
 * What a record of the log decides, as entries an index can hold: whose offsets it names, and where it stands.
 *
 *   | topic u32 | queue u32 | first low u32, high u32 | span u32 | place u32 | size u32 |      28 bytes an entry
 *
 * `first` and `span` bound the offsets that are named; the record itself says which of them. `place` counts from the
 * piece's beginning. What is about no queue has a topic number that no topic has: `Subject`.
 */
import {
  decodeClientLeases,
  decodeDelivery,
  decodeFifoDelivery,
  decodeGroupDeleted,
  decodeLeased,
  decodeReset,
  type OffsetRuns,
} from '@cometmq/consumption';
import {
  decodeDeadLettersReplayed,
  decodeGroupMoved,
  decodeLagSampled,
  decodePendingTransfer,
  decodeTransfer,
  eachDropped,
  eachExpired,
  Envelope,
  hashText,
  RecordKind,
  type LogPosition,
} from '@cometmq/model';
import type { LogRecord } from '@cometmq/store';
import { decodeMoves } from '@cometmq/timers';
import { decodeAudit, decodeChecked, decodeParked } from '@cometmq/transactions';

import { DecisionBounds } from './decision-bounds.js';

export const Subject = {
  /** Leases of a client: the queue is the group's number, the offset the hash of the client's id. */
  client: 0xffff_ffff,
  /** A message that no queue shows: the offset is its position. */
  pending: 0xffff_fffe,
  /** A group as a whole: the queue is its number. */
  group: 0xffff_fffd,
  /** How operators moved a group: the queue is its number. */
  moves: 0xffff_fffc,
  /** How much groups had to do: the offset is the group's number. */
  lag: 0xffff_fffb,
} as const;

export const entryWords = 7;
const two32 = 2 ** 32;
const everything = Number.MAX_SAFE_INTEGER;

/** Kinds of records that decide something on a message, or are told with those that do. */
export const decisiveKinds: ReadonlySet<RecordKind> = new Set<RecordKind>([
  ...[RecordKind.expiry, RecordKind.dropped, RecordKind.delivery, RecordKind.fifoDelivery, RecordKind.ack],
  ...[RecordKind.changeInvisible, RecordKind.changeClientLeases, RecordKind.handBack, RecordKind.resetProgress],
  ...[RecordKind.groupDeleted, RecordKind.timerMoved, RecordKind.transactionChecked, RecordKind.transactionParked],
  ...[RecordKind.transactionAudited, RecordKind.groupMoved, RecordKind.lagSampled],
  RecordKind.deadLettersReplayed,
  ...[RecordKind.transfer, RecordKind.transferPending, RecordKind.returnedLetter],
]);

/** Entries of one stretch of the log, in its order. */
export class DecisionEntries {
  words: Uint32Array;
  count = 0;

  constructor(
    readonly from: LogPosition,
    words: Uint32Array = new Uint32Array(0),
    readonly bounds = new DecisionBounds(),
  ) {
    this.words = words;
    this.count = words.length / entryWords;
  }

  /** Notes what the record decides; what decides nothing is passed by. */
  note(record: LogRecord): void {
    if (!decisiveKinds.has(record.kind)) return;
    const { payload, position, size } = record;
    const add = (topic: number, queue: number, first: number, last: number): void =>
      this.add(topic, queue, first, last, position - this.from, size);
    switch (record.kind) {
      case RecordKind.delivery:
        for (const { topicId, queueId, handed, passed, parked } of decodeDelivery(payload).queues) {
          addBounds([handed, passed, parked], (first, last) => add(topicId, queueId, first, last));
        }
        return;
      case RecordKind.fifoDelivery:
        for (const { topicId, queueId, passed, lanes } of decodeFifoDelivery(payload).queues) {
          const runs = [passed, ...lanes.flatMap(({ handed, kept }) => [handed, kept])];
          addBounds(runs, (first, last) => add(topicId, queueId, first, last));
        }
        return;
      case RecordKind.ack:
      case RecordKind.changeInvisible:
      case RecordKind.handBack:
        for (const { topicId, queueId, offsets } of decodeLeased(payload)) {
          addBounds([offsets], (first, last) => add(topicId, queueId, first, last));
        }
        return;
      case RecordKind.changeClientLeases: {
        const { groupId, clientId } = decodeClientLeases(payload);
        const hash = hashText(clientId);
        return add(Subject.client, groupId, hash, hash);
      }
      case RecordKind.resetProgress: {
        const { topicId, queueId } = decodeReset(payload);
        return add(topicId, queueId, 0, everything);
      }
      case RecordKind.groupDeleted:
        return add(Subject.group, decodeGroupDeleted(payload), 0, 0);
      case RecordKind.expiry:
        return eachExpired(payload, (topicId, queueId, first) => add(topicId, queueId, 0, first - 1));
      case RecordKind.dropped:
        return eachDropped(payload, (pending) => add(Subject.pending, 0, pending, pending));
      case RecordKind.timerMoved:
        for (const { timer } of decodeMoves(payload)) add(Subject.pending, 0, timer.position, timer.position);
        return;
      case RecordKind.transactionChecked:
        for (const { position: pending } of decodeChecked(payload)) add(Subject.pending, 0, pending, pending);
        return;
      case RecordKind.transactionParked:
        for (const pending of decodeParked(payload)) add(Subject.pending, 0, pending, pending);
        return;
      case RecordKind.transferPending:
        for (const { position: pending } of decodePendingTransfer(payload).messages)
          add(Subject.pending, 0, pending, pending);
        return;
      case RecordKind.transactionAudited: {
        const { position: pending } = decodeAudit(payload);
        return add(Subject.pending, 0, pending, pending);
      }
      case RecordKind.deadLettersReplayed: {
        const { letterTopicId, letters } = decodeDeadLettersReplayed(payload);
        for (const { letterOffset, topicId, queueId, offset, sent } of letters) {
          add(letterTopicId, 0, letterOffset, letterOffset);
          add(topicId, queueId, offset, offset);
          if (sent) add(topicId, sent.queueId, sent.offset, sent.offset);
        }
        return;
      }
      case RecordKind.returnedLetter: {
        const returned = new Envelope(payload).transferMark?.returned;
        if (returned) add(returned.letterTopicId, 0, returned.letterOffset, returned.letterOffset);
        return;
      }
      case RecordKind.transfer:
        for (const { topicId, queueId, messages } of decodeTransfer(payload).queues) {
          const [first, last] = [messages[0], messages.at(-1)];
          if (first && last) add(topicId, queueId, first.offset, last.offset);
        }
        return;
      case RecordKind.groupMoved:
        return add(Subject.moves, decodeGroupMoved(payload).groupId, 0, 0);
      case RecordKind.lagSampled: {
        const samples = decodeLagSampled(payload);
        const [first, last] = [samples[0], samples.at(-1)];
        if (first && last) add(Subject.lag, 0, first.groupId, last.groupId);
        return;
      }
      default:
    }
  }

  /** Calls `each` with the records that may name one of the offsets, in the order of the log, from position `after` on. */
  find(
    topic: number,
    queue: number,
    offset: number,
    last: number,
    after: number,
    each: (position: LogPosition, size: number) => void,
  ): void {
    if (!this.bounds.mayHold(topic, queue, offset, last)) return;
    const { words, from } = this;
    for (let at = 0, end = this.count * entryWords; at < end; at += entryWords) {
      if (words[at] !== topic || words[at + 1] !== queue) continue;
      const first = (words[at + 2] as number) + (words[at + 3] as number) * two32;
      const span = words[at + 4] as number;
      if (last < first || (span !== two32 - 1 && offset > first + span)) continue;
      const position = (from + (words[at + 5] as number)) as LogPosition;
      if (position >= after) each(position, words[at + 6] as number);
    }
  }

  /** Those from entry `begin` on, of the stretch that begins at `from`. */
  since(begin: number, from: LogPosition): DecisionEntries {
    const some = new DecisionEntries(from);
    this.copyTo(some, begin);
    return some;
  }

  /** Takes over what follows in the log. */
  append(others: DecisionEntries): void {
    others.copyTo(this, 0);
  }

  private copyTo(others: DecisionEntries, begin: number): void {
    const { words } = this;
    for (let at = begin * entryWords, end = this.count * entryWords; at < end; at += entryWords) {
      const first = (words[at + 2] as number) + (words[at + 3] as number) * two32;
      const span = words[at + 4] as number;
      const last = span === two32 - 1 ? everything : first + span;
      const place = this.from + (words[at + 5] as number) - others.from;
      others.add(words[at] as number, words[at + 1] as number, first, last, place, words[at + 6] as number);
    }
  }

  private add(topic: number, queue: number, first: number, last: number, place: number, size: number): void {
    this.bounds.note(topic, queue, first, last);
    let at = this.count * entryWords;
    if (at + entryWords > this.words.length) {
      const grown = new Uint32Array(Math.max(512 * entryWords, this.words.length * 2));
      grown.set(this.words);
      this.words = grown;
    }
    const { words } = this;
    words[at++] = topic;
    words[at++] = queue;
    words[at++] = first % two32;
    words[at++] = Math.floor(first / two32);
    words[at++] = Math.min(two32 - 1, last - first);
    words[at++] = place;
    words[at] = size;
    this.count += 1;
  }
}

/** The lowest and highest offset of all runs; nothing where they are empty. */
function addBounds(all: readonly OffsetRuns[], add: (first: number, last: number) => void): void {
  let first = Infinity;
  let last = -1;
  for (const { starts, counts } of all) {
    for (let i = 0; i < starts.length; i += 1) {
      const start = starts[i] as number;
      if (start < first) first = start;
      if (start + (counts[i] as number) - 1 > last) last = start + (counts[i] as number) - 1;
    }
  }
  if (last >= 0) add(first, last);
}
