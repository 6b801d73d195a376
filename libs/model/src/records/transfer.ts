/**
 * How messages go from a broker set that leaves to one that stays.
 *
 * `transfer`, in the log of the set that leaves: messages are on their way to another set. From here on they are nobody's in
 * this one. Which they are, whom they are for and how often each group was given them is said once, here, so that whoever
 * leads this set next sends the same again until the other set has it.
 *
 *   | 1 | to text | instead + 1, or 0 | audiences | audience × audiences | queues | queue × queues | 0 |
 *     audience | only u8 | groups | (group | attempts) × groups |
 *     queue    | topic | queue | messages | (offset, signed step | position | size | group hash u32 | audience) × messages |
 *
 * `transferDone`, there too, once the other set has them:  | 1 | position of the transfer |
 *
 * `transferred`, in the log of the set that gets them, a message: visible in its queue. A mark in its envelope says where it
 * comes from and whom it is for. Marks of one transfer come in its order, so the last of them says how far it has got:
 *
 *   | 1 | from text | log u32 | transfer | index | audience |
 *   | 2 | the same | past |                                  of a `transferredPending`: see records/pending-transfer.ts
 *   | 3 | the same | group | topic | cause u8 | attempts |   of a `transferredLetter`: who gave it up, and where it was sent to
 *
 * `returnedLetter`, in the log of a set that such a letter came to: an operator gave it another chance there. The mark says whom
 * the message is for, and which letter it was and who ordered it, so that one record does it and tells of it; `from` is the set
 * itself, and transfer the position of the letter:
 *
 *   | 4 | the same | letters' topic | letter's offset in queue 0 of it | replay id text | who text |
 */
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import type { GroupId, LogPosition, QueueId, QueueOffset, TopicId } from '../units.js';
import { putPast, takePast, type PendingPast } from './pending-transfer.js';

/** Whom a message is for. */
export interface Audience {
  /** True: for these groups alone; false: for whoever comes. */
  readonly only: boolean;
  /** Those that are known to be not done with it. */
  readonly groups: readonly AudienceGroup[];
}

export interface AudienceGroup {
  readonly groupId: GroupId;
  /** Deliveries so far. */
  readonly attempts: number;
}

export interface Transfer {
  /** The broker set that they go to. */
  readonly to: string;
  /** The earlier transfer of the same messages, to a set that does not take them. */
  readonly instead: LogPosition | undefined;
  readonly queues: readonly TransferQueue[];
}

export interface TransferQueue {
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  /** Ascending. */
  readonly messages: readonly TransferMessage[];
}

export interface TransferMessage {
  readonly offset: QueueOffset;
  /** Of the entry in the queue, which may be a reference. */
  readonly position: LogPosition;
  readonly size: number;
  readonly groupHash: number;
  readonly audience: Audience;
}

/** Of a message that came from another broker set. */
export interface TransferMark {
  readonly from: string;
  /** Which log of the other set: one that begins anew, with another volume, has another number. */
  readonly log: number;
  /** Position of the transfer in that log. */
  readonly transfer: LogPosition;
  /** Which of its messages this is, from 0. */
  readonly index: number;
  readonly audience: Audience;
  /** Of one that no queue shows. */
  readonly past?: PendingPast | undefined;
  readonly letter?: LetterFacts | undefined;
  /** Of a dead letter that goes back to its group. */
  readonly returned?: ReturnedFacts | undefined;
}

/** What a dead letter is: as the reference says that made it one. */
export interface LetterFacts {
  readonly groupId: GroupId;
  /** The topic that the message was sent to. */
  readonly originTopicId: TopicId;
  readonly cause: number;
  readonly attempts: number;
}

/** Which dead letter goes back, and by whose order. */
export interface ReturnedFacts {
  readonly letterTopicId: TopicId;
  readonly letterOffset: QueueOffset;
  readonly replayId: string;
  readonly who: string;
}

/** Nobody: a message that is on its way. */
export const nobody: Audience = { only: true, groups: [] };
export const everybody: Audience = { only: false, groups: [] };

const layout = 1;
const layoutOfPending = 2;
const layoutOfLetter = 3;
const layoutOfReturned = 4;
const markLayouts: ReadonlySet<number> = new Set([layout, layoutOfPending, layoutOfLetter, layoutOfReturned]);
const out = new ByteWriter();

export function encodeTransfer({ to, instead, queues }: Transfer): Uint8Array {
  const audiences = new Map<Audience, number>();
  for (const { messages } of queues) {
    for (const { audience } of messages) if (!audiences.has(audience)) audiences.set(audience, audiences.size);
  }
  out.begin();
  out.u8(layout);
  out.text(to);
  out.whole(instead === undefined ? 0 : instead + 1);
  out.whole(audiences.size);
  for (const audience of audiences.keys()) putAudience(out, audience);
  out.whole(queues.length);
  for (const { topicId, queueId, messages } of queues) {
    for (const number of [topicId, queueId, messages.length]) out.whole(number);
    let at = 0;
    for (const { offset, position, size, groupHash, audience } of messages) {
      out.signed(offset - at);
      out.whole(position);
      out.whole(size);
      out.u32(groupHash);
      out.whole(audiences.get(audience) as number);
      at = offset + 1;
    }
  }
  out.whole(0);
  return out.taken();
}

export function decodeTransfer(payload: Uint8Array): Transfer {
  const from = open(payload);
  const to = from.text();
  const instead = from.whole();
  const audiences: Audience[] = [];
  for (let left = from.whole(); left > 0; left -= 1) audiences.push(takeAudience(from));
  const queues: TransferQueue[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    const [topicId, queueId] = [from.whole() as TopicId, from.whole() as QueueId];
    const messages: TransferMessage[] = [];
    let at = 0;
    for (let more = from.whole(); more > 0; more -= 1) {
      const offset = (at + from.signed()) as QueueOffset;
      const [position, size, groupHash] = [from.whole() as LogPosition, from.whole(), from.u32()];
      messages.push({ offset, position, size, groupHash, audience: audiences[from.whole()] ?? everybody });
      at = offset + 1;
    }
    queues.push({ topicId, queueId, messages });
  }
  return { to, instead: instead === 0 ? undefined : ((instead - 1) as LogPosition), queues };
}

export function encodeTransferDone(transfer: LogPosition): Uint8Array {
  out.begin();
  out.u8(layout);
  out.whole(transfer);
  return out.taken();
}

export function decodeTransferDone(payload: Uint8Array): LogPosition {
  return open(payload).whole() as LogPosition;
}

export function encodeTransferMark(mark: TransferMark): Uint8Array {
  const { from, log, transfer, index, audience, past, letter, returned } = mark;
  out.begin();
  out.u8(past ? layoutOfPending : letter ? layoutOfLetter : returned ? layoutOfReturned : layout);
  out.text(from);
  out.u32(log);
  out.whole(transfer);
  out.whole(index);
  putAudience(out, audience);
  if (past) putPast(out, past);
  else if (letter) {
    out.whole(letter.groupId);
    out.whole(letter.originTopicId);
    out.u8(letter.cause);
    out.whole(letter.attempts);
  } else if (returned) {
    out.whole(returned.letterTopicId);
    out.whole(returned.letterOffset);
    out.text(returned.replayId);
    out.text(returned.who);
  }
  return out.taken();
}

export function decodeTransferMark(bytes: Uint8Array): TransferMark {
  const [first] = bytes;
  const known = first !== undefined && markLayouts.has(first) ? first : layout;
  const from = open(bytes, known);
  const [brokerSet, log] = [from.text(), from.u32()];
  const [transfer, index] = [from.whole() as LogPosition, from.whole()];
  const audience = takeAudience(from);
  const mark = { from: brokerSet, log, transfer, index, audience };
  if (known === layoutOfPending) return { ...mark, past: takePast(from) };
  if (known === layoutOfReturned) {
    const [letterTopicId, letterOffset] = [from.whole() as TopicId, from.whole() as QueueOffset];
    return { ...mark, returned: { letterTopicId, letterOffset, replayId: from.text(), who: from.text() } };
  }
  if (known !== layoutOfLetter) return mark;
  const [groupId, originTopicId] = [from.whole() as GroupId, from.whole() as TopicId];
  return { ...mark, letter: { groupId, originTopicId, cause: from.u8(), attempts: from.whole() } };
}

export function putAudience(into: ByteWriter, { only, groups }: Audience): void {
  into.u8(only ? 1 : 0);
  into.whole(groups.length);
  for (const { groupId, attempts } of groups) {
    into.whole(groupId);
    into.whole(attempts);
  }
}

export function takeAudience(from: ByteReader): Audience {
  const only = (from.u8() & 1) === 1;
  const groups: AudienceGroup[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    groups.push({ groupId: from.whole() as GroupId, attempts: from.whole() });
  }
  return { only, groups };
}

function open(payload: Uint8Array, wanted = layout): ByteReader {
  const from = new ByteReader(payload);
  assert(
    from.u8() === wanted,
    'a record of a transfer has a layout this version knows: new meaning is a new record kind',
  );
  return from;
}
