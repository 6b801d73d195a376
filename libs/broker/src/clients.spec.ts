import type { GroupId, TopicId } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';

import { Clients, sweepEveryMs } from './clients.js';
import { sessionMsMax } from './member-sessions.js';

const group = 1 as GroupId;

function withMember(): { clock: ManualClock; clients: Clients } {
  const clock = new ManualClock();
  const clients = new Clients(clock, 'broker-0');
  const filter = { type: 'tag', expression: '*' } as const;
  clients.sessions.polled(group, 'reader', 1 as TopicId, filter, clock.monotonicMs());
  return { clock, clients };
}

test('a member nothing is heard of is lost', () => {
  const { clock, clients } = withMember();
  const lost: unknown[] = [];
  for (let ms = 0; ms <= sessionMsMax; ms += sweepEveryMs) {
    clock.advance(sweepEveryMs);
    lost.push(...clients.sweep());
  }
  expect(lost).toEqual([{ groupId: group, clientId: 'reader' }]);
});

test('a broker that stood still gives its members the time to be heard again', () => {
  const { clock, clients } = withMember();
  clock.standStill(2 * sessionMsMax);
  expect(clients.sweep()).toEqual([]);
  clock.advance(sweepEveryMs);
  expect(clients.sweep()).toEqual([]);
});
