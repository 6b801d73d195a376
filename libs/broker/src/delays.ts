import type { Directory, Done, RecallCall, RecallResult } from '@cometmq/client';
import {
  Envelope,
  queueId,
  referenceReason,
  type GroupId,
  type LogPosition,
  type PendingPlace,
  type TopicId,
} from '@cometmq/model';
import { type Clock, failureFacts, MqError, type Timer as ClockTimer, ToldOnce } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import { Buckets, metrics, type Logger } from '@cometmq/telemetry';
import type { Timer, TimersView } from '@cometmq/timers';

import { FarTimers } from './far-timers.js';
import { keepOnly, type Forgetful, type Living } from './forgetful.js';
import type { LogClock } from './log-clock.js';
import { aheadMs, nearMax, TimersBorder } from './timers-border.js';
import type { EarlierPlaces } from './transfers/earlier-places.js';

/** What is used of the store. */
type Store = Pick<
  StorePorts,
  'append' | 'appendDropped' | 'appendEnd' | 'appendReference' | 'coldPiece' | 'read' | 'whenCommitted'
>;

/**
 * So long are timers fired before the event loop has its turn. Consumers that wait take their
 * own time between two turns: a turn must be long enough for a rush to get out beside them, and short enough for sends.
 */
const turnMs = 10;
const firedPerLook = 64;
/** The wall clock may be set: what waits is looked at as often as this at the least. */
const lookMsMax = 1_000;
const tryAgainMs = 50;
const failedMs = 1_000;

export interface DelayParts {
  readonly store: Store;
  readonly timers: TimersView;
  readonly places: Pick<EarlierPlaces, 'here'>;
  /** A message that stood there is on its way to another broker set. */
  readonly isOnItsWay: (position: LogPosition) => boolean;
  /** Topics as they were last defined, also those that the metadata has lost. */
  readonly definitions: Pick<Directory, 'topicById'>;
  readonly clock: Clock;
  readonly logClock: LogClock;
  readonly log: Logger;
}

/**
 * Delivers delayed messages when their time has come, by the wall clock, never before: each becomes visible by a
 * reference, one record, so that it is released once, whatever breaks. Those due soon are brought near before; a rush is
 * worked off in turns, between which everything else goes on.
 */
export class Delays implements Forgetful {
  /** By topic since the start, and how far ahead they were sent. Plain numbers for metrics. */
  readonly taken = new Map<TopicId, number>();
  readonly fired = new Map<TopicId, number>();
  readonly aheadSeconds = new Buckets(metrics.rocketmq_delay_message_latency.buckets);
  readonly far: FarTimers;
  private timer: ClockTimer | undefined;
  private armedMs = Infinity;
  private turning = false;
  private stopped = false;
  private readonly failures: ToldOnce;
  private readonly border: TimersBorder;

  constructor(private readonly parts: DelayParts) {
    this.far = new FarTimers(parts.store, parts.timers, parts.clock);
    this.border = new TimersBorder({ ...parts, nowMs: () => parts.clock.wallMs() });
    const said = 'delayed messages can not be delivered; trying again later';
    this.failures = new ToldOnce((caught) => parts.log.error(failureFacts(caught), said));
  }

  start(): void {
    this.soon();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  forgetGone(living: Living): void {
    for (const counts of [this.taken, this.fired]) keepOnly(counts, (topicId) => living.topic(topicId));
  }

  /** A delayed message was taken. */
  added(topicId: TopicId, dueMs: number): void {
    bump(this.taken, topicId);
    this.aheadSeconds.record((dueMs - this.parts.clock.wallMs()) / 1_000);
    this.changed(dueMs);
  }

  /** One is here, or is due at another time. */
  changed(dueMs: number): void {
    if (dueMs < this.armedMs && !this.turning) this.arm(dueMs);
  }

  /** OK is a promise that the message is never delivered; so it comes when the drop is committed. */
  recall({ place }: RecallCall, done: Done<RecallResult>): void {
    this.takeBack(place).then(
      (messageId) => done(undefined, { messageId }),
      (caught: unknown) => done(MqError.from(caught), undefined),
    );
  }

  /** @throws MqError MESSAGE_NOT_FOUND when it waits no more */
  async takeBack(asked: PendingPlace): Promise<string> {
    const place = await this.here(asked);
    const messageId = await this.messageId(place);
    const { store, logClock, timers } = this.parts;
    await this.far.find(place, (timer) => {
      if (timer) store.appendDropped([timer], logClock.nowMs());
      else if (!timers.wasTakenBack(place.position)) throw this.waitsNoMore(place);
    });
    await this.committed(store.appendEnd); // Also when somebody else's drop is still on its way to the disk.
    return messageId;
  }

  /** Due at another time from now on; the handle stays good. @throws MqError MESSAGE_NOT_FOUND when it waits no more */
  async move(asked: PendingPlace, dueMs: number): Promise<void> {
    const place = await this.here(asked);
    const { store, logClock, timers } = this.parts;
    const { end } = await this.far.find(place, (timer) => {
      if (!timer) throw this.waitsNoMore(place);
      const { kind, payload } = timers.decideMove([{ timer, dueMs }]);
      return store.append(kind, logClock.nowMs(), payload);
    });
    this.changed(dueMs);
    await this.committed(end);
  }

  /** One that waits. @throws MqError UNAVAILABLE while it is on its way to another broker set */
  async find(asked: PendingPlace): Promise<Timer | undefined> {
    const place = await this.parts.places.here(asked);
    if (!place) return undefined;
    return this.far.find(place, (timer) => {
      if (!timer && this.parts.isOnItsWay(place.position)) throw onItsWay();
      return timer;
    });
  }

  private async here(asked: PendingPlace): Promise<PendingPlace> {
    const place = await this.parts.places.here(asked);
    if (!place) throw waitsNoMore();
    return place;
  }

  private waitsNoMore({ position }: PendingPlace): MqError {
    return this.parts.isOnItsWay(position) ? onItsWay() : waitsNoMore();
  }

  private async messageId({ position, size }: PendingPlace): Promise<string> {
    try {
      const stored = await this.parts.store.read(position, size);
      return new Envelope(stored.payload).id;
    } catch (caught) {
      // Its segment is gone, and so it waits no more: what follows says so. One that is damaged may still be recalled.
      const { code } = MqError.from(caught);
      if (code !== 'NOT_FOUND')
        this.parts.log.warn({ position, ...failureFacts(caught) }, 'a delayed message can not be read');
      return '';
    }
  }

  private committed(end: LogPosition): Promise<void> {
    return new Promise((resolve, reject) => {
      this.parts.store.whenCommitted(end, (error) => (error ? reject(error) : resolve()));
    });
  }

  // ---- time ------------------------------------------------------------------------------------------------------

  private soon(): void {
    if (this.turning || this.stopped) return;
    this.turning = true;
    this.parts.clock.soon(() => this.turn());
  }

  private arm(atMs: number): void {
    this.timer?.cancel();
    this.armedMs = atMs;
    if (atMs === Infinity) return; // Until something is there to wait for.
    const waitMs = atMs - this.parts.clock.wallMs();
    this.timer = this.parts.clock.after(Math.max(0, Math.min(waitMs, lookMsMax)), () => this.soon());
  }

  private turn(): void {
    this.turning = false;
    if (this.stopped) return;
    let waitMs = 0;
    let more = false;
    try {
      more = this.border.approach();
      more = this.fireDue() || more;
      this.failures.over();
    } catch (caught) {
      waitMs = this.pauseAfter(MqError.from(caught));
    }
    if (more) this.soon();
    else this.arm(Math.max(this.parts.clock.wallMs() + waitMs, this.nextMs()));
  }

  /** The log is behind or its disk is full: what is due stays so. Anything else does not pass by itself. */
  private pauseAfter(error: MqError): number {
    if (error.retry) {
      this.parts.log.debug({ reason: error.reason }, 'a delayed message had to wait');
      return tryAgainMs;
    }
    this.failures.failed(error);
    return failedMs;
  }

  private nextMs(): number {
    const { timers } = this.parts;
    if (timers.size === 0 && timers.nearSize === 0) return Infinity;
    return Math.min(timers.firstDueMs, timers.nearEndMs - (timers.nearSize < nearMax ? aheadMs / 2 : 0));
  }

  /** True: there are more. */
  private fireDue(): boolean {
    const { timers, clock } = this.parts;
    const nowMs = clock.wallMs();
    const endMs = clock.monotonicMs() + turnMs;
    do {
      for (let left = firedPerLook; left > 0; left -= 1) {
        if (timers.firstDueMs > nowMs) return false;
        const timer = timers.first();
        if (!timer) return false;
        this.fire(timer);
      }
    } while (clock.monotonicMs() < endMs);
    return timers.firstDueMs <= nowMs;
  }

  private fire(timer: Timer): void {
    const { store, definitions, logClock, log } = this.parts;
    const topic = definitions.topicById(timer.topicId);
    const queues = topic?.readQueues ?? Infinity;
    try {
      // Had somebody deleted the topic, its timers would be gone, or the store would refuse it now.
      store.appendReference({
        topicId: timer.topicId,
        // Where consumers look, should the topic have become smaller meanwhile.
        queueId: timer.queueId < queues ? timer.queueId : queueId(timer.queueId % Math.max(1, queues)),
        tagHash: timer.tagHash,
        groupHash: timer.groupHash,
        timestampMs: logClock.nowMs(),
        target: timer,
        entry: undefined,
        originTopicId: timer.topicId,
        groupId: 0 as GroupId,
        reason: referenceReason.timerFired,
      });
      bump(this.fired, timer.topicId);
    } catch (caught) {
      const { code, reason } = MqError.from(caught);
      if (code !== 'TOPIC_NOT_FOUND' && code !== 'MESSAGE_NOT_FOUND') throw caught;
      log.debug({ topicId: timer.topicId, position: timer.position, reason }, 'a delayed message has nowhere to go');
      store.appendDropped([timer], logClock.nowMs());
    }
  }
}

function onItsWay(): MqError {
  return new MqError('UNAVAILABLE', 'the message is on its way to another broker set');
}

function waitsNoMore(): MqError {
  return new MqError('MESSAGE_NOT_FOUND', 'the message has been delivered already, or is not kept any more');
}

function bump(counts: Map<TopicId, number>, topicId: TopicId): void {
  counts.set(topicId, (counts.get(topicId) ?? 0) + 1);
}
