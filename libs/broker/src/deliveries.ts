import type { Delivered, Directory, Done, ReceiveCall, ReceiveResult } from '@cometmq/client';
import type { GroupsView, HandedMessage, PopDecision, PopQueue, QueuedMessage } from '@cometmq/consumption';
import {
  isPaused,
  queueId as toQueueId,
  RecordKind,
  type ConsumerGroup,
  type GroupId,
  type LogPosition,
  type QueueId,
  type QueueOffset,
  type Topic,
  type TopicId,
} from '@cometmq/model';
import { type Clock, failureFacts, MqError, type Timer } from '@cometmq/shared';
import type { MessageStore, Placed } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import { startOffset } from './backlogs.js';
import { ColdMessages } from './cold-messages.js';
import type { DeadLetters } from './dead-letters.js';
import { filterKey, type GroupFilters } from './group-filters.js';
import { GroupTurns } from './group-turns.js';
import { HandOuts } from './hand-outs.js';
import type { LogClock } from './log-clock.js';
import type { MemberSessions } from './member-sessions.js';
import { Orderly } from './orderly.js';
import { PriorityShare } from './priority-share.js';
import { metadataWaitMs } from './sends.js';
import { StoreSource } from './store-source.js';
import { WaitingPolls, type WaitingPoll } from './waiting-polls.js';

/**
 * What one decision looks at, at most: well under a millisecond. A poll that got nothing goes on where it stopped when others
 * have had their turn.
 */
const scanMax = 2048;

export interface DeliveryParts {
  readonly store: MessageStore;
  readonly groups: GroupsView;
  readonly directory: Directory;
  readonly sessions: MemberSessions;
  readonly filters: GroupFilters;
  readonly deadLetters: DeadLetters;
  readonly clock: Clock;
  readonly logClock: LogClock;
  readonly log: Logger;
  readonly brokerName: string;
  readonly pollsMax: number;
}

/**
 * Hands messages out. A poll takes what is there; one that finds nothing waits until a message arrives, one becomes
 * visible again, or its time has passed. What a poll was given is in the log before the poll is answered; the answer
 * does not wait for the disk (the worst a crash can do is a second delivery), but in orderly groups it does.
 */
export class Deliveries {
  private readonly polls: WaitingPolls;
  /** When the next message of a topic becomes visible again for a group that waits: "group/topic". */
  private readonly alarms = new Map<string, { readonly atMs: number; readonly timer: Timer }>();
  private readonly sources = new Map<TopicId, StoreSource[]>();
  private readonly starts = new Map<string, QueueOffset>();
  /** In how many queues of a topic a group has begun: "group/topic". */
  private readonly begun = new Map<string, number>();
  private readonly throttled = new Set<GroupId>();
  private readonly orderly: Orderly;
  private readonly priorityShare = new PriorityShare();
  private readonly turns = new GroupTurns((groupId, topicId) => this.changed(groupId, topicId));
  private readonly cold: ColdMessages;
  private readonly handOuts: HandOuts;
  private arrivals = new Map<TopicId, Set<QueueId>>();
  private turn = 0;
  private stopping = false;

  constructor(private readonly parts: DeliveryParts) {
    this.polls = new WaitingPolls(parts.pollsMax);
    this.orderly = new Orderly(parts.groups);
    this.cold = new ColdMessages(parts.store, parts.log);
    this.handOuts = new HandOuts(parts);
    parts.store.onArrival((topicId, queueId) => this.arrived(topicId, queueId));
  }

  get waiting(): number {
    return this.polls.count;
  }

  receive(call: ReceiveCall, done: Done<ReceiveResult>): () => void {
    const { directory } = this.parts;
    const poll: WaitingPoll = { call, done, filterKey: filterKey(call.filter), timer: undefined, over: false };
    if (directory.groupById(call.groupId) && directory.topicById(call.topicId)) {
      this.begin(poll);
    } else {
      // Made a moment ago: our copy of the metadata is about to learn of it.
      const known = (): true | undefined =>
        directory.groupById(call.groupId) && directory.topicById(call.topicId) ? true : undefined;
      directory.until(known, Math.min(metadataWaitMs, call.waitMs), 'unknown').then(
        () => this.begin(poll),
        () =>
          this.finish(poll, new MqError('TOPIC_NOT_FOUND', 'the topic or the consumer group does not exist any more')),
      );
    }
    return () => {
      poll.over = true;
      this.polls.remove(poll);
      poll.abandon?.();
    };
  }

  /** Messages are done: lanes of orderly groups may have come free. */
  lanesFreed(): void {
    this.orderly.whereFreed((groupId, topicId, queues) => {
      if (!this.stopping && this.polls.of(groupId, topicId)) this.serve(groupId, topicId, queues);
    });
  }

  /** Something changed for the group: a lease was given up, a visible time set. */
  changed(groupId: GroupId, topicId: TopicId): void {
    if (this.polls.of(groupId, topicId)) this.serve(groupId, topicId, undefined);
  }

  /** The group's settings changed: it may have been resumed. */
  regroup(groupId: GroupId): void {
    for (const topicId of this.polls.topicsOf(groupId)) this.changed(groupId, topicId);
  }

  /** After acknowledgements: groups that had too much in flight may go on. */
  acknowledged(): void {
    this.lanesFreed();
    if (this.throttled.size === 0) return;
    const groups = new Set(this.throttled);
    this.throttled.clear();
    const topics = new Set<string>();
    for (const { call } of [...this.polls.all()]) {
      const key = `${call.groupId}/${call.topicId}`;
      if (!groups.has(call.groupId) || topics.has(key)) continue;
      topics.add(key);
      this.serve(call.groupId, call.topicId, undefined);
    }
  }

  /** Every poll that waits is answered with nothing. */
  stop(): void {
    this.stopping = true;
    for (const poll of [...this.polls.all()]) this.finish(poll, undefined);
    for (const { timer } of this.alarms.values()) timer.cancel();
    this.alarms.clear();
  }

  private begin(poll: WaitingPoll): void {
    if (poll.over) return;
    const { call } = poll;
    try {
      this.parts.filters.matcher(call.filter); // A wrong expression is refused before anything else.
      const nowMs = this.parts.clock.monotonicMs();
      this.parts.sessions.polled(call.groupId, call.clientId, call.topicId, call.filter, nowMs);
      if (this.pop(poll, undefined)) return;
      // Who does not want to wait still does while what is there is being looked at.
      const looking = call.waitMs <= 0 && this.turns.isLooking(call.groupId, call.topicId);
      if ((call.waitMs <= 0 && !looking) || this.stopping) {
        this.finish(poll, undefined);
        return;
      }
      this.polls.add(poll);
      poll.timer = this.parts.clock.after(looking ? lookingMsMax : call.waitMs, () => this.finish(poll, undefined));
      this.setAlarm(call.groupId, call.topicId);
    } catch (caught) {
      this.finish(poll, MqError.from(caught));
    }
  }

  /** Answers a poll without messages. Not from inside `receive`. */
  private finish(poll: WaitingPoll, error: MqError | undefined): void {
    this.polls.remove(poll);
    if (poll.over) return;
    poll.over = true;
    queueMicrotask(() => poll.done(error, error ? undefined : { messages: [] }));
  }

  private arrived(topicId: TopicId, queueId: QueueId): void {
    const queues = this.arrivals.get(topicId);
    if (queues) queues.add(queueId);
    else {
      if (this.arrivals.size === 0) queueMicrotask(() => this.serveArrivals());
      this.arrivals.set(topicId, new Set([queueId]));
    }
  }

  private serveArrivals(): void {
    const arrivals = this.arrivals;
    this.arrivals = new Map();
    for (const [topicId, queues] of arrivals) {
      for (const groupId of [...this.polls.groupsOn(topicId)]) {
        // Who has more to look at gets there in its turn.
        if (!this.turns.has(groupId, topicId)) this.serve(groupId, topicId, queues);
      }
    }
  }

  /** Lets the polls of a group that wait on a topic try again, oldest first, in the queues given or in all. */
  private serve(groupId: GroupId, topicId: TopicId, queues: ReadonlySet<QueueId> | undefined): void {
    const empty = new Set<string>();
    for (const poll of [...(this.polls.of(groupId, topicId) ?? [])]) {
      if (poll.over || empty.has(poll.filterKey)) continue;
      if (this.pop(poll, queues)) continue;
      empty.add(poll.filterKey);
      if (poll.call.waitMs <= 0 && !this.turns.isLooking(groupId, topicId)) this.finish(poll, undefined);
    }
    if (this.polls.of(groupId, topicId)) this.setAlarm(groupId, topicId);
  }

  /** True: the poll is being answered. */
  private pop(poll: WaitingPoll, among: ReadonlySet<QueueId> | undefined): boolean {
    const { call } = poll;
    const group = this.parts.directory.groupById(call.groupId);
    const topic = this.parts.directory.topicById(call.topicId);
    if (!group || !topic || isPaused(group, this.parts.clock.wallMs())) return false;
    this.beginEverywhere(group, topic);
    const byPriority = (poll.byPriority ??= this.priorityShare.next(group, topic));
    const queues = byPriority
      ? this.queues(group, topic, topic.readQueues - 1, -1, among)
      : this.queues(group, topic, this.firstQueue(topic, call.queueId), 1, among);
    if (queues.length === 0) return false;
    const nowMs = this.parts.logClock.nowMs();
    const decision = this.decide(poll, group, topic, queues, nowMs);
    if (decision.deadLetters.length > 0) this.parts.deadLetters.move(group, decision.deadLetters);
    if (decision.throttled) this.throttled.add(group.id);
    if (this.take(poll, decision, nowMs)) return true;
    const { needs, looks, exhausted, throttled, record } = decision;
    if (needs) this.load(group.id, topic.id, this.cold.entries.load(needs.topicId, needs.queueId, needs.from));
    if (looks.length > 0) this.load(group.id, topic.id, this.cold.load(looks));
    if (!needs && looks.length === 0 && !exhausted && !throttled && record) this.turns.later(group.id, topic.id);
    return false;
  }

  private decide(
    poll: WaitingPoll,
    group: ConsumerGroup,
    topic: Topic,
    queues: readonly PopQueue[],
    nowMs: number,
  ): PopDecision {
    const { call } = poll;
    const { filters, sessions, clock, groups } = this.parts;
    const request = (strangers: boolean): PopDecision =>
      groups.decidePop({
        groupId: group.id,
        clientId: call.clientId,
        autoRenew: call.autoRenew,
        attemptId: call.attemptId,
        orderly: this.orderly.request(group),
        nowMs,
        visibleAtMs: nowMs + call.invisibleMs,
        messagesMax: call.messagesMax,
        bytesMax: call.bytesMax,
        attemptsMax: group.attemptsMax,
        filter: filters.matcher(call.filter),
        groupFilters: filters.ofGroup(group.id, topic.id),
        strangers,
        scanMax,
        byUrgency: poll.byPriority ?? false,
        queues,
      });
    const strangers = !sessions.settled(clock.monotonicMs());
    const decision = request(strangers);
    // What is kept for members that may never come back must not stop those that are there.
    return decision.throttled && strangers ? request(false) : decision;
  }

  /** Writes what was decided and answers the poll, if it got anything. */
  private take(poll: WaitingPoll, decision: PopDecision, nowMs: number): boolean {
    if (!decision.record) return false;
    let placed: Placed;
    try {
      placed = this.parts.store.append(decision.record.kind, nowMs, decision.record.payload);
    } catch (caught) {
      // The log is behind or full. The poll waits on; nothing was handed out.
      this.parts.log.debug(failureFacts(caught), 'a delivery had to wait');
      return false;
    }
    if (decision.parked > 0) this.turns.later(poll.call.groupId, poll.call.topicId);
    if (decision.handed.length === 0) return false;
    this.handOuts.begin(poll.call, placed.position);
    this.polls.remove(poll);
    if (decision.record.kind === RecordKind.handOut) this.answer(poll, decision.handed, placed.position);
    else {
      // Else a crash could forget who holds a lane, and the next one be given it too.
      this.parts.store.whenCommitted(placed.end, (error) => {
        if (error) this.finish(poll, error);
        else this.answer(poll, decision.handed, placed.position);
      });
    }
    return true;
  }

  private answer(poll: WaitingPoll, handed: readonly HandedMessage[], position: LogPosition): void {
    this.handOuts.load(poll, handed, position, (error, messages) => {
      if (messages) this.deliver(poll, messages);
      else poll.done(error, undefined);
    });
  }

  private deliver(poll: WaitingPoll, messages: readonly Delivered[]): void {
    if (!poll.over) {
      poll.over = true;
      poll.done(undefined, { messages });
      return;
    }
    // Nobody waits any more: as if it had not been.
    const { groups, store, logClock, log } = this.parts;
    const nowMs = logClock.nowMs();
    const receipts = messages.map(({ receipt }) => receipt);
    const { record } = groups.decideHandBack(receipts, nowMs);
    if (!record) return;
    try {
      store.append(record.kind, nowMs, record.payload);
    } catch (caught) {
      log.debug(
        { reason: MqError.from(caught).reason },
        'a delivery could not be given back; it is redelivered when its lease ends',
      );
      return;
    }
    this.changed(poll.call.groupId, poll.call.topicId);
  }

  /** The one asked for, else a different one each time. */
  private firstQueue(topic: Topic, wanted: number): number {
    return wanted >= 0 && wanted < topic.readQueues ? wanted : (this.turn += 1) % topic.readQueues;
  }

  /** The topic's readable queues on this broker, round from `first` upwards (`step` 1) or downwards (−1). */
  private queues(
    group: ConsumerGroup,
    topic: Topic,
    first: number,
    step: number,
    among: ReadonlySet<QueueId> | undefined,
  ): PopQueue[] {
    if (topic.permission === 'none' || topic.permission === 'write') return [];
    const count = topic.readQueues;
    const found: PopQueue[] = [];
    for (let i = 0; i < count; i += 1) {
      const queueId = toQueueId((first + step * i + count) % count);
      if (among && !among.has(queueId)) continue;
      const source = this.source(topic.id, queueId);
      const start = this.start(group, topic.id, queueId, source);
      if (start !== undefined) found.push({ topicId: topic.id, queueId, start, source });
    }
    return found;
  }

  private source(topicId: TopicId, queueId: QueueId): StoreSource {
    let queues = this.sources.get(topicId);
    if (!queues) this.sources.set(topicId, (queues = []));
    const source = (queues[queueId] ??= new StoreSource(this.parts.store, this.cold, topicId, queueId));
    return source;
  }

  /** Where the group begins in a queue it never looked at. Undefined: it has to be looked up first. */
  private start(
    group: ConsumerGroup,
    topicId: TopicId,
    queueId: QueueId,
    source: StoreSource,
  ): QueueOffset | undefined {
    const { start } = group;
    if (start.at !== 'time') return startOffset(start, source.first, source.next, source.everExpired);
    if (this.parts.groups.figures(group.id, topicId, queueId)) return source.first; // It has begun already.
    const key = `${group.id}/${topicId}/${queueId}`;
    const known = this.starts.get(key);
    if (known === undefined) this.findStart(key, group.id, topicId, queueId, start.timeMs);
    return known;
  }

  /**
   * With its first poll a group begins in all queues of a topic, not in each when it happens to be served from it: else what
   * comes to the others meanwhile would lie before the start of a group that begins at the end.
   */
  private beginEverywhere(group: ConsumerGroup, topic: Topic): void {
    const key = `${group.id}/${topic.id}`;
    if (this.begun.get(key) === topic.readQueues || topic.permission === 'none' || topic.permission === 'write') return;
    const starts: QueuedMessage[] = [];
    let unknown = false;
    for (let queue = 0; queue < topic.readQueues; queue += 1) {
      const queueId = toQueueId(queue);
      if (this.parts.groups.figures(group.id, topic.id, queueId)) continue;
      const offset = this.start(group, topic.id, queueId, this.source(topic.id, queueId));
      if (offset === undefined) unknown = true;
      else starts.push({ topicId: topic.id, queueId, offset });
    }
    if (starts.length > 0) {
      const { kind, payload } = this.parts.groups.decideStarts(group.id, starts);
      try {
        this.parts.store.append(kind, this.parts.logClock.nowMs(), payload);
      } catch (caught) {
        this.parts.log.debug(failureFacts(caught), 'the start of a group had to wait');
        return;
      }
    }
    if (!unknown) this.begun.set(key, topic.readQueues);
  }

  private findStart(key: string, groupId: GroupId, topicId: TopicId, queueId: QueueId, timeMs: number): void {
    this.parts.store.offsetAtTime(topicId, queueId, timeMs).then(
      (offset) => {
        this.starts.set(key, offset);
        this.changed(groupId, topicId);
      },
      (caught: unknown) => this.parts.log.error(failureFacts(caught), 'no start could be found'),
    );
  }

  /** What lies on disk is fetched; then the group's polls try again. */
  private load(groupId: GroupId, topicId: TopicId, loading: unknown): void {
    this.turns.after(loading, groupId, topicId).catch((caught: unknown) => {
      this.parts.log.error(failureFacts(caught), 'an index can not be read');
    });
  }

  private setAlarm(groupId: GroupId, topicId: TopicId): void {
    const { groups, clock, logClock, directory } = this.parts;
    const key = `${groupId}/${topicId}`;
    const pausedUntilMs = directory.groupById(groupId)?.pausedUntilMs ?? 0;
    const pauseMs = pausedUntilMs - clock.wallMs();
    const atMs = pauseMs > 0 ? pausedUntilMs : groups.nextDueMs(groupId, topicId);
    const set = this.alarms.get(key);
    if (set && set.atMs === atMs) return;
    set?.timer.cancel();
    this.alarms.delete(key);
    if (atMs === undefined) return;
    // A message that is due and still there waits for a dead-letter topic or another member: look again a little later.
    const delayMs = pauseMs > 0 ? Math.min(pauseMs, pauseLookMs) : Math.max(atMs - logClock.nowMs(), dueAgainMs);
    const timer = clock.after(delayMs, () => {
      this.alarms.delete(key);
      if (this.polls.of(groupId, topicId)) this.serve(groupId, topicId, undefined);
    });
    this.alarms.set(key, { atMs, timer });
  }
}

const dueAgainMs = 20;
/** No timer is longer. */
const pauseLookMs = 3_600_000;
/** How long a poll that does not want to wait may take to be looked after. */
const lookingMsMax = 1_000;
