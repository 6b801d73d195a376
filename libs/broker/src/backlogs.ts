import { lagOf, type Directory, type GroupQueueState, type GroupSum } from '@cometmq/client';
import type { GroupsView, Matcher, ProgressFigures, TransfersView } from '@cometmq/consumption';
import type { LiteTopicsView } from '@cometmq/lite';
import type { ConsumerGroup, GroupId, GroupStart, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { queueId as toQueueId } from '@cometmq/model';

import { keepOnly, type Forgetful, type Living } from './forgetful.js';
import type { MemberSessions } from './member-sessions.js';
import { Unwanted, type FilteredQueue, type LookedAt } from './unwanted.js';

/** What of the store is asked. */
export interface QueueBounds extends LookedAt {
  bounds(
    topicId: TopicId,
    queueId: QueueId,
  ): { readonly first: QueueOffset; readonly committed: QueueOffset; readonly everExpired: boolean };
  offsetAtTime(topicId: TopicId, queueId: QueueId, timeMs: number): Promise<QueueOffset>;
}

export interface BacklogParts {
  readonly store: QueueBounds;
  readonly groups: GroupsView;
  readonly directory: Directory;
  readonly sessions: MemberSessions;
  readonly liteTopics: LiteTopicsView;
  readonly transfers: TransfersView;
  /** What living members of the group want of the topic. */
  readonly filtersOf: (groupId: GroupId, topicId: TopicId) => readonly Matcher[];
  /** Lets others have their turn. */
  readonly breathe: () => Promise<void>;
  /** Log time: what is due by then is ready. */
  readonly nowMs: () => number;
}

/** Lookups that are kept; more would mean groups without end that begin at a time and never poll. */
const timesMax = 10_000;
/** Entries that a filtered group has not come to: looked at for one answer, and for one `load` of a queue. */
const looksAtOnceMax = 16_384;
const looksMax = 4_000_000;
/** Messages read for that, where filters ask for more than a tag. */
const readsMax = 4_096;
/** Lite topics looked at in one turn of the event loop. */
const liteSliceMax = 4_096;

/**
 * How much of each queue a group has still to do: the one place where it is counted, for metrics and reports alike.
 *
 * Counted are all queues of every topic that the group has ever polled or that a living member subscribes to. In a queue in
 * which it has not begun yet it has to do what its start policy says. What none of its members wants is nothing to do.
 * `lagOf` (libs/client) is the sum.
 */
export class Backlogs implements Forgetful {
  /** Where groups that begin at a time would begin in queues they have not polled: "group/topic/queue/time". */
  private readonly times = new Map<string, QueueOffset>();
  private readonly unwanted: Unwanted;
  /** What groups have to do in lite topics, as they were last counted. */
  private readonly lite = new Map<GroupId, GroupSum>();
  private readonly loading = new Map<GroupId, { readonly running: Promise<void>; readonly next?: Promise<void> }>();

  constructor(private readonly parts: BacklogParts) {
    this.unwanted = new Unwanted(parts.store);
  }

  /** As far as it is in memory: a group that begins at a time may miss queues it has not begun until `load` is done. */
  of(groupId: GroupId): GroupQueueState[] {
    const { groups, store, directory, nowMs } = this.parts;
    // A group may have begun in a million lite topics: they are told of one by one, when somebody asks.
    if (directory.groupById(groupId)?.lite) return [];
    const queues: GroupQueueState[] = [];
    const begun = new Set<string>();
    for (const figures of groups.progressOf(groupId, nowMs())) {
      const { topicId, queueId } = figures;
      begun.add(`${topicId}/${queueId}`);
      const { first, committed: next } = store.bounds(topicId, queueId);
      const backlog = backlogOf(figures, first, next);
      queues.push({ ...backlog, ready: Math.max(0, backlog.ready - this.unwantedIn(groupId, backlog)) });
    }
    for (const { topicId, queueId, start } of this.fresh(groupId, begun)) {
      const { first, committed: next } = store.bounds(topicId, queueId);
      const from = start ?? next;
      const nothing = { inFlight: 0, blocked: 0, lanes: 0 };
      const bounds = { committed: from, frontier: from, queueFirst: first, queueNext: next };
      const backlog = { topicId, queueId, ...bounds, ready: Math.max(0, next - Math.max(from, first)), ...nothing };
      queues.push({ ...backlog, ready: Math.max(0, backlog.ready - this.unwantedIn(groupId, backlog)) });
    }
    return queues.sort((a, b) => a.topicId - b.topicId || a.queueId - b.queueId);
  }

  /** What a group of lite topics has to do in all of them, as of the last `load`. */
  sumsOf(groupId: GroupId): GroupSum[] {
    const sum = this.lite.get(groupId);
    return sum && this.parts.directory.groupById(groupId)?.lite ? [sum] : [];
  }

  forgetGone(living: Living): void {
    keepOnly(this.lite, (groupId) => living.group(groupId));
  }

  /** Looks up what `of` and `sumsOf` can't know at once. */
  load(groupId: GroupId): Promise<void> {
    const { running, next } = this.loading.get(groupId) ?? {};
    if (next) return next;
    // Who asks while it is looked up gets a look that began afterwards, one for all of them.
    const begin = (): Promise<void> => {
      const look = this.lookUp(groupId).finally(() => {
        if (this.loading.get(groupId)?.running === look) this.loading.delete(groupId);
      });
      this.loading.set(groupId, { running: look });
      return look;
    };
    if (!running) return begin();
    const later = running.then(begin, begin);
    this.loading.set(groupId, { running, next: later });
    return later;
  }

  private async lookUp(groupId: GroupId): Promise<void> {
    const group = this.parts.directory.groupById(groupId);
    if (group?.lite) return this.countLite(group);
    this.lite.delete(groupId);
    if (group?.start.at === 'time') await this.findStarts(groupId, group.start);
    const { sessions, filtersOf } = this.parts;
    const isFiltered = (topicId: TopicId): boolean => filtersOf(groupId, topicId).some(({ all }) => !all);
    if (!sessions.topicsOf(groupId).some(isFiltered)) return;
    for (const queue of this.of(groupId)) {
      const filtered = this.filtered(groupId, queue);
      await this.unwanted.look(filtered, looksMax, readsMax, this.parts.breathe);
    }
  }

  /** Of the messages that the group has not come to, or keeps for members that nobody knows: those that it will pass over. */
  private unwantedIn(groupId: GroupId, queue: Where): number {
    return this.unwanted.count(this.filtered(groupId, queue), looksAtOnceMax) + this.notFor(groupId, queue);
  }

  /** Those that came from another broker set for other groups, or are on their way to one. */
  private notFor(groupId: GroupId, { topicId, queueId, frontier, queueFirst, queueNext }: Where): number {
    const { transfers } = this.parts;
    if (transfers.isEmpty) return 0;
    const from = Math.max(frontier, queueFirst);
    return transfers.of(topicId, queueId)?.countNotFor(groupId, from, queueNext) ?? 0;
  }

  private filtered(groupId: GroupId, { topicId, queueId, frontier, queueFirst, queueNext }: Where): FilteredQueue {
    const key = `${groupId}/${topicId}/${queueId}`;
    const filters = this.parts.filtersOf(groupId, topicId);
    const wanted = filters.length > 0 ? filters : this.unwanted.lastWanted(key);
    return {
      ...{ key, topicId, queueId, filters },
      from: frontier > queueFirst ? frontier : queueFirst,
      next: queueNext,
      kept: (each) => this.parts.groups.eachKeptForNobody(groupId, topicId, queueId, wanted, each),
    };
  }

  /** Lite topics in which the group has begun, and those that one which gets all will begin in. */
  private async countLite({ id, lite, start }: ConsumerGroup): Promise<void> {
    const { groups, store, directory, liteTopics, nowMs, breathe } = this.parts;
    const topicId = lite && directory.topic(lite.topic)?.id;
    if (topicId === undefined) {
      this.lite.delete(id);
      return;
    }
    const sum = { topicId, queues: 0, inFlight: 0, ready: 0, blocked: 0 };
    const add = (one: { readonly inFlight: number; readonly ready: number; readonly blocked: number }): void => {
      if (lagOf(one) === 0) return;
      sum.queues += 1;
      sum.inFlight += one.inFlight;
      sum.ready += one.ready;
      sum.blocked += one.blocked;
    };
    for (let from: number | undefined = 0; from !== undefined;) {
      const timed: QueueId[] = [];
      from = liteTopics.walk(from, liteSliceMax, (of, queueId) => {
        if (of !== topicId) return;
        const { first, committed: next, everExpired } = store.bounds(topicId, queueId);
        const figures = groups.figures(id, topicId, queueId, nowMs());
        if (figures) {
          const backlog = backlogOf(figures, first, next);
          return add({ ...backlog, ready: Math.max(0, backlog.ready - this.notFor(id, backlog)) });
        }
        if (!lite?.wildcard) return;
        const begin = startOffset(start, first, next, everExpired);
        if (begin === undefined) timed.push(queueId);
        else add({ inFlight: 0, blocked: 0, ready: Math.max(0, next - Math.max(begin, first)) });
      });
      for (const queueId of timed) {
        const begin = start.at === 'time' ? await store.offsetAtTime(topicId, queueId, start.timeMs) : 0;
        add({ inFlight: 0, blocked: 0, ready: Math.max(0, store.bounds(topicId, queueId).committed - begin) });
      }
      if (from !== undefined) await breathe();
    }
    this.lite.set(id, sum);
  }

  private async findStarts(groupId: GroupId, start: GroupStart & { readonly at: 'time' }): Promise<void> {
    const begun = new Set(this.parts.groups.progressOf(groupId).map(({ topicId, queueId }) => `${topicId}/${queueId}`));
    for (const { topicId, queueId, start: known } of this.fresh(groupId, begun)) {
      if (known !== undefined) continue;
      const offset = await this.parts.store.offsetAtTime(topicId, queueId, start.timeMs);
      if (this.times.size >= timesMax) this.times.clear();
      this.times.set(timeKey(groupId, topicId, queueId, start.timeMs), offset);
    }
  }

  /** Groups that have something to do, or might. */
  groupIds(): Iterable<GroupId> {
    return new Set([...this.parts.groups.groups(), ...this.parts.sessions.groupIds()]);
  }

  /** The queues of the group's topics in which it has not begun, and where it would; undefined: not known yet. */
  private *fresh(groupId: GroupId, begun: ReadonlySet<string>) {
    const { directory, sessions, store, groups } = this.parts;
    const group = directory.groupById(groupId);
    if (!group || group.lite) return;
    const topicIds = new Set(sessions.topicsOf(groupId));
    for (const { topicId } of groups.progressOf(groupId)) topicIds.add(topicId);
    for (const topicId of topicIds) {
      const topic = directory.topicById(topicId);
      const count = topic ? Math.max(topic.readQueues, topic.writeQueues) : 0;
      for (let queue = 0; queue < count; queue += 1) {
        if (begun.has(`${topicId}/${queue}`)) continue;
        const queueId = toQueueId(queue);
        const { first, committed, everExpired } = store.bounds(topicId, queueId);
        const start =
          startOffset(group.start, first, committed, everExpired) ??
          this.times.get(timeKey(groupId, topicId, queueId, group.start.at === 'time' ? group.start.timeMs : 0));
        yield { topicId, queueId, start };
      }
    }
  }
}

type Where = Pick<GroupQueueState, 'topicId' | 'queueId' | 'frontier' | 'queueFirst' | 'queueNext'>;

function timeKey(groupId: GroupId, topicId: TopicId, queueId: QueueId, timeMs: number): string {
  return `${groupId}/${topicId}/${queueId}/${timeMs}`;
}

/** Of a queue in which the group has begun. */
export function backlogOf(figures: ProgressFigures, first: QueueOffset, next: QueueOffset): GroupQueueState {
  const { topicId, queueId, committed, frontier, parked, blocked, lanes, due } = figures;
  const ready = Math.max(0, next - Math.max(frontier, first)) + parked + due;
  const inFlight = figures.inFlight - due;
  return { topicId, queueId, committed, frontier, queueFirst: first, queueNext: next, inFlight, ready, blocked, lanes };
}

/** Where a group begins in a queue it has never polled. Undefined: at a time, which has to be looked up. */
export function startOffset(
  start: GroupStart,
  first: QueueOffset,
  next: QueueOffset,
  everExpired: boolean,
): QueueOffset | undefined {
  switch (start.at) {
    case 'first':
      return first;
    case 'end':
      return next;
    case 'auto':
      return everExpired ? next : first;
    case 'time':
      return undefined;
  }
}
