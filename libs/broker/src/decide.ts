import type { Done } from '@cometmq/client';
import type { LogPosition } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

/** The commit of a store, as far as deciding needs it. */
export interface Commits {
  readonly appendEnd: LogPosition;
  whenCommitted(end: LogPosition, act: (error?: MqError) => void): void;
}

/** What was decided for a caller: answered with `result` once the log is committed up to `end`. */
export interface Decided<T> {
  /** Undefined: nothing had to be written; what it was decided by may still have to be committed. */
  readonly end: LogPosition | undefined;
  readonly result: T;
  /** Whom else it concerns, told once the decision is in the log: before the commit, and never part of the answer. */
  readonly after?: () => void;
}

/**
 * The one way of a call that decides something: `act` checks, decides and appends, and may refuse with an MqError, which is
 * the answer. What is told as done is committed, whoever wrote it: a call that is repeated, since its answer was lost, finds
 * it done before that. From the append on nothing is: what is in the log has happened, and the caller hears of it at its commit. So
 * all that follows an append stands in `after`, or behind `whenCommitted`. A failed assertion is never an answer.
 */
export function decide<T>(store: Commits, done: Done<T>, act: () => Decided<T>): void {
  let decided: Decided<T>;
  try {
    decided = act();
  } catch (caught) {
    done(MqError.from(caught), undefined);
    return;
  }
  const { end = store.appendEnd, result, after } = decided;
  store.whenCommitted(end, (error) => (error ? done(error, undefined) : done(undefined, result)));
  after?.();
}
