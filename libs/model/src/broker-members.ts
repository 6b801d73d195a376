/** Who keeps a broker set's log, whose word is enough, and what members tell each other of their logs. */
import type { Epoch, LogPosition } from './units.js';

declare const unit: unique symbol;
/** `<place>/<volume incarnation>`: a pod that comes back with an empty disk is another member. */
export type MemberId = string & { readonly [unit]: 'member id' };

export const memberId = (value: string): MemberId => value as MemberId;

/** Members that a broker set may be set up for. */
export const membersWantedMax = 9;

/** {S, W}. Members are in order of their names, none is named twice. */
export interface SetRule {
  readonly members: readonly MemberId[];
  readonly quorum: number;
}

/** A broker set as etcd has it, under one key. */
export interface SetState extends SetRule {
  /** Of that key: every change compares it. */
  readonly revision: number;
  readonly epoch: Epoch;
  readonly leader: MemberId;
}

export interface EpochStart {
  readonly epoch: Epoch;
  /** Of its first record. */
  readonly start: LogPosition;
}

/** What a log holds, as its owner tells others. */
export interface LogOutline {
  /** In order of both. */
  readonly epochs: readonly EpochStart[];
  readonly end: LogPosition;
}

export interface LogTail {
  readonly lastEpoch: Epoch;
  readonly end: LogPosition;
}

export interface Promised {
  readonly epoch: Epoch;
  readonly to: MemberId | undefined;
}

/** Why somebody stands; a member that hears a progressing leader lets only a hand-over pass. */
export type StandReason =
  /** No leader is known, or it was this member itself before a restart. */
  | 'start'
  /** The connection to the leader closed, and its address refuses. */
  | 'closed'
  /** Nothing was heard of it, or no progress, for a lease. */
  | 'silent'
  /** It gave its consent. */
  | 'handedOver';

export interface Ask {
  readonly epoch: Epoch;
  readonly candidate: MemberId;
  readonly reason: StandReason;
  /** Whether it would promise; nothing is promised by the answer. */
  readonly sounding: boolean;
}

export type Refusal =
  { readonly why: 'promised'; readonly epoch: Epoch } | { readonly why: 'leaderProgresses'; readonly epoch: Epoch };
