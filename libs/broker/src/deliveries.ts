import type { Done, ReceiveCall, ReceiveResult } from '@cometmq/client';
import type { PopDecision, PopQueue } from '@cometmq/consumption';
import {
  isPaused,
  queueId as toQueueId,
  type ConsumerGroup,
  type GroupId,
  type QueueId,
  type Receipt,
  type Topic,
  type TopicId,
} from '@cometmq/model';
import { failureFacts, type MqError, type Timer } from '@cometmq/shared';

import type { ColdMessages } from './cold-messages.js';
import type { DeadLetters } from './dead-letters.js';
import { keepOnly, type Forgetful, type Living } from './forgetful.js';
import { filterKey, type GroupFilters } from './group-filters.js';
import { GroupStarts } from './group-starts.js';
import { GroupTurns } from './group-turns.js';
import { Orderly } from './orderly.js';
import { PollLoop, type PollParts } from './poll-loop.js';
import { PriorityShare } from './priority-share.js';
import { QueueTurns } from './queue-turns.js';
import { StoreSource } from './store-source.js';
import { WaitingPolls, type WaitingPoll } from './waiting-polls.js';

/**
 * What one decision looks at, at most: well under a millisecond. A poll that got nothing goes on where it stopped when others
 * have had their turn.
 */
const scanMax = 2048;

export interface DeliveryParts extends PollParts {
  readonly filters: GroupFilters;
  readonly deadLetters: DeadLetters;
  readonly cold: ColdMessages;
  readonly pollsMax: number;
}

/**
 * Hands messages out. A poll takes what is there; one that finds nothing waits until a message arrives, one becomes
 * visible again, or its time has passed. What a poll was given is in the log before the poll is answered; the answer
 * does not wait for the disk (the worst a crash can do is a second delivery), but in orderly groups it does.
 */
export class Deliveries extends PollLoop<WaitingPoll> implements Forgetful {
  private readonly polls: WaitingPolls;
  /** When the next message of a topic becomes visible again for a group that waits: "group/topic". */
  private readonly alarms = new Map<string, { readonly atMs: number; readonly timer: Timer }>();
  private readonly sources = new Map<TopicId, StoreSource[]>();
  private readonly throttled = new Set<GroupId>();
  private readonly orderly: Orderly;
  private readonly priorityShare = new PriorityShare();
  private readonly queueTurns = new QueueTurns();
  private readonly starts: GroupStarts;
  private readonly turns: GroupTurns;
  private arrivals = new Map<TopicId, Set<QueueId>>();

  constructor(private readonly parts: DeliveryParts) {
    const polls = new WaitingPolls(parts.pollsMax);
    super(parts, polls);
    this.polls = polls;
    this.turns = new GroupTurns(parts.clock, (groupId, topicId) => this.changed(groupId, topicId));
    this.orderly = new Orderly(parts.groups);
    this.starts = new GroupStarts({ ...parts, onFound: (groupId, topicId) => this.changed(groupId, topicId) });
    parts.store.onArrival((topicId, queueId) => this.arrived(topicId, queueId));
  }

  receive(call: ReceiveCall, done: Done<ReceiveResult>): () => void {
    return this.look({ call, done, filterKey: filterKey(call.filter), timer: undefined, over: false });
  }

  /**
   * A member of the group that lives reads the topic. From here on the log says where the group begins in this set, whether or not
   * its polls ever come here: what it has to do is counted also when all members are gone, or in another process.
   */
  joined(groupId: GroupId, topicId: TopicId): void {
    const group = this.parts.directory.groupById(groupId);
    const topic = this.parts.directory.topicById(topicId);
    if (group && !group.lite && topic) this.starts.begin(group, topic, this.sourceOf);
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

  /** The topic's settings changed: it may be read again, or have more queues. */
  topicChanged(topicId: TopicId): void {
    for (const groupId of [...this.polls.groupsOn(topicId)]) this.changed(groupId, topicId);
  }

  /** Nobody knows what has changed. */
  everythingChanged(): void {
    for (const topicId of this.polls.topics()) this.topicChanged(topicId);
  }

  forgetGone(living: Living): void {
    keepOnly(this.sources, (topicId) => living.topic(topicId));
    keepOnly(this.throttled, (groupId) => living.group(groupId));
    for (const each of [this.queueTurns, this.starts, this.priorityShare]) each.forgetGone(living);
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

  /** Every poll that waits is answered with nothing, or with why. */
  override stop(why?: MqError): void {
    super.stop(why);
    for (const { timer } of this.alarms.values()) timer.cancel();
    this.alarms.clear();
  }

  protected tryNow(poll: WaitingPoll): boolean {
    this.parts.filters.matcher(poll.call.filter); // A wrong expression is refused before anything else.
    return this.pop(poll, undefined);
  }

  /** Who does not want to wait still does while what is there is being looked at. */
  protected override waitMs({ call }: WaitingPoll): number {
    return call.waitMs <= 0 && this.turns.isLooking(call.groupId, call.topicId) ? lookingMsMax : call.waitMs;
  }

  protected parked({ call }: WaitingPoll): void {
    this.setAlarm(call.groupId, call.topicId);
  }

  protected givenBack([first]: readonly Receipt[]): void {
    if (first) this.changed(first.groupId, first.topicId);
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
    this.starts.begin(group, topic, this.sourceOf);
    const byPriority = (poll.byPriority ??= this.priorityShare.next(group, topic));
    const queues = byPriority
      ? this.queues(group, topic, topic.readQueues - 1, -1, among)
      : this.queues(group, topic, this.queueTurns.first(group.id, topic.id, topic.readQueues), 1, among);
    if (queues.length === 0) return false;
    const nowMs = this.parts.logClock.nowMs();
    const decision = this.decide(poll, group, topic, queues, nowMs);
    if (decision.deadLetters.length > 0) this.parts.deadLetters.move(group, decision.deadLetters);
    if (decision.throttled) this.throttled.add(group.id);
    const taken = this.take(poll, decision, nowMs);
    const { needs, looks, exhausted, throttled, record } = decision;
    // Whatever was handed out: else a queue that lies on disk would have its turn when those in memory are empty.
    if (needs) this.load(group.id, topic.id, this.parts.cold.entries.load(needs.topicId, needs.queueId, needs.from));
    if (looks.length > 0) this.load(group.id, topic.id, this.parts.cold.load(looks));
    if (taken) return true;
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
    const request = (unknownMembers: boolean): PopDecision =>
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
        unknownMembers,
        scanMax,
        byUrgency: poll.byPriority ?? false,
        queues,
      });
    const unknownMembers = !sessions.settled(clock.monotonicMs());
    const decision = request(unknownMembers);
    // What is kept for members that may never come back must not stop those that are there.
    return decision.throttled && unknownMembers ? request(false) : decision;
  }

  /** Writes what was decided and answers the poll, if it got anything. */
  private take(poll: WaitingPoll, decision: PopDecision, nowMs: number): boolean {
    const placed = decision.record && this.write(decision.record, nowMs);
    if (decision.record && !placed) this.tryLater(poll);
    if (!placed) return false;
    if (decision.parked > 0) this.turns.later(poll.call.groupId, poll.call.topicId);
    const [first] = decision.handed;
    if (!first) return false;
    if (!poll.byPriority) this.queueTurns.served(poll.call.groupId, first.topicId, first.queueId);
    this.answer(poll, decision, placed);
    return true;
  }

  /** The topic's readable queues on this broker, round from `first` upwards (`step` 1) or downwards (−1). */
  private queues(
    group: ConsumerGroup,
    topic: Topic,
    first: number,
    step: number,
    among: ReadonlySet<QueueId> | undefined,
  ): PopQueue[] {
    if (topic.permission === 'none' || topic.permission === 'write' || this.parts.leaves(topic.id)) return [];
    const count = topic.readQueues;
    const found: PopQueue[] = [];
    for (let i = 0; i < count; i += 1) {
      const queueId = toQueueId((first + step * i + count) % count);
      if (among && !among.has(queueId)) continue;
      const source = this.sourceOf(topic.id, queueId);
      const start = this.starts.of(group, topic.id, queueId, source);
      if (start !== undefined) found.push({ topicId: topic.id, queueId, start, source });
    }
    return found;
  }

  private readonly sourceOf = (topicId: TopicId, queueId: QueueId): StoreSource => {
    let queues = this.sources.get(topicId);
    if (!queues) this.sources.set(topicId, (queues = []));
    const source = (queues[queueId] ??= new StoreSource(this.parts.store, this.parts.cold, topicId, queueId));
    return source;
  };

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
