import type { Directory, GroupQueueState } from '@cometmq/client';
import type { GroupsView, ProgressFigures } from '@cometmq/consumption';
import type { GroupId, GroupStart, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { queueId as toQueueId } from '@cometmq/model';

import type { MemberSessions } from './member-sessions.js';

/** What of the store is asked. */
export interface QueueBounds {
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
  /** Log time: what is due by then is ready. */
  readonly nowMs: () => number;
}

/** Lookups that are kept; more would mean groups without end that begin at a time and never poll. */
const timesMax = 10_000;

/**
 * How much of each queue a group has still to do: the one place where it is counted, for metrics and reports alike.
 *
 * Counted are all queues of every topic that the group has ever polled or that a living member subscribes to. In a queue in
 * which it has not begun yet it has to do what its start policy says. `lagOf` (libs/client) is the sum.
 */
export class Backlogs {
  /** Where groups that begin at a time would begin in queues they have not polled: "group/topic/queue/time". */
  private readonly times = new Map<string, QueueOffset>();

  constructor(private readonly parts: BacklogParts) {}

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
      queues.push(backlogOf(figures, first, next));
    }
    for (const { topicId, queueId, start } of this.fresh(groupId, begun)) {
      const { first, committed: next } = store.bounds(topicId, queueId);
      const from = start ?? next;
      const nothing = { inFlight: 0, blocked: 0, lanes: 0 };
      const ready = Math.max(0, next - Math.max(from, first));
      queues.push({
        topicId,
        queueId,
        committed: from,
        frontier: from,
        queueFirst: first,
        queueNext: next,
        ready,
        ...nothing,
      });
    }
    return queues.sort((a, b) => a.topicId - b.topicId || a.queueId - b.queueId);
  }

  /** Looks up what `of` can't know at once. */
  async load(groupId: GroupId): Promise<void> {
    const start = this.parts.directory.groupById(groupId)?.start;
    if (start?.at !== 'time') return;
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
