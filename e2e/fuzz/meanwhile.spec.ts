// Goal: who attacks the ports takes nothing from who works: all that was acknowledged comes, in its order where it has one, and
// the process lives on in bounded memory. Method: an official client sends and receives, while all attacks go on at once.
import { bodiesOf, Clients, receive } from '../support/clients.js';
import { Standalone } from '../support/standalone.js';
import { attacksOn, during } from './attackers.js';

const MiB = 1_024 * 1_024;
const count = 60;

describe('an official client, while all ports are attacked', () => {
  let broker: Standalone;
  const clients = new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: broker.endpoints, tls: false, restUrl: `http://127.0.0.1:${broker.adminPort}` }),
  );
  beforeAll(async () => {
    broker = await new Standalone().start();
  });
  afterAll(async () => {
    await clients.end().catch(() => undefined);
    const code = await broker.program.stop();
    await broker.stop();
    expect(code).toBe(0);
  });

  async function residentBytes(): Promise<number> {
    const page = await (await fetch(`http://127.0.0.1:${broker.metricsPort}/metrics`)).text();
    return Number(/^rocketmq_process_resident_memory\S* ([\d.e+]+)/m.exec(page)?.[1]);
  }

  it('sends and receives', async () => {
    await clients.rest('POST', '/topics', { name: 'steps', type: 'fifo' });
    await clients.rest('POST', '/groups', { name: 'in-order', fifo: true });
    const sender = await clients.producer({ topics: ['large', 'orders', 'steps'] });
    for (let i = 0; i < 20; i += 1) await sender.send({ topic: 'large', body: Buffer.alloc(MiB, 1) });
    const readers = {
      orders: await clients.simple('readers', 'orders'),
      steps: await clients.simple('in-order', 'steps'),
    };
    const acknowledged: string[] = [];
    const steps: string[] = [];
    const work = async (): Promise<void> => {
      for (let i = 0; i < count; i += 1) {
        const body = Buffer.from(String(i).padStart(4, '0'));
        await sender.send({ topic: 'orders', body });
        await sender.send({ topic: 'steps', body, messageGroup: 'lane' });
        acknowledged.push(body.toString());
        for (const message of await readers.steps.receive(1, 15_000)) {
          steps.push(message.body.toString());
          await readers.steps.ack(message);
        }
      }
    };
    const ports = { grpc: broker.grpcPort, http: [broker.adminPort, broker.metricsPort] };
    await during(attacksOn('large'), ports, work());

    expect(await residentBytes()).toBeLessThan(1_024 * MiB);
    // One that was sent again, as its answer came late, is there twice where nothing orders it.
    const found = bodiesOf(await receive(readers.orders, count));
    expect(acknowledged.filter((body) => !found.includes(body))).toEqual([]);
    expect(steps).toEqual([...steps].sort());
    expect(new Set(steps).size).toBe(steps.length);
    expect(steps).toHaveLength(count);
  }, 120_000);
});
