/** Offsets of queues: where they begin and end, what was there at a time, and where a group that pulls has got to. */
import type { Directory, Done, OffsetsCall, OffsetsResult } from '@cometmq/client';
import type { PullOffsets } from '@cometmq/consumption';
import type { LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';
import { MqError } from '@cometmq/shared';
import type { StorePorts } from '@cometmq/store';

import { decide } from './decide.js';
import type { LogClock } from './log-clock.js';
import { groupIsGone, noSuchQueue, topicIsGone } from './refusals.js';
import { metadataWaitMs } from './sends.js';

export interface QueueOffsetsParts {
  readonly store: Pick<StorePorts, 'append' | 'appendEnd' | 'bounds' | 'offsetAtTime' | 'whenCommitted'>;
  readonly pullOffsets: PullOffsets;
  readonly directory: Directory;
  readonly logClock: LogClock;
}

/** Who reads the bounds of a queue reads what is committed. */
const committedAlready = 0 as LogPosition;

export class QueueOffsets {
  constructor(private readonly parts: QueueOffsetsParts) {}

  ask(call: OffsetsCall, done: Done<OffsetsResult>): void {
    const { ask } = call;
    const known = (): true | undefined =>
      ask.kind === 'setForGroup' && !this.parts.directory.groupById(ask.groupId) ? undefined : true;
    if (known()) this.answer(call, done);
    else {
      // Made a moment ago: our copy of the metadata is about to learn of it.
      this.parts.directory.until(known, metadataWaitMs, 'unknown').then(
        () => this.answer(call, done),
        () => done(groupIsGone(), undefined),
      );
    }
  }

  private answer({ topicId, queueId, ask }: OffsetsCall, done: Done<OffsetsResult>): void {
    if (ask.kind === 'time') {
      this.offsetAtTime(topicId, queueId, ask.atMs).then(
        (offset) => done(undefined, { offset }),
        (caught: unknown) => done(MqError.from(caught), undefined),
      );
      return;
    }
    decide(this.parts.store, done, () => {
      this.checkQueue({ topicId, queueId });
      const { first, committed } = this.parts.store.bounds(topicId, queueId);
      switch (ask.kind) {
        case 'first':
          return { end: committedAlready, result: { offset: first } };
        case 'end':
          return { end: committedAlready, result: { offset: committed } };
        case 'ofGroup':
          return { end: undefined, result: { offset: this.parts.pullOffsets.get(ask.groupId, topicId, queueId) } };
        case 'setForGroup': {
          const { groupId, offset } = ask;
          if (!Number.isSafeInteger(offset) || offset < 0) {
            throw new MqError('ILLEGAL_OFFSET', `the offset ${offset} is no whole number from 0 on`);
          }
          if (!this.parts.directory.groupById(groupId)) throw groupIsGone();
          const { kind, payload } = this.parts.pullOffsets.decide(groupId, topicId, queueId, offset);
          return { end: this.parts.store.append(kind, this.parts.logClock.nowMs(), payload).end, result: { offset } };
        }
      }
    });
  }

  private async offsetAtTime(topicId: TopicId, queueId: QueueId, atMs: number): Promise<QueueOffset> {
    this.checkQueue({ topicId, queueId });
    return this.parts.store.offsetAtTime(topicId, queueId, atMs);
  }

  private checkQueue({ topicId, queueId }: { readonly topicId: TopicId; readonly queueId: QueueId }): void {
    const topic = this.parts.directory.topicById(topicId);
    const refusal = topic ? noSuchQueue(topic, queueId) : topicIsGone();
    if (refusal) throw refusal;
  }
}
