// Goal: one Ctrl-C is one request, however often it arrives. Method: signals at set times.
import { ManualClock } from './manual-clock.js';
import { stopRequests } from './stop-requests.js';

it('counts what comes together once, and what comes later again', () => {
  const clock = new ManualClock();
  const counted: [string, number][] = [];
  const onSignal = stopRequests(clock, (signal, requests) => counted.push([signal, requests]));
  onSignal('SIGINT');
  onSignal('SIGINT');
  clock.advance(100);
  onSignal('SIGTERM');
  expect(counted).toEqual([['SIGINT', 1]]);
  clock.advance(600);
  onSignal('SIGINT');
  expect(counted).toEqual([
    ['SIGINT', 1],
    ['SIGINT', 2],
  ]);
});
