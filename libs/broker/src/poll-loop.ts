import type { Delivered, Directory, Done, ReceiveCall, ReceiveResult } from '@cometmq/client';
import type { GroupsView, PopDecision } from '@cometmq/consumption';
import { RecordKind, type DecidedRecord, type LogPosition, type Receipt, type TopicId } from '@cometmq/model';
import { type Clock, failureFacts, MqError, type Timer } from '@cometmq/shared';
import type { StorePorts, Placed } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { DeliveryLoader, Receiver } from './delivery-loader.js';
import type { LogClock } from './log-clock.js';
import type { MemberSessions } from './member-sessions.js';
import { groupIsGone, notReadable, topicIsGone } from './refusals.js';
import { metadataWaitMs } from './sends.js';

/** What is used of the store. */
type Store = Pick<
  StorePorts,
  | 'append'
  | 'committedOf'
  | 'firstOf'
  | 'offsetAtTime'
  | 'onArrival'
  | 'payloadInMemory'
  | 'scanInMemory'
  | 'whenCommitted'
>;

/** A receive that found nothing and waits for messages, for one to become due again, or for its time to pass. */
export interface Poll extends Receiver {
  readonly done: Done<ReceiveResult>;
  timer: Timer | undefined;
  /** Answered, or nobody waits any more. */
  over: boolean;
}

/** Who waits. */
export interface Polls<P extends Poll> {
  readonly count: number;
  /** @throws MqError TOO_MANY_REQUESTS */
  add(poll: P): void;
  remove(poll: P): void;
  all(): Iterable<P>;
}

const retryMs = 50;

export interface PollParts {
  /** The topic's messages go to another broker set, in their order: nobody is given them here. */
  readonly leaves: (topicId: TopicId) => boolean;
  readonly store: Store;
  readonly groups: GroupsView;
  readonly directory: Directory;
  readonly sessions: MemberSessions;
  readonly deliveryLoader: DeliveryLoader;
  readonly clock: Clock;
  readonly logClock: LogClock;
  readonly log: Logger;
  /** False: another member may lead by now, and this one not have heard of it. */
  readonly isSure: () => boolean;
}

/**
 * The life of a receive: it is tried, waits, is tried again when something may have changed, and is answered once. What it
 * was given is in the log before it is answered, and committed where order matters, or where it is not sure that this
 * member still leads: a crash could forget who holds a message group, and the next one be given it too. What nobody waits
 * for any more is given back.
 */
export abstract class PollLoop<P extends Poll> {
  protected stopping = false;
  /** The log did not take what was decided for them. Oldest first. */
  private readonly refused = new Set<P>();
  private retry: Timer | undefined;

  constructor(
    private readonly base: PollParts,
    private readonly waits: Polls<P>,
  ) {}

  /** True: the poll is being answered. */
  protected abstract tryNow(poll: P): boolean;
  /** It waits from now on. */
  protected abstract parked(poll: P): void;
  /** For how long it is kept; 0: it is answered now. */
  protected waitMs({ call }: P): number {
    return call.waitMs;
  }
  /** These are to be had again. */
  protected abstract givenBack(receipts: readonly Receipt[]): void;

  get waiting(): number {
    return this.waits.count;
  }

  /** The function answered takes the wait back. */
  protected look(poll: P): () => void {
    const { directory } = this.base;
    const { groupId, topicId, waitMs } = poll.call;
    const known = (): true | undefined =>
      directory.groupById(groupId) && directory.topicById(topicId) ? true : undefined;
    if (known()) this.begin(poll);
    else {
      // Made a moment ago: our copy of the metadata is about to learn of it.
      directory.until(known, Math.min(metadataWaitMs, waitMs), 'unknown').then(
        () => this.begin(poll),
        () => this.finish(poll, this.refusal(poll.call)),
      );
    }
    return () => {
      poll.over = true;
      this.waits.remove(poll);
      this.refused.delete(poll);
      poll.abandon?.();
    };
  }

  /** The metadata changed: who waits for what is no more, or may not be read any more, is told so. */
  revise(): void {
    for (const poll of [...this.waits.all()]) {
      const refusal = this.refusal(poll.call);
      if (refusal) this.finish(poll, refusal);
    }
  }

  /** Every poll that waits is answered with nothing, or with why. */
  stop(why?: MqError): void {
    this.stopping = true;
    this.retry?.cancel();
    for (const poll of [...this.waits.all()]) this.finish(poll, why);
  }

  private begin(poll: P): void {
    if (poll.over) return;
    const { call } = poll;
    try {
      const { sessions, clock } = this.base;
      sessions.polled(call.groupId, call.clientId, call.topicId, call.filter, clock.monotonicMs());
      if (this.tryNow(poll)) return;
      const waitMs = this.waitMs(poll);
      if (waitMs <= 0 || this.stopping) {
        this.finish(poll, undefined);
        return;
      }
      this.waits.add(poll);
      poll.timer = clock.after(waitMs, () => this.finish(poll, undefined));
      this.parked(poll);
    } catch (caught) {
      this.finish(poll, MqError.from(caught));
    }
  }

  /** Why nothing can come of it. */
  private refusal({ groupId, topicId }: ReceiveCall): MqError | undefined {
    const { directory } = this.base;
    const topic = directory.topicById(topicId);
    if (!topic) return topicIsGone();
    return directory.groupById(groupId) ? notReadable(topic) : groupIsGone();
  }

  /** Answers a poll without messages. Not from inside `look`. */
  protected finish(poll: P, error: MqError | undefined): void {
    this.waits.remove(poll);
    this.refused.delete(poll);
    if (poll.over) return;
    poll.over = true;
    queueMicrotask(() => poll.done(error, error ? undefined : { messages: [] }));
  }

  /** Undefined: the log is behind or full; nothing was decided. */
  protected write({ kind, payload }: DecidedRecord, nowMs: number): Placed | undefined {
    try {
      return this.base.store.append(kind, nowMs, payload);
    } catch (caught) {
      this.base.log.debug(failureFacts(caught), 'a delivery had to wait, or could not be given back');
      return undefined;
    }
  }

  /** The log is behind or full, so the poll got nothing: it is tried again in a moment, as nothing else may ever wake it. */
  protected tryLater(poll: P): void {
    this.refused.add(poll);
    if (this.stopping) return;
    this.retry ??= this.base.clock.after(retryMs, () => {
      this.retry = undefined;
      this.tryRefused();
    });
  }

  private tryRefused(): void {
    for (const poll of [...this.refused]) {
      this.refused.delete(poll);
      if (!poll.over) this.tryNow(poll);
      // What the log does not take of one it does not take of the next one either.
      if (this.retry) return;
    }
  }

  /** What was just written hands messages to the poll. */
  protected answer(poll: P, { handed, record }: PopDecision, { position, end }: Placed): void {
    const { deliveryLoader, store } = this.base;
    deliveryLoader.begin(poll.call, position);
    this.waits.remove(poll);
    this.refused.delete(poll);
    if (record?.kind === RecordKind.delivery && this.base.isSure()) {
      this.read(poll, handed, position);
      return;
    }
    store.whenCommitted(end, (error) => {
      if (error) this.finish(poll, error);
      else this.read(poll, handed, position);
    });
  }

  private read(poll: P, handed: PopDecision['handed'], position: LogPosition): void {
    const read: Done<readonly Delivered[]> = (error, messages) => {
      if (messages) this.deliver(poll, messages);
      else this.finish(poll, error);
    };
    this.base.deliveryLoader.load(poll, handed, position, read, (receipts) => this.giveBack(receipts));
  }

  private deliver(poll: P, messages: readonly Delivered[]): void {
    if (!poll.over) {
      poll.over = true;
      poll.done(undefined, { messages });
      return;
    }
    // Nobody waits any more.
    this.giveBack(messages.map(({ receipt }) => receipt));
  }

  /** As if they had not been handed out. Where that can't be written the lease ends by itself. */
  private giveBack(receipts: readonly Receipt[]): void {
    const { groups, logClock } = this.base;
    const nowMs = logClock.nowMs();
    const { record } = groups.decideHandBack(receipts, nowMs);
    if (record && this.write(record, nowMs)) this.givenBack(receipts);
  }
}
