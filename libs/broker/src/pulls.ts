import type { Directory, Done, OffsetsCall, OffsetsResult, PullCall, PulledMessage, PullResult } from '@cometmq/client';
import type { Audiences, Matcher, PullOffsets } from '@cometmq/consumption';
import type { LogPosition, QueueId, QueueOffset, Topic, TopicId } from '@cometmq/model';
import { MqError, type Clock, type Timer } from '@cometmq/shared';
import type { IndexEntries, ReadMessage, StorePorts } from '@cometmq/store';

import { decide } from './decide.js';
import type { GroupFilters } from './group-filters.js';
import type { LogClock } from './log-clock.js';
import type { ReadsElsewhere } from './reads-elsewhere.js';
import { groupIsGone, notReadable, topicIsGone } from './refusals.js';
import { metadataWaitMs } from './sends.js';
import type { Traffic } from './traffic.js';

/** What is used of the store. */
type Store = Pick<
  StorePorts,
  'append' | 'appendEnd' | 'bounds' | 'offsetAtTime' | 'onArrival' | 'readAll' | 'scan' | 'whenCommitted'
>;

/** Who reads the bounds of a queue reads what is committed. */
const committedAlready = 0 as LogPosition;
/** Entries that are read from the index at a time. */
const entriesMax = 64;
/** Looks at entries and messages between two rests. */
const sliceCost = 4_096;
/** And of one pull: then it is answered with where it got to. */
const scanCostMax = 65_536;

/** A pull that found nothing and waits for messages. */
interface Waiting {
  readonly call: PullCall;
  readonly done: Done<PullResult>;
  readonly matcher: Matcher;
  nextOffset: number;
  timer: Timer | undefined;
  /** It has not begun: what it names is not known here yet. */
  awaits: boolean;
  looking: boolean;
  /** Its time has passed while it was being looked at: what is found then is the answer. */
  late: boolean;
  over: boolean;
}

/**
 * Reads queues by offset, for whoever keeps count itself: no lease, no progress, nothing decided, nothing written. A pull
 * that finds nothing waits until something arrives.
 */
export class Pulls {
  private readonly waiting = new Map<string, Set<Waiting>>();
  private count = 0;

  constructor(
    private readonly store: Store,
    private readonly filters: GroupFilters,
    private readonly offsetsView: PullOffsets,
    private readonly audiences: Audiences,
    private readonly leaves: (topicId: TopicId) => boolean,
    private readonly directory: Directory,
    private readonly clock: Clock,
    private readonly logClock: LogClock,
    private readonly pullsMax: number,
    private readonly traffic: Traffic,
    private readonly elsewhere?: ReadsElsewhere,
  ) {
    store.onArrival((topicId, queueId) => {
      for (const pull of [...(this.waiting.get(`${topicId}/${queueId}`) ?? [])]) this.look(pull);
    });
  }

  /** The function answered takes the wait back. @throws MqError */
  pull(call: PullCall, done: Done<PullResult>): () => void {
    if (this.count >= this.pullsMax) {
      throw new MqError('TOO_MANY_REQUESTS', `${this.count} pulls are under way on this broker; try again later`);
    }
    const matcher = this.filters.matcher(call.filter);
    const pull: Waiting = {
      ...{
        call,
        done,
        matcher,
        nextOffset: call.offset,
        timer: undefined,
        awaits: true,
        looking: true,
        late: false,
        over: false,
      },
    };
    const known = (): true | undefined => (this.isKnown(call) ? true : undefined);
    if (known()) {
      const refusal = this.refusal(call);
      if (refusal) throw refusal;
      this.keep(pull);
      this.begin(pull);
    } else {
      this.keep(pull);
      // Made a moment ago: our copy of the metadata is about to learn of it.
      this.directory.until(known, metadataWaitMs, 'unknown').then(
        () => this.begin(pull),
        () => this.finish(pull, this.refusal(call), []),
      );
    }
    return () => this.close(pull);
  }

  private begin(pull: Waiting): void {
    if (pull.over) return;
    const { call } = pull;
    const refusal = this.refusal(call);
    if (refusal) {
      this.finish(pull, refusal, []);
      return;
    }
    const { first, committed } = this.store.bounds(call.topicId, call.queueId);
    pull.nextOffset = Math.min(Math.max(call.offset, first), committed);
    pull.awaits = pull.looking = false;
    if (pull.nextOffset !== call.offset) this.finish(pull, undefined, []);
    else this.look(pull);
  }

  offsets(call: OffsetsCall, done: Done<OffsetsResult>): void {
    const { ask } = call;
    const known = (): true | undefined =>
      ask.kind === 'setForGroup' && !this.directory.groupById(ask.groupId) ? undefined : true;
    if (known()) this.offsetsNow(call, done);
    else {
      // Made a moment ago: our copy of the metadata is about to learn of it.
      this.directory.until(known, metadataWaitMs, 'unknown').then(
        () => this.offsetsNow(call, done),
        () => done(groupIsGone(), undefined),
      );
    }
  }

  private offsetsNow({ topicId, queueId, ask }: OffsetsCall, done: Done<OffsetsResult>): void {
    if (ask.kind === 'time') {
      this.offsetAtTime(topicId, queueId, ask.atMs).then(
        (offset) => done(undefined, { offset }),
        (caught: unknown) => done(MqError.from(caught), undefined),
      );
      return;
    }
    decide(this.store, done, () => {
      this.checkQueue({ topicId, queueId });
      const { first, committed } = this.store.bounds(topicId, queueId);
      switch (ask.kind) {
        case 'first':
          return { end: committedAlready, result: { offset: first } };
        case 'end':
          return { end: committedAlready, result: { offset: committed } };
        case 'ofGroup':
          return { end: undefined, result: { offset: this.offsetsView.get(ask.groupId, topicId, queueId) } };
        case 'setForGroup': {
          const { groupId, offset } = ask;
          if (!Number.isSafeInteger(offset) || offset < 0) {
            throw new MqError('ILLEGAL_OFFSET', `the offset ${offset} is no whole number from 0 on`);
          }
          if (!this.directory.groupById(groupId)) throw groupIsGone();
          const { kind, payload } = this.offsetsView.decide(groupId, topicId, queueId, offset);
          return { end: this.store.append(kind, this.logClock.nowMs(), payload).end, result: { offset } };
        }
      }
    });
  }

  private async offsetAtTime(topicId: TopicId, queueId: QueueId, atMs: number): Promise<QueueOffset> {
    this.checkQueue({ topicId, queueId });
    return this.store.offsetAtTime(topicId, queueId, atMs);
  }

  /** Every pull that waits is answered with nothing, or with why. */
  stop(why?: MqError): void {
    for (const pulls of [...this.waiting.values()]) for (const pull of [...pulls]) this.finish(pull, why, []);
  }

  /** The metadata changed: who waits for what is no more, or may not be read any more, is told so. */
  revise(): void {
    for (const pulls of [...this.waiting.values()]) {
      for (const pull of [...pulls]) {
        // One that has not begun yet waits for metadata.
        if (pull.awaits) continue;
        const refusal = this.refusal(pull.call);
        if (refusal) this.finish(pull, refusal, []);
      }
    }
  }

  private isKnown({ topicId, groupId }: PullCall): boolean {
    const { directory } = this;
    return (
      directory.topicById(topicId) !== undefined &&
      (groupId === undefined || directory.groupById(groupId) !== undefined)
    );
  }

  /** Why nothing can come of it. */
  private refusal({ topicId, queueId, groupId }: PullCall): MqError | undefined {
    const topic = this.directory.topicById(topicId);
    if (!topic) return topicIsGone();
    if (groupId === undefined) return noSuchQueue(topic, queueId);
    if (!this.directory.groupById(groupId)) return groupIsGone();
    return notReadable(topic) ?? noSuchQueue(topic, queueId);
  }

  private checkQueue({ topicId, queueId }: Pick<PullCall, 'topicId' | 'queueId'>): void {
    const topic = this.directory.topicById(topicId);
    const refusal = topic ? noSuchQueue(topic, queueId) : topicIsGone();
    if (refusal) throw refusal;
  }

  private keep(pull: Waiting): void {
    this.count += 1;
    const key = `${pull.call.topicId}/${pull.call.queueId}`;
    const pulls = this.waiting.get(key);
    if (pulls) pulls.add(pull);
    else this.waiting.set(key, new Set([pull]));
    pull.timer = this.clock.after(pull.call.waitMs, () => {
      if (pull.looking) pull.late = true;
      else this.finish(pull, undefined, []);
    });
  }

  private look(pull: Waiting): void {
    if (pull.looking || pull.over) return;
    pull.looking = true;
    this.collect(pull).then(
      ({ messages, more }) => {
        pull.looking = false;
        const { waitMs } = pull.call;
        const arrived = pull.nextOffset < this.store.bounds(pull.call.topicId, pull.call.queueId).committed;
        if (messages.length > 0 || more || waitMs <= 0 || pull.late) this.finish(pull, undefined, messages);
        else if (arrived) this.look(pull); // Meanwhile.
      },
      (caught: unknown) => this.finish(pull, MqError.from(caught), []),
    );
  }

  /** From where it got to, until there is enough or no more. `more`: it stopped early. */
  private async collect(pull: Waiting): Promise<{ messages: PulledMessage[]; more: boolean }> {
    const { topicId, queueId, messagesMax, bytesMax } = pull.call;
    const messages: PulledMessage[] = [];
    let bytes = 0;
    let cost = 0;
    let slice = 0;
    let roomAsked = false;
    while (!pull.over) {
      if (pull.call.groupId !== undefined && this.leaves(topicId)) return { messages, more: false };
      const found = this.store.scan(topicId, queueId, pull.nextOffset as QueueOffset, entriesMax);
      const entries = found instanceof Promise ? await found : found;
      if (entries.count === 0) return { messages, more: false };
      for (let i = 0; i < entries.count; i += 1) {
        const offset = entries.from + i;
        cost += 1;
        if (this.isFor(pull, offset) && (pull.matcher.all || pull.matcher.wants(entries.tagHash(i)))) {
          const size = entries.size(i);
          if (!roomAsked) {
            roomAsked = true;
            await room(pull, entries, i);
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
      await new Promise<void>((resolve) => this.clock.soon(resolve));
    }
    return { messages, more: false };
  }

  /** A group is shown nothing that is not its: what it was done with at another broker set, what goes to one. */
  private isFor({ call: { groupId, topicId, queueId } }: Waiting, offset: number): boolean {
    if (this.audiences.isEmpty || groupId === undefined) return true;
    return this.audiences.of(topicId, queueId)?.isFor(groupId, offset) !== false;
  }

  /** Undefined: nobody wants it, or it can't be read. Where others are to read it, it is theirs to find that out. */
  private messageAt(
    { call, matcher }: Waiting,
    entries: IndexEntries,
    i: number,
  ): PulledMessage | undefined | Promise<PulledMessage | undefined> {
    const offset = (entries.from + i) as QueueOffset;
    const wanted = [{ position: entries.position(i), size: entries.size(i) }] as const;
    if (call.readsMembers && matcher.all) {
      const members = this.elsewhere?.membersFor(wanted) ?? [];
      if (members.length > 0) {
        return { offset, payload: nothing, storedMs: 0, originTopicId: call.topicId, place: { ...wanted[0], members } };
      }
    }
    const reading = this.store.readAll(wanted);
    if (reading instanceof Promise) return reading.then(([stored]) => pulled(offset, stored, matcher));
    return pulled(offset, reading[0], matcher);
  }

  private finish(pull: Waiting, error: MqError | undefined, messages: readonly PulledMessage[]): void {
    if (!this.close(pull)) return;
    if (error) {
      pull.done(error, undefined);
      return;
    }
    const { topicId, queueId, groupId } = pull.call;
    if (groupId !== undefined) {
      for (const { payload, place } of messages) {
        if (place) this.traffic.deliveredElsewhere(topicId, groupId, place.size, 1);
        else this.traffic.delivered(topicId, groupId, payload, 1);
      }
    }
    const { first, committed } = this.store.bounds(topicId, queueId);
    const nextOffset = pull.nextOffset as QueueOffset;
    queueMicrotask(() => pull.done(undefined, { messages, nextOffset, firstOffset: first, endOffset: committed }));
  }

  /** False: it was over before. */
  private close(pull: Waiting): boolean {
    if (pull.over) return false;
    pull.over = true;
    pull.timer?.cancel();
    this.count -= 1;
    const key = `${pull.call.topicId}/${pull.call.queueId}`;
    const pulls = this.waiting.get(key);
    pulls?.delete(pull);
    if (pulls?.size === 0) this.waiting.delete(key);
    return true;
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

function noSuchQueue({ name, readQueues, writeQueues }: Topic, queueId: QueueId): MqError | undefined {
  const queues = Math.max(readQueues, writeQueues);
  if (queueId >= 0 && queueId < queues) return undefined;
  return new MqError('BAD_REQUEST', `topic "${name}" has no queue ${queueId}; its queues are 0 to ${queues - 1}`);
}

const nothing = new Uint8Array(0);

/** Resolves when there is room for what may be read from `from` on; never, if the pull is taken back before. */
function room({ call, matcher }: Waiting, entries: IndexEntries, from: number): Promise<void> | undefined {
  const { askRoom, messagesMax, bytesMax } = call;
  if (!askRoom) return undefined;
  let bytes = 0;
  let count = 0;
  for (let i = from; i < entries.count && count < messagesMax; i += 1) {
    if (!matcher.all && !matcher.wants(entries.tagHash(i))) continue;
    const size = entries.size(i);
    if (count > 0 && bytes + size > bytesMax) break;
    bytes += size;
    count += 1;
  }
  return new Promise((resolve) => {
    if (askRoom(bytes, resolve)) resolve();
  });
}
