/**
 * What a member has promised: to whom it listens. One promise an epoch, durable before it is given; who promised refuses
 * every lower epoch from then on, and the same epoch to anybody else.
 *
 * Following a leader is a promise too. So a leader that was deposed finds at most W − 1 members that still listen to it.
 */
import type { Ask, Epoch, MemberId, Promised, Refusal } from '@cometmq/model';

/** What to answer to a candidate; `promise` must be durable before it is said. */
export function answerTo(
  promised: Promised,
  ask: Ask,
  /** Itself where it leads and makes progress, or the leader it has heard make progress within its patience. */
  heard: MemberId | undefined,
): { readonly promise: Promised } | { readonly refusal: Refusal } {
  if (!mayListen(promised, ask.epoch, ask.candidate)) {
    return { refusal: { why: 'promised', epoch: promised.epoch } };
  }
  if (heard !== undefined && heard !== ask.candidate && ask.reason !== 'handedOver') {
    return { refusal: { why: 'leaderProgresses', epoch: promised.epoch } };
  }
  return { promise: { epoch: ask.epoch, to: ask.candidate } };
}

/** Whether what `from` says in `epoch` may still be heard. */
export function mayListen(promised: Promised, epoch: Epoch, from: MemberId): boolean {
  return epoch > promised.epoch || (epoch === promised.epoch && (promised.to === from || promised.to === undefined));
}
