/** What a member does for its set: one thing at a time. */
import type { MqError, Timer } from '@cometmq/shared';

import type { Election } from './election.js';
import type { Following } from './following.js';
import type { Leading } from './leading.js';
import type { RunningTerm } from './member-parts.js';

export type Role = { readonly is: 'opening' } | FollowingRole | StandingRole | LeadingRole | FailedRole;

export interface FollowingRole {
  readonly is: 'following';
  /** Resolves when the store is a follower's. */
  readonly ready: Promise<unknown>;
  isReady: boolean;
  stream: Following | undefined;
  /** Which of those that may lead is tried next. */
  turn: number;
  timer: Timer | undefined;
}

export interface StandingRole {
  readonly is: 'standing';
  readonly election: Election;
  /** Resolves when it does not stand any more: with what it leads, or with nothing. */
  readonly outcome: PromiseWithResolvers<Leading | undefined>;
}

export interface LeadingRole {
  readonly is: 'leading';
  readonly leading: Leading;
  /** Undefined: the start of its term is not committed yet. */
  term: RunningTerm | undefined;
}

export interface FailedRole {
  readonly is: 'failed';
  readonly why: MqError;
}
