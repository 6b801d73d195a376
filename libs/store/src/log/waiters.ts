/**
 * Who waits for which position. Called in the order of the positions, and those of one position in the order they came.
 *
 * Two plain arrays and a head: nothing is allocated for a waiter whose turn comes in order, which is nearly every one.
 */
import type { MqError } from '@cometmq/shared';

type Act = () => void;
type Failed = (error: MqError) => void;

const nothing: Act = () => undefined;

export class Waiters {
  private ends: number[] = [];
  private acts: Act[] = [];
  private fails: (Failed | undefined)[] = [];
  private head = 0;

  get waiting(): number {
    return this.ends.length - this.head;
  }

  add(end: number, act: Act, failed: Failed | undefined): void {
    let at = this.ends.length;
    while (at > this.head && (this.ends[at - 1] as number) > end) at -= 1;
    if (at === this.ends.length) {
      this.ends.push(end);
      this.acts.push(act);
      this.fails.push(failed);
    } else {
      this.ends.splice(at, 0, end);
      this.acts.splice(at, 0, act);
      this.fails.splice(at, 0, failed);
    }
  }

  /** Calls all that wait for `end` or less. Those added meanwhile have their turn when they are covered too. */
  reached(end: number): void {
    while (this.head < this.ends.length && (this.ends[this.head] as number) <= end) {
      const act = this.acts[this.head] as Act;
      this.acts[this.head] = nothing; // What it held must not stay until the arrays are made anew.
      this.fails[this.head] = undefined;
      this.head += 1;
      act();
    }
    this.compact();
  }

  /** Those who wait for more than `end` are told why it does not come. */
  failBehind(end: number, error: MqError): void {
    let at = this.ends.length;
    while (at > this.head && (this.ends[at - 1] as number) > end) at -= 1;
    const fails = this.fails.slice(at);
    this.ends.length = this.acts.length = this.fails.length = at;
    for (const failed of fails) failed?.(error);
  }

  fail(error: MqError): void {
    const fails = this.fails.slice(this.head);
    this.ends = [];
    this.acts = [];
    this.fails = [];
    this.head = 0;
    for (const failed of fails) failed?.(error);
  }

  private compact(): void {
    if (this.head === this.ends.length) {
      this.ends = [];
      this.acts = [];
      this.fails = [];
      this.head = 0;
    } else if (this.head > 1024 && this.head * 2 > this.ends.length) {
      this.ends = this.ends.slice(this.head);
      this.acts = this.acts.slice(this.head);
      this.fails = this.fails.slice(this.head);
      this.head = 0;
    }
  }
}
