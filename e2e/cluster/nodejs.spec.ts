// Goal: the unmodified official Node.js client works against separate processes. Method: etcd and all programs for real.
import { Producer, SimpleConsumer } from 'rocketmq-client-nodejs';

import { freshCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

const quiet = { info: ignore, warn: ignore, error: ignore, debug: ignore } as never;
function ignore(): void {
  // The client's own log.
}

describe('a cluster of separate processes', () => {
  let cluster: Awaited<ReturnType<typeof freshCluster>>;
  beforeAll(async () => {
    cluster = await freshCluster();
  });
  afterAll(() => cluster.end());

  it('takes a message at one proxy and delivers it at the other', async () => {
    const [first, second] = cluster.proxies;
    const producer = new Producer({ endpoints: first?.address ?? '', namespace: '', logger: quiet });
    await producer.startup();
    await producer.send({ topic: 'plain', body: Buffer.from('hello') });
    await producer.shutdown();
    const consumer = new SimpleConsumer({
      endpoints: second?.address ?? '',
      namespace: '',
      consumerGroup: 'plain-readers',
      subscriptions: new Map([['plain', '*']]),
      awaitDuration: 3_000,
      logger: quiet,
    });
    await consumer.startup();
    const [message] = await until('the message', async () => {
      const found = await consumer.receive(32, 15_000);
      return found.length > 0 && found;
    });
    expect(message?.body.toString()).toBe('hello');
    if (message) await consumer.ack(message);
    await consumer.shutdown();
  });
});
