import type { GroupId } from '@cometmq/model';

/**
 * Receive attempts that were answered to members of orderly groups: a client that lost the answer asks again with the same
 * id and gets the same messages. An attempt is known while a lease slot of it holds, or last held, anything.
 */
export interface Attempt {
  readonly key: string;
  readonly id: string;
  /** Lease slots, in the order they were handed out. */
  readonly slots: number[];
}

interface Holder {
  readonly attemptId: string;
  readonly position: number;
  readonly client: { readonly groupId: GroupId; readonly clientId: string };
}

export class AttemptTable {
  private readonly byKey = new Map<string, Attempt & { position: number }>();
  private readonly bySlot: (Attempt | undefined)[] = [];

  find(groupId: GroupId, clientId: string, id: string): Attempt | undefined {
    return this.byKey.get(keyOf(groupId, clientId, id));
  }

  /**
   * The slots of one delivery are one attempt; those of a newer delivery for the same id replace it. Answers the slots
   * that have lost their attempt so.
   */
  bind(slot: number, { attemptId: id, position, client }: Holder): readonly number[] {
    const key = keyOf(client.groupId, client.clientId, id);
    const known = this.byKey.get(key);
    if (known?.position === position) {
      known.slots.push(slot);
      this.bySlot[slot] = known;
      return none;
    }
    const attempt = { key, id, position, slots: [slot] };
    this.byKey.set(key, attempt);
    this.bySlot[slot] = attempt;
    for (const old of known?.slots ?? none) this.bySlot[old] = undefined;
    return known?.slots ?? none;
  }

  unbind(slot: number): void {
    const attempt = this.bySlot[slot];
    if (!attempt) return;
    this.bySlot[slot] = undefined;
    attempt.slots.splice(attempt.slots.indexOf(slot), 1);
    if (attempt.slots.length === 0) this.byKey.delete(attempt.key);
  }

  /** Empty: none. */
  idOf(slot: number): string {
    return this.bySlot[slot]?.id ?? '';
  }
}

const none: readonly number[] = [];

/** A client's id, and that of an attempt, are any text: where the one ends must be told. */
function keyOf(groupId: GroupId, clientId: string, id: string): string {
  return `${groupId}/${clientId.length}/${clientId}/${id}`;
}
