/**
 * The official Node.js client, as a newcomer uses it. Run in a folder in which rocketmq-client-nodejs is installed:
 *
 *   node client.mjs ENDPOINTS send BODY …           sends each, prints nothing
 *   node client.mjs ENDPOINTS receive COUNT         receives and acknowledges that many, prints the bodies as JSON
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { Producer, SimpleConsumer } = createRequire(join(process.cwd(), 'any.js'))('rocketmq-client-nodejs');
const [endpoints, verb, ...rest] = process.argv.slice(2);
const logger = { debug() {}, info() {}, warn: console.warn, error: console.error };
const topic = 'newcomer';

if (verb === 'send') {
  const producer = new Producer({ endpoints, logger });
  await producer.startup();
  for (const body of rest) await producer.send({ topic, body: Buffer.from(body) });
  await producer.shutdown();
} else {
  const options = { endpoints, logger, consumerGroup: 'newcomers', subscriptions: new Map([[topic, '*']]) };
  const consumer = new SimpleConsumer({ ...options, awaitDuration: 5_000 });
  await consumer.startup();
  const bodies = [];
  const endMs = Date.now() + 30_000;
  while (bodies.length < Number(rest[0]) && Date.now() < endMs) {
    for (const message of await consumer.receive(1, 20_000)) {
      bodies.push(message.body.toString());
      await consumer.ack(message);
    }
  }
  await consumer.shutdown();
  console.log(JSON.stringify(bodies));
}
