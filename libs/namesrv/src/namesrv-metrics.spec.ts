// Goal: the name service's figures say what was made and which broker sets are led. Method: both done on an instance of
// its own, then its samples.
import { MemoryStore } from '@cometmq/metadata';
import { epoch, memberId } from '@cometmq/model';
import { ManualClock } from '@cometmq/shared/testing';

import { EtcdFigures } from './etcd-samples.js';
import { namesrvSamples } from './namesrv-metrics.js';
import { NamesrvService } from './namesrv-service.js';

it('says how many topics and groups were made or not, and whether each broker set is led', async () => {
  const clock = new ManualClock();
  const store = new MemoryStore(clock);
  await store.start();
  const service = new NamesrvService({ store, clock, autoCreateTopics: true, autoCreateGroups: true });
  await service.start();
  const seen = (): unknown[] =>
    [...namesrvSamples(service)].map(({ metric, labels, value }) => [
      metric,
      Object.values(labels).join(' '),
      typeof value === 'number' ? value : value.count,
    ]);
  expect(seen()).toEqual([]);

  await service.createTopic({ name: 'orders' });
  await service.ensureTopic('orders'); // Is there.
  await service.ensureTopic('bills');
  await expect(service.createTopic({ name: 'orders' })).rejects.toThrow('exists already');
  await service.ensureInnerTopic('%DLQ%billing');
  await service.ensureGroup('billing');
  const claim = { brokerSet: 'b0', member: memberId('b0-0/A'), address: 'b0:1', bootId: 'boot', leaseMs: 10_000 };
  const rule = { members: [claim.member], quorum: 1 };
  const state = await service.sets.acquireLeadership(claim, { epoch: epoch(1), rule, revision: 0, reason: 'start' });
  expect(state).toBeDefined();
  const made = [
    ['rocketmq_topic_create_execution_time', 'success false', 2],
    ['rocketmq_topic_create_execution_time', 'failure false', 1],
    ['rocketmq_topic_create_execution_time', 'success true', 1],
    ['rocketmq_consumer_group_create_execution_time', 'success', 1],
  ];
  expect(seen()).toEqual([...made, ['rocketmq_broker_set_led', 'b0', 1]]);

  await service.sets.resignLeadership(claim, epoch(1));
  expect(seen()).toEqual([...made, ['rocketmq_broker_set_led', 'b0', 0]]);
  await service.stop();
});

it('says how etcd answers, by what was asked, and how long the lease lasts that ends first', () => {
  const figures = new EtcdFigures();
  figures.done('txn', true, 3);
  figures.done('txn', true, 60);
  figures.done('lease_keep', false, 2_000);
  const seen = [...figures.samples({ leaseRemainingMs: 4_000 })].map(({ metric, labels, value }) => [
    metric,
    Object.values(labels).join(' '),
    typeof value === 'number' ? value : [value.count, value.sum],
  ]);
  expect(seen).toEqual([
    ['rocketmq_etcd_request_latency', 'txn success', [2, 63]],
    ['rocketmq_etcd_request_latency', 'lease_keep failure', [1, 2_000]],
    ['rocketmq_etcd_lease_remaining_ms', '', 4_000],
  ]);
  expect([...figures.samples({ leaseRemainingMs: undefined })]).toHaveLength(2); // There is no broker yet.
});
