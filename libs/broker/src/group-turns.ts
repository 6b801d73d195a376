import type { GroupId, TopicId } from '@cometmq/model';

/**
 * Groups that have more to look at in a topic. Each goes on in its turn, one decision each time the event loop comes
 * round: so a search through a million messages costs its neighbours a millisecond at a time.
 */
export class GroupTurns {
  private readonly turns = new Map<string, { readonly groupId: GroupId; readonly topicId: TopicId }>();
  /** How much is being fetched from disk, for whom. */
  private readonly loads = new Map<string, number>();

  constructor(private readonly goOn: (groupId: GroupId, topicId: TopicId) => void) {}

  later(groupId: GroupId, topicId: TopicId): void {
    if (this.turns.size === 0) setImmediate(this.next);
    this.turns.set(keyOf(groupId, topicId), { groupId, topicId });
  }

  /** Goes on as soon as something is loaded. Rejects when it can't be. */
  async after(loading: unknown, groupId: GroupId, topicId: TopicId): Promise<void> {
    const key = keyOf(groupId, topicId);
    this.loads.set(key, (this.loads.get(key) ?? 0) + 1);
    try {
      await loading;
    } finally {
      const left = (this.loads.get(key) ?? 1) - 1;
      if (left > 0) this.loads.set(key, left);
      else this.loads.delete(key);
    }
    this.goOn(groupId, topicId);
  }

  has(groupId: GroupId, topicId: TopicId): boolean {
    return this.turns.size > 0 && this.turns.has(keyOf(groupId, topicId));
  }

  /** True: what is there is being looked at, or fetched to be looked at. */
  isLooking(groupId: GroupId, topicId: TopicId): boolean {
    return this.has(groupId, topicId) || this.loads.has(keyOf(groupId, topicId));
  }

  private readonly next = (): void => {
    for (const [key, { groupId, topicId }] of this.turns) {
      this.turns.delete(key);
      const others = this.turns.size > 0;
      this.goOn(groupId, topicId);
      if (others) setImmediate(this.next);
      return;
    }
  };
}

function keyOf(groupId: GroupId, topicId: TopicId): string {
  return `${groupId}/${topicId}`;
}
