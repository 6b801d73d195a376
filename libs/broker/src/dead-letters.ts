import type { Directory, Done, HeldMessage, Naming } from '@cometmq/client';
import type { DueMessage, GroupsView } from '@cometmq/consumption';
import {
  deadLetterTopic,
  Envelope,
  hashText,
  queueId,
  referenceReason,
  type ConsumerGroup,
  type QueueId,
  type QueueOffset,
  type Receipt,
  type TopicId,
} from '@cometmq/model';
import { failureFacts, MqError } from '@cometmq/shared';
import type { MessageStore } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import type { LogClock } from './log-clock.js';

/** Messages of a client that are read to find the one it names without a receipt. */
const heldMax = 4_096;
/** Messages with the same hash of their id. */
const sameIdMax = 16;

interface Mover {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly offset: QueueOffset;
}

/**
 * Moves messages to a group's dead-letter topic: a reference in `%DLQ%group` and the end of the message for the group,
 * two records that go out together. The body stays where it is.
 */
export class DeadLetters {
  /** Messages moved, by group id and topic id. Plain numbers for metrics. */
  readonly moved = new Map<string, number>();
  private readonly underWay = new Set<string>();

  constructor(
    private readonly store: MessageStore,
    private readonly groups: GroupsView,
    private readonly naming: Naming,
    private readonly directory: Directory,
    private readonly logClock: LogClock,
    private readonly log: Logger,
    /** After messages are done: others may have waited for it. */
    private readonly onMoved: () => void,
  ) {}

  /** Messages that were delivered as often as allowed. Comes back at once; what fails is found again by a later poll. */
  move(group: ConsumerGroup, messages: readonly DueMessage[]): void {
    for (const message of messages) {
      const key = `${group.id}/${message.topicId}/${message.queueId}/${message.offset}`;
      if (this.underWay.has(key)) continue;
      this.underWay.add(key);
      this.moveOne(group, message)
        .catch((caught: unknown) => {
          this.log.warn({ group: group.name, ...failureFacts(caught) }, 'a dead letter could not be moved yet');
        })
        .finally(() => this.underWay.delete(key));
    }
  }

  /** The client itself gives a message up. A second call for the same message is answered OK. */
  forward(group: ConsumerGroup, receipt: Receipt, done: Done<void>): void {
    this.forwardOne(group, receipt, done).catch((caught: unknown) => done(MqError.from(caught), undefined));
  }

  /** The client shows no receipt, but holds the message, or did until it was done. */
  forwardHeld(group: ConsumerGroup, held: HeldMessage, done: Done<void>): void {
    this.forwardHeldOne(group, held, done).catch((caught: unknown) => done(MqError.from(caught), undefined));
  }

  private async moveOne(group: ConsumerGroup, message: DueMessage): Promise<void> {
    const refer = await this.prepare(group, message);
    if (!this.groups.isOpen(group.id, message)) return; // Acknowledged meanwhile.
    refer();
    const { kind, payload } = this.groups.decideDeadLetter(group.id, [message]);
    this.store.append(kind, this.logClock.nowMs(), payload);
    this.count(group, message.topicId);
    this.onMoved();
  }

  private async forwardOne(group: ConsumerGroup, receipt: Receipt, done: Done<void>): Promise<void> {
    const before = this.groups.decideAck([receipt], this.logClock.nowMs()).outcomes[0];
    if (before === 'invalid')
      throw new MqError('INVALID_RECEIPT_HANDLE', 'the receipt handle names no message of the queue');
    if (before === 'noEffect') {
      done(undefined, undefined);
      return;
    }
    const refer = await this.prepare(group, receipt);
    const { record, outcomes } = this.groups.decideAck([receipt], this.logClock.nowMs());
    if (!record || outcomes[0] !== 'done') {
      done(undefined, undefined); // Somebody else was quicker.
      return;
    }
    refer();
    const { end } = this.store.append(record.kind, this.logClock.nowMs(), record.payload);
    this.count(group, receipt.topicId);
    this.onMoved();
    this.store.whenCommitted(end, (error) => done(error, undefined));
  }

  private async forwardHeldOne(group: ConsumerGroup, held: HeldMessage, done: Done<void>): Promise<void> {
    const message = await this.findHeld(group, held);
    if (!message) {
      if (!(await this.wasDone(group, held))) {
        throw new MqError(
          'INVALID_RECEIPT_HANDLE',
          'the receipt handle is empty, and the client holds no such message',
        );
      }
      done(undefined, undefined);
      return;
    }
    const refer = await this.prepare(group, message);
    if (!this.groups.isOpen(group.id, message)) {
      done(undefined, undefined); // Somebody else was quicker.
      return;
    }
    refer();
    const { kind, payload } = this.groups.decideDeadLetter(group.id, [message]);
    const { end } = this.store.append(kind, this.logClock.nowMs(), payload);
    this.count(group, message.topicId);
    this.onMoved();
    this.store.whenCommitted(end, (error) => done(error, undefined));
  }

  private async findHeld(
    group: ConsumerGroup,
    { clientId, topicId, messageId }: HeldMessage,
  ): Promise<Mover | undefined> {
    const mine = this.groups.heldBy(group.id, clientId).filter((message) => message.topicId === topicId);
    for (const message of mine.slice(0, heldMax)) {
      const entries = await this.store.scan(message.topicId, message.queueId, message.offset, 1);
      if (entries.count === 0 || entries.from !== message.offset) continue;
      const { payload } = await this.store.read(entries.position(0), entries.size(0));
      if (new Envelope(payload).id === messageId) return message;
    }
    return undefined;
  }

  /** A message with this id was sent to the topic, and is nobody's any more. */
  private async wasDone(group: ConsumerGroup, { topicId, messageId }: HeldMessage): Promise<boolean> {
    for (const { position, size } of await this.store.findById(topicId, hashText(messageId), sameIdMax)) {
      const { payload, queueId: queue, queueOffset: offset } = await this.store.read(position, size);
      if (new Envelope(payload).id !== messageId) continue;
      const frontier = this.groups.figures(group.id, topicId, queue)?.frontier ?? 0;
      if (offset < frontier && !this.groups.isOpen(group.id, { topicId, queueId: queue, offset })) return true;
    }
    return false;
  }

  /** Everything that has to be waited for; the function answered appends the reference without waiting. */
  private async prepare(group: ConsumerGroup, message: Mover): Promise<() => void> {
    const name = deadLetterTopic(group.name);
    const target = this.directory.topic(name) ?? (await this.naming.ensureInnerTopic(name));
    const entries = await this.store.scan(message.topicId, message.queueId, message.offset, 1);
    if (entries.count === 0 || entries.from !== message.offset) {
      throw new MqError('MESSAGE_NOT_FOUND', 'the message has expired');
    }
    const stored = await this.store.read(entries.position(0), entries.size(0));
    return () => {
      this.store.appendReference({
        topicId: target.id,
        queueId: queueId(0),
        tagHash: entries.tagHash(0),
        groupHash: entries.groupHash(0),
        timestampMs: this.logClock.nowMs(),
        target: stored.origin,
        originTopicId: stored.originTopicId,
        groupId: group.id,
        reason: referenceReason.deadLetter,
      });
    };
  }

  private count(group: ConsumerGroup, topicId: TopicId): void {
    const key = `${group.id}/${topicId}`;
    this.moved.set(key, (this.moved.get(key) ?? 0) + 1);
  }
}
