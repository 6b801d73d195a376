// Goal: lite topics spread over broker sets, subscribed to through any proxy, and a broker that was killed gets to know its
// subscribers again. Method: two broker sets and two proxies for real, the official Node.js client at one of each.
import { ConsumeResult, LitePushConsumerImpl, type MessageView } from 'rocketmq-client-nodejs';

import { shortPolls } from '../support/client-stories.js';
import { Clients } from '../support/clients.js';
import { freshCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

const quiet = { info: ignore, warn: ignore, error: ignore, debug: ignore } as never;
function ignore(): void {
  // The client's own log.
}

describe('lite topics in a cluster', () => {
  let cluster: Awaited<ReturnType<typeof freshCluster>>;
  let consumer: LitePushConsumerImpl;
  const seen: string[] = [];
  const clients = new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: cluster.proxies[0]?.address ?? '', tls: false, restUrl: cluster.restUrl }),
  );
  const names = Array.from({ length: 12 }, (_, i) => `session-${i}`);

  beforeAll(async () => {
    cluster = await freshCluster({ size: { sets: 2 }, flags: { proxy: [shortPolls] } });
    await clients.rest('POST', '/topics', { name: 'sessions', type: 'lite' });
    await clients.rest('POST', '/groups', { name: 'agents', lite: { topic: 'sessions' } });
    consumer = new LitePushConsumerImpl({
      endpoints: cluster.proxies[1]?.address ?? '',
      namespace: '',
      consumerGroup: 'agents',
      bindTopic: 'sessions',
      logger: quiet,
      messageListener: {
        consume: (message: MessageView) => {
          seen.push(`${message.liteTopic} ${message.body.toString()}`);
          return Promise.resolve(ConsumeResult.SUCCESS);
        },
      },
    } as never);
    await consumer.startup();
    for (const name of names) await consumer.subscribeLite(name);
  });
  afterAll(async () => {
    await Promise.all([clients.end(), consumer.shutdown()]);
    await cluster.end();
  });

  const orderOf = (name: string): string[] => seen.filter((line) => line.startsWith(`${name} `));

  it('lie on both broker sets, and come in their order through another proxy', async () => {
    const producer = await clients.producer();
    for (let i = 0; i < 5; i += 1) {
      for (const liteTopic of names) await producer.send({ topic: 'sessions', liteTopic, body: Buffer.from(`${i}`) });
    }
    await until('all of them', () => seen.length >= 60);
    for (const name of names) expect(orderOf(name)).toEqual([0, 1, 2, 3, 4].map((i) => `${name} ${i}`));
    const sets: string[] = [];
    let after: string | undefined;
    do {
      const query = after === undefined ? '' : `?after=${encodeURIComponent(after)}`;
      const answer = await fetch(`${cluster.restUrl}/api/v1/topics/sessions/lite-topics${query}`);
      const page = (await answer.json()) as { items: { brokerSet: string }[]; next?: string };
      sets.push(...page.items.map(({ brokerSet }) => brokerSet));
      after = page.next;
    } while (after !== undefined);
    expect([sets.length, new Set(sets).size]).toEqual([12, 2]);
  });

  it('are read on after their broker was killed', async () => {
    const producer = await clients.producer();
    for (const broker of cluster.brokers) {
      await broker.kill();
      await broker.start();
    }
    for (const liteTopic of names) await producer.send({ topic: 'sessions', liteTopic, body: Buffer.from('again') });
    await until('all of them', () => names.every((name) => orderOf(name).includes(`${name} again`)), 60_000);
  });
});
