import type { Directory, Done, HeldMessage, NameService } from '@cometmq/client';
import type { GroupsView, QueuedMessage } from '@cometmq/consumption';
import {
  auditTopic,
  deadLetterCause,
  deadLetterTopic,
  Envelope,
  queueId,
  referenceReason,
  type ConsumerGroup,
  type DecidedRecord,
  type GroupId,
  type LogPosition,
  type Receipt,
  type TopicId,
} from '@cometmq/model';
import { failureFacts, MqError } from '@cometmq/shared';
import { findMessages, isPending, type StorePorts } from '@cometmq/store';
import type { Logger } from '@cometmq/telemetry';

import { keepOnly, type Forgetful, type Living } from './forgetful.js';
import type { LogClock } from './log-clock.js';
import type { MessageTracing } from './message-tracing.js';
import { TryingAgain } from './trying-again.js';

/** What is used of the store. */
type Store = Pick<
  StorePorts,
  | 'append'
  | 'appendEnd'
  | 'appendReference'
  | 'damage'
  | 'epoch'
  | 'findById'
  | 'findReferences'
  | 'read'
  | 'readAll'
  | 'scan'
  | 'whenCommitted'
>;

/** Messages of a client that are read to find the one it names without a receipt. */
const heldMax = 4_096;
/** Messages with the same hash of their id. */
const sameIdMax = 16;
/** Between two lines of log on new dead letters. */
const tellMs = 10_000;
/** Messages that are moved in one round. */
const movesMax = 1_000;
/** What could not be moved is tried again as often as this at the least. */
const tryAgainMsMax = 60_000;
/** References to one message: a release, and a dead letter a group. */
const referencesMax = 64;

interface Failed {
  readonly groupId: GroupId;
  readonly message: QueuedMessage;
}

/**
 * Moves messages to a group's dead-letter topic: a reference in `%DLQ%group` and the end of the message for the group,
 * two records that the log takes together. The body stays where it is. Should an earlier leader have got no further than
 * the first of them, the second is what is left to do.
 *
 * A message that can't be read is no dead letter yet: it stays the group's, and is tried again less and less often, until
 * its file is back or an operator gives it up; then the group is done with it.
 *
 * A message is due for it when its last attempt has ended, whoever asks for messages: `look` finds those, polls tell
 * of those they meet.
 */
export class DeadLetters implements Forgetful {
  /** Messages moved, by group id and topic id. Plain numbers for metrics. */
  readonly moved = new Map<string, number>();
  /** Of them, those that no log line has told of yet, by group and topic name, and when the last line was written. */
  private untold = new Map<string, { readonly group: string; readonly topic: string; messages: number }>();
  private toldMs = -Infinity;
  private readonly underWay = new Set<string>();
  /** Could not be moved: tried again when it is due. */
  private readonly failed = new Map<string, Failed>();
  private readonly again = new TryingAgain<string>(tryAgainMsMax);
  private lostBytes = 0;
  /** Failed since the last line of log on them, for the first time, and why the last of them did. */
  private untoldFailures = 0;
  private failure: MqError | undefined;

  constructor(
    private readonly store: Store,
    private readonly groups: GroupsView,
    private readonly nameService: NameService,
    private readonly directory: Directory,
    private readonly logClock: LogClock,
    private readonly log: Logger,
    /** After a message is done: others may have waited for it. */
    private readonly onMoved: (groupId: GroupId, message: QueuedMessage) => void,
    /** Told of each that carries a trace context; undefined: nobody. */
    private readonly tracing: Pick<MessageTracing, 'deadLettered'> | undefined,
  ) {}

  /** To be called every second or so: moves what has become a dead letter, and what could not be moved before. */
  look(): void {
    this.tellFailures();
    const { bytes: lostBytes } = this.store.damage;
    const givenUp = lostBytes < this.lostBytes; // What was waited for may have come.
    this.lostBytes = lostBytes;
    for (const [key, { groupId, message }] of this.failed) {
      const group = this.directory.groupById(groupId);
      if (!this.groups.isOpen(groupId, message)) this.settled(key);
      else if (group && (givenUp || this.again.isDue(key, this.logClock.nowMs()))) {
        this.failed.delete(key);
        this.move(group, [message]);
      }
    }
    this.tell();
    const attemptsMaxOf = (groupId: GroupId): number | undefined => this.directory.groupById(groupId)?.attemptsMax;
    const exhausted = this.groups.takeExhausted(this.logClock.nowMs(), attemptsMaxOf, movesMax);
    for (const message of exhausted) this.moveIfKnown(message.groupId, message);
  }

  forgetGone(living: Living): void {
    keepOnly(this.moved, (key) => {
      const [groupId, topicId] = key.split('/').map(Number);
      return living.group(groupId as GroupId) && living.topic(topicId as TopicId);
    });
  }

  /** Messages that were delivered as often as allowed. Comes back at once. */
  move(group: ConsumerGroup, messages: readonly QueuedMessage[]): void {
    for (const message of messages) {
      const key = `${group.id}/${message.topicId}/${message.queueId}/${message.offset}`;
      if (this.underWay.has(key) || this.failed.has(key)) continue;
      this.underWay.add(key);
      this.moveOne(group, message)
        .then(
          () => this.again.over(key),
          (caught: unknown) => this.couldNot(key, { groupId: group.id, message }, MqError.from(caught)),
        )
        .finally(() => this.underWay.delete(key));
    }
  }

  private moveIfKnown(groupId: GroupId, message: QueuedMessage): void {
    const group = this.directory.groupById(groupId);
    if (group && this.groups.isOpen(groupId, message)) this.move(group, [message]);
  }

  private couldNot(key: string, failed: Failed, error: MqError): void {
    this.failed.set(key, failed);
    const { first } = this.again.failed(key, this.logClock.nowMs());
    if (!first) return;
    this.untoldFailures += 1;
    this.failure = error;
  }

  private settled(key: string): void {
    this.failed.delete(key);
    this.again.over(key);
  }

  /** Each that could not be moved is told of once. */
  private tellFailures(): void {
    const { failure, untoldFailures: messages } = this;
    if (!failure) return;
    this.failure = undefined;
    this.untoldFailures = 0;
    const said = failure.retry
      ? 'messages could not be moved to the dead-letter topic yet; trying again'
      : 'messages that became dead letters can not be moved: they stay with their group, and are tried again until they can be read or an operator gives them up (comet broker give-up)';
    this.log.warn({ messages, ...failureFacts(failure) }, said);
  }

  /** The client itself gives a message up. A second call for the same message is answered OK. */
  forward(group: ConsumerGroup, receipt: Receipt, done: Done<void>): void {
    this.forwardOne(group, receipt, done).catch((caught: unknown) => done(MqError.from(caught), undefined));
  }

  /** The client shows no receipt, but holds the message, or did until it was done. */
  forwardHeld(group: ConsumerGroup, held: HeldMessage, done: Done<void>): void {
    this.forwardHeldOne(group, held, done).catch((caught: unknown) => done(MqError.from(caught), undefined));
  }

  private async moveOne(group: ConsumerGroup, message: QueuedMessage): Promise<void> {
    const isLost = await this.isGivenUp(message);
    const end = isLost ? this.endAlone : await this.prepare(group, message, deadLetterCause.attemptsUsed);
    if (!this.groups.isOpen(group.id, message)) return; // Acknowledged meanwhile.
    end(this.groups.decideDeadLetter(group.id, [message]));
    if (isLost) this.onMoved(group.id, message);
    else this.movedOne(group, message);
  }

  /** Nothing is to be shown in the dead-letter topic. */
  private readonly endAlone = ({ kind, payload }: DecidedRecord): void => {
    this.store.append(kind, this.logClock.nowMs(), payload);
  };

  /** It was lost, and an operator gave it up: there is nothing to move, and the group is done with it. */
  private async isGivenUp({ topicId, queueId: queue, offset }: QueuedMessage): Promise<boolean> {
    const entries = await this.store.scan(topicId, queue, offset, 1);
    if (entries.count === 0 || entries.from !== offset) return false;
    const [position, size] = [entries.position(0), entries.size(0)];
    if (!this.store.damage.isGivenUp(position, size)) return false;
    return this.store.read(position, size).then(
      () => false,
      (caught: unknown) => !MqError.from(caught).retry,
    );
  }

  /** A line of the audit log stays where it is: the group's dead letters have other readers. */
  private isAudit({ topicId }: QueuedMessage): boolean {
    return this.directory.topicById(topicId)?.name === auditTopic;
  }

  private async forwardOne(group: ConsumerGroup, receipt: Receipt, done: Done<void>): Promise<void> {
    const before = this.groups.decideForward(receipt).outcomes[0];
    if (before === 'invalid')
      throw new MqError('INVALID_RECEIPT_HANDLE', 'the receipt handle names no message of the queue');
    const end = before === 'done' ? await this.prepare(group, receipt, deadLetterCause.givenUp) : undefined;
    const { record, outcomes } = this.groups.decideForward(receipt);
    const moves = end && outcomes[0] === 'done';
    // Else somebody was quicker: clients repeat for ever what is answered otherwise. Its lane may still come free.
    if (record) (moves ? end : this.endAlone)(record);
    if (moves) this.movedOne(group, receipt);
    else if (record) this.onMoved(group.id, receipt);
    this.answer(done);
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
      this.answer(done);
      return;
    }
    const end = await this.prepare(group, message, deadLetterCause.givenUp);
    if (!this.groups.isOpen(group.id, message)) {
      this.answer(done); // Somebody else was quicker.
      return;
    }
    end(this.groups.decideDeadLetter(group.id, [message]));
    this.movedOne(group, message);
    this.answer(done);
  }

  /** Done is what is committed, whoever wrote it. */
  private answer(done: Done<void>): void {
    this.store.whenCommitted(this.store.appendEnd, (error) => done(error, undefined));
  }

  private async findHeld(
    group: ConsumerGroup,
    { clientId, topicId, messageId }: HeldMessage,
  ): Promise<QueuedMessage | undefined> {
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
    for (const message of await findMessages(this.store, topicId, messageId, sameIdMax)) {
      const { kind, queueId: queue, queueOffset: offset } = message;
      if (isPending(kind)) continue; // Nobody has been given it yet.
      const frontier = this.groups.figures(group.id, topicId, queue)?.frontier ?? 0;
      if (offset < frontier && !this.groups.isOpen(group.id, { topicId, queueId: queue, offset })) return true;
    }
    return false;
  }

  /**
   * Everything that has to be waited for; the function answered appends the reference, and the end of the message for the
   * group with it, without waiting.
   */
  private async prepare(
    group: ConsumerGroup,
    message: QueuedMessage,
    cause: number,
  ): Promise<(end: DecidedRecord) => void> {
    if (this.isAudit(message)) return this.endAlone;
    const name = deadLetterTopic(group.name);
    if (!this.directory.groupById(group.id)) {
      throw new MqError('CONSUMER_GROUP_NOT_FOUND', 'the consumer group does not exist any more'); // Nor shall its topic.
    }
    const target = this.directory.topic(name) ?? (await this.nameService.ensureInnerTopic(name));
    const entries = await this.store.scan(message.topicId, message.queueId, message.offset, 1);
    if (entries.count === 0 || entries.from !== message.offset) {
      throw new MqError('MESSAGE_NOT_FOUND', 'the message has expired');
    }
    const stored = await this.store.read(entries.position(0), entries.size(0));
    if (await this.wasReferred(group.id, message, stored.origin.position, target.id)) return this.endAlone;
    return (end) => {
      const attempts = this.groups.attemptsOf(group.id, message);
      const draft = {
        topicId: target.id,
        queueId: queueId(0),
        tagHash: entries.tagHash(0),
        groupHash: entries.groupHash(0),
        timestampMs: this.logClock.nowMs(),
        target: stored.origin,
        entry: message,
        originTopicId: stored.originTopicId,
        groupId: group.id,
        reason: referenceReason.deadLetter,
        cause,
        attempts,
      };
      this.store.appendReference(draft, end);
      this.tracing?.deadLettered(group, message, stored.payload, attempts);
    };
  }

  /**
   * An earlier leader's log may end between the two records: the message is in the dead-letter topic since it was handed out
   * last, and the group is not done with it. What was handed out in this term can't be so.
   */
  private async wasReferred(
    groupId: GroupId,
    message: QueuedMessage,
    origin: LogPosition,
    letterTopicId: TopicId,
  ): Promise<boolean> {
    const handOut = this.groups.lastHandOut(groupId, message);
    if (!handOut || handOut.epoch === this.store.epoch) return false;
    for (const found of await this.store.readAll(await this.store.findReferences(origin, referencesMax))) {
      if (found instanceof MqError || found.topicId !== letterTopicId || found.origin.position !== origin) continue;
      if (found.position > handOut.position) return true;
    }
    return false;
  }

  private movedOne(group: ConsumerGroup, message: QueuedMessage): void {
    if (this.isAudit(message)) return this.onMoved(group.id, message);
    const key = `${group.id}/${message.topicId}`;
    this.moved.set(key, (this.moved.get(key) ?? 0) + 1);
    const untold = this.untold.get(key);
    if (untold) untold.messages += 1;
    else {
      const topic = this.directory.topicById(message.topicId)?.name ?? '';
      this.untold.set(key, { group: group.name, topic, messages: 1 });
    }
    this.onMoved(group.id, message);
  }

  /** A line for each group and topic with new dead letters: the first at once, then gathered, so that a flood is no flood. */
  private tell(): void {
    const nowMs = this.logClock.nowMs();
    if (this.untold.size === 0 || nowMs - this.toldMs < tellMs) return;
    this.toldMs = nowMs;
    for (const facts of this.untold.values())
      this.log.warn(facts, 'messages went to the dead-letter topic of the group');
    this.untold = new Map();
  }
}
