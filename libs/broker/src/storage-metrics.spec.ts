// Goal: what a log's syncs bring, and how its opening went, is published. Method: a broker on a disk of memory; what was done
// to it is compared with its figures.
import type { Buckets, MetricName } from '@cometmq/telemetry';

import { brokerSamples } from './broker-metrics.js';
import { BrokerWorld } from './broker-world.js';

class Measured extends BrokerWorld {
  figure(metric: MetricName): number | Buckets | undefined {
    for (const sample of brokerSamples(this.broker, this.directory, this.clock)) {
      if (sample.metric === metric) return sample.value;
    }
    return undefined;
  }
}

it('counts each message in the sync that made it durable, and syncs of decisions in none', async () => {
  const world = await new Measured().start();
  const before = world.figure('rocketmq_fsync_latency') as Buckets;
  const syncs = before.count;
  await world.sendAs('one', {});
  await Promise.all([1, 2, 3].map((i) => world.sendAs(`m${i}`, {})));
  const batches = world.figure('rocketmq_group_commit_batch') as Buckets;
  expect({ sum: batches.sum, count: batches.count }).toEqual({ sum: 4, count: 2 });
  expect(batches.counts.slice(0, 3)).toEqual([1, 0, 1]);
  expect((world.figure('rocketmq_fsync_latency') as Buckets).count).toBe(syncs + 2);
  expect(world.figure('rocketmq_checksum_failures_total')).toBe(0);
  expect(world.figure('rocketmq_recovery_truncated_bytes')).toBe(0);
  expect(world.figure('rocketmq_broker_fenced')).toBe(0);
  await world.broker.stop();
});
