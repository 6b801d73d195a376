// Goal: what was acknowledged survives kill -9. Method: real processes killed in a loop while producers send, and a
// checker that counts every acknowledged message afterwards.
import { Producer, SimpleConsumer } from 'rocketmq-client-nodejs';

import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const quiet = { info: ignore, warn: ignore, error: ignore, debug: ignore } as never;
function ignore(): void {
  // The client's own log.
}

describe('kill -9', () => {
  it('loses no acknowledged message, and delivers nothing that was never sent', async () => {
    const kills = 4;
    const broker = await new Standalone().start();
    const tried = new Set<string>();
    const acknowledged = new Set<string>();
    let stopped = false;
    const options = { endpoints: broker.endpoints, namespace: '', logger: quiet, requestTimeout: 2_000 };
    const producer = new Producer(options);
    await producer.startup();
    const send = async (worker: number): Promise<void> => {
      for (let i = 0; !stopped; i += 1) {
        const body = `${worker}-${i}`;
        tried.add(body);
        try {
          await producer.send({ topic: 'survivors', body: Buffer.from(body) });
          acknowledged.add(body);
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 50)); // Unknown: it may come or not.
        }
      }
    };
    const workers = Array.from({ length: 8 }, (_, worker) => send(worker));
    for (let kill = 0; kill < kills; kill += 1) {
      const before = acknowledged.size;
      await until('200 more acknowledged messages', () => acknowledged.size >= before + 200, 60_000);
      await broker.program.kill();
      await broker.start();
    }
    stopped = true;
    await Promise.all(workers);
    await producer.shutdown().catch(ignore); // Its connection may still be resting after the last kill.

    const reader = new SimpleConsumer({
      ...options,
      consumerGroup: 'auditors',
      subscriptions: new Map([['survivors', '*']]),
      awaitDuration: 2_000,
    });
    await reader.startup();
    const found = new Set<string>();
    const missing = (): string[] => [...acknowledged].filter((body) => !found.has(body));
    await until(
      'every acknowledged message',
      async () => {
        const messages = await reader.receive(32, 30_000);
        for (const message of messages) {
          found.add(message.body.toString());
          await reader.ack(message);
        }
        return messages.length === 0 && missing().length === 0;
      },
      60_000,
    ).catch((caught: unknown) => {
      throw new Error(`${missing().length} of ${acknowledged.size} acknowledged are missing`, { cause: caught });
    });
    expect([...found].filter((body) => !tried.has(body))).toEqual([]);
    await reader.shutdown();
    await broker.stop();
  }, 240_000);
});
