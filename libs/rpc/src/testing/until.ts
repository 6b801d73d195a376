import { sleep, systemClock } from '@cometmq/shared';

/** Waits for a condition of the real world; says which one if it takes more than 10 s. */
export async function until(holds: () => boolean): Promise<void> {
  const startMs = systemClock.monotonicMs();
  const alive = setInterval(() => undefined, 1_000); // The clock's timers alone keep no process alive.
  try {
    while (!holds()) {
      if (systemClock.monotonicMs() - startMs > 10_000) throw new Error(`never came: ${holds.toString()}`);
      await sleep(systemClock, 5);
    }
  } finally {
    clearInterval(alive);
  }
}
