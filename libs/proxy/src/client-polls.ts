/**
 * The long polls that wait in this proxy: how many for each group and topic, and a slow beat that ends those whose
 * answer is overdue and asks again for those that found nobody to ask.
 */
import type { Clock, Timer } from '@cometmq/shared';

export interface WaitingPoll {
  readonly clientId: string;
  /** Which one it came by. */
  readonly connection: number;
  /** One bound holds for all polls with the same key. */
  readonly key: string;
  /** Ends what is overdue; asks again where nobody could be asked. `changed`: what it waits for may be another, or gone. */
  tick(nowMs: number, changed: boolean): void;
  /** Answers now that there is nothing. */
  endNow(): void;
}

const beatMs = 100;

export class ClientPolls {
  private readonly polls = new Set<WaitingPoll>();
  private readonly counts = new Map<string, number>();
  private beat: Timer | undefined;
  private soon: Timer | undefined;

  constructor(private readonly clock: Clock) {}

  get size(): number {
    return this.polls.size;
  }

  countOf(key: string): number {
    return this.counts.get(key) ?? 0;
  }

  add(poll: WaitingPoll): void {
    this.polls.add(poll);
    this.counts.set(poll.key, this.countOf(poll.key) + 1);
    if (!this.beat) this.nextBeat();
  }

  delete(poll: WaitingPoll): void {
    if (!this.polls.delete(poll)) return;
    const left = this.countOf(poll.key) - 1;
    if (left > 0) this.counts.set(poll.key, left);
    else this.counts.delete(poll.key);
  }

  /** The directory changed: who found nobody to ask may find somebody now, or wait for what is no more. */
  wake(): void {
    if (this.polls.size === 0) return;
    this.soon ??= this.clock.after(0, () => {
      this.soon = undefined;
      this.tick(true);
    });
  }

  endAll(): void {
    for (const poll of [...this.polls]) poll.endNow();
  }

  /** The client has gone, or left one connection: nothing may be taken for it any more. */
  endOf(clientId: string, connection?: number): void {
    for (const poll of [...this.polls]) {
      if (poll.clientId === clientId && (connection === undefined || poll.connection === connection)) poll.endNow();
    }
  }

  private nextBeat(): void {
    this.beat = this.clock.after(beatMs, () => {
      this.beat = undefined;
      this.tick(false);
      if (this.polls.size > 0) this.nextBeat();
    });
  }

  private tick(changed: boolean): void {
    const nowMs = this.clock.monotonicMs();
    for (const poll of this.polls) poll.tick(nowMs, changed); // A set may lose and gain members while it is walked.
  }
}
