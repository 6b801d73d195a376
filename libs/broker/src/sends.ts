import type { Directory, Done, SendCall, SendResult } from '@cometmq/client';
import { isInnerTopic, type Topic } from '@cometmq/model';
import { MqError, type Clock } from '@cometmq/shared';
import type { MessageStore } from '@cometmq/store';

import type { LogClock } from './log-clock.js';

/** How long a call waits for metadata that another process has just made. */
export const metadataWaitMs = 2_000;

/** Takes messages in: checks that the queue was well chosen and the client still waits, appends, answers at the commit. */
export class Sends {
  /** Plain numbers for metrics. */
  accepted = 0;
  refused = 0;

  constructor(
    private readonly store: MessageStore,
    private readonly directory: Directory,
    private readonly clock: Clock,
    private readonly logClock: LogClock,
  ) {}

  send(call: SendCall, done: Done<SendResult>): void {
    const topic = this.directory.topicById(call.topicId);
    if (topic && topic.layout >= call.layout) {
      this.append(topic, call, done);
      return;
    }
    // Made or changed a moment ago: the proxy's copy of the metadata is ahead of ours.
    const known = (): Topic | undefined => {
      const found = this.directory.topicById(call.topicId);
      return found && found.layout >= call.layout ? found : undefined;
    };
    this.directory.until(known, metadataWaitMs, 'the topic is not known here').then(
      (found) => this.append(found, call, done),
      () => done(new MqError('TOPIC_NOT_FOUND', 'the topic does not exist any more'), undefined),
    );
  }

  private append(topic: Topic, call: SendCall, done: Done<SendResult>): void {
    try {
      this.check(topic, call);
      const appended = this.store.appendMessage({
        topicId: call.topicId,
        queueId: call.queueId,
        tagHash: call.tagHash,
        groupHash: call.groupHash,
        timestampMs: this.logClock.nowMs(),
        payload: [call.envelope, ...call.message],
      });
      this.store.whenCommitted(appended.end, (error) => {
        if (error) done(error, undefined);
        else done(undefined, { offset: appended.offset });
      });
      this.accepted += 1;
    } catch (caught) {
      this.refused += 1;
      done(MqError.from(caught), undefined);
    }
  }

  private check(topic: Topic, call: SendCall): void {
    if (call.deadlineMs !== undefined && this.clock.monotonicMs() > call.deadlineMs) {
      throw new MqError('TIMEOUT', 'the client gave up before the message reached its queue');
    }
    if (topic.layout !== call.layout) {
      throw new MqError('STALE_LAYOUT', `the queues of topic "${topic.name}" have changed; choose one anew`);
    }
    if (call.queueId >= topic.writeQueues) {
      throw new MqError('STALE_LAYOUT', `topic "${topic.name}" has ${topic.writeQueues} write queues`);
    }
    const mayWrite = topic.permission === 'readWrite' || topic.permission === 'write';
    if (!mayWrite && !isInnerTopic(topic.name)) {
      throw new MqError('FORBIDDEN', `topic "${topic.name}" takes no messages: its permission is ${topic.permission}`);
    }
  }
}
