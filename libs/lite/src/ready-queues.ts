import type { QueueId } from '@cometmq/model';

/**
 * Queues that may have something for somebody, each once, the longest ready first. Bounded: what does not fit is not
 * remembered, but that there was more is. Whoever empties it looks again at all there is (`overflowed`). So a poll costs
 * what is ready, and a burst costs no more memory than the bound.
 */
export class ReadyQueues {
  overflowed = false;
  private readonly queues = new Set<QueueId>();

  constructor(private readonly max: number) {}

  get size(): number {
    return this.queues.size;
  }
  get full(): boolean {
    return this.queues.size >= this.max;
  }

  /** False: there was no room. */
  add(queueId: QueueId): boolean {
    if (this.queues.has(queueId)) return true;
    if (this.full) {
      this.overflowed = true;
      return false;
    }
    this.queues.add(queueId);
    return true;
  }

  remove(queueId: QueueId): void {
    this.queues.delete(queueId);
  }

  /** Up to `max` of them; they stay. */
  first(max: number): QueueId[] {
    const found: QueueId[] = [];
    for (const queueId of this.queues) {
      if (found.length >= max) break;
      found.push(queueId);
    }
    return found;
  }
}
