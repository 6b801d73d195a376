import { MqError } from '@cometmq/shared';

import type { Session } from './session.js';

/** A server that is silent for so long is not waited for. */
export const silentMsMax = 120_000;

/**
 * For work that goes on at a server while a command looks how: one look that fails does not end the command. Gives
 * undefined where nobody could say, or the command was interrupted.
 *
 * @param goesOn what may go on by itself
 */
export function patientLook({ world }: Session, goesOn: string): <T>(ask: () => Promise<T>) => Promise<T | undefined> {
  const { clock, interrupted } = world;
  let heardMs = clock.monotonicMs();
  return async (ask) => {
    try {
      const said = await ask();
      heardMs = clock.monotonicMs();
      return said;
    } catch (caught) {
      const error = MqError.from(caught);
      if (interrupted.aborted) return undefined;
      if (!error.retry) throw error;
      if (clock.monotonicMs() - heardMs <= silentMsMax) return undefined;
      throw new MqError('UNAVAILABLE', `${goesOn} may go on, but nobody says so: ${error.reason}`, { cause: error });
    }
  };
}
