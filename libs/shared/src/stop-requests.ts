import { type Clock } from './clock.js';

const sameRequestMs = 500;

/**
 * Counts requests to stop: gives a handler for signals that calls `act` with how many requests there were so far. A
 * Ctrl-C under `npm run` arrives twice, from the terminal and from npm; what comes so shortly after another is the same.
 */
export function stopRequests(
  clock: Pick<Clock, 'monotonicMs'>,
  act: (signal: string, requests: number) => void,
): (signal: string) => void {
  let requests = 0;
  let lastMs = -Infinity;
  return (signal) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lastMs < sameRequestMs) return;
    lastMs = nowMs;
    requests += 1;
    act(signal, requests);
  };
}
