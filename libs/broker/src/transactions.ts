import type { Directory, Done, EndTransactionCall } from '@cometmq/client';
import {
  encodeDropped,
  queueId,
  RecordKind,
  referenceReason,
  type DecidedRecord,
  type GroupId,
  type LogPosition,
  type PendingPlace,
  type TopicId,
} from '@cometmq/model';
import { type Clock, failureFacts, MqError, type Timer as ClockTimer } from '@cometmq/shared';
import type { StorePorts, StoredMessage } from '@cometmq/store';
import { Buckets, metrics, type Logger } from '@cometmq/telemetry';
import { checksMax, type HalfMessage, type Resolution, type TransactionsView } from '@cometmq/transactions';

import type { ClientCommands } from './client-commands.js';
import { decide } from './decide.js';
import { keepOnly, type Forgetful, type Living } from './forgetful.js';
import type { LogClock } from './log-clock.js';
import type { ProducerSessions } from './producer-sessions.js';
import type { EarlierPlaces } from './transfers/earlier-places.js';
import { TryingAgain } from './trying-again.js';

/** What is used of the store. */
type Store = Pick<
  StorePorts,
  'append' | 'appendAll' | 'appendEnd' | 'appendReference' | 'damage' | 'read' | 'whenCommitted'
>;

/** How often it is looked who is due for a check, and how many are asked for at a time. */
const lookMs = 500;
const checksPerLook = 500;
/** Nobody could be asked: looked at again so much later, or as soon as a producer of the topic comes. */
const nobodyMs = 30_000;
const wokenMax = 10_000;
/** One that can't be read is tried again as often as this at the least. */
const unreadableMsMax = 3_600_000;
const fromTheFirst = { storedMs: 0, position: -1 } as const;

export interface TransactionParts {
  readonly store: Store;
  readonly view: TransactionsView;
  readonly places: Pick<EarlierPlaces, 'here'>;
  /** A message that stood there is on its way to another broker set. */
  readonly isOnItsWay: (position: LogPosition) => boolean;
  /** Topics as they were last defined, also those that the metadata has lost. */
  readonly definitions: Pick<Directory, 'topicById'>;
  readonly producers: ProducerSessions;
  readonly commands: ClientCommands;
  readonly clock: Clock;
  readonly logClock: LogClock;
  readonly log: Logger;
}

/**
 * Ends transactions, and asks producers about those that nobody has ended. A commit makes the half message visible by a
 * reference, a rollback drops it; the first of them in the log wins, and each answer rests on what is committed.
 */
export class Transactions implements Forgetful {
  /** By topic, since the start. Plain numbers for metrics. */
  readonly committed = new Map<TopicId, number>();
  readonly rolledBack = new Map<TopicId, number>();
  /** From a half message's arrival to its commit, by topic. */
  readonly finishSeconds = new Map<TopicId, Buckets>();
  checksSent = 0;
  /** Topics with half messages that nobody could be asked about. */
  private readonly unasked = new Set<TopicId>();
  /** Half messages that could not be read. */
  private readonly unreadable = new TryingAgain<LogPosition>(unreadableMsMax);
  private lostBytes = 0;
  private timer: ClockTimer | undefined;
  private turn = 0;
  private stopped = false;

  constructor(private readonly parts: TransactionParts) {}

  /** There is something to look after; while there is not, nothing is looked at. */
  start(): void {
    if (this.timer || this.stopped || this.parts.view.size === 0) return;
    this.timer = this.parts.clock.after(lookMs, () => {
      this.timer = undefined;
      if (this.stopped) return;
      try {
        this.look();
      } catch (caught) {
        this.parts.log.warn(failureFacts(caught), 'half messages could not be looked at');
      }
      this.start();
    });
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  forgetGone(living: Living): void {
    for (const each of [this.committed, this.rolledBack, this.finishSeconds, this.unasked]) {
      keepOnly<TopicId>(each, (topicId) => living.topic(topicId));
    }
  }

  end(call: EndTransactionCall, done: Done<void>): void {
    if (call.place.from === undefined) return this.endHere(call, done);
    this.here(call.place).then(
      (place) => this.endHere({ ...call, place }, done),
      (caught: unknown) => done(MqError.from(caught), undefined),
    );
  }

  private endHere({ place, resolution }: EndTransactionCall, done: Done<void>): void {
    const { store } = this.parts;
    decide(store, done, () => {
      // "Not known yet" changes nothing: it is asked about again after the pause.
      if (resolution !== 'unknown') this.decide(place, resolution, referenceReason.committed, 'BAD_REQUEST');
      return { end: store.appendEnd, result: undefined };
    });
  }

  /** An operator's word; kept with who said it and when. @throws MqError INVALID_TRANSACTION_ID, CONFLICT */
  async resolve(asked: PendingPlace, resolution: Resolution, who: string): Promise<void> {
    const place = await this.here(asked);
    const { store, view, logClock } = this.parts;
    const { topicId, position } = place;
    const audit = view.decideAudit({ atMs: logClock.nowMs(), who, resolution, topicId, position });
    this.decide(place, resolution, referenceReason.recovered, 'CONFLICT', audit);
    await new Promise<void>((resolve, reject) => {
      store.whenCommitted(store.appendEnd, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** `audit` goes into the log with what is done by a record of its own. It may have been done before. */
  private decide(
    place: PendingPlace,
    resolution: Resolution,
    reason: number,
    opposite: 'BAD_REQUEST' | 'CONFLICT',
    audit?: DecidedRecord,
  ): void {
    const decision = this.parts.view.decideEnd(place, resolution);
    switch (decision.outcome) {
      case 'now':
        return this.apply(decision.half, resolution, reason, audit);
      case 'already':
        return;
      case 'opposite': {
        const other = resolution === 'commit' ? 'rolled back' : 'committed';
        throw new MqError(opposite, `the transaction has been ${other} already`);
      }
      case 'unknown':
        throw this.parts.isOnItsWay(place.position) ? onItsWay() : unknownId();
    }
  }

  /** One that is open. @throws MqError UNAVAILABLE while it is on its way to another broker set */
  async find(asked: PendingPlace): Promise<HalfMessage | undefined> {
    const place = await this.parts.places.here(asked);
    const half = place && this.parts.view.half(place.position);
    if (half) return half.size === place.size && half.topicId === place.topicId ? half : undefined;
    if (place && this.parts.isOnItsWay(place.position)) throw onItsWay();
    return undefined;
  }

  private async here(asked: PendingPlace): Promise<PendingPlace> {
    const place = await this.parts.places.here(asked);
    if (!place) throw unknownId();
    return place;
  }

  private apply(half: HalfMessage, resolution: Resolution, reason: number, audit?: DecidedRecord): void {
    const { store, definitions, logClock } = this.parts;
    const { topicId } = half;
    if (resolution === 'rollback') {
      const dropped = { kind: RecordKind.dropped, payload: encodeDropped([{ ...half, dueMs: 0 }]) };
      store.appendAll(audit ? [dropped, audit] : [dropped], logClock.nowMs());
      bump(this.rolledBack, topicId);
      return;
    }
    const queues = Math.max(1, definitions.topicById(topicId)?.readQueues ?? 1);
    const reference = {
      topicId,
      // Where consumers look, should the topic have become smaller meanwhile.
      queueId: half.queueId < queues ? half.queueId : queueId(half.queueId % queues),
      tagHash: half.tagHash,
      groupHash: half.groupHash,
      timestampMs: logClock.nowMs(),
      target: half,
      entry: undefined,
      originTopicId: topicId,
      groupId: 0 as GroupId,
      reason,
    };
    store.appendReference(reference, audit);
    bump(this.committed, topicId);
    let seconds = this.finishSeconds.get(topicId);
    if (!seconds) {
      seconds = new Buckets(metrics.rocketmq_finish_message_latency.buckets);
      this.finishSeconds.set(topicId, seconds);
    }
    seconds.record((logClock.nowMs() - half.storedMs) / 1_000);
  }

  // ---- checks ------------------------------------------------------------------------------------------------------

  private look(): void {
    const { view, logClock } = this.parts;
    const nowMs = logClock.nowMs();
    this.wake(nowMs);
    this.reviseUnreadable(nowMs);
    const parked: HalfMessage[] = [];
    const due: { half: HalfMessage; clientId: string }[] = [];
    for (let left = checksPerLook; left > 0; left -= 1) {
      const half = view.takeDue(nowMs);
      if (!half) break;
      if (half.checks >= checksMax) {
        parked.push(half);
        continue;
      }
      const clientId = this.producerOf(half.topicId);
      if (clientId !== undefined) due.push({ half, clientId });
      else {
        this.unasked.add(half.topicId);
        view.later(half.position, nowMs + nobodyMs);
      }
    }
    if (parked.length > 0) this.park(parked, nowMs);
    if (due.length > 0) this.askLater(due);
  }

  private askLater(due: readonly { readonly half: HalfMessage; readonly clientId: string }[]): void {
    const { view, logClock, log } = this.parts;
    this.ask(due).catch((caught: unknown) => {
      log.warn(failureFacts(caught), 'producers could not be asked about half messages; trying again later');
      for (const { half } of due) view.later(half.position, logClock.nowMs() + nobodyMs);
    });
  }

  /** Half messages of topics that have a producer again are due now. */
  private wake(nowMs: number): void {
    for (const topicId of this.unasked) {
      if (this.producerOf(topicId) === undefined) continue;
      this.unasked.delete(topicId);
      for (const { position, nextCheckMs, parked } of this.parts.view.list(topicId, fromTheFirst, wokenMax)) {
        if (!parked && nextCheckMs <= nowMs) this.parts.view.later(position, nowMs);
      }
    }
  }

  /** Those that were ended are forgotten. Once lost parts of the log are given up, all others are looked at again. */
  private reviseUnreadable(nowMs: number): void {
    if (this.unreadable.size === 0) return;
    const { store, view } = this.parts;
    const { bytes: lostBytes } = store.damage;
    const givenUp = lostBytes < this.lostBytes;
    this.lostBytes = lostBytes;
    for (const position of this.unreadable.keys()) {
      if (!view.half(position)) this.unreadable.over(position);
      else if (givenUp) view.later(position, nowMs);
    }
  }

  /** A living producer of the topic that can be told something, another one each time. */
  private producerOf(topicId: TopicId): string | undefined {
    const { producers, commands } = this.parts;
    const able: string[] = [];
    for (const { clientId, streaming } of producers.of(topicId)) {
      if (streaming && commands.reaches(clientId)) able.push(clientId);
    }
    return able.length > 0 ? able[(this.turn += 1) % able.length] : undefined;
  }

  private park(halves: readonly HalfMessage[], nowMs: number): void {
    const { store, view, log } = this.parts;
    const { kind, payload } = view.decideParked(halves);
    try {
      store.append(kind, nowMs, payload);
    } catch (caught) {
      for (const { position } of halves) view.later(position, nowMs + nobodyMs);
      log.warn(failureFacts(caught), 'transactions could not be set aside yet');
      return;
    }
    log.warn(
      { count: halves.length },
      'transactions were set aside: no producer answered the checks; an operator must decide',
    );
  }

  /** Each is asked about with its message whole; what nobody could be asked about is looked at again later. */
  private async ask(due: readonly { readonly half: HalfMessage; readonly clientId: string }[]): Promise<void> {
    const { store, view, commands, logClock, log } = this.parts;
    const found = await Promise.all(due.map(({ half }) => this.read(half)));
    if (this.stopped) return;
    const asked: HalfMessage[] = [];
    const nowMs = logClock.nowMs();
    for (const [i, { half, clientId }] of due.entries()) {
      const stored = found[i] as StoredMessage | MqError;
      const { topicId, position, size } = half;
      if (!view.half(position)) {
        this.unreadable.over(position);
        continue; // Ended while it was read: C# ends over a check that comes too late.
      }
      if (stored instanceof MqError) {
        this.couldNotRead(half, stored, nowMs);
        continue;
      }
      this.unreadable.over(position);
      const told = commands.tell({
        kind: 'recoverOrphan',
        clientId,
        place: { topicId, position, size, dueMs: 0 },
        payload: stored.payload,
        storedMs: half.storedMs,
      });
      if (told) asked.push(half);
      else view.later(position, nowMs + nobodyMs);
    }
    if (asked.length === 0) return;
    try {
      const { kind, payload } = view.decideChecked(asked, nowMs);
      store.append(kind, nowMs, payload);
      this.checksSent += asked.length;
    } catch (caught) {
      for (const { position } of asked) view.later(position, nowMs + nobodyMs);
      log.warn(failureFacts(caught), 'checks of half messages could not be noted');
    }
  }

  private async read({ position, size }: HalfMessage): Promise<StoredMessage | MqError> {
    try {
      return await this.parts.store.read(position, size);
    } catch (caught) {
      return MqError.from(caught);
    }
  }

  /**
   * Nobody can be asked about it: it stays open, so that its producer or an operator may still end it, and is tried less and
   * less often, in case its file comes back. What an operator has given up as lost is rolled back.
   */
  private couldNotRead(half: HalfMessage, error: MqError, nowMs: number): void {
    const { store, view, log } = this.parts;
    const { position, size, topicId } = half;
    if (!error.retry && store.damage.isGivenUp(position, size)) {
      this.apply(half, 'rollback', referenceReason.recovered);
      this.unreadable.over(position);
      log.warn({ position, topicId }, 'a half message was lost and given up: it is rolled back');
      return;
    }
    const { waitMs, first } = this.unreadable.failed(position, nowMs);
    view.later(position, nowMs + Math.max(nobodyMs, waitMs));
    if (!first) return;
    const facts = { position, topicId, ...failureFacts(error) };
    log.error(
      facts,
      'a half message can not be read, so nobody is asked about it: it stays open until its producer or an operator ends it, or it is given up (comet broker give-up)',
    );
  }
}

function onItsWay(): MqError {
  return new MqError('UNAVAILABLE', 'the half message is on its way to another broker set');
}

function unknownId(): MqError {
  return new MqError('INVALID_TRANSACTION_ID', 'no open transaction has this id; it may have ended long ago');
}

function bump(counts: Map<TopicId, number>, topicId: TopicId): void {
  counts.set(topicId, (counts.get(topicId) ?? 0) + 1);
}
