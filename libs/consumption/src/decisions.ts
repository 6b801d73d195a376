import type { GroupId, LogPosition, QueueId, QueueOffset, Receipt, TopicId, DecidedRecord } from '@cometmq/model';

import type { Matcher, QueuedMessage, QueueSource } from './ports.js';

/**
 * What the leader asks of the delivery state, and what it is answered. A decision changes nothing: it answers a record,
 * and what it decided holds once that record is appended and folded. Append and fold before the next decision.
 */

/** A member of a group asks for messages. */
export interface PopRequest {
  readonly groupId: GroupId;
  readonly clientId: string;
  /** The lease is renewed by the leader while the client lives. */
  readonly autoRenew: boolean;
  /** The receive attempt's id; kept in the record. In an orderly group, the same id again gets the same messages again. */
  readonly attemptId?: string | undefined;
  /** The group is orderly: lanes.ts. Left out: it is not. */
  readonly orderly?: OrderlyRequest | undefined;
  readonly nowMs: number;
  /** When what is handed out becomes visible again. */
  readonly visibleAtMs: number;
  readonly messagesMax: number;
  /** At least one message is handed out, however large. */
  readonly bytesMax: number;
  /** How often a message is delivered at most; what has used that up comes back in `deadLetters`. */
  readonly attemptsMax: number;
  /** What this member wants. */
  readonly filter: Matcher;
  /**
   * What every living member wants, this one included (the same object). A message that none of them wants is passed
   * over for the whole group; one that another wants is kept for it.
   */
  readonly groupFilters: readonly Matcher[];
  /** True: members may still be unknown, so nothing is passed over. */
  readonly unknownMembers?: boolean;
  /** How many entries are looked at, at most; a look at a message itself counts for its filter's `cost`. */
  readonly scanMax: number;
  /**
   * True: the order of the queues is that of their urgency. Nothing new of a queue is handed out while an earlier one
   * has something new, in memory or not; what failed before comes behind all that is new.
   */
  readonly byUrgency?: boolean | undefined;
  /** Looked at in this order, until the request is filled. */
  readonly queues: readonly PopQueue[];
}

export interface OrderlyRequest {
  /** How long a lane rests after a renewed lease has just run out: its client is dead, or stuck. */
  backoffMs(attempt: number): number;
}

export interface PopQueue {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** Where the group begins if it has never asked for this queue. Recorded at the first poll, even of an empty queue. */
  readonly start: QueueOffset;
  readonly source: QueueSource;
}

export interface PopDecision {
  /** A `delivery` or `fifoDelivery` record. Undefined: there is nothing to write. Also written when it hands out nothing but moves on. */
  readonly record: DecidedRecord | undefined;
  /** In the order they should be delivered. The lease of each is the (epoch, position) the record gets. */
  readonly handed: readonly HandedMessage[];
  /** Delivered as often as allowed: move them to the dead-letter topic and `decideDeadLetter` them. Not handed out. */
  readonly deadLetters: readonly DueMessage[];
  /** How many messages this record keeps for other members: wake those. */
  readonly parked: number;
  /** True: nothing more to look at now. False: a limit was reached, or `needs`, or `looks`. */
  readonly exhausted: boolean;
  /** True: so much is in flight that nothing new is handed out until some of it is acknowledged. */
  readonly throttled: boolean;
  /** The next time something in these queues becomes visible again; always after `nowMs`. */
  readonly nextDueMs: number | undefined;
  /** Entries that are not in memory: load them, then decide again. What was handed out before is good. */
  readonly needs: EntriesNeeded | undefined;
  /** Messages that must be looked at and are not in memory: load them, then decide again. */
  readonly looks: readonly MessageNeeded[];
}

export interface DueMessage extends QueuedMessage {
  readonly position: LogPosition;
  /** Deliveries so far. */
  readonly attempt: number;
}

export interface HandedMessage extends QueuedMessage {
  readonly position: LogPosition;
  /** Bytes of the record. */
  readonly size: number;
  readonly tagHash: number;
  /** Which delivery this is, from 1. */
  readonly attempt: number;
  /** For the receipt. */
  readonly generation: number;
}

export interface EntriesNeeded {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly from: QueueOffset;
  readonly count: number;
}

export interface MessageNeeded {
  readonly position: LogPosition;
  /** Bytes of the record. */
  readonly size: number;
}

/**
 * What became of one receipt. `done`: it counts, and is in the record. `noEffect`: the message was done before; answer OK.
 * `stale`: its lease is over (the message was handed out again, or the group was reset since, or it comes too late in an
 * orderly group), and it changes nothing for the message. `invalid`: it names nothing that was handed out.
 */
export type ReceiptOutcome = 'done' | 'noEffect' | 'stale' | 'invalid';

export interface ReceiptsDecision {
  /** Undefined: there is nothing to write. A stale receipt may still free a lane that its client held through a reset. */
  readonly record: DecidedRecord | undefined;
  /** One for each receipt, in order. */
  readonly outcomes: readonly ReceiptOutcome[];
}

export interface InvisibleChange {
  readonly receipt: Receipt;
  /** At or before now: visible at once. */
  readonly visibleAtMs: number;
}

/** Delivery figures of one queue for one group. Plain counters, kept up to date by the fold. */
export interface ProgressFigures {
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** All below is done. */
  readonly committed: QueueOffset;
  /** Nothing from here on was ever looked at. */
  readonly frontier: QueueOffset;
  /** Handed out and not done: held by a client, or waiting to be delivered again. */
  readonly inFlight: number;
  /** Of `inFlight`, those delivered unsuccessfully and waiting for their time. */
  readonly waiting: number;
  /** Of `inFlight`, those whose time has come: nobody holds them any more, and they are ready to be delivered again. */
  readonly due: number;
  /** Kept for members with another filter. */
  readonly parked: number;
  /** In an orderly group: kept until their message group's turn comes. */
  readonly blocked: number;
  /** In an orderly group: message groups with something in flight or kept. */
  readonly lanes: number;
  /** The lowest offset never handed out; may be a later one where failed deliveries were kept for another member. */
  readonly oldestUndelivered: QueueOffset;
  readonly nextDueMs: number | undefined;
  /** Rises with each reset. */
  readonly generation: number;
}
