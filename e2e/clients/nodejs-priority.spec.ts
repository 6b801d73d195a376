// Goal: prioritised messages of the official Node.js client. Method: the published package against a real process.
import { Producer, SimpleConsumer } from 'rocketmq-client-nodejs';

import { createTopic } from '../support/admin.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const quiet = { info: ignore, warn: ignore, error: ignore, debug: ignore } as never;
function ignore(): void {
  // The client's own log.
}

describe('the official Node.js client, with priorities', () => {
  let broker: Standalone;

  beforeAll(async () => {
    broker = await new Standalone().start();
  });
  afterAll(() => broker.stop());

  it('gets the most urgent of a backlog first', async () => {
    await createTopic(broker, { name: 'alarms', type: 'priority', writeQueues: 8 });
    const producer = new Producer({ endpoints: broker.endpoints, namespace: '', logger: quiet });
    await producer.startup();
    const consumer = new SimpleConsumer({
      endpoints: broker.endpoints,
      namespace: '',
      consumerGroup: 'alarm-readers',
      subscriptions: new Map([['alarms', '*']]),
      awaitDuration: 3_000,
      logger: quiet,
    });
    try {
      for (const priority of [1, 7, 3, 5, 9, 1, 7]) {
        await producer.send({ topic: 'alarms', priority, body: Buffer.from(String(priority)) });
      }
      await consumer.startup();
      const found: string[] = [];
      await until('seven messages', async () => {
        for (const message of await consumer.receive(3, 15_000)) {
          found.push(message.body.toString());
          expect(message.priority).toBe(Number(message.body.toString()));
          await consumer.ack(message);
        }
        return found.length >= 7;
      });
      // Levels 7 and 9 share the highest of eight queues, in the order of their arrival.
      expect(found).toEqual(['7', '9', '7', '5', '3', '1', '1']);
    } finally {
      await consumer.shutdown();
      await producer.shutdown();
    }
  });
});
