// Goal: message groups with the official Node.js client, its push consumer's quirks included. Method: the published
// package against a real process.
import type { MessageView } from 'rocketmq-client-nodejs';

import { shortPolls } from '../support/client-stories.js';
import { Clients, receive } from '../support/clients.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

describe('the official Node.js client, with message groups', () => {
  let broker: Standalone;
  const clients = new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: broker.endpoints, tls: false, restUrl: `http://127.0.0.1:${broker.adminPort}` }),
  );

  beforeAll(async () => {
    broker = await new Standalone().start([shortPolls]);
  });
  afterEach(() => clients.end());
  afterAll(() => broker.stop());

  it('pushes each group in order, to two consumers, and a failing message holds up only its own', async () => {
    await clients.rest('POST', '/topics', { name: 'steps', type: 'fifo', writeQueues: 4 });
    await clients.rest('POST', '/groups', {
      name: 'walkers',
      fifo: true,
      retryPolicy: { kind: 'customized', nextMs: [100, 200] },
    });
    const producer = await clients.producer();
    const seen = new Map<string, string[]>();
    const take = (body: string, group: string, attempt: number): boolean => {
      const list = seen.get(group) ?? [];
      seen.set(group, list);
      list.push(`${body}#${attempt}`);
      return body !== '2-7' || attempt >= 3;
    };
    for (let i = 0; i < 2; i += 1) {
      await clients.push('walkers', 'steps', (message) =>
        take(message.body.toString(), message.messageGroup ?? '', message.deliveryAttempt ?? 0),
      );
    }
    const send = async (group: number): Promise<void> => {
      for (let i = 0; i < 20; i += 1) {
        await producer.send({ topic: 'steps', messageGroup: `g${group}`, body: Buffer.from(`${group}-${i}`) });
      }
    };
    await Promise.all([0, 1, 2, 3, 4].map(send));
    const count = (): number => [...seen.values()].reduce((sum, list) => sum + list.length, 0);
    await until('all messages', () => count() >= 102, 30_000);
    for (let group = 0; group < 5; group += 1) {
      const inOrder = Array.from({ length: 20 }, (_, i) => `${group}-${i}#1`);
      // With a list of waits, this client gives a message up at its first failure: it is sent a doubling wait instead.
      if (group === 2) inOrder.splice(8, 0, '2-7#2', '2-7#3');
      expect(seen.get(`g${group}`)).toEqual(inOrder);
    }
  });

  it('gives a message up after its last attempt, and the group goes on', async () => {
    await clients.rest('POST', '/topics', { name: 'parcels', type: 'fifo' });
    await clients.rest('POST', '/groups', {
      name: 'carriers',
      fifo: true,
      attemptsMax: 2,
      retryPolicy: { kind: 'customized', nextMs: [50] },
    });
    const producer = await clients.producer();
    for (const body of ['first', 'poison', 'last']) {
      await producer.send({ topic: 'parcels', messageGroup: 'g', body: Buffer.from(body) });
    }
    const seen: string[] = [];
    await clients.push('carriers', 'parcels', (message) => {
      seen.push(message.body.toString());
      return message.body.toString() !== 'poison';
    });
    await until('the last message', () => seen.includes('last'));
    expect(seen).toEqual(['first', 'poison', 'poison', 'last']);
    const undertaker = await clients.simple('undertakers', '%DLQ%carriers');
    const [dead] = await receive(undertaker, 1);
    expect([dead?.body.toString(), dead?.messageGroup]).toEqual(['poison', 'g']);
  });

  it('gives a simple consumer the next of a group only when the one before is acknowledged or given back', async () => {
    await clients.rest('POST', '/topics', { name: 'letters', type: 'fifo', writeQueues: 1, readQueues: 1 });
    await clients.rest('POST', '/groups', { name: 'readers', fifo: true });
    const producer = await clients.producer();
    for (const [group, body] of [
      ['g', 'g1'],
      ['g', 'g2'],
      ['h', 'h1'],
    ] as const) {
      await producer.send({ topic: 'letters', messageGroup: group, body: Buffer.from(body) });
    }
    const one = await clients.simple('readers', 'letters');
    const two = await clients.simple('readers', 'letters');
    const [g1] = await one.receive(1, 60_000);
    expect(g1?.body.toString()).toBe('g1');
    const [h1] = await two.receive(10, 60_000);
    expect(h1?.body.toString()).toBe('h1');
    expect(await two.receive(10, 60_000)).toEqual([]);
    await one.changeInvisibleDuration(g1!, 1_000);
    // It comes again as it was; what stands behind it, only once it is acknowledged.
    const told = ({ body, deliveryAttempt }: MessageView): string => `${body.toString()}#${deliveryAttempt}`;
    const again = await receive(two, 1);
    expect(again.map(told)).toEqual(['g1#2']);
    await two.ack(again[0]!);
    expect((await receive(two, 1)).map(told)).toEqual(['g2#1']);
  });
});
