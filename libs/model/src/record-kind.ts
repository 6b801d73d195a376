/**
 * What a record of the log says. A number's meaning never changes; new meaning is a new number.
 * Who folds what: the store folds message, reference, expiry and topic records; consumption folds the group ones.
 */
export const RecordKind = {
  /** The first record of a leader's reign. Payload: empty. */
  epochStart: 1,
  /** A message, visible in its queue as soon as it is committed. */
  message: 2,
  /** Makes an earlier message visible in another queue: names its position; the body is stored once. */
  reference: 3,
  /** Raises the first offset of queues: what lies below has expired. */
  expiry: 4,
  /** A topic is gone; all its queues are. */
  topicDeleted: 5,
  /** Messages were handed out to a member of a group, or passed over for the whole group. */
  handOut: 16,
  /** Messages are done for a group. */
  ack: 17,
  /** The invisible time of single messages was set anew. */
  changeInvisible: 18,
  /** The invisible time of all that a client of a group holds was set anew (renewed, or cut because it is gone). */
  changeClientLeases: 19,
  /** A hand-out that never reached its client: visible again, and the attempt does not count. */
  handBack: 20,
  /** A group's progress was set by an operator. */
  resetProgress: 21,
  /** A group is gone; all its progress is. */
  groupDeleted: 22,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];
