// Goal: a broker set that leaves hands over what consumer groups are not done with, also of a group that is away: none is lost,
// none comes twice to who was done with it. Method: two broker sets, one of which leaves while both are killed; then the group
// that was away comes back and finds all of it at the other one. The same of delayed messages and open transactions, of which some
// are taken back or ended by the handles of the set that is no more. And dead letters: listed and replayed where they are now, as
// the set that has them is killed, too.
import { Clients } from '../support/clients.js';
import { freshCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

const lateMessages = 300;
const letterMessages = 80;

interface Remains {
  readonly messages: number;
  readonly delayed: number;
  readonly transactions: number;
  readonly onTheirWay: number;
  readonly handedOver: number;
}
interface Group {
  readonly lag: number;
}
interface Letter {
  readonly id: string;
  readonly brokerSet: string;
  readonly originTopic?: string;
  readonly cause?: string;
  readonly attempts?: number;
  readonly replayed?: { readonly mode: string };
}
interface Replayed {
  readonly items: readonly { readonly id: string; readonly outcome: string }[];
}
interface ReplayOrders {
  readonly items: readonly { readonly state: string; readonly replayed: number; readonly left: object }[];
}

describe('a broker set that leaves', () => {
  it('hands over what a group that is away has not consumed', async () => {
    const cluster = await freshCluster({ size: { sets: 2, proxies: 1 } });
    try {
      const clients = new Clients(
        () => import('rocketmq-client-nodejs'),
        () => ({ endpoints: cluster.proxies[0]?.address ?? '', tls: false, restUrl: cluster.restUrl }),
      );
      await clients.rest('POST', '/topics', { name: 'orders', writeQueues: 2 });
      const taken = new Map<string, string[]>();
      const consume = async (group: string, isOver: () => boolean | Promise<boolean>): Promise<void> => {
        const bodies = taken.get(group) ?? [];
        taken.set(group, bodies);
        const consumer = await clients.simple(group, 'orders');
        await until(
          () => `${group} has consumed all; ${bodies.length} so far`,
          async () => {
            const messages = await consumer.receive(32, 30_000).catch(() => []);
            await Promise.all(messages.map((message) => consumer.ack(message)));
            bodies.push(...messages.map(({ body }) => body.toString()));
            return isOver();
          },
          120_000,
        );
        await consumer.shutdown();
      };
      const lagOf = async (group: string): Promise<number> =>
        (await clients.rest<Group>('GET', `/groups/${group}`)).lag;
      const producer = await clients.producer();
      const sent: string[] = [];
      const send = async (count: number): Promise<void> => {
        for (let at = 0; at < count; at += 50) {
          const some = Array.from({ length: 50 }, (_, i) => `${sent.length + i}`);
          await Promise.all(some.map((id) => producer.send({ topic: 'orders', body: Buffer.from(id) })));
          sent.push(...some);
        }
      };
      await send(100);
      for (const group of ['late', 'early']) await consume(group, () => taken.get(group)!.length >= 100);
      await send(1_000);
      await consume('early', () => taken.get('early')!.length >= 1_100);
      await clients.rest('PUT', '/broker-sets/broker-1/stage', { stage: 'draining' });
      const remains = (): Promise<Remains> => clients.rest<Remains>('GET', '/broker-sets/broker-1/remains');
      await until('some were handed over', async () => (await remains().catch(() => undefined))?.handedOver, 60_000);
      for (const victim of [cluster.brokers[1], cluster.brokers[0]]) {
        await victim!.kill();
        await victim!.start();
      }
      await until(
        'broker-1 is out',
        () =>
          clients.rest('DELETE', '/broker-sets/broker-1').then(
            () => true,
            () => false, // It still holds some.
          ),
        120_000,
      );
      await cluster.brokers[1]!.kill();
      expect([await lagOf('early'), taken.get('early')!.length]).toEqual([0, 1_100]);
      await consume('late', () => taken.get('late')!.length >= 1_100);
      await consume('early', async () => (await lagOf('early')) === 0 && (await lagOf('late')) === 0);
      await clients.end();
      for (const group of ['late', 'early']) {
        const once = new Set(taken.get(group));
        expect([group, once.size, taken.get(group)!.length]).toEqual([group, 1_100, 1_100]);
      }
    } finally {
      await cluster.end();
    }
  }, 240_000);

  it('hands over delayed messages and open transactions, whose handles stay good', async () => {
    const cluster = await freshCluster({ size: { sets: 2, proxies: 1 } });
    try {
      const clients = new Clients(
        () => import('rocketmq-client-nodejs'),
        () => ({ endpoints: cluster.proxies[0]?.address ?? '', tls: false, restUrl: cluster.restUrl }),
      );
      const queues = { writeQueues: 2 };
      await clients.rest('POST', '/topics', { name: 'later', type: 'delay', ...queues });
      await clients.rest('POST', '/topics', { name: 'deals', type: 'transaction', ...queues });
      const [sender, dealer] = [await clients.producer(), await clients.transactional('deals')];
      const late = new Map<string, string>();
      const deliveryTimestamp = new Date(Date.now() + 3_600_000);
      for (let from = 0; from < lateMessages; from += 50) {
        await Promise.all(
          Array.from({ length: 50 }, async (_, i) => {
            const body = `late-${from + i}`;
            const sent = await sender.send({ topic: 'later', body: Buffer.from(body), deliveryTimestamp });
            late.set(body, sent.recallHandle ?? '');
          }),
        );
      }
      const halves = Array.from({ length: 40 }, (_, i) => ({ body: `half-${i}`, deal: dealer.beginTransaction() }));
      for (const { body, deal } of halves) await dealer.send({ topic: 'deals', body: Buffer.from(body) }, deal);
      const remains = (): Promise<Remains> => clients.rest<Remains>('GET', '/broker-sets/broker-1/remains');
      const before = await remains();
      expect([before.delayed > 0, before.transactions > 0]).toEqual([true, true]);
      await clients.rest('PUT', '/broker-sets/broker-1/stage', { stage: 'draining' });
      for (const victim of [cluster.brokers[1], cluster.brokers[0], cluster.brokers[1]]) {
        await victim!.kill();
        await victim!.start();
      }
      await until(
        'broker-1 is out',
        () =>
          clients.rest('DELETE', '/broker-sets/broker-1').then(
            () => true,
            () => false, // It still holds some.
          ),
        120_000,
      );
      await cluster.brokers[1]!.kill();
      const listed = await clients.rest<{ total: number }>('GET', '/delayed?limit=1');
      const open = await clients.rest<{ total: number }>('GET', '/transactions?limit=1');
      expect([listed.total, open.total]).toEqual([lateMessages, halves.length]);
      const wanted = new Set<string>();
      for (const [i, [body, handle]] of [...late].entries()) {
        if (i % 5 === 0) await sender.recallMessage('later', handle);
        else {
          await clients.rest('PATCH', `/delayed/${handle}`, { dueMs: 1 }); // At once.
          wanted.add(body);
        }
      }
      for (const [i, { body, deal }] of halves.entries()) {
        if (i % 2 === 0) await deal.commit();
        else await deal.rollback();
        if (i % 2 === 0) wanted.add(body);
      }
      const came: string[] = [];
      for (const topic of ['later', 'deals']) {
        const consumer = await clients.simple(`readers-of-${topic}`, topic);
        const isIts = (body: string): boolean => body.startsWith(topic === 'later' ? 'late' : 'half');
        const missing = (): number => [...wanted].filter((body) => isIts(body) && !came.includes(body)).length;
        await until(
          () => `all of ${topic} has come; ${missing()} are missing`,
          async () => {
            const messages = await consumer.receive(32, 30_000).catch(() => []);
            await Promise.all(messages.map((message) => consumer.ack(message)));
            came.push(...messages.map(({ body }) => body.toString()));
            return missing() === 0;
          },
          120_000,
        );
        await consumer.shutdown();
      }
      await clients.end();
      expect(came.sort()).toEqual([...wanted].sort());
    } finally {
      await cluster.end();
    }
  }, 300_000);

  it('hands over dead letters, which are replayed where they are now, each once', async () => {
    const cluster = await freshCluster({ size: { sets: 2, proxies: 1 } });
    try {
      const clients = new Clients(
        () => import('rocketmq-client-nodejs'),
        () => ({ endpoints: cluster.proxies[0]?.address ?? '', tls: false, restUrl: cluster.restUrl }),
      );
      await clients.rest('POST', '/topics', { name: 'bills', writeQueues: 2 });
      await clients.rest('POST', '/groups', { name: 'billing', attemptsMax: 1 });
      const bodies = Array.from({ length: letterMessages }, (_, i) => `bill-${i}`);
      const [producer, consumer] = [await clients.producer(), await clients.simple('billing', 'bills')];
      for (let at = 0; at < bodies.length; at += 20) {
        const some = bodies.slice(at, at + 20);
        await Promise.all(some.map((body) => producer.send({ topic: 'bills', body: Buffer.from(body) })));
      }
      const listed = async (): Promise<readonly Letter[]> => {
        const part = await clients.rest<{ items: readonly Letter[] }>('GET', '/dead-letters/billing?limit=500');
        return part.items;
      };
      // What nobody acknowledges within its time is a dead letter: its only attempt was in vain.
      await until(
        'all are dead letters',
        async () => {
          await consumer.receive(32, 10_000).catch(() => []);
          return (await listed().catch(() => [])).length === bodies.length;
        },
        120_000,
      );
      expect(new Set((await listed()).map(({ brokerSet }) => brokerSet)).size).toBe(2);
      await clients.rest('PUT', '/broker-sets/broker-1/stage', { stage: 'draining' });
      for (const victim of [cluster.brokers[1], cluster.brokers[0]]) {
        await victim!.kill();
        await victim!.start();
      }
      await until(
        'broker-1 is out',
        () =>
          clients.rest('DELETE', '/broker-sets/broker-1').then(
            () => true,
            () => false, // It still holds some.
          ),
        120_000,
      );
      await cluster.brokers[1]!.kill();
      const letters = await listed();
      expect(
        letters.map(({ brokerSet, originTopic, cause, attempts }) => [brokerSet, originTopic, cause, attempts]),
      ).toEqual(bodies.map(() => ['broker-0', 'bills', 'attemptsUsed', 1]));
      const half = letters.slice(0, letters.length / 2).map(({ id }) => id);
      const replay = async (): Promise<string[]> => {
        const { items } = await clients.rest<Replayed>('POST', '/dead-letters/billing/replay', { ids: half });
        return items.map(({ outcome }) => outcome);
      };
      const first = replay().catch(() => undefined);
      await cluster.brokers[0]!.kill();
      await first;
      await cluster.brokers[0]!.start();
      // Whatever of it was done before the process ended: asked again, each has gone back, once.
      await until(
        'they are replayed',
        () =>
          replay().then(
            () => true,
            () => false,
          ),
        60_000,
      );
      expect(new Set(await replay())).toEqual(new Set(['open']));
      await clients.rest('POST', '/dead-letters/billing/replays', { perSecond: 1_000 });
      const orders = (): Promise<ReplayOrders> => clients.rest<ReplayOrders>('GET', '/dead-letters/billing/replays');
      await until('the rest is, by an order', async () => (await orders()).items[0]?.state === 'done', 60_000);
      expect((await orders()).items[0]).toMatchObject({ replayed: bodies.length - half.length, left: {} });
      expect((await listed()).map(({ replayed }) => replayed?.mode)).toEqual(bodies.map(() => 'toGroup'));
      const came: string[] = [];
      const groupLag = async (): Promise<number> => (await clients.rest<Group>('GET', '/groups/billing')).lag;
      await until(
        () => `all are consumed; ${came.length} so far`,
        async () => {
          const messages = await consumer.receive(32, 30_000).catch(() => []);
          await Promise.all(messages.map((message) => consumer.ack(message)));
          came.push(...messages.map(({ body }) => body.toString()));
          return came.length >= bodies.length && (await groupLag()) === 0;
        },
        120_000,
      );
      await clients.end();
      expect(came.sort()).toEqual([...bodies].sort());
    } finally {
      await cluster.end();
    }
  }, 300_000);
});
