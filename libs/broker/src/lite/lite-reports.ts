import {
  lagOf,
  type Directory,
  type LiteReader,
  type LiteTopicPage,
  type LiteTopicState,
  type ListLiteTopicsCall,
} from '@cometmq/client';
import type { GroupsView, TransfersView } from '@cometmq/consumption';
import type { LiteSubscriptions, LiteTopicsView } from '@cometmq/lite';
import { queueOffset, type QueueId, type TopicId } from '@cometmq/model';
import type { StorePorts } from '@cometmq/store';

import { backlogOf } from '../backlogs.js';
import type { LogClock } from '../log-clock.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'bounds' | 'queueSize' | 'read' | 'scan'>;

export interface LiteReportsParts {
  readonly view: LiteTopicsView;
  readonly store: Store;
  readonly groups: GroupsView;
  readonly logClock: LogClock;
  readonly directory: Directory;
  readonly transfers: TransfersView;
}

/** Places looked at for one page, and lite topics on it, at most. */
const walkMax = 65_536;
const pageMax = 1_000;

/** What an operator may ask about lite topics. */
export class LiteReports {
  constructor(
    private readonly parts: LiteReportsParts,
    private readonly subscriptions: LiteSubscriptions,
  ) {}

  list({ topicId, prefix, from, max }: ListLiteTopicsCall): LiteTopicPage {
    const { view, store } = this.parts;
    const wanted = Math.max(1, Math.min(max, pageMax));
    const liteTopics: { name: string; messages: number; bytes: number }[] = [];
    let next: number | undefined = from;
    for (let looked = 0; next !== undefined && looked < walkMax && liteTopics.length < wanted; looked += 1) {
      next = view.walk(next, 1, (of, queueId, place) => {
        if (of !== topicId || !view.nameAtStartsWith(place, prefix)) return;
        const { messages, bytes } = store.queueSize(topicId, queueId) ?? { messages: 0, bytes: 0 };
        const away = messages === 0 ? 0 : this.away(topicId, queueId);
        liteTopics.push({ name: view.nameAt(place), messages: messages - away, bytes });
      });
    }
    return { liteTopics, next, total: view.countOf(topicId) };
  }

  async describe(topicId: TopicId, name: string): Promise<LiteTopicState | undefined> {
    const { view, store } = this.parts;
    const queueId = view.find(topicId, name);
    if (queueId === undefined) return undefined;
    const { first, committed } = store.bounds(topicId, queueId);
    const bytes = store.queueSize(topicId, queueId)?.bytes ?? 0;
    const readers = this.readersOf(topicId, queueId, name);
    const lastMs = committed > first ? await this.timeOf(topicId, queueId, committed - 1) : 0;
    return { queueId, first, next: committed, bytes, lastMs, readers };
  }

  /** Messages that are on their way to another broker set, or there. */
  private away(topicId: TopicId, queueId: QueueId): number {
    const queue = this.parts.transfers.of(topicId, queueId);
    if (!queue) return 0;
    const { first, committed } = this.parts.store.bounds(topicId, queueId);
    return queue.countAway(first, committed);
  }

  private async timeOf(topicId: TopicId, queueId: QueueId, offset: number): Promise<number> {
    const { store } = this.parts;
    const entries = await store.scan(topicId, queueId, queueOffset(offset), 1);
    if (entries.count === 0) return 0;
    return (await store.read(entries.position(0), entries.size(0))).timestampMs;
  }

  private readersOf(topicId: TopicId, queueId: QueueId, name: string): LiteReader[] {
    const { directory, groups, store, logClock } = this.parts;
    const { first, committed: next } = store.bounds(topicId, queueId);
    const topic = directory.topicById(topicId)?.name;
    const readers: LiteReader[] = [];
    for (const { id, lite } of directory.groups()) {
      if (topic === undefined || lite?.topic !== topic) continue;
      const figures = groups.figures(id, topicId, queueId, logClock.nowMs());
      const backlog = figures && backlogOf(figures, first, next);
      const from = Math.max(backlog?.frontier ?? 0, first);
      const notFor = this.parts.transfers.of(topicId, queueId)?.countNotFor(id, from, next) ?? 0;
      const lag = backlog ? Math.max(0, lagOf(backlog) - notFor) : 0;
      const inFlight = backlog?.inFlight ?? 0;
      const subscribers = this.subscriptions.subscribersOf(id, name).map(({ clientId }) => clientId);
      readers.push({ groupId: id, committed: figures?.committed, lag, inFlight, subscribers });
    }
    return readers;
  }
}
