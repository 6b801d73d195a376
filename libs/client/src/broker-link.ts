import type { FilterExpression, GroupId, QueueId, QueueOffset, Receipt, TopicId } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';

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
  /** A hand-out that never reached its client: visible again at once, the attempt is not counted. */
  handBack(call: HandBackCall, done: Done<void>): void;
  deadLetter(call: DeadLetterCall, done: Done<void>): void;
  /** All sessions this proxy holds, sent whole every few seconds and on every change of one. */
  reportSessions(report: SessionReport): void;
  /** A client said goodbye: what it holds becomes visible soon. */
  clientGone(call: ClientGoneCall, done: Done<void>): void;
}

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
  readonly offset: QueueOffset;
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
}

export interface AckCall {
  readonly receipt: Receipt;
}

export interface ChangeInvisibleCall {
  readonly receipt: Receipt;
  /** From now; 0: visible at once. */
  readonly invisibleMs: number;
}

export interface ChangeInvisibleResult {
  readonly receipt: Receipt;
}

export interface HandBackCall {
  readonly receipts: readonly Receipt[];
}

export interface DeadLetterCall {
  readonly receipt: Receipt;
}

export interface ClientGoneCall {
  readonly clientId: string;
  readonly groupId: GroupId;
}

export interface SessionReport {
  /** Which proxy speaks; its newer report replaces its older one. */
  readonly proxyId: string;
  readonly sessions: readonly Session[];
}

/** A living member of a consumer group. */
export interface Session {
  readonly clientId: string;
  readonly groupId: GroupId;
  readonly subscriptions: readonly { readonly topicId: TopicId; readonly filter: FilterExpression }[];
}
