import type { GroupId, QueueOffset } from '@cometmq/model';

import { blockOffsets } from './block-table.js';
import type { QueuedMessage } from './ports.js';
import type { ProgressDirectory } from './progress-directory.js';
import type { QueueProgress } from './queue-progress.js';
import { noteDue, type Tables } from './tables.js';

export interface ExhaustedMessage extends QueuedMessage {
  readonly groupId: GroupId;
}

/** Queues looked at in one call; the others have their turn with the next. */
const looksMax = 20_000;

/** Finds what has become due, whoever asks for messages: a heap over all queues says where there is something to look at. */
export class DueWatch {
  constructor(
    private readonly tables: Tables<QueueProgress>,
    private readonly directory: ProgressDirectory,
  ) {}

  /**
   * Messages that became due since the last call and were delivered as often as allowed: they are dead letters. Each is told
   * once. `attemptsMaxOf` answers undefined for a group that nobody knows.
   */
  takeExhausted(
    nowMs: number,
    attemptsMaxOf: (groupId: GroupId) => number | undefined,
    max: number,
  ): ExhaustedMessage[] {
    const { alarms } = this.tables.due;
    for (let left = looksMax; left > 0 && alarms.topMs <= nowMs; left -= 1) {
      const timeMs = alarms.topMs;
      const progress = this.directory.at(alarms.topKey);
      alarms.pop();
      if (progress?.alarmMs === timeMs) progress.look(nowMs);
    }
    const { news } = this.tables.due;
    const exhausted: ExhaustedMessage[] = [];
    let at = 0;
    for (; at < news.length && exhausted.length < max; at += 2) {
      const progress = this.directory.at(news[at] as number);
      const offset = news[at + 1] as number;
      if (progress && isExhausted(progress, offset, nowMs, attemptsMaxOf(progress.groupId))) {
        const { groupId, topicId, queueId } = progress;
        exhausted.push({ groupId, topicId, queueId, offset: offset as QueueOffset });
      }
    }
    if (at === news.length) this.tables.due.news = [];
    else news.splice(0, at);
    return exhausted;
  }

  /** What is due is looked at again: the group may have been allowed fewer attempts. */
  again(groupId: GroupId, nowMs: number): void {
    for (const progress of this.directory.all(groupId)) {
      if (progress.dueBy(nowMs) === 0) continue;
      for (const { offset, block } of progress.openOffsets()) {
        if (progress.dueMsAt(block, offset % blockOffsets) <= nowMs) noteDue(this.tables, progress.index, offset);
      }
    }
  }
}

function isExhausted(progress: QueueProgress, offset: number, nowMs: number, attemptsMax: number | undefined): boolean {
  if (attemptsMax === undefined || progress.attemptOf(offset) < attemptsMax) return false;
  const first = progress.lanes ? progress.firstOfLane(offset) : offset;
  return first === offset && progress.dueMsOf(offset) <= nowMs;
}
