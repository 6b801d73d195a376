import type { Directory, Done, PullCall, PulledMessage, PullResult } from '@cometmq/client';
import type { QueueOffset } from '@cometmq/model';
import { MqError, type Timer } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

import type { GroupFilters } from './group-filters.js';
import { PullReader, type PullReaderParts, type ReadingPull } from './pull-reader.js';
import { groupIsGone, noSuchQueue, notReadable, topicIsGone } from './refusals.js';
import { metadataWaitMs } from './sends.js';
import type { Traffic } from './traffic.js';

export interface PullsParts extends PullReaderParts {
  readonly store: PullReaderParts['store'] & Pick<StorePorts, 'bounds' | 'onArrival'>;
  readonly filters: GroupFilters;
  readonly directory: Directory;
  readonly pullsMax: number;
  readonly traffic: Traffic;
}

/** A pull that found nothing and waits for messages. */
interface Waiting extends ReadingPull {
  readonly done: Done<PullResult>;
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
  private readonly reader: PullReader;

  constructor(private readonly parts: PullsParts) {
    this.reader = new PullReader(parts);
    parts.store.onArrival((topicId, queueId) => {
      for (const pull of [...(this.waiting.get(`${topicId}/${queueId}`) ?? [])]) this.look(pull);
    });
  }

  /** The function answered takes the wait back. @throws MqError */
  pull(call: PullCall, done: Done<PullResult>): () => void {
    if (this.count >= this.parts.pullsMax) {
      throw new MqError('TOO_MANY_REQUESTS', `${this.count} pulls are under way on this broker; try again later`);
    }
    const matcher = this.parts.filters.matcher(call.filter);
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
      this.parts.directory.until(known, metadataWaitMs, 'unknown').then(
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
    const { first, committed } = this.parts.store.bounds(call.topicId, call.queueId);
    pull.nextOffset = Math.min(Math.max(call.offset, first), committed);
    pull.awaits = pull.looking = false;
    if (pull.nextOffset !== call.offset) this.finish(pull, undefined, []);
    else this.look(pull);
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
    const { directory } = this.parts;
    return (
      directory.topicById(topicId) !== undefined &&
      (groupId === undefined || directory.groupById(groupId) !== undefined)
    );
  }

  /** Why nothing can come of it. */
  private refusal({ topicId, queueId, groupId }: PullCall): MqError | undefined {
    const topic = this.parts.directory.topicById(topicId);
    if (!topic) return topicIsGone();
    if (groupId === undefined) return noSuchQueue(topic, queueId);
    if (!this.parts.directory.groupById(groupId)) return groupIsGone();
    return notReadable(topic) ?? noSuchQueue(topic, queueId);
  }

  private keep(pull: Waiting): void {
    this.count += 1;
    const key = `${pull.call.topicId}/${pull.call.queueId}`;
    const pulls = this.waiting.get(key);
    if (pulls) pulls.add(pull);
    else this.waiting.set(key, new Set([pull]));
    pull.timer = this.parts.clock.after(pull.call.waitMs, () => {
      if (pull.looking) pull.late = true;
      else this.finish(pull, undefined, []);
    });
  }

  private look(pull: Waiting): void {
    if (pull.looking || pull.over) return;
    pull.looking = true;
    this.reader.collect(pull).then(
      ({ messages, more }) => {
        pull.looking = false;
        const { waitMs } = pull.call;
        const arrived = pull.nextOffset < this.parts.store.bounds(pull.call.topicId, pull.call.queueId).committed;
        if (messages.length > 0 || more || waitMs <= 0 || pull.late) this.finish(pull, undefined, messages);
        else if (arrived) this.look(pull); // Meanwhile.
      },
      (caught: unknown) => this.finish(pull, MqError.from(caught), []),
    );
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
        if (place) this.parts.traffic.deliveredElsewhere(topicId, groupId, place.size, 1);
        else this.parts.traffic.delivered(topicId, groupId, payload, 1);
      }
    }
    const { first, committed } = this.parts.store.bounds(topicId, queueId);
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
