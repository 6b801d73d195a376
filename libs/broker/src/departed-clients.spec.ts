import { someTraits } from '@cometmq/client/testing';
import type { GroupId } from '@cometmq/model';

import { DepartedClients, departedMax } from './departed-clients.js';

const reported = (...clients: string[]) => ({
  proxyId: 'p',
  producers: [],
  sessions: clients.map((clientId) => ({ ...someTraits, clientId, groupId: 1 as GroupId, subscriptions: [] })),
});
const left = (departed: DepartedClients, ...clients: string[]): string[] =>
  departed.living(reported(...clients)).sessions.map(({ clientId }) => clientId);

it('stay gone until they come back, or nobody could be reporting them any more', () => {
  const departed = new DepartedClients();
  departed.gone('a', 1_000);
  departed.gone('b', 1_000);
  expect(left(departed, 'a', 'b', 'c')).toEqual(['c']);
  departed.back('b');
  expect(left(departed, 'a', 'b')).toEqual(['b']);
  departed.sweep(1_000 + 240_001);
  expect(left(departed, 'a')).toEqual(['a']);
});

// Goal: who says good-bye under a million names takes no more memory than others ever need.
it('are no more than may be remembered, and the latest are', () => {
  const departed = new DepartedClients();
  departed.gone('again', 0);
  departed.gone('first', 0);
  for (let i = 0; i < departedMax - 2; i += 1) departed.gone(`c${i}`, 1);
  departed.gone('again', 2);
  departed.gone('last', 2);
  expect(left(departed, 'first', 'c0', 'again', 'last')).toEqual(['first']);
  departed.gone('one more', 2);
  expect(left(departed, 'first', 'c0', 'again', 'last')).toEqual(['first', 'c0']);
});
