import type { GroupId, LogPosition, QueueId, QueueOffset, TopicId } from '@cometmq/model';

import type { MessagePlace } from './read-message.js';

/**
 * What an operator may do with the dead letters of a group on a broker set, through its leader. All of it is noted in the log
 * with who did it.
 * @throws MqError as `BrokerAdmin`
 */
export interface DeadLetterAdmin {
  /**
   * The group gets the messages again, and no other group does: each is due at once where it stands in its queue, with all
   * its attempts before it. What can't be is answered so; the others are replayed all the same.
   */
  replay(brokerSet: string, call: ReplayCall): Promise<readonly ReplayOutcome[]>;
  /**
   * Sends a dead letter to its topic again, as a message with an id of its own, edited where the call says so: every group of
   * the topic gets it. @throws MqError MESSAGE_NOT_FOUND, TOPIC_NOT_FOUND
   */
  resend(brokerSet: string, call: ResendCall): Promise<ResentLetter>;
  /** Which of some dead letters were replayed: of each the last time, oldest first. */
  replays(brokerSet: string, asked: LettersAsked): Promise<readonly LetterReplay[]>;
}

/** Dead letters of a group that stand next to one another. */
export interface LettersAsked {
  readonly groupId: GroupId;
  readonly letterTopicId: TopicId;
  /** Both included. */
  readonly first: QueueOffset;
  readonly last: QueueOffset;
  /** Where the first of them stands in the log, or anything before: it was replayed after that. */
  readonly after: LogPosition;
}

interface LetterCall {
  readonly groupId: GroupId;
  /** The same for all calls that one order of an operator makes. */
  readonly replayId: string;
  readonly who: string;
}

export interface ReplayCall extends LetterCall {
  /** Dead letters, at most `replaysPerCallMax`. */
  readonly places: readonly MessagePlace[];
}

/** A thousand letters are a record of 20 KB. */
export const replaysPerCallMax = 1_000;

export const replayOutcomes = [
  'replayed',
  'gone', // Its place in the queue of its topic has expired: it can be sent to the topic.
  'open', // The group has it already, and is not done with it.
  'orderly', // The order it had has gone on without it: it can be sent to the topic.
  'notALetter', // There is no dead letter of the group at this place.
] as const;
export type ReplayOutcome = (typeof replayOutcomes)[number];

export interface ResendCall extends LetterCall {
  readonly place: MessagePlace;
  /** What is left out stays as it was. */
  readonly body?: Uint8Array | undefined;
  readonly tag?: string | undefined;
  readonly keys?: readonly string[] | undefined;
  readonly properties?: ReadonlyMap<string, string> | undefined;
}

export interface ResentLetter {
  readonly messageId: string;
  readonly queueId: QueueId;
  readonly offset: QueueOffset;
}

export interface LetterReplay {
  readonly atMs: number;
  readonly replayId: string;
  readonly who: string;
  readonly mode: 'toGroup' | 'toTopic';
  /** Offsets in the group's dead-letter topic. */
  readonly letters: readonly QueueOffset[];
}
