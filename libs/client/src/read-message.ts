/** Messages by where they lie in the log of their broker set, and what is read there. */
import type { LogPosition, TopicId } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';

/** The record of a message, or of a reference to one, in the log of its broker set. */
export interface MessagePlace {
  readonly position: LogPosition;
  readonly size: number;
}

/** What a member has read of a message's record. */
export interface ReadBody {
  /** Envelope and encoded message, as stored. Not to be changed. */
  readonly payload: Uint8Array;
  readonly storedMs: number;
  readonly originTopicId: TopicId;
}

/** What stands at a place, or why it can't be read. */
export interface ReadMessage {
  readonly position: LogPosition;
  readonly body: ReadBody | MqError;
}
