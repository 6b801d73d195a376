import type { PendingPlace, TopicId } from '@cometmq/model';
import type { Turns } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import { decodeTimers, eachGone, isGoneKey, TimerList, type Timer, type TimersView } from '@cometmq/timers';

/** What is used of the store. */
type Store = Pick<StorePorts, 'coldPiece'>;

/** Pieces read before the event loop has its turn. */
const piecesPerTurn = 16;

export interface TimersAsked {
  readonly topicId: TopicId | undefined;
  /** Due from, and due before. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Those behind this one, by (due time, position). */
  readonly after: { readonly dueMs: number; readonly position: number };
  readonly max: number;
}

/** Finds waiting timers wherever they lie: near, in the tail of a bucket, or in cold pieces on disk. */
export class FarTimers {
  constructor(
    private readonly store: Store,
    private readonly timers: TimersView,
    private readonly turns: Turns,
  ) {}

  /** What `act` makes of a timer that waits as of now, and does at once; it gets undefined if it waits no more. */
  async find<T>({ position, size, topicId, dueMs }: PendingPlace, act: (timer: Timer | undefined) => T): Promise<T> {
    const same = (timer: Timer): T => act(timer.size === size && timer.topicId === topicId ? timer : undefined);
    for (;;) {
      const standing = this.timers.standing(position, dueMs);
      if (standing === 'none' || standing === 'takenBack') return act(undefined);
      if (standing !== 'far') return same(this.timers.timer(position, dueMs));
      const { keys, version } = this.timers.farPieces(dueMs);
      const { list, gone } = await this.read(keys, dueMs, dueMs + 1);
      // While it was read it may have come near, been taken back, or its tail may have become cold.
      if (this.timers.standing(position, dueMs) !== 'far' || this.timers.farPieces(dueMs).version !== version) continue;
      const found = gone.has(position) ? -1 : list.position.subarray(0, list.length).indexOf(position);
      return found < 0 ? act(undefined) : same(list.at(found));
    }
  }

  /** In the order of (due time, position). What changes meanwhile may or may not be in it. */
  async list(asked: TimersAsked): Promise<Timer[]> {
    const found = new FirstTimers(asked);
    this.timers.eachNear((list, i) => found.offer(list, i));
    for (const { endMs, tail, keys } of this.timers.farBuckets(asked.fromMs, asked.toMs)) {
      for (let i = 0; i < tail.length; i += 1) if (!this.isGone(tail, i)) found.offer(tail, i);
      const { list, gone } = await this.read(keys, asked.fromMs, asked.toMs);
      for (let i = 0; i < list.length; i += 1) {
        if (!gone.has(list.position[i] as number) && !this.isGone(list, i)) found.offer(list, i);
      }
      if (found.isFullBefore(endMs)) break;
    }
    return found.take();
  }

  private isGone(list: TimerList, i: number): boolean {
    return this.timers.isGone(list.position[i] as number, list.dueMs[i] as number);
  }

  private async read(
    keys: readonly string[],
    fromMs: number,
    toMs: number,
  ): Promise<{ readonly list: TimerList; readonly gone: ReadonlySet<number> }> {
    const list = new TimerList();
    const gone = new Set<number>();
    for (let i = 0; i < keys.length; i += 1) {
      if (i > 0 && i % piecesPerTurn === 0) await new Promise<void>((resolve) => this.turns.soon(resolve));
      const key = keys[i] as string;
      const piece = this.store.coldPiece(this.timers, key);
      if (!piece) continue; // All in it is gone.
      if (isGoneKey(key)) eachGone(piece, (position) => gone.add(position));
      else decodeTimers(piece, list, fromMs, toMs);
    }
    return { list, gone };
  }
}

/** The first so many of those that are offered. */
class FirstTimers {
  private found: Timer[] = [];

  constructor(private readonly asked: TimersAsked) {}

  offer(list: TimerList, i: number): void {
    const { topicId, fromMs, toMs, after, max } = this.asked;
    const dueMs = list.dueMs[i] as number;
    if (dueMs < fromMs || dueMs >= toMs || (topicId !== undefined && list.topicId[i] !== topicId)) return;
    if (dueMs < after.dueMs || (dueMs === after.dueMs && (list.position[i] as number) <= after.position)) return;
    this.found.push(list.at(i));
    if (this.found.length >= 2 * max + 1_000) this.cut();
  }

  /** Whether nothing due at or after `timeMs` can be among the first ones any more. */
  isFullBefore(timeMs: number): boolean {
    this.cut();
    const last = this.found[this.asked.max - 1];
    return last !== undefined && last.dueMs < timeMs;
  }

  take(): Timer[] {
    this.cut();
    return this.found;
  }

  private cut(): void {
    this.found = this.found.sort((a, b) => a.dueMs - b.dueMs || a.position - b.position).slice(0, this.asked.max);
  }
}
