import type { GroupId, TopicId } from '@cometmq/model';
import type { Turns } from '@cometmq/shared';

/**
 * Times the event loop comes round between two turns: what all others have to do comes first, several steps of it, as a
 * message on its way takes several.
 */
const restsBetween = 4;

/**
 * Groups that have more to look at in a topic, or to go on with what was fetched. Each goes on in its turn, one decision
 * at a time, with rests between: so a search through a million messages costs its neighbours little at a time.
 */
export class GroupTurns {
  private readonly turns = new Map<string, { readonly groupId: GroupId; readonly topicId: TopicId }>();
  /** Left until the next turn. */
  private rests = 0;
  /** How much is being fetched from disk, for whom. */
  private readonly loads = new Map<string, number>();

  constructor(
    private readonly clock: Turns,
    private readonly goOn: (groupId: GroupId, topicId: TopicId) => void,
  ) {}

  later(groupId: GroupId, topicId: TopicId): void {
    if (this.turns.size === 0 && this.rests === 0) this.clock.soon(this.next);
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
    this.later(groupId, topicId);
  }

  has(groupId: GroupId, topicId: TopicId): boolean {
    return this.turns.size > 0 && this.turns.has(keyOf(groupId, topicId));
  }

  /** True: what is there is being looked at, or fetched to be looked at. */
  isLooking(groupId: GroupId, topicId: TopicId): boolean {
    return this.has(groupId, topicId) || this.loads.has(keyOf(groupId, topicId));
  }

  private readonly next = (): void => {
    if (this.rests > 0) {
      this.rests -= 1;
      if (this.rests > 0 || this.turns.size > 0) this.clock.soon(this.next);
      return;
    }
    for (const [key, { groupId, topicId }] of this.turns) {
      this.turns.delete(key);
      this.rests = restsBetween;
      this.clock.soon(this.next);
      this.goOn(groupId, topicId);
      return;
    }
  };
}

function keyOf(groupId: GroupId, topicId: TopicId): string {
  return `${groupId}/${topicId}`;
}
