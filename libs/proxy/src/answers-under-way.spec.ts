import type { BrokerLinks, HandBackCall } from '@cometmq/client';
import type { Receipt } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';

import { AnswersUnderWay } from './answers-under-way.js';

const leaseMs = 60_000;

function underWay(): { clock: ManualClock; answers: AnswersUnderWay; handedBack: HandBackCall[] } {
  const clock = new ManualClock();
  const handedBack: HandBackCall[] = [];
  const link = { handBack: (call: HandBackCall) => handedBack.push(call) };
  const links = { link: () => link } as unknown as BrokerLinks;
  return { clock, answers: new AnswersUnderWay(clock, links, leaseMs, () => undefined), handedBack };
}

const receipts = [{ broker: 'broker-0', groupId: 1 } as unknown as Receipt];

test('what nothing confirms is given back after one lease', () => {
  const { clock, answers, handedBack } = underWay();
  answers.begin('client', 1, undefined, receipts);
  clock.advance(leaseMs - 1_000);
  expect(handedBack).toEqual([]);
  clock.advance(2_000);
  expect(handedBack).toEqual([{ receipts }]);
});

test('a proxy that stood still reads first what the client has confirmed meanwhile', () => {
  const { clock, answers, handedBack } = underWay();
  const answer = answers.begin('client', 1, undefined, receipts);
  answers.asked('client', 2, undefined);
  clock.standStill(2 * leaseMs);
  clock.advance(0);
  expect(handedBack).toEqual([]);
  answer.settle(true);
  clock.advance(leaseMs);
  expect(handedBack).toEqual([]);
});
