// Goal: a promise is given once an epoch, and to nobody while a leader makes progress. Method: who asks what of whom, in a table.
import { type Epoch, memberId } from '@cometmq/model';

import { answerTo, mayListen } from './promises.js';

const [a, b] = [memberId('a'), memberId('b')];
const epoch = (number: number): Epoch => number as Epoch;
const ask = (number: number, candidate = b, reason: 'silent' | 'handedOver' = 'silent') =>
  ({ epoch: epoch(number), candidate, reason, sounding: false }) as const;
const toA = { epoch: epoch(5), to: a };

it('promises a later epoch to whoever asks first, and the same one to nobody else', () => {
  expect(answerTo(toA, ask(6), undefined)).toEqual({ promise: { epoch: 6, to: b } });
  expect(answerTo(toA, ask(5), undefined)).toEqual({ refusal: { why: 'promised', epoch: 5 } });
  expect(answerTo(toA, ask(4, a), undefined)).toEqual({ refusal: { why: 'promised', epoch: 5 } });
});

it('says the same again to the one it was given to, and gives one of which it does not know to whom', () => {
  expect(answerTo(toA, ask(5, a), undefined)).toEqual({ promise: toA });
  expect(answerTo({ epoch: epoch(5), to: undefined }, ask(5), undefined)).toEqual({ promise: { epoch: 5, to: b } });
});

it('refuses while another makes progress, unless that one hands over', () => {
  expect(answerTo(toA, ask(6), a)).toEqual({ refusal: { why: 'leaderProgresses', epoch: 5 } });
  expect(answerTo(toA, ask(6), b)).toEqual({ promise: { epoch: 6, to: b } });
  expect(answerTo(toA, ask(6, b, 'handedOver'), a)).toEqual({ promise: { epoch: 6, to: b } });
});

it('listens to the one it promised, and to later epochs only', () => {
  expect([mayListen(toA, epoch(5), a), mayListen(toA, epoch(5), b), mayListen(toA, epoch(6), b)]).toEqual([
    ...[true, false, true],
  ]);
});
