import type { BackupAdmin } from './backup-admin.js';
import type { GroupId, QueueId, QueueOffset, TopicId } from '@cometmq/model';

import type { CommandAnswer, Session } from './broker-link.js';
import type { DeadLetterAdmin } from './dead-letter-admin.js';
import type { InspectAdmin } from './inspect-admin.js';
import type { QueueReset } from './queue-reset.js';
import type { WaitingAdmin } from './waiting-admin.js';

/**
 * What an operator may ask of the leader of a broker set. Settings are changed in the metadata; what is changed here is
 * what the broker keeps: the progress of groups, and what waits. The broker role has this shape itself (one process);
 * across processes an adapter calls the leader.
 * @throws MqError UNAVAILABLE when nobody leads the set or its leader can't be reached, NOT_FOUND for an unknown set.
 */
export interface BrokerAdmin {
  describe(brokerSet: string): Promise<BrokerState>;
  /** What of this set's log is known to be lost, and not given up. */
  damage(brokerSet: string): Promise<readonly LogDamage[]>;
  /**
   * Gives all of that up: consumers pass over it. Answers what was given up. `seen`: only if it is still what the caller saw
   * (`seenOf`). @throws MqError CONFLICT where it is not
   */
  giveUpLost(brokerSet: string, seen?: string): Promise<readonly LogDamage[]>;
  /** Progress of a group on this set. A group that never consumed there has no queues. */
  describeGroup(brokerSet: string, groupId: GroupId): Promise<GroupState>;
  /** Bounds of a topic's queues on this set. */
  describeTopic(brokerSet: string, topicId: TopicId): Promise<TopicState>;
  /** The group goes on from there; receipts from before have no effect any more. */
  resetProgress(brokerSet: string, call: ResetCall): Promise<readonly QueueReset[]>;
  /**
   * Asks a client something, through the proxy that holds its Telemetry stream.
   * @throws MqError NOT_FOUND when no proxy of this set's knowledge holds one, or the message isn't here; TIMEOUT
   */
  askClient(brokerSet: string, question: ClientQuestion): Promise<CommandAnswer>;
  /** Messages that no queue shows yet. */
  readonly waiting: WaitingAdmin;
  /** Messages, what was decided on them, and who is connected. */
  readonly inspect: InspectAdmin;
  /** Dead letters of groups, and what was done about them. */
  readonly deadLetters: DeadLetterAdmin;
  /** Copies of a set's log in a bucket. */
  readonly backups: BackupAdmin;
  /** Lite topics of a LITE topic on this set, a page at a time and in no order. */
  listLiteTopics(brokerSet: string, call: ListLiteTopicsCall): Promise<LiteTopicPage>;
  /** Undefined: it is not on this set. */
  describeLiteTopic(brokerSet: string, topicId: TopicId, liteTopic: string): Promise<LiteTopicState | undefined>;
  /** It goes with all its messages. False: it was not on this set. */
  deleteLiteTopic(brokerSet: string, topicId: TopicId, liteTopic: string): Promise<boolean>;
  /**
   * What is sent to this set waits for so long, or until the set is in no route any more, when it goes to the others: so the
   * last messages of a set can be consumed before what follows them in their groups. 0: no longer.
   * Resolves when what was sent before is committed, and is counted as what the set holds.
   * @param owner of this wait: who ends one ends no other's
   * @param groupsOnly only what has a message group or a lite topic waits; or until those are spread over other sets
   */
  holdSends(brokerSet: string, holdMs: number, owner: string, groupsOnly?: boolean): Promise<void>;
  /**
   * Lines of a process's audit log become messages of the audit topic on this set, in their order. What was there already, as its
   * answer was lost, is not there twice. Resolves when all are committed.
   */
  appendAudit(brokerSet: string, call: AppendAuditCall): Promise<void>;
}

export interface AppendAuditCall {
  /** Whose lines they are: their message group. */
  readonly source: string;
  readonly lines: readonly AuditLine[];
}

export interface AuditLine {
  /** The message id: the same whenever this line is sent. */
  readonly id: string;
  /** When it was recorded. */
  readonly timeMs: number;
  readonly text: Uint8Array;
  readonly tag: string;
  readonly keys: readonly string[];
  readonly properties: ReadonlyMap<string, string>;
}

/** A part of the log, from position `first` up to `end`, that should be there and is not. */
export interface LogDamage {
  readonly first: number;
  readonly end: number;
  /** What was found, with the path of the file. */
  readonly what: string;
}

export interface ListLiteTopicsCall {
  readonly topicId: TopicId;
  /** Begins the names; empty: all. */
  readonly prefix: string;
  /** `next` of the page before; 0: from the beginning. */
  readonly from: number;
  readonly max: number;
}

export interface LiteTopicPage {
  /** May be fewer than asked for while there are more. */
  readonly liteTopics: readonly { readonly name: string; readonly messages: number; readonly bytes: number }[];
  /** Undefined: that was all. */
  readonly next?: number | undefined;
  /** Of the topic on this set, whatever their names. */
  readonly total: number;
}

export interface LiteTopicState {
  readonly queueId: QueueId;
  /** The first offset still kept, and the one the next message gets. */
  readonly first: QueueOffset;
  readonly next: QueueOffset;
  readonly bytes: number;
  /** When its newest message came; 0: it holds none. */
  readonly lastMs: number;
  /** Groups that are bound to its topic. */
  readonly readers: readonly LiteReader[];
}

export interface LiteReader {
  readonly groupId: GroupId;
  /** All below is done. Undefined: the group has not begun here. */
  readonly committed?: QueueOffset | undefined;
  /** Messages not done yet; 0 where it has not begun. */
  readonly lag: number;
  readonly inFlight: number;
  readonly subscribers: readonly string[];
}

export interface ResetCall {
  readonly groupId: GroupId;
  readonly topicId: TopicId;
  /** Undefined: every queue of the topic. */
  readonly queueId?: QueueId | undefined;
  readonly to: ResetTarget;
  /** Nothing is changed: the answer says what would be. */
  readonly preview?: boolean | undefined;
  /** Notes the move in the log, so that it can be taken back. */
  readonly move?: MoveNote | undefined;
}

export interface MoveNote {
  /** The same for all broker sets that one move concerns. */
  readonly id: string;
  readonly who: string;
  /** The move that this one takes back; empty: none. */
  readonly undoes: string;
}

/** Outside the queue: its nearest end. */
export type ResetTarget =
  | { readonly at: 'first' | 'end' }
  /** The first message stored at or after this time. */
  | { readonly at: 'time'; readonly timeMs: number }
  | { readonly at: 'offset'; readonly offset: number }
  /** Where another group has got to; queues that it has never consumed stay as they are. */
  | { readonly at: 'group'; readonly groupId: GroupId };

export type ClientQuestion = { readonly clientId: string } & (
  | { readonly kind: 'printStack' }
  | { readonly kind: 'reconnect' }
  /** Consume this message now, as a trial. */
  | { readonly kind: 'verify'; readonly groupId: GroupId; readonly topicId: TopicId; readonly messageId: string }
);

/** A broker as it sees itself. */
export interface BrokerState {
  readonly name: string;
  /** Which volume the member lives on. */
  readonly incarnation: string;
  readonly epoch: number;
  /** Log positions, in bytes. */
  readonly appendEnd: number;
  readonly commitEnd: number;
  /** What the log and its views take, and what is left on their disk. */
  readonly diskBytes: number;
  readonly freeBytes: number;
  /** Of the log, known to be lost and not given up. */
  readonly lostBytes: number;
  /** Time of the oldest record kept, since 1970; 0: the log is empty. */
  readonly oldestMs: number;
  readonly writable: boolean;
  readonly version: string;
  readonly waitingPolls: number;
  readonly sessions: number;
  /** Why the metadata is not the one that this log belongs to; the broker serves on all the same. */
  readonly metadataProblem?: string | undefined;
  /** Of messages that go to other broker sets, as this one leaves: how many are there, and how many are on their way. */
  readonly handedOver: number;
  readonly onTheirWay: number;
  /** Messages of message groups have begun to go: those that follow them go too. */
  readonly groupsLeave: boolean;
  /** What keeps them from going, in words. */
  readonly handOverProblem?: string | undefined;
}

export interface GroupState {
  readonly queues: readonly GroupQueueState[];
  /** Of queues that are too many to be told one by one, those of lite topics: what is to do in all of them. */
  readonly sums: readonly GroupSum[];
  /** The members whose sessions proxies have reported. */
  readonly members: readonly Session[];
}

export interface GroupSum extends ToDo {
  readonly topicId: TopicId;
  /** How many queues have something to do. */
  readonly queues: number;
}

interface ToDo {
  /** Handed out, not acknowledged yet. */
  readonly inFlight: number;
  /** May be handed out now. */
  readonly ready: number;
  /** In an orderly group: looked at, and kept until their message group's turn comes. */
  readonly blocked: number;
}

export interface GroupQueueState extends ToDo {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** All below is done. */
  readonly committed: QueueOffset;
  /** The first offset not looked at yet. */
  readonly frontier: QueueOffset;
  readonly queueFirst: QueueOffset;
  readonly queueNext: QueueOffset;
  /** In an orderly group: message groups that are busy. */
  readonly lanes: number;
}

/**
 * What a group has still to do in a queue: the visible messages that are kept and that it is not done with. Done is what was
 * acknowledged, moved to the dead-letter topic, or what no member's filter wants, be it passed over already or not. In a
 * queue it has not begun: what its start policy leaves to do.
 */
export function lagOf({ ready, blocked, inFlight }: ToDo): number {
  return ready + blocked + inFlight;
}

/** In all of its queues. */
export function lagOfGroup({ queues, sums }: Pick<GroupState, 'queues' | 'sums'>): number {
  let lag = 0;
  for (const queue of queues) lag += lagOf(queue);
  for (const sum of sums) lag += lagOf(sum);
  return lag;
}

export interface TopicState {
  readonly queues: readonly TopicQueueState[];
  /** What the topic's messages take in this set's log. */
  readonly bytes: number;
}

export interface TopicQueueState {
  readonly queueId: QueueId;
  /** The first offset still kept, and the one the next message gets. */
  readonly first: QueueOffset;
  readonly next: QueueOffset;
  /** Messages that some consumer group of the topic is not done with; where it has none, all. */
  readonly unread: number;
}
