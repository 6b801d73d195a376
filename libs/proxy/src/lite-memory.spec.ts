import { Directory, type BrokerLink, type LiteSyncCall } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import { groupId, topicId } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';

import { LiteMemory } from './lite-memory.js';

// Goal: a set with a new leader hears of everybody who still lives, once. Method: a memory over a directory by hand.
it('tells a new leader once what living clients subscribe to, and forgets who went without a word', async () => {
  const clock = new ManualClock();
  const nameService = new FakeNameService();
  const directory = new Directory(nameService, clock);
  await directory.start();
  const told: LiteSyncCall[] = [];
  const link = { syncLite: (call: LiteSyncCall) => told.push(call) } as unknown as BrokerLink;
  const memory = new LiteMemory(directory, { link: () => link }, clock);
  const sync = (clientId: string, action: LiteSyncCall['action'], ...liteTopics: string[]): void =>
    memory.synced({ clientId, groupId: groupId(1), topicId: topicId(2), action, liteTopics });
  const heard = () => told.splice(0).map(({ clientId, action, liteTopics }) => [clientId, action, ...liteTopics]);

  nameService.putSet({ name: 'broker-0', epoch: 1 });
  memory.repeat();
  sync('gone', 'add', 'a');
  sync('lives', 'setAll', 'a', 'b');
  sync('lives', 'remove', 'a');
  memory.repeat();
  expect(heard()).toEqual([]);
  nameService.putSet({ name: 'broker-0', epoch: 2 });
  memory.repeat();
  expect(heard()).toEqual([
    ['gone', 'setAll', 'a'],
    ['lives', 'setAll', 'b'],
  ]);
  clock.advance(181_000);
  sync('lives', 'setAll', 'b', 'c');
  expect(memory.size).toBe(1);
  memory.repeat();
  expect(heard()).toEqual([]);
  nameService.putSet({ name: 'broker-0', epoch: 3 });
  memory.repeat();
  expect(heard()).toEqual([['lives', 'setAll', 'b', 'c']]);
  memory.drop('lives');
  expect(memory.size).toBe(0);
  await directory.stop();
});
