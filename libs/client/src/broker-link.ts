import type { FilterExpression, GroupId, PendingPlace, QueueId, QueueOffset, Receipt, TopicId } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';

import type { MessagePlace } from './read-message.js';

/**
 * How a proxy speaks to the leader of one broker set. The broker's own service has this shape, so that in one process
 * a call is a function call; across processes an adapter gathers calls into batches on one two-way stream.
 *
 * Callbacks, not promises: a batch that commits completes all its sends in one loop. Each `done` is called exactly
 * once, never from inside the call that was given it... unless the answer is an error known at once.
 * Byte arrays given in a call are not changed afterwards by either side.
 */
export interface BrokerLink {
  send(call: SendCall, done: Done<SendResult>): void;
  /** Waits up to `waitMs` for messages. The function returned takes the wait back; a `done` then never comes. */
  receive(call: ReceiveCall, done: Done<ReceiveResult>): () => void;
  ack(call: AckCall, done: Done<void>): void;
  changeInvisible(call: ChangeInvisibleCall, done: Done<ChangeInvisibleResult>): void;
  /** A delivery that never reached its client: visible again at once, the attempt is not counted. */
  handBack(call: HandBackCall, done: Done<void>): void;
  deadLetter(call: DeadLetterCall, done: Done<void>): void;
  /** All sessions this proxy holds, sent whole every few seconds and on every change of one. */
  reportSessions(report: SessionReport): void;
  /** A client said goodbye: what it holds becomes visible soon. */
  clientGone(call: ClientGoneCall, done: Done<void>): void;
  /** A delayed message is taken back: once this succeeds it is never delivered. */
  recall(call: RecallCall, done: Done<RecallResult>): void;
  /** A producer, or its answer to a check, says what becomes of half a transaction. */
  endTransaction(call: EndTransactionCall, done: Done<void>): void;
  /** Messages of one queue from an offset on; no lease, no progress. Waits and is taken back like `receive`. */
  pull(call: PullCall, done: Done<PullResult>): () => void;
  /** Offsets of a queue, and where a group that pulls has got to. */
  offsets(call: OffsetsCall, done: Done<OffsetsResult>): void;
  /** What lite topics a client subscribes to. */
  syncLite(call: LiteSyncCall, done: Done<void>): void;
  /** Hears what the broker wants said to clients whose Telemetry stream this proxy holds, until it is taken back. */
  onCommand(proxyId: string, listener: (command: ClientCommand) => void): () => void;
  /** A client has answered a command that carried a nonce. */
  commandAnswered(answer: CommandAnswer): void;
}

/**
 * Asks for room for about so many bytes of messages, before they are read. True: it is there. False: `granted` runs once
 * it is, unless the caller has gone by then. A call asks once.
 */
export type AskRoom = (bytes: number, granted: () => void) => boolean;

export type Done<T> = (error: MqError | undefined, result: T | undefined) => void;

export interface SendCall {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** The layout of the topic that the queue was chosen by. */
  readonly layout: number;
  /** Monotonic time of this process at which the client gives up; a send is refused after it. */
  readonly deadlineMs: number | undefined;
  readonly tagHash: number;
  /** Hash of the message group; 0: none. */
  readonly groupHash: number;
  /** The model's envelope. */
  readonly envelope: Uint8Array;
  /** The encoded message; the chunks stand one after the other. */
  readonly message: readonly Uint8Array[];
}

export interface SendResult {
  /** 0 for what no queue shows yet. */
  readonly offset: QueueOffset;
  /** Of a delayed message or half of a transaction: where it lies. */
  readonly pending?: PendingPlace | undefined;
}

export interface ReceiveCall {
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  /** Where to look first; below 0: anywhere. Every readable queue of the topic on this broker is looked at. */
  readonly queueId: number;
  readonly messagesMax: number;
  readonly bytesMax: number;
  readonly filter: FilterExpression;
  readonly invisibleMs: number;
  /** The leader renews the lease while the client's session lives. */
  readonly autoRenew: boolean;
  readonly clientId: string;
  readonly waitMs: number;
  readonly attemptId: string | undefined;
  /** Which of the proxy's connections the answer goes out on: "proxy id/number". Left out: the proxy does not say. */
  readonly connection?: string | undefined;
  /** Left out: there is always room. */
  readonly askRoom?: AskRoom | undefined;
  /** The caller reads by itself what the leader leaves to other members. */
  readonly readsMembers?: boolean | undefined;
}

export interface ReceiveResult {
  readonly messages: readonly Delivered[];
}

export interface Delivered {
  readonly receipt: Receipt;
  /** Envelope and encoded message, as stored. Not to be changed. */
  readonly payload: Uint8Array;
  readonly storedMs: number;
  /** The topic the message was sent to; another one than the queue's for a dead letter. */
  readonly originTopicId: TopicId;
  /** Given only to who reads members: where payload, time and topic are to be read. Until then those say nothing. */
  readonly place?: RemotePlace | undefined;
}

/** Where a message lies in the log of its broker set, and who can read it there. */
export interface RemotePlace extends MessagePlace {
  /** host:port of members that have it, beside the leader. */
  readonly members: readonly string[];
}

export interface AckCall {
  readonly receipt: Receipt;
}

export interface ChangeInvisibleCall {
  readonly receipt: Receipt;
  /** From now; 0: visible at once. */
  readonly invisibleMs: number;
  /** The lite topic of the message pauses as long, and this is no failed delivery. */
  readonly suspend?: boolean | undefined;
}

export interface ChangeInvisibleResult {
  readonly receipt: Receipt;
}

export interface HandBackCall {
  readonly receipts: readonly Receipt[];
}

/** By receipt; or, of clients that show none, by what the holder knows of the message. */
export type DeadLetterCall = { readonly receipt: Receipt } | { readonly held: HeldMessage };

export interface HeldMessage {
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  readonly messageId: string;
  readonly clientId: string;
}

export interface ClientGoneCall {
  readonly clientId: string;
  readonly groupId: GroupId;
  /** Given: another client with this id stays. Only what went out on this connection is given up. */
  readonly connection?: string | undefined;
}

export interface RecallCall {
  readonly place: PendingPlace;
}

export interface RecallResult {
  readonly messageId: string;
}

export interface EndTransactionCall {
  readonly place: PendingPlace;
  readonly resolution: 'commit' | 'rollback' | 'unknown';
  /** The answer to a check, not the producer's own decision. */
  readonly checked: boolean;
}

export interface PullCall {
  /** Undefined: nobody's; a look. */
  readonly groupId: GroupId | undefined;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly offset: QueueOffset;
  readonly messagesMax: number;
  readonly bytesMax: number;
  readonly filter: FilterExpression;
  readonly clientId: string;
  readonly waitMs: number;
  /** As of a receive. */
  readonly askRoom?: AskRoom | undefined;
  readonly readsMembers?: boolean | undefined;
}

export interface PullResult {
  readonly messages: readonly PulledMessage[];
  /** Where to go on: behind all that was looked at. */
  readonly nextOffset: QueueOffset;
  /** The oldest offset kept, and the one the next message gets. */
  readonly firstOffset: QueueOffset;
  readonly endOffset: QueueOffset;
}

export interface PulledMessage {
  readonly offset: QueueOffset;
  /** Envelope and encoded message, as stored. Not to be changed. */
  readonly payload: Uint8Array;
  readonly storedMs: number;
  readonly originTopicId: TopicId;
  /** As of a delivered message. */
  readonly place?: RemotePlace | undefined;
}

export interface OffsetsCall {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly ask:
    | { readonly kind: 'first' | 'end' }
    /** The first one stored at or after this time. */
    | { readonly kind: 'time'; readonly atMs: number }
    | { readonly kind: 'ofGroup'; readonly groupId: GroupId }
    | { readonly kind: 'setForGroup'; readonly groupId: GroupId; readonly offset: QueueOffset };
}

export interface OffsetsResult {
  /** Undefined: the group has none. */
  readonly offset: QueueOffset | undefined;
}

export interface LiteSyncCall {
  readonly clientId: string;
  readonly groupId: GroupId;
  /** The LITE topic. */
  readonly topicId: TopicId;
  readonly action: 'add' | 'remove' | 'setAll' | 'removeAll';
  readonly liteTopics: readonly string[];
  /** Where the group begins in them; with `add` only. Undefined: where it got to, or at the end. */
  readonly start?: LiteStart | undefined;
}

export type LiteStart =
  | { readonly at: 'last' | 'first' | 'end' }
  /** An offset; a number of messages before where the group has got to; a time in ms. */
  | { readonly at: 'offset' | 'tail' | 'time'; readonly value: number };

/** What the broker wants said to one client. */
export type ClientCommand = { readonly clientId: string } & (
  | {
      /** Tell us what became of the transaction. */
      readonly kind: 'recoverOrphan';
      readonly place: PendingPlace;
      /** Envelope and encoded message, as stored. */
      readonly payload: Uint8Array;
      readonly storedMs: number;
    }
  | { readonly kind: 'unsubscribeLite'; readonly topicId: TopicId; readonly liteTopic: string }
  | { readonly kind: 'printStack' | 'reconnect'; readonly nonce: string }
  | { readonly kind: 'verify'; readonly nonce: string; readonly message: Delivered }
);

export interface CommandAnswer {
  readonly nonce: string;
  /** Number of an `apache.rocketmq.v2.Code`. */
  readonly code: number;
  readonly message: string;
  /** Thread stacks; else empty. */
  readonly text: string;
}

export interface SessionReport {
  /** Which proxy speaks; its newer report replaces its older one. */
  readonly proxyId: string;
  readonly sessions: readonly Session[];
  /** Whom leaders may ask about transactions. */
  readonly producers: readonly ProducerSession[];
  /** Deliveries of this broker that were written to a client and are not known to have arrived. */
  readonly unconfirmed?: readonly DeliveryLease[];
}

/** What names a delivery: its record. */
export interface DeliveryLease {
  readonly epoch: number;
  readonly position: number;
}

/** What is known of a client beside what it does. */
export interface ClientTraits {
  /** The `x-mq-language` header; Node.js says HTTP. */
  readonly language: string;
  readonly version: string;
  /** The reporting proxy holds a Telemetry stream of it, so it can be told something. */
  readonly streaming: boolean;
  /** Left out: of an earlier release, or only known by what it asked of a broker. */
  readonly activity?: ClientActivity | undefined;
}

/** What a client did of late, as the proxy that reports it has seen. */
export interface ClientActivity {
  /** Since it last sent, asked for or acknowledged something. */
  readonly idleMs: number;
  readonly refusals: readonly Refusals[];
}

/** Calls of one client that were refused for one reason. */
export interface Refusals {
  readonly method: string;
  /** As the clients' protocol names it. */
  readonly code: string;
  readonly count: number;
  /** Since the last of them. */
  readonly agoMs: number;
}

/** A living producer and the topics that it said it sends to. */
export interface ProducerSession extends ClientTraits {
  readonly clientId: string;
  readonly topicIds: readonly TopicId[];
}

/** A living member of a consumer group. */
export interface Session extends ClientTraits {
  /** Number of an `apache.rocketmq.v2.ClientType`; 0: not known. */
  readonly clientType: number;
  readonly clientId: string;
  readonly groupId: GroupId;
  readonly subscriptions: readonly { readonly topicId: TopicId; readonly filter: FilterExpression }[];
}
