import type { Done, ReceiveCall, ReceiveResult } from '@cometmq/client';
import type { Matcher, PopDecision, PopQueue } from '@cometmq/consumption';
import {
  isPaused,
  pausedForGood,
  type ConsumerGroup,
  type GroupId,
  type QueueId,
  type Receipt,
  type Topic,
} from '@cometmq/model';
import { failureFacts, type MqError, type Timer } from '@cometmq/shared';

import { keepOnly, type Forgetful, type Living } from '../forgetful.js';
import type { DeadLetters } from '../dead-letters.js';
import { Orderly } from '../orderly.js';
import { PollLoop, type PollParts } from '../poll-loop.js';
import { LitePolls, type LitePoll } from './lite-polls.js';
import type { LiteReadiness } from './lite-readiness.js';
import type { ColdMessages } from '../cold-messages.js';
import type { LiteStarts } from './lite-starts.js';

export interface LiteDeliveriesParts extends PollParts {
  readonly deadLetters: DeadLetters;
  readonly starts: LiteStarts;
  readonly cold: ColdMessages;
  /** Lite consumers take all of what they subscribe to. */
  readonly everything: Matcher;
  readonly pollsMax: number;
}

/** Messages that one decision looks at, at most. */
const scanMax = 4_096;
/** A long pause is looked at again so often. */
const pauseLookMs = 60_000;

/**
 * Hands out messages of lite topics. A poll gets what any of the client's lite topics has, several in one answer, each in
 * its order: of one lite topic a group has one batch in flight. What was handed out is in the log, and committed, before
 * the poll is answered: else a crash could forget who holds a lite topic.
 */
export class LiteDeliveries extends PollLoop<LitePoll> implements Forgetful {
  private readonly polls: LitePolls;
  private readonly orderly: Orderly;
  /** The last attempt of each client that was given something: an answer may be lost. By group and client. */
  private readonly attempts = new Map<string, { readonly id: string; readonly queues: readonly QueueId[] }>();
  private readonly woken = new Map<GroupId, Set<string> | 'all'>();
  private readonly throttled = new Set<GroupId>();
  /** When paused groups go on. */
  private readonly paused = new Map<GroupId, { readonly atMs: number; readonly timer: Timer }>();

  constructor(
    private readonly parts: LiteDeliveriesParts,
    private readonly readiness: LiteReadiness,
  ) {
    const polls = new LitePolls(parts.pollsMax);
    super(parts, polls);
    this.polls = polls;
    this.orderly = new Orderly(parts.groups);
  }

  receive(call: ReceiveCall, done: Done<ReceiveResult>): () => void {
    return this.look({ call, done, timer: undefined, over: false });
  }

  /** There may be something for a client, or for any member of a group: its polls try again, in a moment. */
  wake(groupId: GroupId, clientId: string | undefined): void {
    if (this.woken.size === 0) queueMicrotask(() => this.serveWoken());
    const clients = this.woken.get(groupId);
    if (clients === 'all') return;
    if (clientId === undefined) this.woken.set(groupId, 'all');
    else if (clients) clients.add(clientId);
    else this.woken.set(groupId, new Set([clientId]));
  }

  /** After acknowledgements: groups that had too much in flight may go on. */
  acknowledged(): void {
    if (this.throttled.size === 0) return;
    for (const groupId of this.throttled) this.wake(groupId, undefined);
    this.throttled.clear();
  }

  forgetGone(living: Living): void {
    keepOnly(this.throttled, (groupId) => living.group(groupId));
    keepOnly(this.attempts, (key) => living.group(Number(key.slice(0, key.indexOf('/'))) as GroupId));
  }

  clientGone(groupId: GroupId, clientId: string): void {
    this.attempts.delete(attemptKey(groupId, clientId));
  }

  protected tryNow(poll: LitePoll): boolean {
    return this.pop(poll);
  }

  protected parked(): void {
    // Readiness wakes it.
  }

  protected givenBack(receipts: readonly Receipt[]): void {
    for (const { groupId, topicId, queueId } of receipts) this.readiness.changed(groupId, topicId, queueId);
  }

  private serveWoken(): void {
    const woken = [...this.woken];
    this.woken.clear();
    for (const [groupId, clients] of woken) {
      // Each client has lite topics of its own: where one has nothing, another may.
      for (const clientId of clients === 'all' ? this.polls.clientsOf(groupId) : clients) {
        for (const poll of this.polls.of(groupId, clientId)) if (!poll.over && !this.pop(poll)) break;
      }
    }
  }

  /** True: the poll is being answered. */
  private pop(poll: LitePoll): boolean {
    const { call } = poll;
    const { directory, clock, logClock, deadLetters } = this.parts;
    const group = directory.groupById(call.groupId);
    const topic = directory.topicById(call.topicId);
    if (!group || !topic) return false;
    if (isPaused(group, clock.wallMs())) {
      this.wakeAfterPause(group);
      return false;
    }
    if (topic.permission === 'none' || topic.permission === 'write' || this.parts.leaves(topic.id)) return false;
    let looked = this.again(call, this.readiness.queuesFor(group, topic.id, call.clientId, call.messagesMax));
    for (;;) {
      const queues = this.popQueues(group, topic, looked);
      const nowMs = logClock.nowMs();
      const decision = queues.length === 0 ? undefined : this.decide(call, group, queues, nowMs);
      if (decision && decision.deadLetters.length > 0) deadLetters.move(group, decision.deadLetters);
      if (decision?.throttled) this.throttled.add(group.id);
      const placed = decision?.record && this.write(decision.record, nowMs);
      if (decision?.record && !placed) {
        this.tryLater(poll);
        return false;
      }
      this.readiness.looked(group, call.topicId, call.clientId, looked);
      if (decision && placed && decision.handed.length > 0) {
        this.remember(call, decision);
        this.answer(poll, decision, placed);
        this.load(call, decision);
        return true;
      }
      if (decision?.needs) {
        this.load(call, decision);
        return false;
      }
      // Those that had nothing have left the ready set: on with the next ones, as long as there are.
      const next = this.readiness.queuesFor(group, topic.id, call.clientId, call.messagesMax);
      if (next.length === 0 || looked.includes(next[0] as QueueId)) return false;
      looked = next;
    }
  }

  /** Its polls try again when the pause is over, whatever it was before; `wake` is called where it is ended by hand. */
  private wakeAfterPause({ id, pausedUntilMs: atMs = 0 }: ConsumerGroup): void {
    const set = this.paused.get(id);
    if (set?.atMs === atMs) return;
    set?.timer.cancel();
    this.paused.delete(id);
    if (atMs === pausedForGood) return;
    const timer = this.parts.clock.after(Math.min(atMs - this.parts.clock.wallMs(), pauseLookMs), () => {
      this.paused.delete(id);
      this.wake(id, undefined);
    });
    this.paused.set(id, { atMs, timer });
  }

  /** Every poll that waits is answered with nothing, or with why. */
  override stop(why?: MqError): void {
    super.stop(why);
    for (const { timer } of this.paused.values()) timer.cancel();
    this.paused.clear();
  }

  /** With those first whose messages were the answer to the same attempt, which then was lost. */
  private again(call: ReceiveCall, ready: readonly QueueId[]): readonly QueueId[] {
    if (call.attemptId === undefined) return ready;
    const last = this.attempts.get(attemptKey(call.groupId, call.clientId));
    // After a change of leader nobody knows what was answered last: it is among what the client holds.
    const held = last
      ? last.id === call.attemptId
        ? last.queues
        : []
      : this.parts.groups.heldBy(call.groupId, call.clientId).map(({ queueId }) => queueId);
    return held.length === 0 ? ready : [...new Set([...held, ...ready])];
  }

  private popQueues(group: ConsumerGroup, topic: Topic, looked: readonly QueueId[]): PopQueue[] {
    const queues: PopQueue[] = [];
    for (const queueId of looked) {
      const source = this.parts.starts.source(topic.id, queueId);
      const start = this.parts.starts.startOf(group, topic.id, queueId);
      if (start !== undefined) queues.push({ topicId: topic.id, queueId, start, source });
    }
    return queues;
  }

  private decide(call: ReceiveCall, group: ConsumerGroup, queues: readonly PopQueue[], nowMs: number): PopDecision {
    return this.parts.groups.decidePop({
      groupId: group.id,
      clientId: call.clientId,
      autoRenew: call.autoRenew,
      attemptId: call.attemptId,
      orderly: this.orderly.of(group),
      nowMs,
      visibleAtMs: nowMs + call.invisibleMs,
      messagesMax: call.messagesMax,
      bytesMax: call.bytesMax,
      attemptsMax: group.attemptsMax,
      filter: this.parts.everything,
      groupFilters: [this.parts.everything],
      scanMax,
      queues,
    });
  }

  private remember({ groupId, clientId, attemptId }: ReceiveCall, { handed }: PopDecision): void {
    const key = attemptKey(groupId, clientId);
    if (attemptId === undefined) this.attempts.delete(key);
    else this.attempts.set(key, { id: attemptId, queues: [...new Set(handed.map(({ queueId }) => queueId))] });
  }

  /** Index entries that lie on disk are fetched; then the client's polls try again. */
  private load({ groupId, clientId }: ReceiveCall, { needs }: PopDecision): void {
    if (!needs) return;
    this.parts.cold.entries.load(needs.topicId, needs.queueId, needs.from).then(
      () => this.wake(groupId, clientId),
      (caught: unknown) => this.parts.log.error(failureFacts(caught), 'an index can not be read'),
    );
  }
}

function attemptKey(groupId: GroupId, clientId: string): string {
  return `${groupId}/${clientId}`;
}
