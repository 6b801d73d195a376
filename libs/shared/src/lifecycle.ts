import { MqError } from './errors.js';

/** A part of a process: building it does nothing, `start` makes it work, `stop` ends it and gives everything back. */
export interface Component {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts the parts down the list and, once `until` resolves, stops them back up it. When a part fails to start, those
 * already started are stopped and the failure is thrown. A stop that is asked for during the start is heeded at once:
 * a part may be waiting for another process that never comes.
 */
export async function run(parts: readonly Component[], until: Promise<unknown>, ready?: () => void): Promise<void> {
  const started: Component[] = [];
  let asked = false;
  const stop = until.then(() => void (asked = true));
  try {
    for (const part of parts) {
      started.push(part); // A part that failed half-way must be able to stop.
      const starting = part.start();
      await Promise.race([starting, stop]);
      if (asked) {
        starting.catch(() => undefined); // Nobody waits for it any more, and its stop may well break it off.
        break;
      }
    }
    if (!asked) ready?.();
    await stop;
  } catch (caught) {
    // Why it ends is told, and not what came of that.
    await stopAll(started).catch(() => undefined);
    throw caught;
  }
  await stopAll(started);
}

/** Stops every part, last one first, even if one of them fails; then throws the first failure. */
export async function stopAll(parts: readonly Component[]): Promise<void> {
  let failure: unknown;
  for (const part of [...parts].reverse()) {
    try {
      await part.stop();
    } catch (caught) {
      failure ??= caught;
    }
  }
  if (failure !== undefined) throw MqError.from(failure);
}
