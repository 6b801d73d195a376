import type { GroupId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import type { Poll, Polls } from '../poll-loop.js';

/** A lite consumer that waits for messages of its lite topics. */
export type LitePoll = Poll;

/** Who waits, by group and client, oldest first. Bounded: a poll too many is refused, not kept. */
export class LitePolls implements Polls<LitePoll> {
  private readonly byGroup = new Map<GroupId, Map<string, Set<LitePoll>>>();
  private total = 0;

  constructor(private readonly pollsMax: number) {}

  get count(): number {
    return this.total;
  }

  /** @throws MqError TOO_MANY_REQUESTS */
  add(poll: LitePoll): void {
    if (this.total >= this.pollsMax) {
      throw new MqError('TOO_MANY_REQUESTS', `${this.pollsMax} polls wait on this broker already; try again later`);
    }
    const { groupId, clientId } = poll.call;
    let clients = this.byGroup.get(groupId);
    if (!clients) this.byGroup.set(groupId, (clients = new Map<string, Set<LitePoll>>()));
    let polls = clients.get(clientId);
    if (!polls) clients.set(clientId, (polls = new Set()));
    polls.add(poll);
    this.total += 1;
  }

  remove(poll: LitePoll): void {
    const { groupId, clientId } = poll.call;
    const clients = this.byGroup.get(groupId);
    const polls = clients?.get(clientId);
    if (!clients || !polls?.delete(poll)) return;
    this.total -= 1;
    poll.timer?.cancel();
    if (polls.size > 0) return;
    clients.delete(clientId);
    if (clients.size === 0) this.byGroup.delete(groupId);
  }

  of(groupId: GroupId, clientId: string): readonly LitePoll[] {
    return [...(this.byGroup.get(groupId)?.get(clientId) ?? [])];
  }

  clientsOf(groupId: GroupId): readonly string[] {
    return [...(this.byGroup.get(groupId)?.keys() ?? [])];
  }

  private ofGroup(groupId: GroupId): readonly LitePoll[] {
    return [...(this.byGroup.get(groupId)?.values() ?? [])].flatMap((polls) => [...polls]);
  }

  all(): readonly LitePoll[] {
    return [...this.byGroup.keys()].flatMap((groupId) => this.ofGroup(groupId));
  }
}
