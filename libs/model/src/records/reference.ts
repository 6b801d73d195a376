/**
 * What a reference record says beside its queue header:
 * | target position u64 | target size u32 | reason u8 | cause u8 | attempts u16 | group id u32 | origin topic id u32 |.
 * Cause and attempts are of a dead letter; 0: the version that wrote it did not say.
 * A longer payload is a later version: a reader takes what it knows.
 */
import { getU64, putU64, viewOf } from '@cometmq/shared';

import type { GroupId, LogPosition, TopicId } from '../units.js';

/** Why a message is visible in another queue than it was written to. Written to the log: numbers never change. */
export const referenceReason = {
  /** A group gave the message up; it now stands in the group's dead-letter topic. */
  deadLetter: 1,
  /** A delayed message's time has come. */
  timerFired: 2,
  /** The producer committed its half message. */
  committed: 3,
  /** An operator committed a half message. */
  recovered: 4,
} as const;
export type ReferenceReason = (typeof referenceReason)[keyof typeof referenceReason];

/** Whether a reference made for this reason ends the waiting of a pending message: its one and only release. */
export function releasesPending(reason: number): boolean {
  return reason >= referenceReason.timerFired && reason <= referenceReason.recovered;
}

/** Why a message became a dead letter. Written to the log: numbers never change. */
export const deadLetterCause = {
  unknown: 0,
  /** It was delivered as often as its group allows. */
  attemptsUsed: 1,
  /** Its consumer gave it up. */
  givenUp: 2,
} as const;
export type DeadLetterCause = keyof typeof deadLetterCause;

export function deadLetterCauseName(cause: number): DeadLetterCause {
  return cause === deadLetterCause.attemptsUsed
    ? 'attemptsUsed'
    : cause === deadLetterCause.givenUp
      ? 'givenUp'
      : 'unknown';
}

export interface Reference {
  /** The record that holds the body: a message or a pending one, never another reference. */
  readonly target: { readonly position: LogPosition; readonly size: number };
  readonly reason: number;
  /** The group that gave the message up; 0 where no group is concerned. */
  readonly groupId: GroupId;
  readonly originTopicId: TopicId;
  /** Of a dead letter. */
  readonly cause?: number | undefined;
  /** Of a dead letter: how often it had been delivered. */
  readonly attempts?: number | undefined;
}

/** Of a reference as this version writes it. */
export const referencePayloadBytes = 24;

export function encodeReference(reference: Reference): Uint8Array {
  const payload = new Uint8Array(referencePayloadBytes);
  const view = viewOf(payload);
  putU64(view, 0, reference.target.position);
  view.setUint32(8, reference.target.size, true);
  payload[12] = reference.reason;
  payload[13] = reference.cause ?? 0;
  view.setUint16(14, Math.min(0xffff, reference.attempts ?? 0), true);
  view.setUint32(16, reference.groupId, true);
  view.setUint32(20, reference.originTopicId, true);
  return payload;
}

export function decodeReference(payload: Uint8Array): Reference {
  const view = viewOf(payload);
  return {
    target: { position: getU64(view, 0) as LogPosition, size: view.getUint32(8, true) },
    reason: view.getUint8(12),
    cause: view.getUint8(13),
    attempts: view.getUint16(14, true),
    groupId: view.getUint32(16, true) as GroupId,
    originTopicId: view.getUint32(20, true) as TopicId,
  };
}

export function referenceTarget(payload: Uint8Array): LogPosition {
  return getU64(viewOf(payload), 0) as LogPosition;
}
