// Goal: every client starts, however many topics it names. The official Node.js client asks for its routes one after the
// other and listens for its settings only then: an answer that came before is lost on it. Method: ten of each kind, at the
// same time, with topics that are known and topics that are made when they are asked for.
import { Clients } from '../support/clients.js';
import { Standalone } from '../support/standalone.js';

const clientsCount = 10;

describe('the official Node.js client with many topics', () => {
  let broker: Standalone;
  /** Each client by itself, so that all end at the same time too. */
  const made: Clients[] = [];
  const one = (): Clients => {
    const clients = new Clients(
      () => import('rocketmq-client-nodejs'),
      () => ({ endpoints: broker.endpoints, tls: false, restUrl: `http://127.0.0.1:${broker.adminPort}` }),
    );
    made.push(clients);
    return clients;
  };
  beforeAll(async () => {
    broker = await new Standalone().start();
  });
  afterAll(async () => {
    await Promise.all(made.map((clients) => clients.end().catch(() => undefined)));
    await broker.stop();
  });

  const names = (kind: string, i: number, count: number): string[] =>
    Array.from({ length: count }, (_, topic) => (topic % 2 === 0 ? `known-${topic}` : `${kind}-${i}-${topic}`));
  const numbers = Array.from({ length: clientsCount }, (_, i) => i);

  it.each([3, 12])('starts as a producer, with %d topics', async (count) => {
    const started = numbers.map((i) => one().producer({ topics: names('producer', i, count) }));
    for (const producer of await Promise.all(started)) {
      const receipt = await producer.send({ topic: names('producer', 0, count)[0] ?? '', body: Buffer.from('hello') });
      expect(receipt.messageId).toMatch(/^01/);
    }
  });

  it.each([3, 12])('starts as a consumer, with %d topics', async (count) => {
    const started = numbers.map((i) => one().simpleOf(`consumers-${count}`, names('consumer', i, count)));
    expect((await Promise.all(started)).length).toBe(clientsCount);
  });
});
