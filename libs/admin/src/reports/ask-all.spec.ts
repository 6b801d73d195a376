import { Directory } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import { memberId, type BrokerSetStage } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';

import { askAll } from './ask-all.js';

test('all sets are asked but those that were taken out and have stopped', async () => {
  const clock = new ManualClock();
  const nameService = new FakeNameService();
  const directory = new Directory(nameService, clock);
  await directory.start();
  const put = (name: string, stage: BrokerSetStage, isLed: boolean): void =>
    void nameService.putSet({
      ...{ name, epoch: 1, members: [], quorum: 1, inSync: [], stage, writable: true, registeredMs: 1 },
      ...{ leader: isLed ? `${name}:1` : undefined, leaderMember: isLed ? memberId(`${name}/1`) : undefined },
    });
  put('a', 'serving', true);
  put('b', 'serving', false);
  put('c', 'gone', true);
  put('d', 'gone', false);
  put('e', 'draining', false);
  const asked: string[] = [];
  await askAll(directory, clock, 1_000, async (set) => void asked.push(set));
  expect(asked.sort()).toEqual(['a', 'b', 'c', 'e']);
  await directory.stop();
});
