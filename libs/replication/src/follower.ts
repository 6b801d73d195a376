/**
 * What a member does with what its leader sends, as steps. It takes records only as they continue its log, from a base
 * that both agreed on in this session, and says what is durable here, never more.
 *
 * It cuts its own log back to the last record that both have, but never below what it knows to be committed: a leader that
 * lacks such a record would show that something is broken, and the member stops instead of believing it.
 *
 * A follower decides nothing: no clock, no limit of its own.
 */
import type { Epoch, LogOutline, LogPosition, MemberId, Promised } from '@cometmq/model';
import { unreachable } from '@cometmq/shared';

import { commonEnd } from './common-end.js';
import { mayListen } from './promises.js';

export type FollowerInput =
  /** A leader's stream has opened. `log`: what it holds, its own start record included. */
  | {
      readonly kind: 'attached';
      readonly session: number;
      readonly leader: MemberId;
      readonly epoch: Epoch;
      readonly log: LogOutline;
    }
  /** Bytes [from, end) of the leader's log, their checksums verified. */
  | { readonly kind: 'received'; readonly session: number; readonly from: LogPosition; readonly end: LogPosition }
  /** All below is committed, says the leader. */
  | { readonly kind: 'committed'; readonly session: number; readonly end: LogPosition }
  /** The own disk has all below. */
  | { readonly kind: 'durable'; readonly end: LogPosition }
  | { readonly kind: 'detached'; readonly session: number };

export type FollowerOutput =
  /** Durable before anything behind it in the list is done. */
  | { readonly kind: 'promise'; readonly promise: Promised }
  /** The log ends at `to` from now on; durable before anything behind it in the list is done. */
  | { readonly kind: 'truncate'; readonly to: LogPosition }
  /** Send from here on. */
  | { readonly kind: 'follow'; readonly session: number; readonly from: LogPosition }
  | { readonly kind: 'append'; readonly from: LogPosition; readonly end: LogPosition }
  | { readonly kind: 'ack'; readonly session: number; readonly end: LogPosition }
  | { readonly kind: 'commit'; readonly end: LogPosition }
  | { readonly kind: 'refuse'; readonly session: number; readonly epoch: Epoch; readonly why: string }
  /** Something is broken: this member must not go on. */
  | { readonly kind: 'halt'; readonly why: string };

export interface Following {
  readonly promised: Promised;
  readonly log: LogOutline;
  readonly durableEnd: LogPosition;
  readonly commitEnd: LogPosition;
}

const noEpoch = 0 as Epoch;
const endless = Number.MAX_SAFE_INTEGER as LogPosition;

export class Follower {
  private promised: Promised;
  private end: LogPosition;
  private durableEnd: LogPosition;
  private commitEnd: LogPosition;
  private session: number | undefined;
  private acked = -1;
  private halted = false;

  /** `outline`: what the log holds at the moment it is asked. */
  constructor(
    { promised, durableEnd, commitEnd, log }: Following,
    private readonly outline: () => LogOutline,
  ) {
    this.promised = promised;
    this.end = log.end;
    this.durableEnd = durableEnd;
    this.commitEnd = commitEnd;
  }

  get listensTo(): Promised {
    return this.promised;
  }

  /** A candidate was promised something: whoever led before is not heard any more. */
  promise(promise: Promised): void {
    this.promised = promise;
    this.session = undefined;
  }

  step(input: FollowerInput): FollowerOutput[] {
    if (this.halted) return [];
    switch (input.kind) {
      case 'attached':
        return this.attached(input);
      case 'received':
        return this.received(input);
      case 'committed': {
        const end = Math.min(input.end, this.end) as LogPosition;
        if (input.session !== this.session || end <= this.commitEnd) return [];
        this.commitEnd = end;
        return [{ kind: 'commit', end }];
      }
      case 'durable':
        this.durableEnd = Math.max(this.durableEnd, input.end) as LogPosition;
        return this.ack();
      case 'detached':
        if (input.session === this.session) this.session = undefined;
        return [];
      default:
        return unreachable(input);
    }
  }

  private attached({ session, leader, epoch, log }: Extract<FollowerInput, { kind: 'attached' }>): FollowerOutput[] {
    if (!mayListen(this.promised, epoch, leader)) {
      return [
        { kind: 'refuse', session, epoch: this.promised.epoch, why: `epoch ${this.promised.epoch} was promised` },
      ];
    }
    // What it holds of this very epoch came from this leader, whose log only grows: an outline that was overtaken on its
    // way must not cut off what was acknowledged since.
    const from = commonEnd(this.outline(), { ...log, end: endless });
    if (from < this.commitEnd) {
      return this.halt(
        `${leader} lacks what was committed up to ${this.commitEnd}: its log is the same up to ${from} only`,
      );
    }
    const outputs: FollowerOutput[] = [];
    if (epoch !== this.promised.epoch || this.promised.to !== leader) {
      this.promised = { epoch, to: leader };
      outputs.push({ kind: 'promise', promise: this.promised });
    }
    if (from < this.end) {
      this.end = from;
      this.durableEnd = Math.min(this.durableEnd, from) as LogPosition;
      outputs.push({ kind: 'truncate', to: from });
    }
    this.session = session;
    this.acked = -1;
    return [...outputs, { kind: 'follow', session, from }, ...this.ack()];
  }

  private received({ session, from, end }: Extract<FollowerInput, { kind: 'received' }>): FollowerOutput[] {
    if (session !== this.session) return [];
    if (from !== this.end) {
      this.session = undefined;
      // Nothing else was promised: no term is to be renewed for it.
      return [{ kind: 'refuse', session, epoch: noEpoch, why: `got ${from} where ${this.end} comes next` }];
    }
    this.end = end;
    return [{ kind: 'append', from, end }];
  }

  /** What is durable, and only what is contiguous from the base: the log has no holes. */
  private ack(): FollowerOutput[] {
    const end = Math.min(this.durableEnd, this.end) as LogPosition;
    if (this.session === undefined || end <= this.acked) return [];
    this.acked = end;
    return [{ kind: 'ack', session: this.session, end }];
  }

  private halt(why: string): FollowerOutput[] {
    this.halted = true;
    this.session = undefined;
    return [{ kind: 'halt', why }];
  }
}
