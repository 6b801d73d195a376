import type { Directory } from '@cometmq/client';
import type { LiteTopicsView } from '@cometmq/lite';
import type { LiteQueueGone, QueueId, Topic, TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StorePorts, Placed } from '@cometmq/store';

import type { LogClock } from '../log-clock.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'append' | 'deleteLiteQueues' | 'positionAtTime' | 'queueSize'>;

/** Places looked at in one turn of the event loop, and lite topics that one record deletes. */
const walkMax = 16_384;
const deletedPerRecordMax = 1_024;

export interface LiteTopicsParts {
  readonly view: LiteTopicsView;
  readonly store: Store;
  readonly directory: Pick<Directory, 'topicById'>;
  readonly logClock: LogClock;
  /** Lite topics on this broker, of all parents. */
  readonly topicsMax: number;
  /** A lite topic got its queue, before its first message. */
  readonly onCreated: (topicId: TopicId, name: string, queueId: QueueId) => void;
  /** Before lite topics go. */
  readonly onDeleting: (topicId: TopicId, name: string, queueId: QueueId) => void;
  /** Lets others have their turn. */
  readonly breathe: () => Promise<void>;
}

/** Makes lite topics with their first message, and deletes those that nothing is sent to any more. */
export class LiteTopics {
  /** Plain numbers for metrics. */
  created = 0;
  expired = 0;
  private sweeping = false;

  constructor(private readonly parts: LiteTopicsParts) {}

  /** The queue of a lite topic; it is made when it is not there. @throws MqError LITE_TOPIC_QUOTA_EXCEEDED */
  queueFor(topic: Topic, name: string): QueueId {
    const { view, store, logClock, topicsMax } = this.parts;
    const known = view.find(topic.id, name);
    if (known !== undefined) {
      // The send that made it was refused behind that: so may be where those begin there who wait for it.
      if (!store.queueSize(topic.id, known)) this.parts.onCreated(topic.id, name, known);
      return known;
    }
    if (view.count >= topicsMax) {
      throw new MqError(
        'LITE_TOPIC_QUOTA_EXCEEDED',
        `lite topic "${name}" can't be made: this broker has ${view.count} lite topics, at most ${topicsMax} are allowed`,
      );
    }
    const { queueId, record } = view.decideCreate(topic.id, name);
    store.append(record.kind, logClock.nowMs(), record.payload);
    this.created += 1;
    this.parts.onCreated(topic.id, name, queueId);
    return queueId;
  }

  /** Undefined: there was no such lite topic. */
  delete(topicId: TopicId, name: string): Placed | undefined {
    const queueId = this.parts.view.find(topicId, name);
    return queueId === undefined ? undefined : this.deleteAll([{ topicId, queueId }]);
  }

  /** Deletes lite topics whose newest message is older than their parent allows. One sweep at a time. */
  async sweep(): Promise<void> {
    if (this.sweeping) return;
    this.sweeping = true;
    try {
      const idleBelow = await this.findIdleBelow();
      if (idleBelow.size === 0) return;
      let from: number | undefined = 0;
      while (from !== undefined) {
        const idle: { topicId: TopicId; queueId: QueueId }[] = [];
        from = this.parts.view.walk(from, walkMax, (topicId, queueId) => {
          if (this.isIdle(topicId, queueId, idleBelow)) idle.push({ topicId, queueId });
        });
        for (let at = 0; at < idle.length; at += deletedPerRecordMax) {
          // Others have had their turn since these were found: what was sent to stays, and some may be gone.
          const some = idle
            .slice(at, at + deletedPerRecordMax)
            .filter(({ topicId, queueId }) => this.isStillIdle(topicId, queueId, idleBelow));
          if (some.length > 0) this.deleteAll(some);
          this.expired += some.length;
          await this.parts.breathe();
        }
        await this.parts.breathe();
      }
    } finally {
      this.sweeping = false;
    }
  }

  private isStillIdle(topicId: TopicId, queueId: QueueId, idleBelow: ReadonlyMap<TopicId, number>): boolean {
    return this.parts.view.nameOf(topicId, queueId) !== undefined && this.isIdle(topicId, queueId, idleBelow);
  }

  private isIdle(topicId: TopicId, queueId: QueueId, idleBelow: ReadonlyMap<TopicId, number>): boolean {
    const below = idleBelow.get(topicId);
    if (below === undefined) return false;
    const size = this.parts.store.queueSize(topicId, queueId);
    // Without a queue there was no message: its send failed behind the record that made it.
    return !size || size.last < below;
  }

  /** For each parent whose lite topics expire: the position below which everything is too old. */
  private async findIdleBelow(): Promise<Map<TopicId, number>> {
    const { view, store, directory, logClock } = this.parts;
    const below = new Map<TopicId, number>();
    for (const topicId of [...view.topics()]) {
      const expirationMs = directory.topicById(topicId)?.liteExpirationMs;
      if (expirationMs === undefined || view.countOf(topicId) === 0) continue;
      below.set(topicId, await store.positionAtTime(logClock.nowMs() - expirationMs));
    }
    return below;
  }

  private deleteAll(queues: readonly { readonly topicId: TopicId; readonly queueId: QueueId }[]): Placed {
    const { view, store, logClock, onDeleting } = this.parts;
    const gone: LiteQueueGone[] = [];
    for (const { topicId, queueId } of queues) {
      const name = view.nameOf(topicId, queueId);
      if (name !== undefined) onDeleting(topicId, name, queueId);
      const { messages, bytes } = store.queueSize(topicId, queueId) ?? { messages: 0, bytes: 0 };
      gone.push({ topicId, queueId, messages, bytes });
    }
    return store.deleteLiteQueues(view.decideDelete(gone), logClock.nowMs());
  }
}
