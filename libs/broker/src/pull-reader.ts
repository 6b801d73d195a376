/** What a pull reads of its queue: from an offset on, what its filter wants, until there is enough. */
import type { PullCall, PulledMessage } from '@cometmq/client';
import type { Audiences, Matcher } from '@cometmq/consumption';
import type { QueueOffset, TopicId } from '@cometmq/model';
import { MqError, type Clock } from '@cometmq/shared';
import type { Candidate, IndexEntries, ReadMessage, StorePorts } from '@cometmq/store';

import type { ReadsElsewhere } from './reads-elsewhere.js';

export interface PullReaderParts {
  readonly store: Pick<StorePorts, 'readAll' | 'scan' | 'sizesOf'>;
  readonly audiences: Audiences;
  /** Whether messages of the topic are on their way to another broker set. */
  readonly leaves: (topicId: TopicId) => boolean;
  readonly clock: Clock;
  readonly elsewhere: ReadsElsewhere | undefined;
}

/** A pull that is read for. */
export interface ReadingPull {
  readonly call: PullCall;
  readonly matcher: Matcher;
  /** The first that was not looked at. */
  nextOffset: number;
  /** Nobody waits for it any more. */
  readonly over: boolean;
}

/** Entries that are read from the index at a time. */
const entriesMax = 64;
/** Looks at entries and messages between two rests. */
const sliceCost = 4_096;
/** And of one pull: then it is answered with where it got to. */
const scanCostMax = 65_536;

export class PullReader {
  constructor(private readonly parts: PullReaderParts) {}

  /** From where it got to, until there is enough or no more. `more`: it stopped early. */
  async collect(pull: ReadingPull): Promise<{ messages: PulledMessage[]; more: boolean }> {
    const { topicId, queueId, messagesMax, bytesMax } = pull.call;
    const messages: PulledMessage[] = [];
    let bytes = 0;
    let cost = 0;
    let slice = 0;
    let roomAsked = false;
    while (!pull.over) {
      if (pull.call.groupId !== undefined && this.parts.leaves(topicId)) return { messages, more: false };
      const found = this.parts.store.scan(topicId, queueId, pull.nextOffset as QueueOffset, entriesMax);
      const entries = found instanceof Promise ? await found : found;
      if (entries.count === 0) return { messages, more: false };
      let sizes: readonly number[] | undefined;
      for (let i = 0; i < entries.count; i += 1) {
        const offset = entries.from + i;
        cost += 1;
        if (this.isFor(pull, offset) && (pull.matcher.all || pull.matcher.wants(entries.tagHash(i)))) {
          sizes ??= await this.parts.store.sizesOf(placesOf(entries));
          const size = sizes[i] as number;
          if (!roomAsked) {
            roomAsked = true;
            await room(pull, entries, sizes, i);
            if (pull.over) return { messages, more: false };
          }
          if (messages.length > 0 && bytes + size > bytesMax) return { messages, more: true };
          const reading = this.messageAt(pull, entries, i);
          const message = reading instanceof Promise ? await reading : reading;
          cost += pull.matcher.cost ?? 0;
          if (message) {
            messages.push(message);
            bytes += size;
          }
        }
        pull.nextOffset = offset + 1;
        if (messages.length >= messagesMax || cost >= scanCostMax) return { messages, more: true };
      }
      if (cost - slice < sliceCost) continue;
      slice = cost;
      await new Promise<void>((resolve) => this.parts.clock.soon(resolve));
    }
    return { messages, more: false };
  }

  /** A group is shown nothing that is not its: what it was done with at another broker set, what goes to one. */
  private isFor({ call: { groupId, topicId, queueId } }: ReadingPull, offset: number): boolean {
    if (this.parts.audiences.isEmpty || groupId === undefined) return true;
    return this.parts.audiences.of(topicId, queueId)?.isFor(groupId, offset) !== false;
  }

  /** Undefined: nobody wants it, or it can't be read. Where others are to read it, it is theirs to find that out. */
  private messageAt(
    { call, matcher }: ReadingPull,
    entries: IndexEntries,
    i: number,
  ): PulledMessage | undefined | Promise<PulledMessage | undefined> {
    const offset = (entries.from + i) as QueueOffset;
    const wanted = [{ position: entries.position(i), size: entries.size(i) }] as const;
    if (call.readsMembers && matcher.all) {
      const members = this.parts.elsewhere?.membersFor(wanted) ?? [];
      if (members.length > 0) {
        return { offset, payload: nothing, storedMs: 0, originTopicId: call.topicId, place: { ...wanted[0], members } };
      }
    }
    const reading = this.parts.store.readAll(wanted);
    if (reading instanceof Promise) return reading.then(([stored]) => pulled(offset, stored, matcher));
    return pulled(offset, reading[0], matcher);
  }
}

/** What can't be read is passed over, and keeps nobody from what stands behind it: the store tells of it. */
function pulled(offset: QueueOffset, stored: ReadMessage | undefined, matcher: Matcher): PulledMessage | undefined {
  if (!stored) return undefined;
  if (stored instanceof MqError) {
    if (stored.code === 'CORRUPT_RECORD' || stored.code === 'NOT_FOUND') return undefined;
    throw stored;
  }
  const { payload, timestampMs: storedMs, originTopicId } = stored;
  return matcher.all || (matcher.wantsMessage?.(payload) ?? true)
    ? { offset, payload, storedMs, originTopicId }
    : undefined;
}

const nothing = new Uint8Array(0);

function placesOf(entries: IndexEntries): Candidate[] {
  return Array.from({ length: entries.count }, (_, i) => ({ position: entries.position(i), size: entries.size(i) }));
}

/** Resolves when there is room for what may be read from `from` on; never, if the pull is taken back before. */
function room(
  { call, matcher }: ReadingPull,
  entries: IndexEntries,
  sizes: readonly number[],
  from: number,
): Promise<void> | undefined {
  const { askRoom, messagesMax, bytesMax } = call;
  if (!askRoom) return undefined;
  let bytes = 0;
  let count = 0;
  for (let i = from; i < entries.count && count < messagesMax; i += 1) {
    if (!matcher.all && !matcher.wants(entries.tagHash(i))) continue;
    const size = sizes[i] as number;
    if (count > 0 && bytes + size > bytesMax) break;
    bytes += size;
    count += 1;
  }
  return new Promise((resolve) => {
    if (askRoom(bytes, resolve)) resolve();
  });
}
