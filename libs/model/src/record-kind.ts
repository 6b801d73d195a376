/**
 * What a record of the log says. A number's meaning never changes; new meaning is a new number.
 * Who folds what: the store folds 1 to 15, consumption 16 to 31, timers 32 to 39, transactions 40 to 47, lite 48 to 55,
 * the broker's own view of the metadata 56 to 63; 64 to 71 are for operators to look at, and nobody folds them;
 * others' records that tell a view something too are folded by it as well. A payload that more than one lib folds is
 * written down once, encoder and decoder beside each other, in records/ (that of a message: envelope.ts).
 */
export const RecordKind = {
  /** The first record of a leader's term. Payload: empty. */
  epochStart: 1,
  /** A message, visible in its queue as soon as it is committed. */
  message: 2,
  /** Makes an earlier message visible in another queue: names its position; the body is stored once. */
  reference: 3,
  /** Raises the first offset of queues: what lies below has expired. */
  expiry: 4,
  /** A topic is gone; all its queues are. */
  topicDeleted: 5,
  /**
   * A message that no queue shows yet: a delayed one, or half of a transaction (its envelope says which). It becomes
   * visible through a `reference` to it, or never, through `dropped`.
   */
  pending: 6,
  /** Pending messages that will never be visible: recalled, cancelled, rolled back. */
  dropped: 7,
  /** The broker set's feature level is higher from here on: | level u32 |. See `featureLevelOf`. */
  featureLevel: 8,
  /** A message that another broker set had, visible in its queue as a `message` is: its envelope says whom it is for. */
  transferred: 9,
  /** A pending message that another broker set had: no queue shows it, as with `pending`; its envelope says what it was. */
  transferredPending: 10,
  /** A dead letter that another broker set had, visible as a `transferred` one is: its envelope says why it is one. */
  transferredLetter: 11,
  /**
   * A dead letter that came from another broker set goes back: visible in its topic, for the group alone that gave it up. Its
   * envelope says which letter it was, and who ordered it.
   */
  returnedLetter: 12,
  /** Messages were handed out to a member of a group, or passed over for the whole group. */
  delivery: 16,
  /** Messages are done for a group. */
  ack: 17,
  /** The invisible time of single messages was set anew. */
  changeInvisible: 18,
  /** The invisible time of all that a client of a group holds was set anew (renewed, or cut because it is gone). */
  changeClientLeases: 19,
  /** A delivery that never reached its client: visible again, and the attempt does not count. */
  handBack: 20,
  /** A group's progress was set by an operator. */
  resetProgress: 21,
  /** A group is gone; all its progress is. */
  groupDeleted: 22,
  /** As `delivery`, to an orderly group: message groups have lanes, and the lanes that were busy are named. */
  fifoDelivery: 23,
  /** Where a group that pulls has got to in a queue. */
  pullOffset: 24,
  /** An operator gave dead letters of a group another chance. */
  deadLettersReplayed: 25,
  /** Messages are on their way to another broker set, and nobody's here any more. */
  transfer: 26,
  /** The other broker set has what a transfer named. */
  transferDone: 27,
  /** The broker set takes messages again: what it has handed over before is over. Payload: empty. */
  transfersEnded: 28,
  /** Pending messages are on their way to another broker set, and wait no more here. */
  transferPending: 29,
  /** The other broker set has the pending messages that a transfer named: names them again, so that their space comes free. */
  transferPendingDone: 30,
  /** Pending delayed messages are due at another time. */
  timerMoved: 32,
  /** A producer was asked what became of half messages; says when to ask again. */
  transactionChecked: 40,
  /** Half messages nobody answered for are set aside for an operator. */
  transactionParked: 41,
  /** An operator decided on half messages: who and when, beside the reference or drop that does it. */
  transactionAudited: 42,
  /** Lite topics were made: names and the queues they got. */
  liteTopicsCreated: 48,
  /** Lite topics are gone; their queues are. */
  liteTopicsDeleted: 49,
  /** Which metadata this log belongs to, and topics and groups as it defines them. */
  metadata: 56,
  /** An operator moved a group: who, from where and to where, beside the resets that do it. */
  groupMoved: 64,
  /** How much groups had to do at this time. */
  lagSampled: 65,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** What this release can write and read. Rises with each release that adds a kind of record, or a meaning to one. */
export const featureLevelMax = 1;

/** Of the kinds that came later than the first release. Nothing of a kind is written below its level. */
const laterKinds: ReadonlyMap<RecordKind, number> = new Map();

/** From which feature level on records of this kind may be written. */
export function featureLevelOf(kind: RecordKind): number {
  return laterKinds.get(kind) ?? 1;
}
