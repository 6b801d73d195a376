import { AuditLog } from '@cometmq/auth';
import { Directory } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import { memberId } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';

import { LeaderAudit } from './leader-audit.js';

test('each new leader of a set is told once, and who led when it began is not', async () => {
  const clock = new ManualClock();
  const nameService = new FakeNameService();
  const directory = new Directory(nameService, clock);
  const audit = new AuditLog(clock, undefined);
  const put = (name: string, epoch: number, leader: string | undefined): void =>
    void nameService.putSet({
      ...{ name, epoch, members: [], quorum: 1, inSync: [], stage: 'serving', writable: true, registeredMs: 1 },
      ...{ leader: leader && `${leader}:1`, leaderMember: leader === undefined ? undefined : memberId(`${leader}/1`) },
    });
  put('broker-0', 4, 'a');
  await directory.start();
  const leaders = new LeaderAudit(directory, audit);
  await leaders.start();
  put('broker-0', 4, 'a');
  put('broker-0', 5, undefined);
  put('broker-0', 5, 'b');
  put('broker-0', 5, 'b');
  put('broker-1', 1, 'c');
  await leaders.stop();
  put('broker-0', 6, 'a');
  await directory.stop();
  expect(audit.page({}).items).toMatchObject([
    { operation: 'leaderChanged', target: { brokerSet: 'broker-1' }, after: { epoch: 1, leader: 'c/1' } },
    { target: { brokerSet: 'broker-0' }, before: { epoch: 4, leader: 'a/1' }, after: { epoch: 5, leader: 'b/1' } },
  ]);
});
