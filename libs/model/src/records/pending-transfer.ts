/**
 * How messages that no queue shows go from a broker set that leaves to one that stays: delayed ones, and half messages.
 *
 * `transferPending`, in the log of the set that leaves: these are on their way to another set. From here on they wait no more
 * in this one; their bytes stay until they are there.
 *
 *   | 1 | to text | instead + 1, or 0 | messages | message × messages |
 *     message | position | size | topic | queue | tag u32 | group u32 | due, 0: half a message | of a half: state |
 *     state   | stored | checks | last check | next check | parked u8 |
 *
 * `transferPendingDone`, there too, once the other set has them:  | 1 | position of the transfer | count | (position | size | topic) × count |
 *
 * `transferredPending`, in the log of the set that gets them, a message: waits as a `pending` one does. The mark in its envelope
 * (records/transfer.ts) says beside where it comes from:
 *
 *   | due | stored | is half u8 | of a half: state without stored | places | (broker set text | position | size) × places |
 *
 * Recall handles and transaction ids name the place at which the message stood when they were written; by `places`, the oldest
 * first, it is found where it is now.
 */
import { assert, ByteReader, ByteWriter } from '@cometmq/shared';

import type { LogPosition, QueueId, TopicId } from '../units.js';

/** Half a message: what is known of it beside when it is stored. */
export interface HalfChecks {
  /** How often a producer was asked. */
  readonly checks: number;
  readonly lastCheckMs: number;
  readonly nextCheckMs: number;
  readonly parked: boolean;
}

export interface EarlierPlace {
  readonly brokerSet: string;
  readonly position: LogPosition;
  readonly size: number;
}

/** What a pending message that came from another broker set was there. */
export interface PendingPast {
  /** 0: half a message. */
  readonly dueMs: number;
  readonly storedMs: number;
  readonly half: HalfChecks | undefined;
  readonly places: readonly EarlierPlace[];
}

export interface PendingTransferMessage {
  readonly position: LogPosition;
  readonly size: number;
  readonly topicId: TopicId;
  readonly queueId: QueueId;
  readonly tagHash: number;
  readonly groupHash: number;
  /** 0: half a message. */
  readonly dueMs: number;
  readonly half: (HalfChecks & { readonly storedMs: number }) | undefined;
}

export interface PendingTransfer {
  /** The broker set that they go to. */
  readonly to: string;
  /** The earlier transfer of the same messages, to a set that does not take them. */
  readonly instead: LogPosition | undefined;
  readonly messages: readonly PendingTransferMessage[];
}

export interface PendingReleased {
  readonly position: LogPosition;
  readonly size: number;
  readonly topicId: TopicId;
}

/** Handles that were written in so many sets are good; of those between the first and the newest, older ones are not. */
const placesMax = 8;
const layout = 1;
const out = new ByteWriter();

export function encodePendingTransfer({ to, instead, messages }: PendingTransfer): Uint8Array {
  begin();
  out.text(to);
  out.whole(instead === undefined ? 0 : instead + 1);
  out.whole(messages.length);
  for (const { position, size, topicId, queueId, tagHash, groupHash, dueMs, half } of messages) {
    for (const number of [position, size, topicId, queueId]) out.whole(number);
    out.u32(tagHash);
    out.u32(groupHash);
    out.whole(dueMs);
    assert((dueMs === 0) === (half !== undefined), 'half a message has a state, and no time at which it is due');
    if (!half) continue;
    out.whole(half.storedMs);
    putHalf(out, half);
  }
  return out.taken();
}

export function decodePendingTransfer(payload: Uint8Array): PendingTransfer {
  const from = open(payload);
  const to = from.text();
  const instead = from.whole();
  const messages: PendingTransferMessage[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    const [position, size] = [from.whole() as LogPosition, from.whole()];
    const [topicId, queueId] = [from.whole() as TopicId, from.whole() as QueueId];
    const [tagHash, groupHash, dueMs] = [from.u32(), from.u32(), from.whole()];
    const half = dueMs === 0 ? { storedMs: from.whole(), ...takeHalf(from) } : undefined;
    messages.push({ position, size, topicId, queueId, tagHash, groupHash, dueMs, half });
  }
  return { to, instead: instead === 0 ? undefined : ((instead - 1) as LogPosition), messages };
}

export function encodePendingTransferDone(transfer: LogPosition, released: readonly PendingReleased[]): Uint8Array {
  begin();
  out.whole(transfer);
  out.whole(released.length);
  for (const { position, size, topicId } of released) {
    for (const number of [position, size, topicId]) out.whole(number);
  }
  return out.taken();
}

/** The position of the transfer that is over. */
export function pendingTransferOver(payload: Uint8Array): LogPosition {
  return open(payload).whole() as LogPosition;
}

/** Plain numbers, no object an entry: views fold hundreds at once. */
export function eachPendingReleased(
  payload: Uint8Array,
  each: (position: LogPosition, size: number, topicId: TopicId) => void,
): void {
  const from = open(payload);
  from.whole();
  for (let left = from.whole(); left > 0; left -= 1) {
    each(from.whole() as LogPosition, from.whole(), from.whole() as TopicId);
  }
}

/** A message moves on: where it stands now is one more of its places. */
export function placesBehind(places: readonly EarlierPlace[], last: EarlierPlace): EarlierPlace[] {
  const all = [...places, last];
  return all.length <= placesMax ? all : [...all.slice(0, 1), ...all.slice(1 - placesMax)];
}

/** What a message is found by that stood there. */
export function placeKey(brokerSet: string, position: LogPosition): string {
  return `${brokerSet}/${position}`;
}

export function putPast(into: ByteWriter, { dueMs, storedMs, half, places }: PendingPast): void {
  into.whole(dueMs);
  into.whole(storedMs);
  into.u8(half ? 1 : 0);
  if (half) putHalf(into, half);
  into.whole(places.length);
  for (const { brokerSet, position, size } of places) {
    into.text(brokerSet);
    into.whole(position);
    into.whole(size);
  }
}

export function takePast(from: ByteReader): PendingPast {
  const [dueMs, storedMs] = [from.whole(), from.whole()];
  const half = from.u8() === 1 ? takeHalf(from) : undefined;
  const places: EarlierPlace[] = [];
  for (let left = from.whole(); left > 0; left -= 1) {
    places.push({ brokerSet: from.text(), position: from.whole() as LogPosition, size: from.whole() });
  }
  return { dueMs, storedMs, half, places };
}

function putHalf(into: ByteWriter, { checks, lastCheckMs, nextCheckMs, parked }: HalfChecks): void {
  for (const number of [checks, lastCheckMs, nextCheckMs]) into.whole(number);
  into.u8(parked ? 1 : 0);
}

function takeHalf(from: ByteReader): HalfChecks {
  const [checks, lastCheckMs, nextCheckMs] = [from.whole(), from.whole(), from.whole()];
  return { checks, lastCheckMs, nextCheckMs, parked: from.u8() === 1 };
}

function begin(): void {
  out.begin();
  out.u8(layout);
}

function open(payload: Uint8Array): ByteReader {
  const from = new ByteReader(payload);
  assert(
    from.u8() === layout,
    'a record of pending messages on their way has a layout this version knows: new meaning is a new record kind',
  );
  return from;
}
