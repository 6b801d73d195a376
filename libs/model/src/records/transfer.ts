/**
 * How messages go from a broker set that leaves to one that stays.
 *
 * `transfer`, in the log of the set that leaves: messages are on their way to another set. From here on they are nobody's in
 * this one. Which they are, whom they are for and how often each group was given them is said once, here, so that whoever
 * leads this set next sends the same again until the other set has it.
 *
 *   | 1 | to text | instead + 1, or 0 | audiences | audience × audiences | queues | queue × queues | delayed | late × delayed |
 *     audience | only u8 | groups | (group | attempts) × groups |
 *     queue    | topic | queue | messages | (offset, signed step | position | size | group hash u32 | audience) × messages |
 *     late     | position | size | topic | due |
 *
 * `transferDone`, there too, once the other set has them:  | 1 | position of the transfer |
 *
 * `transferred`, in the log of the set that gets them, a message: visible in its queue. A mark in its envelope says where it
 * comes from and whom it is for. Marks of one transfer come in its order, so the last of them says how far it has got:
 *
 *   | 1 | from text | log u32 | transfer | index | audience |
 */
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import type { GroupId, LogPosition, QueueId, QueueOffset, TopicId } from '../units.js';
import type { Dropped } from './dropped.js';

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
  /** Delayed messages that are not due. */
  readonly delayed: readonly Dropped[];
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
  /** Which of its messages this is, from 0: those of queues in their order, then the delayed ones. */
  readonly index: number;
  readonly audience: Audience;
}

/** Nobody: a message that is on its way. */
export const nobody: Audience = { only: true, groups: [] };
export const everybody: Audience = { only: false, groups: [] };

const layout = 1;
const out = new ByteWriter();

export function encodeTransfer({ to, instead, queues, delayed }: Transfer): Uint8Array {
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
  out.whole(delayed.length);
  for (const { position, size, topicId, dueMs } of delayed) {
    for (const number of [position, size, topicId, dueMs]) out.whole(number);
  }
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
  const delayed: Dropped[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    const [position, size] = [from.whole() as LogPosition, from.whole()];
    delayed.push({ position, size, topicId: from.whole() as TopicId, dueMs: from.whole() });
  }
  return { to, instead: instead === 0 ? undefined : ((instead - 1) as LogPosition), queues, delayed };
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

export function encodeTransferMark({ from, log, transfer, index, audience }: TransferMark): Uint8Array {
  out.begin();
  out.u8(layout);
  out.text(from);
  out.u32(log);
  out.whole(transfer);
  out.whole(index);
  putAudience(out, audience);
  return out.taken();
}

export function decodeTransferMark(bytes: Uint8Array): TransferMark {
  const from = open(bytes);
  return {
    from: from.text(),
    log: from.u32(),
    transfer: from.whole() as LogPosition,
    index: from.whole(),
    audience: takeAudience(from),
  };
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

function open(payload: Uint8Array): ByteReader {
  const from = new ByteReader(payload);
  assert(
    from.u8() === layout,
    'a record of a transfer has a layout this version knows: new meaning is a new record kind',
  );
  return from;
}
