/**
 * Finding messages of a topic. By id and key the index knows; everything else is looked for in the topic's queues, newest
 * first over all of them, a bounded part at a time: the answer says where the next part goes on. A tag is told by the
 * index, so only what carries it is read.
 */
import type { FoundMessage, MessageFindings, MessageQuery } from '@cometmq/client';
import { hashText, KiB, MiB, type LogPosition, type QueueId, type QueueOffset } from '@cometmq/model';
import type { Message } from '@cometmq/proto';
import { MqError, type Clock, type Pace, type Pacing } from '@cometmq/shared';
import { findMessages, type Candidate, type IndexEntries, type StorePorts, type StoredMessage } from '@cometmq/store';

import { decoded, foundMessage, plainBody } from './message-parts.js';

type Store = Pick<
  StorePorts,
  | 'bounds'
  | 'findById'
  | 'findByKey'
  | 'findReferences'
  | 'positionAtTime'
  | 'queueIds'
  | 'readAll'
  | 'readSome'
  | 'scan'
>;

/** What one part may cost: messages looked at by the index, bytes read, and time. */
const lookedMax = 200_000;
const readBytesMax = 16 * MiB;
const partMsMax = 400;
/** Read at once, which is one step. */
const sliceMessages = 32;
const sliceBytes = 32 * KiB;
/** Index entries looked at between two looks at the clock. */
const sliceEntries = 32;
/** Messages with the same hash of their id. */
const sameIdMax = 64;
/** Index entries asked for at once. */
const entriesMax = 128;
/** Messages with the same key that one part knows of. */
const sameKeyMaxUsual = 8_192;
/** Times are told by the index to a second. */
const timeSlackMs = 1_000;

/** A queue on its way back from the newest message that is wanted. */
interface BackwardQueue {
  readonly queueId: QueueId;
  readonly first: number;
  /** The one below is the next to be looked at. */
  below: number;
  entries: IndexEntries | undefined;
}

type Newest = (Candidate & { readonly tagHash: number }) | undefined;

export class MessageSearch {
  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly pacing: Pacing,
    private readonly sameKeyMax = sameKeyMaxUsual,
  ) {}

  async find(query: MessageQuery): Promise<MessageFindings> {
    if (query.messageId !== '') return this.byId(query);
    return query.key === '' ? this.byScan(query) : this.byKey(query);
  }

  private async byId(query: MessageQuery): Promise<MessageFindings> {
    const found = await findMessages(this.store, query.topicId, query.messageId, sameIdMax);
    const messages: FoundMessage[] = [];
    for (const stored of found) {
      const message = decoded(stored);
      if (await wanted(query, stored, message)) messages.push(foundMessage(stored, message));
    }
    return { messages, next: 0, looked: found.length, left: 0 };
  }

  private async byKey(query: MessageQuery): Promise<MessageFindings> {
    const { topicId, key, before } = query;
    const { fromMs, toMs } = timesOf(query);
    const max = this.sameKeyMax;
    const wantedOnes = await this.store.findByKey(topicId, hashText(key), fromMs, toMs, max, before || Infinity);
    const part = new Part(query, this.clock, this.pacing.begin());
    let at = 0;
    while (at < wantedOnes.length && !part.isFull && !part.isSpent(at)) {
      const slice = wantedOnes.slice(at, at + sliceMessages);
      at += await part.judge(this.store, slice);
    }
    const last = wantedOnes[at - 1];
    // Of many with this key only the newest were asked for.
    const left = wantedOnes.length - at + (wantedOnes.length === max ? 1 : 0);
    return { messages: part.messages, next: left > 0 && last ? last.position : 0, looked: at, left };
  }

  private async byScan(query: MessageQuery): Promise<MessageFindings> {
    const { topicId, before, tag } = query;
    const { fromMs, toMs } = timesOf(query);
    const lowest = fromMs === 0 ? 0 : await this.store.positionAtTime(fromMs);
    const upper = toMs === Infinity ? Infinity : await this.store.positionAtTime(toMs + timeSlackMs);
    const highest = before === 0 ? upper : Math.min(upper, before);
    const pace = this.pacing.begin();
    const queues: BackwardQueue[] = [];
    for (const queueId of this.store.queueIds(topicId)) {
      const { first, committed } = this.store.bounds(topicId, queueId);
      const below = await this.offsetAt(pace, query, queueId, first, committed, highest);
      const from = lowest === 0 ? first : await this.offsetAt(pace, query, queueId, first, below, lowest);
      if (below > from) queues.push({ queueId, first: from, below, entries: undefined });
    }
    const total = queues.reduce((sum, { first, below }) => sum + below - first, 0);
    const part = new Part(query, this.clock, pace);
    const tagHash = tag === '' ? undefined : hashText(tag);
    let next = 0;
    let looked = 0;
    let slice: Candidate[] = [];
    let ended = false;
    while (!ended && !part.isFull) {
      if (looked % sliceEntries === 0 && pace.isOver) await pace.rest();
      const taking = part.isSpent(looked) ? undefined : this.newest(pace, query, queues);
      const newest = taking instanceof Promise ? await taking : taking;
      ended = newest === undefined;
      if (newest) {
        looked += 1;
        next = newest.position;
        if (tagHash === undefined || newest.tagHash === tagHash) slice.push(newest);
      }
      if (slice.length < sliceMessages && !ended && looked % 4_096 !== 0) continue;
      const judged = await part.judge(this.store, slice);
      // A full page ends at the last message that was judged: the next one goes on behind it.
      if (judged < slice.length) next = slice[judged - 1]?.position ?? next;
      slice = [];
    }
    const left = await this.left(pace, query, queues, next);
    return { messages: part.messages, next: left === 0 ? 0 : next, looked: total - left, left };
  }

  /** Messages below the position that are still to be looked at. */
  private async left(
    pace: Pace,
    query: MessageQuery,
    queues: readonly BackwardQueue[],
    position: number,
  ): Promise<number> {
    let messages = 0;
    for (const { queueId, first } of queues) {
      const { committed } = this.store.bounds(query.topicId, queueId);
      messages += (await this.offsetAt(pace, query, queueId, first, committed, position)) - first;
    }
    return messages;
  }

  /** Takes the newest of what the queues have next. No promise is made while their next entries are in memory. */
  private newest(pace: Pace, query: MessageQuery, queues: readonly BackwardQueue[]): Newest | Promise<Newest> {
    let best: BackwardQueue | undefined;
    let bestPosition = -1;
    for (const queue of queues) {
      const position = nextOf(queue);
      if (position === undefined) return this.newestLater(pace, query, queues, queue);
      if (position > bestPosition) {
        best = queue;
        bestPosition = position;
      }
    }
    if (!best?.entries) return undefined;
    const { entries } = best;
    const at = best.below - 1 - entries.from;
    best.below -= 1;
    return { position: bestPosition as LogPosition, size: entries.size(at), tagHash: entries.tagHash(at) };
  }

  private async newestLater(
    pace: Pace,
    query: MessageQuery,
    queues: readonly BackwardQueue[],
    queue: BackwardQueue,
  ): Promise<Newest> {
    await this.fetch(pace, query, queue);
    return this.newest(pace, query, queues);
  }

  /** Makes the queue's next entries known. */
  private async fetch(pace: Pace, { topicId }: MessageQuery, queue: BackwardQueue): Promise<void> {
    const at = queue.below - 1;
    // Runs end where segments do: ask from so far back, and go on behind what was answered until it reaches.
    let from = Math.max(queue.first, at - entriesMax + 1);
    for (;;) {
      const entries = await pace.during(this.store.scan(topicId, queue.queueId, from as QueueOffset, at - from + 1));
      if (entries.count === 0 || entries.from > at) {
        queue.below = queue.first; // It has expired meanwhile.
        return;
      }
      if (entries.end > at) {
        queue.entries = entries;
        return;
      }
      from = entries.end;
    }
  }

  /** The first offset of the queue that stands at or behind the log position. */
  private async offsetAt(
    pace: Pace,
    { topicId }: MessageQuery,
    queueId: QueueId,
    first: number,
    end: number,
    position: number,
  ): Promise<number> {
    let low = first;
    let high = end;
    if (position === Infinity) return end;
    while (low < high) {
      if (pace.isOver) await pace.rest();
      const middle = Math.floor((low + high) / 2);
      const scanned = this.store.scan(topicId, queueId, middle as QueueOffset, 1);
      const entries = scanned instanceof Promise ? await pace.during(scanned) : scanned;
      if (entries.count === 0 || entries.from > middle) low = middle + 1;
      else if (entries.position(0) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Position of the queue's next entry; below 0: it has no more; undefined: it is to be fetched. */
function nextOf({ below, first, entries }: BackwardQueue): number | undefined {
  const at = below - 1;
  if (at < first) return -1;
  return entries && at >= entries.from && at < entries.end ? entries.position(at - entries.from) : undefined;
}

/** One answer in the making: what was found, and what it has cost. */
class Part {
  readonly messages: FoundMessage[] = [];
  private readonly endMs: number;
  private bytes = 0;

  constructor(
    private readonly query: MessageQuery,
    private readonly clock: Clock,
    private readonly pace: Pace,
  ) {
    this.endMs = clock.monotonicMs() + partMsMax;
  }

  get isFull(): boolean {
    return this.messages.length >= this.query.max;
  }

  isSpent(looked: number): boolean {
    if (looked === 0) return false; // However busy the broker is, each part goes on a little.
    return looked >= lookedMax || this.bytes >= readBytesMax || this.clock.monotonicMs() >= this.endMs;
  }

  /** Reads and judges in order until the page is full; answers how many. */
  async judge(store: Store, candidates: readonly Candidate[]): Promise<number> {
    let at = 0;
    while (at < candidates.length && !this.isFull) {
      const slice = candidates.slice(at, at + sliceMessages);
      for (const stored of await this.pace.during(store.readSome(slice, sliceBytes))) {
        if (this.isFull) break;
        at += 1;
        if (!(stored instanceof MqError)) await this.take(stored); // What can't be read is passed by.
        if (this.pace.isOver) await this.pace.rest();
      }
    }
    return at;
  }

  private async take(stored: StoredMessage): Promise<void> {
    this.bytes += stored.payload.length;
    const message = decoded(stored);
    if (await wanted(this.query, stored, message)) this.messages.push(foundMessage(stored, message));
  }
}

function timesOf({ fromMs, toMs }: MessageQuery): { fromMs: number; toMs: number } {
  return { fromMs, toMs: toMs === 0 ? Infinity : toMs };
}

async function wanted(query: MessageQuery, stored: StoredMessage, message: Message): Promise<boolean> {
  const { topicId, key, tag, messageGroup, propertyName, propertyValue, text } = query;
  const { fromMs, toMs } = timesOf(query);
  const { systemProperties, userProperties } = message;
  if (stored.topicId !== topicId) return false;
  if (stored.timestampMs < fromMs || stored.timestampMs >= toMs) return false;
  if (key !== '' && systemProperties?.keys.includes(key) !== true) return false;
  if (tag !== '' && systemProperties?.tag !== tag) return false;
  if (messageGroup !== '' && systemProperties?.messageGroup !== messageGroup) return false;
  if (propertyName !== '') {
    const value = userProperties.get(propertyName);
    if (value === undefined || (propertyValue !== '' && value !== propertyValue)) return false;
  }
  if (text === '') return true;
  const { bytes } = await plainBody(message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(text, 0, 'utf8');
}
