/**
 * How far the log has got, and who waits for how far.
 *
 *   committed ≤ durable ≤ appended
 *
 * Durable is what outlives a power cut here. Committed is what outlives whatever the broker set promises to outlive:
 * alone, that is the same, and moves with it at no cost; with copies it is said from outside (`advanceCommit`). Consumers
 * are shown, and senders are told of, nothing that is not committed.
 */
import { logPosition } from '@cometmq/model';
import type { LogPosition } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';

import { Waiters } from './waiters.js';

type Moved = (from: LogPosition, end: LogPosition) => void;

export class LogEnds {
  appended = logPosition(0);
  durable = logPosition(0);
  committed = logPosition(0);
  /** Why nothing moves any more. */
  failure: MqError | undefined;
  /** What was said to be committed; may lie beyond what is durable here. */
  private said = 0;
  private alone = true;
  private toldCommitted = logPosition(0);
  private readonly durableWaiters = new Waiters();
  private readonly commitWaiters = new Waiters();
  private readonly durableListeners: Moved[] = [];
  private readonly commitListeners: Moved[] = [];

  /** All that is there is durable. Committed is what is known to be; alone, all of it. */
  open(end: LogPosition, committed: LogPosition): void {
    this.appended = this.durable = end;
    this.said = committed;
    this.moveCommitted();
    this.toldCommitted = this.committed;
  }

  /** The same for a log that has been replaced: those who wait are told why. What was committed still is. */
  reopen(end: LogPosition, committed: LogPosition, error: MqError): void {
    this.durableWaiters.fail(error);
    this.commitWaiters.fail(error);
    this.open(end, committed);
  }

  /** Whether what is durable here is thereby committed. */
  set commitsWhenDurable(alone: boolean) {
    this.alone = alone;
    this.moveCommitted();
    this.tellCommitted();
  }
  get commitsWhenDurable(): boolean {
    return this.alone;
  }

  /** A batch has become durable. Moves the numbers; `tell` follows. */
  becameDurable(end: LogPosition): void {
    this.durable = end;
    this.moveCommitted();
  }

  /** Tells everybody, first those who listen, then those who wait, each in order. */
  tell(from: LogPosition, end: LogPosition): void {
    for (const listener of this.durableListeners) listener(from, end);
    this.durableWaiters.reached(end);
    this.tellCommitted();
  }

  /** All below `end` is committed. Never goes back. What is not durable here counts as soon as it is. */
  advanceCommit(end: LogPosition): void {
    if (end <= this.said) return;
    this.said = end;
    this.moveCommitted();
    this.tellCommitted();
  }

  /** The log ends at `to`, which is not below what is committed: those who wait for more are told why. */
  cut(to: LogPosition, error: MqError): void {
    this.appended = to;
    if (this.durable > to) this.durable = to;
    this.durableWaiters.failBehind(to, error);
    this.commitWaiters.failBehind(to, error);
  }

  /** Those who wait for a commit that has not come are told so: nobody here hears any more whether it does. */
  failCommits(error: MqError): void {
    this.commitWaiters.failBehind(this.committed, error);
  }

  fail(error: MqError): void {
    this.failure = error;
    this.close(error);
  }

  /** Nobody is told anything any more but this. */
  close(error: MqError): void {
    this.durableWaiters.fail(error);
    this.commitWaiters.fail(error);
  }

  onDurable(listener: Moved): void {
    this.durableListeners.push(listener);
  }
  onCommitted(listener: Moved): void {
    this.commitListeners.push(listener);
  }

  whenDurable(end: LogPosition, act: () => void, failed?: (error: MqError) => void): void {
    if (end <= this.durable) act();
    else if (this.failure) failed?.(this.failure);
    else this.durableWaiters.add(end, act, failed);
  }

  whenCommitted(end: LogPosition, act: () => void, failed?: (error: MqError) => void): void {
    if (end <= this.committed) act();
    else if (this.failure) failed?.(this.failure);
    else this.commitWaiters.add(end, act, failed);
  }

  private moveCommitted(): void {
    const end = this.alone ? this.durable : Math.min(this.said, this.durable);
    if (end > this.committed) this.committed = logPosition(end);
  }

  private tellCommitted(): void {
    const from = this.toldCommitted;
    const end = this.committed;
    if (end === from) return;
    this.toldCommitted = end;
    for (const listener of this.commitListeners) listener(from, end);
    this.commitWaiters.reached(end);
  }
}
