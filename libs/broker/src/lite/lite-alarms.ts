import type { GroupId, QueueId } from '@cometmq/model';
import { DueHeap, type Clock, type Timer } from '@cometmq/shared';

import type { LogClock } from '../log-clock.js';

interface GroupAlarms {
  readonly heap: DueHeap;
  /** When each queue is looked at; an entry of the heap counts if it agrees. */
  readonly atMs: Map<QueueId, number>;
}

/**
 * When to look at queues again because something in them becomes visible. A queue of a group has one alarm, the earliest
 * that was set: whoever looks finds out whether the time has moved on, and sets it again.
 */
export class LiteAlarms {
  private readonly groups = new Map<GroupId, GroupAlarms>();
  private timer: Timer | undefined;
  private timerMs = Infinity;

  constructor(
    private readonly clock: Clock,
    private readonly logClock: LogClock,
    private readonly ring: (groupId: GroupId, queueId: QueueId) => void,
  ) {}

  /** In log time. */
  set(groupId: GroupId, queueId: QueueId, atMs: number): void {
    let alarms = this.groups.get(groupId);
    if (!alarms) this.groups.set(groupId, (alarms = { heap: new DueHeap(), atMs: new Map() }));
    const set = alarms.atMs.get(queueId);
    if (set !== undefined && set <= atMs) return;
    alarms.atMs.set(queueId, atMs);
    alarms.heap.push(atMs, queueId);
    this.arm(atMs);
  }

  drop(groupId: GroupId): void {
    this.groups.delete(groupId);
  }

  stop(): void {
    this.timer?.cancel();
    this.groups.clear();
  }

  private arm(atMs: number): void {
    if (atMs >= this.timerMs) return;
    this.timer?.cancel();
    this.timerMs = atMs;
    this.timer = this.clock.after(Math.max(1, atMs - this.logClock.nowMs()), () => this.due());
  }

  private due(): void {
    this.timerMs = Infinity;
    const nowMs = this.logClock.nowMs();
    let nextMs = Infinity;
    for (const [groupId, { heap, atMs }] of [...this.groups]) {
      while (heap.topMs <= nowMs) {
        const [timeMs, queueId] = [heap.topMs, heap.topKey as QueueId];
        heap.pop();
        if (atMs.get(queueId) !== timeMs) continue;
        atMs.delete(queueId);
        this.ring(groupId, queueId);
      }
      if (heap.size === 0) this.groups.delete(groupId);
      else nextMs = Math.min(nextMs, heap.topMs);
    }
    if (nextMs < Infinity) this.arm(nextMs);
  }
}
