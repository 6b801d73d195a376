// Goal: a consumer that is far behind gets every message as it was sent while its set's leader reads none of them, and reads
// go back to the leader once it has caught up. Method: a set of three for real, whose members were all started again since,
// and more than any member keeps in memory of what it read when it started; the counters of each process.
import { KiB } from '@cometmq/model';
import type { SimpleConsumer } from 'rocketmq-client-nodejs';

import { shortPolls } from '../support/client-stories.js';
import { Clients } from '../support/clients.js';
import { freshCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

describe('messages far behind the end of the log', () => {
  let cluster: Awaited<ReturnType<typeof freshCluster>>;
  const count = 120;
  /** 72 MiB in all: a leader has the newest 32, and 16 of others, in memory. */
  const bodyOf = (i: number): string => `${i}:${'x'.repeat(600 * KiB + i)}`;
  const clients = new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: cluster.proxies[0]?.address ?? '', tls: false, restUrl: cluster.restUrl }),
  );

  beforeAll(async () => {
    const flags = { broker: ['--follower-reads-behind-bytes=1000'], proxy: [shortPolls] };
    cluster = await freshCluster({ size: { replicas: 3, proxies: 1 }, flags });
  }, 240_000);
  afterAll(async () => {
    await clients.end();
    await cluster.end();
  });

  /** Of all members, as they count them. */
  async function followerReads(): Promise<number> {
    let sum = 0;
    for (const { watchUrl } of cluster.brokers) {
      const text = await (await fetch(`${watchUrl}/metrics`)).text();
      sum += Number(/^rocketmq_follower_reads_total\{[^}]*\} (\d+)/m.exec(text)?.[1] ?? NaN);
    }
    return sum;
  }

  async function received(consumer: SimpleConsumer, wanted: number, into: Map<string, number>): Promise<void> {
    await until(
      `${wanted} messages`,
      async () => {
        for (const message of await consumer.receive(4, 120_000)) {
          const text = message.body.toString();
          into.set(text, (into.get(text) ?? 0) + 1);
          await consumer.ack(message);
        }
        return into.size >= wanted;
      },
      120_000,
    );
  }

  it('are read by followers, whole and once each; then the leader reads again', async () => {
    const producer = await clients.producer();
    for (let i = 0; i < count; i += 1) await producer.send({ topic: 'far', body: Buffer.from(bodyOf(i)) });
    for (const broker of cluster.brokers) {
      await broker.stop();
      await broker.start();
    }
    const consumer = await clients.simple('late', 'far');
    const seen = new Map<string, number>();
    await received(consumer, count, seen);
    expect([...seen.keys()].sort()).toEqual(Array.from({ length: count }, (_, i) => bodyOf(i)).sort());
    expect([...seen.values()].filter((times) => times > 1)).toEqual([]);
    const read = await followerReads();
    // The newest may be in the leader's memory, since it folded them again.
    expect(read).toBeGreaterThan(count / 8);
    expect(read).toBeLessThanOrEqual(count);
    for (let i = 0; i < 5; i += 1) await producer.send({ topic: 'far', body: Buffer.from(`new ${i}`) });
    await received(consumer, count + 5, seen);
    expect(await followerReads()).toBe(read);
  }, 240_000);
});
