// Goal: a list of groups says which topics each reads, with what waits in each.
import type { TopicId } from '@cometmq/model';

import { groupReport, progressOf } from './group-report.js';

const group = {
  name: 'billing',
  id: 1,
  fifo: false,
  attemptsMax: 16,
  retryPolicy: {},
  start: { at: 'auto' },
  createdMs: 1,
};
const queueOf = (topicId: number, queueId: number, ready: number) => ({
  ...{ topicId, queueId, queueFirst: 0, queueNext: 9, committed: 0, frontier: 9, lanes: 0 },
  ...{ ready, inFlight: 1, blocked: 0 },
});
const session = (topicId: number) => ({
  ...{ clientId: `c${topicId}`, language: 'JAVA', version: '5' },
  subscriptions: [{ topicId, filter: { type: 'tag', expression: '*' } }],
});
const names = new Map([
  [1, 'orders'],
  [2, 'bills'],
  [3, 'new'],
  [4, 'sensors'],
]);

function topicsOf(more: object, state: object): unknown {
  const answers = ['broker-0', 'broker-1'].map((brokerSet) => ({
    brokerSet,
    answer: { queues: [], members: [], sums: [], ...state },
  }));
  const all = { answers, missing: [{ brokerSet: 'broker-2', reason: 'away' }] };
  const report = groupReport({ ...group, ...more } as never, (id: TopicId) => names.get(id), all as never);
  return progressOf(report);
}

it('adds up queues by topic, over broker sets, and has what is subscribed to and not begun', () => {
  const state = { queues: [queueOf(1, 0, 4), queueOf(1, 1, 0), queueOf(2, 0, 2)], members: [session(3), session(1)] };
  expect(topicsOf({}, state)).toEqual({
    ...{ lag: 18, inFlight: 6, ready: 12, members: 2, missing: ['broker-2'] },
    topics: [
      { topic: 'bills', lag: 6 },
      { topic: 'new', lag: 0 },
      { topic: 'orders', lag: 12 },
    ],
  });
});

it('has all that waits in lite topics under the topic they are of', () => {
  const sums = [{ topicId: 4, ready: 5, inFlight: 1, blocked: 0 }];
  expect(topicsOf({ lite: { topic: 'sensors' } }, { sums })).toMatchObject({ topics: [{ topic: 'sensors', lag: 12 }] });
});
