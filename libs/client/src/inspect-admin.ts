import type { GroupId, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';

import type { QueueReset } from './queue-reset.js';
import type { ProducerSession, Session } from './broker-link.js';
import type { MessagePlace } from './read-message.js';

/**
 * What an operator may look at in the log of a broker set, through its leader: messages, what was decided on them, and who
 * is connected. Everything is bounded: a search answers a part and where the next one goes on.
 * @throws MqError as `BrokerAdmin`
 */
export interface InspectAdmin {
  clients(brokerSet: string): Promise<ConnectedClients>;
  /** Newest first. The same question from the same place has the same answer, but for what has expired since. */
  findMessages(brokerSet: string, query: MessageQuery): Promise<MessageFindings>;
  /** Undefined: the log does not hold it any more. @throws MqError CORRUPT_RECORD */
  readMessage(brokerSet: string, place: MessagePlace, bodyBytesMax: number): Promise<MessageContent | undefined>;
  /** Everything that was decided on the message at that place, oldest first. @throws MqError MESSAGE_NOT_FOUND */
  messageLife(brokerSet: string, place: MessagePlace): Promise<MessageLife>;
  /** Message groups of an orderly consumer group that are busy, those that wait longest first. */
  lanes(brokerSet: string, groupId: GroupId, max: number): Promise<BusyLanes>;
  /** How much the group had to do on this set, as it was sampled; oldest first. Where nothing waited there is no sample. */
  lagHistory(brokerSet: string, groupId: GroupId, fromMs: number): Promise<readonly LagPoint[]>;
  /** How operators moved the group, oldest first. */
  moves(brokerSet: string, groupId: GroupId, fromMs: number): Promise<readonly GroupMove[]>;
}

export interface LagPoint {
  readonly atMs: number;
  /** Messages not done yet. */
  readonly lag: number;
  /** When the oldest of them was stored; 0: there is none. */
  readonly oldestMs: number;
}

export interface GroupMove {
  readonly moveId: string;
  readonly atMs: number;
  readonly who: string;
  /** The move that this one took back; empty: none. */
  readonly undoes: string;
  readonly topicId: TopicId;
  readonly queues: readonly QueueReset[];
}

export interface ConnectedClients {
  readonly members: readonly Session[];
  readonly producers: readonly ProducerSession[];
}

/** What is empty does not narrow the search. */
export interface MessageQuery {
  readonly topicId: TopicId;
  readonly messageId: string;
  readonly key: string;
  readonly tag: string;
  readonly messageGroup: string;
  readonly propertyName: string;
  readonly propertyValue: string;
  /** Somewhere in the body, decompressed if it is compressed. */
  readonly text: string;
  /** Stored from, and stored before; 0: without an end. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Those before this log position; 0: from the newest on. */
  readonly before: number;
  readonly max: number;
}

export interface MessageFindings {
  readonly messages: readonly FoundMessage[];
  /** `before` of the next part; 0: there is no more. */
  readonly next: number;
  /** Messages looked at, and those still to be looked at. */
  readonly looked: number;
  readonly left: number;
}

export interface FoundMessage extends MessagePlace {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** Undefined: no queue shows it yet, or ever. */
  readonly offset?: QueueOffset | undefined;
  readonly storedMs: number;
  readonly messageId: string;
  readonly tag: string;
  readonly messageGroup: string;
  readonly keys: readonly string[];
  /** Number of a message type. */
  readonly type: number;
  readonly bodyBytes: number;
  /** The topic it was sent to: another one than `topicId` for a dead letter. */
  readonly originTopicId: TopicId;
  /** 0: it is not delayed. */
  readonly dueMs: number;
  readonly liteTopic: string;
  /** Of a dead letter: why (`deadLetterCauseName`), and after how many deliveries; 0: not said. */
  readonly cause: number;
  readonly attempts: number;
}

export interface MessageContent {
  readonly message: FoundMessage;
  readonly properties: ReadonlyMap<string, string>;
  /** As much as was asked for, decompressed if it was compressed. */
  readonly body: Uint8Array;
  /** The body is longer than what is given of it. */
  readonly cut: boolean;
  readonly bodyBytes: number;
  /** How the client had sent it. */
  readonly encoding: string;
  readonly bornHost: string;
  readonly bornMs: number;
  readonly traceContext: string;
}

/** What may happen to a message, in the words of the log. */
export const lifeEventKinds = [
  'stored', // In its queue.
  'cameOver', // From another broker set, which left: in its queue.
  'pending', // Stored, and in no queue: delayed, or half of a transaction.
  'rescheduled',
  'checked', // A producer was asked what became of its transaction.
  'checksEnded',
  'operatorDecided',
  'visible', // A delayed message's time has come, or a transaction was committed: from now on it has a queue.
  'dropped', // Recalled, cancelled or rolled back: it is never delivered.
  'delivered',
  'renewed', // Its consumer lives: it keeps the message longer.
  'timeChanged', // Its consumer set the time: a failed delivery, or one that takes longer.
  'handedBack', // It never reached its consumer; the attempt does not count.
  'clientGone', // Its consumer is gone: due again.
  'setAside', // For a member with another filter.
  'passedOver', // No member of the group wants it.
  'kept', // In an orderly group: until its message group's turn comes.
  'acknowledged',
  'deadLettered',
  'replayed', // An operator gave it to its group again.
  'resent', // An operator sent it to its topic again, as another message.
  'moved', // The group was moved to another offset of the queue.
  'handedOver', // To another broker set, as this one leaves: from now on it is to be found there.
  'groupDeleted',
  'expired',
] as const;
export type LifeEventKind = (typeof lifeEventKinds)[number];

export interface LifeEvent {
  readonly atMs: number;
  readonly kind: LifeEventKind;
  /** Of the record that says so. */
  readonly position: LogPosition;
  /** 0: no group is concerned. */
  readonly groupId: GroupId;
  readonly clientId: string;
  readonly attempt: number;
  /** Until when it is invisible, or when it is due; 0: says nothing of a time. */
  readonly untilMs: number;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** Where the message stands; for `moved`, where the group went on. */
  readonly offset: QueueOffset;
  /** The operator who decided; of `cameOver` and `handedOver`, the other broker set. */
  readonly who: string;
}

export interface MessageLife {
  readonly events: readonly LifeEvent[];
  /** Up to where the decisions of the log are indexed. */
  readonly indexedTo: number;
  /** More was decided than is told. */
  readonly cut: boolean;
}

export interface BusyLanes {
  readonly lanes: readonly LaneState[];
  readonly total: number;
}

export interface LaneState {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly messageGroup: string;
  /** The first message of its batch: what the others wait for. */
  readonly offset: QueueOffset;
  readonly position: LogPosition;
  readonly size: number;
  readonly messageId: string;
  readonly attempt: number;
  /** Held by this client; empty: it waits for its next attempt. */
  readonly clientId: string;
  readonly untilMs: number;
  readonly storedMs: number;
  /** Messages in flight, and those known to wait behind them. */
  readonly inFlight: number;
  readonly waiting: number;
}
