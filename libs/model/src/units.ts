/** Numbers that must never meet have types that can't. All are plain numbers at run time. */
declare const unit: unique symbol;
type Unit<Base, Name extends string> = Base & { readonly [unit]: Name };

/** A byte position in a broker set's log. Grows by the size of a record; below 2^53. */
export type LogPosition = Unit<number, 'log position'>;
/** The index of a message in one queue. Grows by one; below 2^53. */
export type QueueOffset = Unit<number, 'queue offset'>;
/** The term of one leader of a broker set. Rises by at least one with each. */
export type Epoch = Unit<number, 'epoch'>;
/** A topic's number in the metadata. Never used twice, so a topic made again under its old name starts clean. */
export type TopicId = Unit<number, 'topic id'>;
/** A consumer group's number in the metadata. Never used twice. */
export type GroupId = Unit<number, 'group id'>;
/** A queue's number within its topic on one broker set, from 0. */
export type QueueId = Unit<number, 'queue id'>;

export const logPosition = (value: number): LogPosition => value as LogPosition;
export const queueOffset = (value: number): QueueOffset => value as QueueOffset;
export const epoch = (value: number): Epoch => value as Epoch;
export const topicId = (value: number): TopicId => value as TopicId;
export const groupId = (value: number): GroupId => value as GroupId;
export const queueId = (value: number): QueueId => value as QueueId;

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
