// Goal: nothing that comes in at the clients' port brings the process down, makes it grow, or is answered by a mistake of
// ours. Method: 10,000 inputs made by chance and a seed, thrown at the whole process over few connections; then a good
// client.
import { bodiesOf, Clients, receive } from '../support/clients.js';
import { Standalone } from '../support/standalone.js';
import { Thrower } from './thrower.js';
import { inputs, methods } from './inputs.js';

const count = 10_000;
const seeds = [Number(process.env['COMETMQ_FUZZ_SEED'] ?? 20_261_125)];
const MiB = 1_024 * 1_024;

describe('the clients’ port', () => {
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

  it.each(seeds)(
    `survives ${count} malformed inputs, and a good client works afterwards (seed %i)`,
    async (seed) => {
      const all = inputs(seed, count);
      const thrower = new Thrower(broker.grpcPort, 6);
      const warm = count / 5;
      await thrower.throwAll(all.slice(0, warm));
      const warmBytes = await residentBytes();
      await thrower.throwAll(all.slice(warm));
      const grownBytes = (await residentBytes()) - warmBytes;

      expect(thrower.thrown).toBe(count);
      expect(thrower.mistakes).toEqual([]);
      // Every call reached its handler with something it had to judge, not only the first gate.
      expect([...thrower.answered.keys()].sort()).toEqual(methods.map(({ path }) => path).sort());
      expect(warmBytes).toBeGreaterThan(0);
      expect(grownBytes).toBeLessThan(150 * MiB);

      const sender = await clients.producer();
      await sender.send({ topic: 'after-the-storm', body: Buffer.from('calm') });
      const reader = await clients.simple('survivors', 'after-the-storm');
      const messages = await receive(reader, 1);
      expect(bodiesOf(messages)).toEqual(['calm']);
      for (const message of messages) await reader.ack(message);
    },
    120_000,
  );
});
