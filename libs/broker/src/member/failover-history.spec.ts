import type { FailoverPhases } from '@cometmq/client';
import { epoch } from '@cometmq/model';
import { replaceFile } from '@cometmq/store';
import { faultyDisk, MemoryDisk } from '@cometmq/store/testing';
import { silentLogger } from '@cometmq/telemetry';

import { FailoverHistory, failoversMax } from './failover-history.js';

const failover = (n: number): FailoverPhases => ({
  ...{ reason: 'closed', epoch: epoch(n), atMs: n + 0.5, noticeMs: 1, promiseMs: 2, fetchMs: 3 },
  ...{ transactionMs: 4, startRecordMs: 5, foldMs: 6 },
});

async function opened(disk: ConstructorParameters<typeof FailoverHistory>[0]): Promise<FailoverHistory> {
  const history = new FailoverHistory(disk, 'data', silentLogger);
  await history.open();
  return history;
}

let disk: MemoryDisk;
beforeEach(async () => {
  disk = new MemoryDisk();
  await disk.makeFolder('data');
});

it('is there after a restart, no longer than it may be; what is of this process is told apart', async () => {
  const history = await opened(disk);
  for (let n = 1; n <= failoversMax + 3; n += 1) history.note(failover(n));
  expect(history.last).toEqual(failover(failoversMax + 3));
  await history.close();
  const again = await opened(disk);
  expect(again.last).toBeUndefined();
  expect(again.all).toHaveLength(failoversMax);
  expect([again.all[0], again.all.at(-1)]).toEqual([failover(4), failover(failoversMax + 3)]);
});

it.each(['no JSON', '{"epoch":1}', '[null]', '[{"epoch":"x","reason":7}]'])(
  'that holds %s keeps nobody from starting',
  async (text) => {
    await replaceFile(disk, 'data/failovers', [Buffer.from(text)]);
    const history = await opened(disk);
    expect(history.all).toEqual([]);
    history.note(failover(9));
    await history.close();
    expect((await opened(disk)).all).toEqual([failover(9)]);
  },
);

it('that can not be written is told while the process lives', async () => {
  const full = faultyDisk(disk, () => Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
  const history = await opened(full);
  history.note(failover(1));
  await history.close();
  expect(history.all).toEqual([failover(1)]);
});
