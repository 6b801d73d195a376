/** Dead letters get another chance: where they stand in their queues, or as new messages of their topic. */
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
import type { GroupsView, TransfersView } from '@cometmq/consumption';
import {
  decodeReference,
  encodeDeadLettersReplayed,
  encodeEnvelope,
  Envelope,
  hashBytes,
  queueId,
  queueOfGroup,
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
import { MqError } from '@cometmq/shared';
import { findMessages, isPending, type LogRecord, type MessageStore } from '@cometmq/store';

import { edited } from './edited-letter.js';
import { messageRecord } from './inspect/message-life.js';
import type { LogClock } from './log-clock.js';
import { ReturnedLetters, type ForeignLetter } from './returned-letters.js';
import type { TransfersIn } from './transfers/transfers-in.js';

/** What is used of the store. */
type Store = Pick<
  MessageStore,
  'append' | 'appendEnd' | 'bounds' | 'findById' | 'findReferences' | 'read' | 'readAll' | 'whenCommitted'
>;

export interface ReplayParts {
  /** As the term of leadership has it: all that is written. */
  readonly store: Store;
  readonly records: Pick<MessageStore, 'readRecords'>;
  readonly groups: GroupsView;
  readonly directory: Directory;
  readonly logClock: LogClock;
  readonly transfers: Pick<TransfersView, 'of'>;
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
  private readonly returned: ReturnedLetters;

  constructor(private readonly parts: ReplayParts) {
    this.returned = new ReturnedLetters({ ...parts, underWay: this.underWay });
  }

  /** One outcome for each place. Resolves when it is committed. @throws MqError CONSUMER_GROUP_NOT_FOUND, BAD_REQUEST */
  async replay({ groupId, places, replayId, who }: ReplayCall): Promise<ReplayOutcome[]> {
    const group = this.groupOf(groupId);
    if (places.length > replaysPerCallMax) {
      throw new MqError('BAD_REQUEST', `${places.length} dead letters at once; at most ${replaysPerCallMax}`);
    }
    const found: (Letter | ForeignLetter | undefined)[] = [];
    for (const place of places) found.push(await this.letter(group, place));
    // Everything that had to be read is known: from here on in one go, unless the group has gone meanwhile.
    this.groupOf(groupId);
    const letters: Letter[] = [];
    const foreign: ForeignLetter[] = [];
    const taken = new Set<string>();
    const outcomes = found.map((letter): ReplayOutcome | undefined => {
      if (!letter) return 'notALetter';
      if (isForeign(letter)) {
        foreign.push(letter);
        return undefined;
      }
      const key = `${letter.topicId}/${letter.queueId}/${letter.offset}`;
      const outcome = taken.has(key) ? 'open' : this.outcomeOf(group, letter);
      if (outcome !== 'replayed') return outcome;
      taken.add(key);
      letters.push(letter);
      return outcome;
    });
    const [first] = letters;
    if (first) {
      const end = this.note({ mode: 'toGroup', replayId, who, groupId, letterTopicId: first.letterTopicId, letters });
      this.parts.onReplayed(groupId, letters);
      await this.committed(end);
    }
    if (foreign.length === 0) return outcomes as ReplayOutcome[];
    const returned = await this.returned.replay(group, foreign, { replayId, who });
    return outcomes.map((outcome) => outcome ?? (returned.shift() as ReplayOutcome));
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
    const letters = [{ ...(isForeign(letter) ? { ...letter, ...sentTo } : letter), sent: sentTo }];
    await this.committed(this.note({ mode: 'toTopic', replayId, who, groupId, letterTopicId, letters }));
    return { messageId: sent.messageId, queueId: queue, offset };
  }

  private async send(
    sent: ReturnType<typeof edited>,
    topic: Topic,
    letter: Letter | ForeignLetter,
  ): Promise<{ readonly queue: QueueId; readonly offset: QueueOffset }> {
    const queue = queueOf(sent.draft.group, topic, letter);
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

  private async letter(group: ConsumerGroup, place: MessagePlace): Promise<Letter | ForeignLetter | undefined> {
    const shown = await this.recordAt(place);
    if (!shown || this.hasGone(shown)) return undefined;
    if (shown.kind === RecordKind.transferredLetter) return foreignLetter(shown, group, place);
    if (shown.kind !== RecordKind.reference) return undefined;
    const { groupId, reason, target } = decodeReference(shown.payload);
    if (reason !== referenceReason.deadLetter || groupId !== group.id) return undefined;
    const origin = await this.recordAt(target);
    const standing = origin && isPending(origin.kind) ? await this.release(origin) : origin;
    if (!standing) return undefined;
    const { topicId, queueId: queue, queueOffset: offset } = standing;
    const { topicId: letterTopicId, queueOffset: letterOffset } = shown;
    return { letterTopicId, letterOffset, topicId, queueId: queue, offset };
  }

  /** It was handed over: it is replayed where it is now. */
  private hasGone({ topicId, queueId: queue, queueOffset }: LogRecord): boolean {
    const audience = this.parts.transfers.of(topicId, queue)?.at(queueOffset);
    return audience?.only === true && audience.groups.length === 0;
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

/** A message group's messages go where new ones of it do. */
function queueOf(group: Uint8Array, topic: Topic, letter: Letter | ForeignLetter): QueueId {
  if (!isForeign(letter)) return letter.queueId < topic.writeQueues ? letter.queueId : queueId(0);
  return group.length > 0 ? queueId(queueOfGroup(hashBytes(group), topic.writeQueues)) : queueId(0);
}

function isForeign(letter: Letter | ForeignLetter): letter is ForeignLetter {
  return 'place' in letter;
}

function foreignLetter(
  { topicId, queueOffset, payload }: LogRecord,
  { id }: ConsumerGroup,
  place: MessagePlace,
): ForeignLetter | undefined {
  const letter = new Envelope(payload).transferMark?.letter;
  if (letter?.groupId !== id) return undefined;
  return { place, letterTopicId: topicId, letterOffset: queueOffset, topicId: letter.originTopicId };
}
