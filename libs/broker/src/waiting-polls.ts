import type { GroupId, TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { Poll, Polls } from './poll-loop.js';

export interface WaitingPoll extends Poll {
  /** Polls with the same key want the same: where one got nothing, the other would too. */
  readonly filterKey: string;
  /** Whether it goes by priority; undefined: not decided yet. */
  byPriority?: boolean;
}

/** Who waits, by topic and group, oldest first. Bounded: a poll too many is refused, not kept. */
export class WaitingPolls implements Polls<WaitingPoll> {
  private readonly byTopic = new Map<TopicId, Map<GroupId, Set<WaitingPoll>>>();
  private total = 0;

  constructor(private readonly pollsMax: number) {}

  /** @throws MqError TOO_MANY_REQUESTS */
  add(poll: WaitingPoll): void {
    if (this.total >= this.pollsMax) {
      throw new MqError('TOO_MANY_REQUESTS', `${this.pollsMax} polls wait on this broker already; try again later`);
    }
    const { topicId, groupId } = poll.call;
    let groups = this.byTopic.get(topicId);
    if (!groups) this.byTopic.set(topicId, (groups = new Map<GroupId, Set<WaitingPoll>>()));
    let polls = groups.get(groupId);
    if (!polls) groups.set(groupId, (polls = new Set()));
    polls.add(poll);
    this.total += 1;
  }

  remove(poll: WaitingPoll): void {
    const { topicId, groupId } = poll.call;
    const groups = this.byTopic.get(topicId);
    const polls = groups?.get(groupId);
    if (!polls?.delete(poll)) return;
    this.total -= 1;
    poll.timer?.cancel();
    if (polls.size === 0) groups?.delete(groupId);
    if (groups?.size === 0) this.byTopic.delete(topicId);
  }

  topics(): TopicId[] {
    return [...this.byTopic.keys()];
  }

  groupsOn(topicId: TopicId): Iterable<GroupId> {
    return this.byTopic.get(topicId)?.keys() ?? [];
  }

  /** Topics that the group waits on. */
  topicsOf(groupId: GroupId): TopicId[] {
    return [...this.byTopic].filter(([, groups]) => groups.has(groupId)).map(([topicId]) => topicId);
  }

  of(groupId: GroupId, topicId: TopicId): ReadonlySet<WaitingPoll> | undefined {
    return this.byTopic.get(topicId)?.get(groupId);
  }

  *all(): Iterable<WaitingPoll> {
    for (const groups of this.byTopic.values()) for (const polls of groups.values()) yield* polls;
  }

  get count(): number {
    return this.total;
  }
}
