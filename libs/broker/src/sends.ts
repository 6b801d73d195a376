import type { Directory, Done, SendCall, SendResult } from '@cometmq/client';
import {
  isSameMessage,
  Envelope,
  envelopeType,
  isInnerTopic,
  MessageType,
  type LogPosition,
  type QueueId,
  type QueueOffset,
  type Topic,
  type TopicId,
} from '@cometmq/model';
import { MqError, type Clock } from '@cometmq/shared';
import type { MessageDraft, StorePorts, Placed, StoredMessage } from '@cometmq/store';

import type { LogClock } from './log-clock.js';
import type { DedupWindow, SentMessage } from './dedup-window.js';
import type { Traffic } from './traffic.js';

/** What is used of the store. */
type Store = Pick<StorePorts, 'appendMessage' | 'appendPending' | 'read' | 'whenCommitted'>;

const none: readonly SentMessage[] = [];

/** How long a call waits for metadata that another process has just made. */
export const metadataWaitMs = 2_000;

/** Where a lite topic's messages go; it is made by its first one. @throws MqError LITE_TOPIC_QUOTA_EXCEEDED */
export interface LiteQueues {
  queueFor(topic: Topic, liteTopic: string): QueueId;
}

/** Takes messages in: checks that the queue was well chosen and the client still waits, appends, answers at the commit. */
export class Sends {
  /** Plain numbers for metrics. */
  accepted = 0;
  refused = 0;
  /** Sent again by their producers, and answered as the first time. */
  repeated = 0;

  constructor(
    private readonly store: Store,
    private readonly dedupWindow: DedupWindow,
    private readonly directory: Directory,
    private readonly clock: Clock,
    private readonly logClock: LogClock,
    private readonly lite: LiteQueues,
    private readonly traffic: Traffic,
    /** After a wait: the set may take no such sends any more, or hold them up. Makes the call if it may be made, or answers. */
    private readonly admit: (call: SendCall, done: Done<SendResult>, act: () => void) => void,
    /** A message waits now; `dueMs` 0: half of a transaction. */
    private readonly onPending: (topicId: TopicId, dueMs: number) => void,
  ) {}

  send(call: SendCall, done: Done<SendResult>): void {
    const topic = this.directory.topicById(call.topicId);
    if (topic && topic.layout >= call.layout) {
      this.take(topic, call, done);
      return;
    }
    // Made or changed a moment ago: the proxy's copy of the metadata is ahead of ours.
    const known = (): Topic | undefined => {
      const found = this.directory.topicById(call.topicId);
      return found && found.layout >= call.layout ? found : undefined;
    };
    this.directory.until(known, metadataWaitMs, 'the topic is not known here').then(
      () => this.admit(call, done, () => this.withTopic(call, done, (found) => this.take(found, call, done))),
      () => done(new MqError('TOPIC_NOT_FOUND', 'the topic does not exist any more'), undefined),
    );
  }

  /**
   * A message of a group that is there already, because its producer got no answer, is not stored again. What is found is
   * looked up by id and content, so it is the same message but for a chance of one in 2^53: another one with the same id
   * takes its place in the order at once, without a read before it.
   */
  private take(topic: Topic, call: SendCall, done: Done<SendResult>): void {
    const candidates = call.groupHash === 0 ? none : this.dedupWindow.find(call.topicId, call.envelope, call.message);
    const newest = candidates[0];
    if (!newest) {
      this.append(topic, call, done);
      return;
    }
    this.store.whenCommitted((newest.position + newest.size) as LogPosition, (error) => {
      if (error) {
        done(error, undefined);
        return;
      }
      this.firstOf(candidates, call).then(
        (first) => {
          if (!first) {
            this.admit(call, done, () => this.withTopic(call, done, (found) => this.append(found, call, done)));
            return;
          }
          this.repeated += 1;
          done(undefined, { offset: first.queueOffset });
        },
        (caught: unknown) => done(MqError.from(caught), undefined),
      );
    });
  }

  /** After a wait: the topic may have gone meanwhile, or have other queues. */
  private withTopic(call: SendCall, done: Done<SendResult>, act: (topic: Topic) => void): void {
    const topic = this.directory.topicById(call.topicId);
    if (topic) act(topic);
    else done(new MqError('TOPIC_NOT_FOUND', 'the topic does not exist any more'), undefined);
  }

  /** The message that was sent before, if it is the same one and still kept. */
  private async firstOf(candidates: readonly SentMessage[], call: SendCall): Promise<StoredMessage | undefined> {
    for (const { position, size } of candidates) {
      const stored = await Promise.resolve(this.store.read(position, size)).catch((caught: unknown) => {
        if (MqError.from(caught).code === 'NOT_FOUND') return undefined;
        throw caught;
      });
      if (stored?.topicId !== call.topicId) continue;
      if (isSameMessage(stored.payload, call.envelope, Buffer.concat(call.message))) return stored;
    }
    return undefined;
  }

  private append(topic: Topic, call: SendCall, done: Done<SendResult>): void {
    let placed: Placed;
    let result: SendResult;
    let dueMs: number | undefined;
    try {
      this.check(topic, call);
      const queueId = topic.type === MessageType.lite ? this.liteQueue(topic, call) : call.queueId;
      const draft: MessageDraft = {
        topicId: call.topicId,
        queueId,
        tagHash: call.tagHash,
        groupHash: call.groupHash,
        timestampMs: this.logClock.nowMs(),
        payload: [call.envelope, ...call.message],
      };
      dueMs = this.pendingUntil(call.envelope);
      if (dueMs === undefined) {
        const appended = this.store.appendMessage(draft);
        placed = appended;
        result = { offset: appended.offset };
      } else {
        placed = this.store.appendPending(draft);
        const { position, size } = placed;
        result = { offset: 0 as QueueOffset, pending: { topicId: call.topicId, position, size, dueMs } };
      }
    } catch (caught) {
      this.refused += 1;
      done(MqError.from(caught), undefined);
      return;
    }
    // As `decide`, without its objects: what is in the log is answered by its commit, and by nothing else.
    this.accepted += 1;
    this.traffic.sent(call.topicId, envelopeType(call.envelope), call.message);
    this.store.whenCommitted(placed.end, (error) => {
      if (error) done(error, undefined);
      else done(undefined, result);
    });
    if (dueMs !== undefined) this.onPending(call.topicId, dueMs);
  }

  private liteQueue(topic: Topic, { envelope }: SendCall): QueueId {
    const name = new Envelope(envelope).liteTopic;
    if (name === undefined)
      throw new MqError('MESSAGE_TYPE_CONFLICT', `topic "${topic.name}" takes lite messages only`);
    return this.lite.queueFor(topic, name);
  }

  /** When a delayed message is due; 0: half of a transaction, until it ends; undefined: visible at once. */
  private pendingUntil(bytes: Uint8Array): number | undefined {
    const type = envelopeType(bytes);
    if (type === MessageType.transaction) return 0;
    if (type !== MessageType.delay) return undefined;
    const { dueMs } = new Envelope(bytes);
    // What is due already is delivered at once.
    return dueMs !== undefined && dueMs > 0 && dueMs <= this.clock.wallMs() ? undefined : dueMs;
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
