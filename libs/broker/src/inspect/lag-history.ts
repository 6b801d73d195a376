/**
 * How much groups have to do, over time: every two minutes the leader writes it to the log, where it is kept, copied and
 * given up like everything else. What has nothing to do is left out, but for the sample that says so first.
 */
import { lagOf, lagOfGroup, type GroupQueueState, type LagPoint } from '@cometmq/client';
import {
  decodeLagSampled,
  encodeLagSampled,
  RecordKind,
  samplesPerRecordMax,
  type GroupId,
  type LagSample,
  type TopicId,
} from '@cometmq/model';
import { AgainAndAgain, failureFacts, MqError, type Clock, type Component, type Pacing } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { Backlogs } from '../backlogs.js';
import { Subject } from './decision-entries.js';
import type { DecisionIndex } from './decision-index.js';

export interface LagParts {
  readonly store: Pick<StorePorts, 'positionAtTime' | 'readRecords' | 'scan'>;
  readonly backlogs: Backlogs;
  readonly index: DecisionIndex;
  readonly clock: Clock;
  readonly pacing: Pacing;
  readonly log: Logger;
  /** Writes to the log; undefined: this broker does not lead. */
  readonly append: ((kind: RecordKind, payload: Uint8Array) => void) | undefined;
}

export const sampleMs = 120_000;
/** Samples that are read at once. */
const sliceRecords = 64;
const pointsMax = 2_000;

/** Of one topic of a group: when what waits was stored; 0: nothing waits. */
export interface OldestWaiting {
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  /** Not done yet. */
  readonly undoneMs: number;
  /** Not delivered yet. */
  readonly undeliveredMs: number;
}

export class LagHistory implements Component {
  readonly name = 'lag history';
  /** As of the last sample, for metrics. */
  oldest: readonly OldestWaiting[] = [];
  private samples: AgainAndAgain | undefined;
  private last = new Set<GroupId>();

  constructor(private readonly parts: () => LagParts) {}

  start(): Promise<void> {
    const { clock, log } = this.parts();
    const failed = (caught: unknown): void => log.warn(failureFacts(caught), 'the lag of groups could not be noted');
    this.samples = new AgainAndAgain(clock, sampleMs, () => this.sample(), failed);
    this.samples.start();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    await this.samples?.stop();
  }

  /** Oldest first. */
  async of(groupId: GroupId, fromMs: number): Promise<LagPoint[]> {
    const { index, store, pacing } = this.parts();
    await index.follow();
    const after = fromMs > 0 ? await store.positionAtTime(fromMs) : 0;
    const places: { position: never; size: number }[] = [];
    await index.find({ topic: Subject.lag, queue: 0, offset: groupId, after }, (position, size) =>
      places.push({ position: position as never, size }),
    );
    const points: LagPoint[] = [];
    const wanted = places.slice(-pointsMax);
    const pace = pacing.begin();
    for (let at = 0; at < wanted.length; at += sliceRecords) {
      for (const record of await pace.during(store.readRecords(wanted.slice(at, at + sliceRecords)))) {
        if (pace.isOver) await pace.rest();
        if (record instanceof MqError || record.timestampMs < fromMs) continue;
        const sample = decodeLagSampled(record.payload).find((one) => one.groupId === groupId);
        if (sample) points.push({ atMs: record.timestampMs, lag: sample.lag, oldestMs: sample.oldestMs });
      }
    }
    return points;
  }

  /** Takes a sample now. */
  async sample(): Promise<void> {
    const { backlogs, append, pacing } = this.parts();
    if (!append) {
      this.oldest = [];
      return;
    }
    const samples: LagSample[] = [];
    const oldest: OldestWaiting[] = [];
    const pace = pacing.begin();
    for (const groupId of [...backlogs.groupIds()].sort((a, b) => a - b)) {
      if (this.samples?.stopped === true) return;
      await pace.during(backlogs.load(groupId));
      const queues = backlogs.of(groupId);
      const lag = lagOfGroup({ queues, sums: backlogs.sumsOf(groupId) });
      const ofTopics = await this.oldestOf(groupId, queues);
      oldest.push(...ofTopics);
      const times = ofTopics.map(({ undoneMs }) => undoneMs).filter((ms) => ms > 0);
      if (lag > 0 || this.last.has(groupId)) {
        samples.push({ groupId, lag, oldestMs: lag === 0 || times.length === 0 ? 0 : Math.min(...times) });
      }
      if (pace.isOver) await pace.rest();
    }
    this.oldest = oldest;
    this.last = new Set(samples.filter(({ lag }) => lag > 0).map(({ groupId }) => groupId));
    const { append: write } = this.parts(); // It may have been deposed meanwhile.
    for (let at = 0; at < samples.length; at += samplesPerRecordMax) {
      write?.(RecordKind.lagSampled, encodeLagSampled(samples.slice(at, at + samplesPerRecordMax)));
    }
  }

  private async oldestOf(groupId: GroupId, queues: readonly GroupQueueState[]): Promise<OldestWaiting[]> {
    const byTopic = new Map<TopicId, OldestWaiting>();
    for (const queue of queues) {
      const undoneMs = lagOf(queue) === 0 ? 0 : await this.storedMs(queue, queue.committed);
      const undeliveredMs =
        queue.ready === 0 || queue.frontier >= queue.queueNext ? 0 : await this.storedMs(queue, queue.frontier);
      const known = byTopic.get(queue.topicId);
      byTopic.set(queue.topicId, {
        groupId,
        topicId: queue.topicId,
        undoneMs: earlier(known?.undoneMs ?? 0, undoneMs),
        undeliveredMs: earlier(known?.undeliveredMs ?? 0, undeliveredMs),
      });
    }
    return [...byTopic.values()];
  }

  /** When the first message at or behind the offset was stored; 0: it can't be told. */
  private async storedMs({ topicId, queueId }: GroupQueueState, from: GroupQueueState['committed']): Promise<number> {
    const { store } = this.parts();
    const entries = await store.scan(topicId, queueId, from, 1);
    if (entries.count === 0) return 0;
    const [record] = await store.readRecords([{ position: entries.position(0), size: entries.size(0) }]);
    return !record || record instanceof MqError ? 0 : record.timestampMs;
  }
}

/** Of two times, 0 being none. */
const earlier = (a: number, b: number): number => (a === 0 ? b : b === 0 ? a : Math.min(a, b));
