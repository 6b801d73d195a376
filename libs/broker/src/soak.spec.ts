// Goal: nothing is lost, skipped or given twice however long a broker lives. Method: days pass on a clock in our hands
// under mixed load (normal, orderly, delayed, transactional; topics with several queues and retentions of their own), with
// crashes of the disk, restarts, expiry, compaction, dead letters and checkpoints by chance; a ledger counts every promise.
import { eachExpired, encodeExpiry, RecordKind, type Expired } from '@cometmq/model';
import { Prng, viewOf } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import type { BrokerService } from './broker-service.js';
import { Soak } from './soak.js';

it.each(seeds(1))(
  'keeps every promise for days (seed %i)',
  async (seed) => {
    const soak = await new Soak(new Prng(seed)).start();
    await soak.live(3);
    await soak.drain();
    expect(await soak.broken()).toEqual([]);
    // It has seen what it is for.
    const { counts } = soak.ledger;
    expect(Math.min(counts.expired, counts.done, counts.delivered)).toBeGreaterThan(1_000);
    expect(Math.min(counts.dead, counts.again, soak.did.crashes, soak.did.audits)).toBeGreaterThan(10);
    expect(soak.did.compacted).toBeGreaterThan(10);
    await soak.broker.stop();
  },
  300_000,
);

// A reader of expiry records that takes entries for shorter than they are: half of them are nonsense then, and groups
// jump where it says.
it('would not, if groups read what expired in the wrong layout (seed 3)', async () => {
  const soak = new Soak(new Prng(3));
  soak.onBuilt = misreadExpiry;
  await soak.start();
  await soak.live(1);
  expect(await soak.broken()).toContainEqual(expect.stringMatching(/is there, and \w+ is not given it/));
  await soak.broker.stop();
}, 300_000);

function misreadExpiry(broker: BrokerService): void {
  const { groups } = broker;
  const fold = groups.fold.bind(groups);
  groups.fold = (record) => {
    if (record.kind !== RecordKind.expiry) return fold(record);
    const view = viewOf(record.payload);
    let count = 0;
    eachExpired(record.payload, () => (count += 1));
    const misread: Expired[] = [];
    for (let i = 0, at = 4; i < count; i += 1, at += 16) {
      const [topicId, queueId] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
      misread.push({ topicId, queueId, first: view.getUint32(at + 8, true), messages: 0, bytes: 0 } as Expired);
    }
    fold({ ...record, payload: encodeExpiry(misread) });
  };
}
