/**
 * Finding messages of a topic. By id and key the index knows; everything else is looked for in the topic's queues, newest
 * first over all of them, a bounded part at a time: the answer says where the next part goes on. A tag is told by the
 * index, so only what carries it is read.
 */
import type { FoundMessage, MessageFindings, MessageQuery } from '@cometmq/client';
import { hashText, MiB, type LogPosition, type QueueId, type QueueOffset } from '@cometmq/model';
import type { Message } from '@cometmq/proto';
import { MqError, type Clock } from '@cometmq/shared';
import { findMessages, type Candidate, type IndexEntries, type StorePorts, type StoredMessage } from '@cometmq/store';

import { decoded, foundMessage, plainBody } from './message-parts.js';

type Store = Pick<
  StorePorts,
  'bounds' | 'findById' | 'findByKey' | 'findReferences' | 'positionAtTime' | 'queueIds' | 'readAll' | 'scan'
>;

/** What one part may cost: messages looked at by the index, bytes read, and time. */
const lookedMax = 200_000;
const readBytesMax = 16 * MiB;
const partMsMax = 400;
/** Read and judged before others have their turn. */
const sliceMessages = 64;
const sliceBytes = 1 * MiB;
/** Messages with the same hash of their id. */
const sameIdMax = 64;
/** Index entries asked for at once. */
const entriesMax = 128;
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

export class MessageSearch {
  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
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
    const all = await this.store.findByKey(topicId, hashText(key), fromMs, toMs, Infinity);
    const wantedOnes = all
      .filter(({ position }) => before === 0 || position < before)
      .sort((a, b) => b.position - a.position);
    const part = new Part(query, this.clock);
    let at = 0;
    while (at < wantedOnes.length && !part.isFull) {
      const slice = wantedOnes.slice(at, at + sliceMessages);
      at += await part.judge(this.store, slice);
    }
    const last = wantedOnes[at - 1];
    const next = at < wantedOnes.length && last ? last.position : 0;
    return { messages: part.messages, next, looked: at, left: wantedOnes.length - at };
  }

  private async byScan(query: MessageQuery): Promise<MessageFindings> {
    const { topicId, before, tag } = query;
    const { fromMs, toMs } = timesOf(query);
    const lowest = fromMs === 0 ? 0 : await this.store.positionAtTime(fromMs);
    const upper = toMs === Infinity ? Infinity : await this.store.positionAtTime(toMs + timeSlackMs);
    const highest = before === 0 ? upper : Math.min(upper, before);
    const queues: BackwardQueue[] = [];
    for (const queueId of this.store.queueIds(topicId)) {
      const { first, committed } = this.store.bounds(topicId, queueId);
      const below = await this.offsetAt(query, queueId, first, committed, highest);
      const from = lowest === 0 ? first : await this.offsetAt(query, queueId, first, below, lowest);
      if (below > from) queues.push({ queueId, first: from, below, entries: undefined });
    }
    const total = queues.reduce((sum, { first, below }) => sum + below - first, 0);
    const part = new Part(query, this.clock);
    const tagHash = tag === '' ? undefined : hashText(tag);
    let next = 0;
    let looked = 0;
    let slice: Candidate[] = [];
    let ended = false;
    while (!ended && !part.isFull) {
      const newest = part.isSpent(looked) ? undefined : await this.newest(query, queues);
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
    const left = await this.left(query, queues, next);
    return { messages: part.messages, next: left === 0 ? 0 : next, looked: total - left, left };
  }

  /** Messages below the position that are still to be looked at. */
  private async left(query: MessageQuery, queues: readonly BackwardQueue[], position: number): Promise<number> {
    let messages = 0;
    for (const { queueId, first } of queues) {
      const { committed } = this.store.bounds(query.topicId, queueId);
      messages += (await this.offsetAt(query, queueId, first, committed, position)) - first;
    }
    return messages;
  }

  /** Takes the newest of what the queues have next. */
  private async newest(
    query: MessageQuery,
    queues: readonly BackwardQueue[],
  ): Promise<(Candidate & { readonly tagHash: number }) | undefined> {
    let best: BackwardQueue | undefined;
    let bestPosition = -1;
    for (const queue of queues) {
      const position = await this.nextOf(query, queue);
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

  /** Position of the queue's next entry; below 0: it has no more. */
  private async nextOf({ topicId }: MessageQuery, queue: BackwardQueue): Promise<number> {
    const at = queue.below - 1;
    if (at < queue.first) return -1;
    const known = queue.entries;
    if (known && at >= known.from && at < known.end) return known.position(at - known.from);
    // Runs end where segments do: ask from so far back, and go on behind what was answered until it reaches.
    let from = Math.max(queue.first, at - entriesMax + 1);
    for (;;) {
      const scanned = this.store.scan(topicId, queue.queueId, from as QueueOffset, at - from + 1);
      const entries = scanned instanceof Promise ? await scanned : scanned;
      if (entries.count === 0 || entries.from > at) return -1; // It has expired meanwhile.
      if (entries.end > at) {
        queue.entries = entries;
        return entries.position(at - entries.from);
      }
      from = entries.end;
    }
  }

  /** The first offset of the queue that stands at or behind the log position. */
  private async offsetAt(
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
      const middle = Math.floor((low + high) / 2);
      const scanned = this.store.scan(topicId, queueId, middle as QueueOffset, 1);
      const entries = scanned instanceof Promise ? await scanned : scanned;
      if (entries.count === 0 || entries.from > middle) low = middle + 1;
      else if (entries.position(0) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** One answer in the making: what was found, and what it has cost. */
class Part {
  readonly messages: FoundMessage[] = [];
  private readonly endMs: number;
  private bytes = 0;

  constructor(
    private readonly query: MessageQuery,
    private readonly clock: Clock,
  ) {
    this.endMs = clock.monotonicMs() + partMsMax;
  }

  get isFull(): boolean {
    return this.messages.length >= this.query.max;
  }

  isSpent(looked: number): boolean {
    return looked >= lookedMax || this.bytes >= readBytesMax || this.clock.monotonicMs() >= this.endMs;
  }

  /** Reads and judges in order until the page is full; answers how many. */
  async judge(store: Store, candidates: readonly Candidate[]): Promise<number> {
    let at = 0;
    while (at < candidates.length && !this.isFull) {
      const slice: Candidate[] = [];
      let bytes = 0;
      for (let i = at; i < candidates.length && (slice.length === 0 || bytes < sliceBytes); i += 1) {
        const candidate = candidates[i] as Candidate;
        slice.push(candidate);
        bytes += candidate.size;
      }
      this.bytes += bytes;
      for (const stored of await store.readAll(slice)) {
        if (this.isFull) break;
        at += 1;
        if (!(stored instanceof MqError)) await this.take(stored); // What can't be read is passed by.
      }
      await new Promise<void>((resolve) => this.clock.soon(resolve));
    }
    return at;
  }

  private async take(stored: StoredMessage): Promise<void> {
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
