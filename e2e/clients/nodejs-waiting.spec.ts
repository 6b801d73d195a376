// Goal: delayed messages and transactions of the official Node.js client, seen and decided by an operator. Method: the published package and the REST API against a real process.
import { type MessageView, Producer, type ProducerOptions, SimpleConsumer } from 'rocketmq-client-nodejs';

import { admin, createTopic } from '../support/admin.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

/** The package does not export its words for what a checker answers. */
type Check = NonNullable<ProducerOptions['checker']>['check'];
const resolution = { commit: 1, rollback: 2 } as const;

const quiet = { info: ignore, warn: ignore, error: ignore, debug: ignore } as never;
function ignore(): void {
  // The client's own log.
}

interface Waiting {
  readonly items: readonly { readonly id: string; readonly messageId: string; readonly dueMs: number }[];
}

describe('the official Node.js client, with messages that wait', () => {
  let broker: Standalone;
  const open: { shutdown(): Promise<void> }[] = [];

  beforeAll(async () => {
    broker = await new Standalone().start();
    await createTopic(broker, { name: 'reminders', type: 'delay' });
    await createTopic(broker, { name: 'payments', type: 'transaction' });
  });
  afterEach(async () => {
    for (const client of open.splice(0)) await client.shutdown();
  });
  afterAll(() => broker.stop());

  async function producer(topic: string, answer: keyof typeof resolution): Promise<Producer> {
    const check: Check = async () => resolution[answer];
    const checker = { check };
    const made = new Producer({ endpoints: broker.endpoints, namespace: '', topics: [topic], checker, logger: quiet });
    await made.startup();
    open.push(made);
    return made;
  }

  async function bodies(topic: string, count: number): Promise<string[]> {
    const consumer = new SimpleConsumer({
      endpoints: broker.endpoints,
      namespace: '',
      consumerGroup: `${topic}-readers`,
      subscriptions: new Map([[topic, '*']]),
      awaitDuration: 3_000,
      logger: quiet,
    });
    await consumer.startup();
    open.push(consumer);
    const found: MessageView[] = [];
    await until(`${count} messages of ${topic}`, async () => {
      for (const message of await consumer.receive(16, 15_000)) {
        found.push(message);
        await consumer.ack(message);
      }
      return found.length >= count;
    });
    return found.map(({ body }) => body.toString());
  }

  it('delivers at its time what waits, but not what was recalled, cancelled or moved on', async () => {
    const sender = await producer('reminders', 'rollback');
    const send = (body: string, delay: number) => sender.send({ topic: 'reminders', delay, body: Buffer.from(body) });
    const recalled = await send('recalled', 4_000);
    const cancelled = await send('cancelled', 4_000);
    const moved = await send('moved', 3_600_000);
    const kept = await send('kept', 5_000);
    expect((await sender.recallMessage('reminders', recalled.recallHandle)).messageId).toBe(recalled.messageId);
    const { items } = await admin<Waiting>(broker, 'GET', '/delayed?topic=reminders');
    expect(items.map(({ messageId }) => messageId).sort()).toEqual(
      [cancelled, kept, moved].map(({ messageId }) => messageId).sort(),
    );
    await admin(broker, 'DELETE', `/delayed/${cancelled.recallHandle}`);
    await admin(broker, 'PATCH', `/delayed/${moved.recallHandle}`, { dueMs: Date.now() + 6_000 });
    expect(await bodies('reminders', 2)).toEqual(['kept', 'moved']);
    await expect(sender.recallMessage('reminders', moved.recallHandle)).rejects.toThrow();
  });

  it('delivers what was committed, by the producer, by its check or by an operator, and nothing else', async () => {
    const sender = await producer('payments', 'commit');
    const half = async (body: string) => {
      const transaction = sender.beginTransaction();
      const { messageId } = await sender.send({ topic: 'payments', body: Buffer.from(body) }, transaction);
      return { messageId, transaction };
    };
    await (await half('committed')).transaction.commit();
    await (await half('rolled back')).transaction.rollback();
    const repaired = await half('repaired');
    const { items } = await admin<Waiting>(broker, 'GET', '/transactions?topic=payments');
    const [open1] = items.filter(({ messageId }) => messageId === repaired.messageId);
    await admin(broker, 'POST', `/transactions/${open1?.id}/commit`, { who: 'ada' });
    await half('checked');
    expect((await bodies('payments', 3)).sort()).toEqual(['checked', 'committed', 'repaired']);
    const { items: audits } = await admin<{ items: object[] }>(broker, 'GET', '/transactions/audits');
    expect(audits).toEqual([expect.objectContaining({ who: 'ada', resolution: 'commit', topic: 'payments' })]);
  });
});
