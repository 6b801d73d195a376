/** Dead letters get another chance: where they stand in their queues, or as new messages of their topic. */
import { createHash } from 'node:crypto';
import type {
  Directory,
  Done,
  LetterReplay,
  LettersAsked,
  MessagePlace,
  ReplayCall,
  ReplayOutcome,
  ResendCall,
  ResentLetter,
  SendCall,
  SendResult,
} from '@cometmq/client';
import { replaysPerCallMax } from '@cometmq/client';
import type { GroupsView } from '@cometmq/consumption';
import {
  decodeReference,
  encodeDeadLettersReplayed,
  encodeEnvelope,
  Envelope,
  hashBytes,
  MessageType,
  queueId,
  RecordKind,
  referenceReason,
  releasesPending,
  type ConsumerGroup,
  type DeadLettersReplayed,
  type GroupId,
  type QueueId,
  type QueueOffset,
  type ReplayedLetter,
  type Topic,
  type TopicId,
} from '@cometmq/model';
import { Encoding, Message, MessageType as WireType } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';
import { findMessages, isPending, type LogRecord, type MessageStore } from '@cometmq/store';

import { messageRecord } from './inspect/message-life.js';
import type { LogClock } from './log-clock.js';
import type { TransfersIn } from './transfers/transfers-in.js';

/** What is used of the store. */
type Store = Pick<
  MessageStore,
  'append' | 'bounds' | 'findById' | 'findReferences' | 'read' | 'readAll' | 'whenCommitted'
>;

export interface ReplayParts {
  /** As the term of leadership has it: all that is written. */
  readonly store: Store;
  readonly records: Pick<MessageStore, 'readRecords'>;
  readonly groups: GroupsView;
  readonly directory: Directory;
  readonly logClock: LogClock;
  /** Of one that came from another broker set: it goes back to the group, as a message of its own. */
  readonly giveBack: TransfersIn['giveBack'];
  readonly send: (call: SendCall, done: Done<SendResult>) => void;
  /** The group has something to do where these stand. */
  readonly onReplayed: (groupId: GroupId, letters: readonly ReplayedLetter[]) => void;
}

/** Of each letter the last time. */
type ReplaysOf = (asked: LettersAsked) => Promise<readonly LetterReplay[]>;

/** A dead letter, and the message that became it. */
interface Letter {
  /** Another broker set had the message that became it: it stands in no queue here. */
  readonly cameOver: boolean;
  readonly letterTopicId: TopicId;
  readonly letterOffset: QueueOffset;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly offset: QueueOffset;
}

/** References to one message that are looked through for the one that had made it visible. */
const referencesMax = 64;
/** Messages with the same hash of their id. */
const sameIdMax = 16;

export class DeadLetterReplays {
  /** Dead letters that are being sent again. */
  private readonly underWay = new Set<string>();

  constructor(private readonly parts: ReplayParts) {}

  /** One outcome for each place. Resolves when it is committed. @throws MqError CONSUMER_GROUP_NOT_FOUND, BAD_REQUEST */
  async replay({ groupId, places, replayId, who }: ReplayCall): Promise<ReplayOutcome[]> {
    const group = this.groupOf(groupId);
    if (places.length > replaysPerCallMax) {
      throw new MqError('BAD_REQUEST', `${places.length} dead letters at once; at most ${replaysPerCallMax}`);
    }
    const found: (Letter | undefined)[] = [];
    for (const place of places) found.push(await this.letter(group, place));
    // Everything that had to be read is known: from here on in one go, unless the group has gone meanwhile.
    this.groupOf(groupId);
    const letters: ReplayedLetter[] = [];
    const back: (Letter & { readonly place: MessagePlace })[] = [];
    const taken = new Set<string>();
    const outcomes = found.map((letter, i): ReplayOutcome => {
      if (!letter) return 'notALetter';
      if (letter.cameOver) {
        const key = `letter ${letter.letterOffset}`;
        if (!this.parts.directory.topicById(letter.topicId)) return 'gone';
        if (taken.has(key)) return 'open';
        taken.add(key);
        back.push({ ...letter, place: places[i] as MessagePlace });
        return 'replayed';
      }
      const key = `${letter.topicId}/${letter.queueId}/${letter.offset}`;
      const outcome = taken.has(key) ? 'open' : this.outcomeOf(group, letter);
      if (outcome !== 'replayed') return outcome;
      taken.add(key);
      letters.push(letter);
      return outcome;
    });
    const letterTopicId = found.find((letter) => letter)?.letterTopicId;
    if (letterTopicId === undefined) return outcomes;
    const about = { replayId, who, groupId, letterTopicId };
    if (letters.length > 0) {
      const end = this.note({ mode: 'toGroup', ...about, letters });
      this.parts.onReplayed(groupId, letters);
      await this.committed(end);
    }
    if (back.length > 0) await this.giveBack(back, about);
    return outcomes;
  }

  /** Those that came from another broker set are written once more, for the group alone. */
  private async giveBack(
    back: readonly (Letter & { readonly place: MessagePlace })[],
    about: Pick<DeadLettersReplayed, 'replayId' | 'who' | 'groupId' | 'letterTopicId'>,
  ): Promise<void> {
    const { store, directory } = this.parts;
    const letters: ReplayedLetter[] = [];
    for (const { place, ...letter } of back) {
      const topic = directory.topicById(letter.topicId);
      if (!topic) continue; // It was deleted meanwhile.
      const stored = await store.read(place.position, place.size);
      const sent = await this.parts.giveBack(about.groupId, topic, stored);
      letters.push({ ...letter, ...sent, sent });
    }
    if (letters.length === 0) return;
    const end = this.note({ mode: 'toTopic', ...about, letters });
    this.parts.onReplayed(about.groupId, letters);
    await this.committed(end);
  }

  /**
   * What was sent, and could not be noted, is noted by the call that repeats it: until then its id is the same.
   *
   * @param replaysOf which letters were replayed, as the log says
   * @throws MqError MESSAGE_NOT_FOUND, TOPIC_NOT_FOUND, CONSUMER_GROUP_NOT_FOUND, CONFLICT and what a send throws
   */
  async resend(call: ResendCall, replaysOf: ReplaysOf): Promise<ResentLetter> {
    const key = String(call.place.position);
    if (this.underWay.has(key)) throw new MqError('CONFLICT', 'this dead letter is being sent again already');
    this.underWay.add(key);
    try {
      return await this.resendOne(call, replaysOf);
    } finally {
      this.underWay.delete(key);
    }
  }

  private async resendOne(call: ResendCall, replaysOf: ReplaysOf): Promise<ResentLetter> {
    const { groupId, place, replayId, who } = call;
    const { store, directory } = this.parts;
    const letter = await this.letter(this.groupOf(groupId), place);
    if (!letter) throw new MqError('MESSAGE_NOT_FOUND', 'no dead letter of this group stands at this place');
    const topic = directory.topicById(letter.topicId);
    if (!topic) throw new MqError('TOPIC_NOT_FOUND', 'the topic that it was sent to does not exist any more');
    const { payload } = await store.read(place.position, place.size);
    const { letterTopicId, letterOffset } = letter;
    const asked = { groupId, letterTopicId, first: letterOffset, last: letterOffset, after: place.position };
    const [last] = await replaysOf(asked);
    const sent = edited(payload, call, [place.position, last?.atMs ?? 0, last?.replayId ?? ''].join('/'));
    const [before] = await findMessages(store, topic.id, sent.messageId, sameIdMax);
    const { queue, offset } = before
      ? { queue: before.queueId, offset: before.queueOffset }
      : await this.send(sent, topic, letter);
    const sentTo = { queueId: queue, offset };
    const letters = [{ ...letter, ...(letter.cameOver && sentTo), sent: sentTo }];
    await this.committed(this.note({ mode: 'toTopic', replayId, who, groupId, letterTopicId, letters }));
    return { messageId: sent.messageId, queueId: queue, offset };
  }

  private async send(
    sent: ReturnType<typeof edited>,
    topic: Topic,
    letter: Letter,
  ): Promise<{ readonly queue: QueueId; readonly offset: QueueOffset }> {
    const queue = letter.queueId < topic.writeQueues ? letter.queueId : queueId(0);
    const { offset } = await new Promise<SendResult>((resolve, reject) => {
      const { tag, group } = sent.draft;
      this.parts.send(
        {
          topicId: topic.id,
          queueId: queue,
          layout: topic.layout,
          deadlineMs: undefined,
          tagHash: hashBytes(tag),
          groupHash: hashBytes(group),
          envelope: encodeEnvelope(sent.draft),
          message: [sent.message],
        },
        (error, result) => (result ? resolve(result) : reject(error ?? new MqError('INTERNAL', 'no answer to a send'))),
      );
    });
    return { queue, offset };
  }

  private outcomeOf({ id, fifo }: ConsumerGroup, letter: Letter): ReplayOutcome {
    if (!this.parts.directory.topicById(letter.topicId)) return 'gone';
    if (letter.offset < this.parts.store.bounds(letter.topicId, letter.queueId).first) return 'gone';
    if (fifo) return 'orderly';
    const may = this.parts.groups.redeliverable(id, letter);
    if (may === 'yes') return 'replayed';
    return may === 'orderly' ? 'orderly' : 'open'; // What the group has not got to yet, it will.
  }

  private async letter(group: ConsumerGroup, place: MessagePlace): Promise<Letter | undefined> {
    const shown = await this.recordAt(place);
    if (shown?.kind === RecordKind.transferredLetter) return cameOverAs(shown, group);
    if (shown?.kind !== RecordKind.reference) return undefined;
    const { groupId, reason, target } = decodeReference(shown.payload);
    if (reason !== referenceReason.deadLetter || groupId !== group.id) return undefined;
    const origin = await this.recordAt(target);
    const standing = origin && isPending(origin.kind) ? await this.release(origin) : origin;
    if (!standing) return undefined;
    const { topicId, queueId: queue, queueOffset: offset } = standing;
    const { topicId: letterTopicId, queueOffset: letterOffset } = shown;
    return { cameOver: false, letterTopicId, letterOffset, topicId, queueId: queue, offset };
  }

  /** The reference that made a delayed message, or a committed one, visible. */
  private async release(origin: LogRecord): Promise<LogRecord | undefined> {
    const { store, records } = this.parts;
    const places = await store.findReferences(origin.position, referencesMax);
    for (const record of await records.readRecords(places)) {
      if (record instanceof MqError || record.kind !== RecordKind.reference) continue;
      const { target, reason } = decodeReference(record.payload);
      if (target.position === origin.position && releasesPending(reason)) return record;
    }
    return undefined;
  }

  private async recordAt(place: MessagePlace): Promise<LogRecord | undefined> {
    try {
      return await messageRecord(this.parts.records, place);
    } catch (caught) {
      if (MqError.from(caught).code === 'MESSAGE_NOT_FOUND') return undefined;
      throw caught;
    }
  }

  private groupOf(groupId: ConsumerGroup['id']): ConsumerGroup {
    const group = this.parts.directory.groupById(groupId);
    if (!group) throw new MqError('CONSUMER_GROUP_NOT_FOUND', 'the consumer group does not exist any more');
    return group;
  }

  private note(record: DeadLettersReplayed): LogRecord['position'] {
    const { store, logClock } = this.parts;
    return store.append(RecordKind.deadLettersReplayed, logClock.nowMs(), encodeDeadLettersReplayed(record)).end;
  }

  private committed(end: LogRecord['position']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.parts.store.whenCommitted(end, (error) => (error ? reject(error) : resolve()));
    });
  }
}

function cameOverAs({ topicId, queueOffset, payload }: LogRecord, { id }: ConsumerGroup): Letter | undefined {
  const letter = new Envelope(payload).transferMark?.letter;
  if (letter?.groupId !== id) return undefined;
  const place = { queueId: queueId(0), offset: 0 as QueueOffset };
  return { cameOver: true, letterTopicId: topicId, letterOffset: queueOffset, topicId: letter.originTopicId, ...place };
}

/**
 * The stored message as it is sent again. What a queue shows at once is no delayed message and no half of a transaction. Its
 * id follows from what it is and from `copyOf`.
 */
function edited(payload: Uint8Array, { body, tag, keys, properties }: ResendCall, copyOf: string) {
  const envelope = new Envelope(payload);
  let message: Message;
  try {
    message = Message.decode(envelope.message);
  } catch {
    message = Message.fromPartial({ body: envelope.message }); // It was never understood: it goes out as it came.
  }
  const system = message.systemProperties ?? Message.fromPartial({ systemProperties: {} }).systemProperties;
  const type =
    envelope.type === MessageType.delay || envelope.type === MessageType.transaction
      ? MessageType.normal
      : envelope.type;
  const again = Message.fromPartial({
    ...message,
    ...(properties && { userProperties: new Map(properties) }),
    ...(body && { body }),
    systemProperties: {
      ...system,
      messageId: copyOf,
      ...(type !== envelope.type && { messageType: WireType.NORMAL }),
      deliveryTimestamp: undefined,
      ...(tag !== undefined && { tag: tag === '' ? undefined : tag }),
      ...(keys && { keys: [...keys] }),
      ...(body && { bodyEncoding: Encoding.IDENTITY, bodyDigest: undefined }),
    },
  });
  const messageId = createHash('sha256')
    .update(Message.encode(again).finish())
    .digest('hex')
    .slice(0, 34)
    .toUpperCase();
  if (again.systemProperties) again.systemProperties.messageId = messageId;
  const textTag = again.systemProperties?.tag ?? '';
  return {
    messageId,
    message: Message.encode(again).finish(),
    draft: {
      type,
      tag: Buffer.from(textTag),
      id: Buffer.from(messageId),
      group: Buffer.from(envelope.group),
      keys: (again.systemProperties?.keys ?? []).map((key) => Buffer.from(key)),
      ...(envelope.priority !== undefined && { priority: envelope.priority }),
      ...(envelope.liteTopic !== undefined && { liteTopic: Buffer.from(envelope.liteTopic) }),
    },
  };
}
