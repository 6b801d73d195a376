/**
 * A change of where messages go, made while new ones wait and nothing of what was sent before is left, so that nothing which
 * follows elsewhere overtakes it.
 */
import { randomBytes } from 'node:crypto';
import { sleep, type Clock } from '@cometmq/shared';

/** How long sends may wait for the last messages to be consumed. */
const holdMs = 1_500;
const lookMs = 100;
/** What is under way when the sends begin to wait gets into the queues in this time. */
const quietLooks = 3;
/** How long they may wait for the change itself, which all hear of at once: as long as a broker holds at the most. */
const changeMs = 10_000;

export interface HeldChange<Left> {
  readonly clock: Clock;
  /** New sends wait for so long; resolves when those before are committed. 0: no longer. */
  readonly hold: (forMs: number, owner: string) => Promise<void>;
  readonly count: () => Promise<Left>;
  readonly isEmpty: (left: Left) => boolean;
  /** False: it is not wanted any more. */
  readonly change: () => Promise<boolean>;
}

/** @returns what was left when it was given up; undefined: the change is made */
export async function changeWhileHeld<Left>({
  clock,
  hold,
  count,
  isEmpty,
  change,
}: HeldChange<Left>): Promise<Left | undefined> {
  const owner = randomBytes(8).toString('hex'); // Another process may make the same change, or another one.
  let isMade = false;
  try {
    const beganMs = clock.monotonicMs();
    await hold(holdMs, owner);
    let left: Left;
    let quiet = 0;
    do {
      await sleep(clock, lookMs);
      left = await count();
      // A count that took long has seen what was sent after the hold had ended by itself, or not seen it.
      if (clock.monotonicMs() > beganMs + holdMs - lookMs) return left;
      quiet = isEmpty(left) ? quiet + 1 : 0;
    } while (quiet < quietLooks);
    // Counted once more, as what came before this is committed by now; from here on they wait for the whole of the change.
    const lastMs = clock.monotonicMs();
    await hold(changeMs, owner);
    left = await count();
    if (!isEmpty(left) || clock.monotonicMs() > lastMs + changeMs / 2) return left;
    isMade = await change();
    return isMade ? undefined : left;
  } finally {
    if (!isMade) await hold(0, owner).catch(() => undefined); // It ends by itself.
  }
}
