import { MqError, type Clock } from '@cometmq/shared';

/** The promise's outcome, or TIMEOUT after `waitMs`. What was asked for may still happen later. */
export function within<T>(clock: Clock, waitMs: number, who: string, work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = clock.after(waitMs, () =>
      reject(new MqError('TIMEOUT', `${who} did not answer within ${waitMs} ms`)),
    );
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
