// Goal: the unmodified official Node.js client works. Method: the published package against a real process.
import { ConsumeResult, Producer, PushConsumer, SimpleConsumer, type MessageView } from 'rocketmq-client-nodejs';

import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const quiet = { info: ignore, warn: ignore, error: ignore, debug: ignore } as never;
function ignore(): void {
  // The client's own log.
}

describe('the official Node.js client', () => {
  let broker: Standalone;
  const running: { shutdown(): Promise<void> }[] = [];

  beforeAll(async () => {
    broker = await new Standalone().start();
  });
  afterEach(async () => {
    for (const client of running.splice(0).reverse()) await client.shutdown();
  });
  afterAll(() => broker.stop());

  async function producer(): Promise<Producer> {
    const made = new Producer({ endpoints: broker.endpoints, namespace: '', logger: quiet });
    await made.startup();
    running.push(made);
    return made;
  }

  async function consumer(consumerGroup: string, topic: string, filter = '*'): Promise<SimpleConsumer> {
    const made = new SimpleConsumer({
      endpoints: broker.endpoints,
      namespace: '',
      consumerGroup,
      subscriptions: new Map([[topic, filter]]),
      awaitDuration: 3_000,
      logger: quiet,
    });
    await made.startup();
    running.push(made);
    return made;
  }

  const bodies = (messages: readonly MessageView[]): string[] => messages.map(({ body }) => body.toString()).sort();

  async function receive(from: SimpleConsumer, count: number): Promise<MessageView[]> {
    const found: MessageView[] = [];
    await until(`${count} messages`, async () => {
      found.push(...(await from.receive(32, 15_000)));
      return found.length >= count;
    });
    return found;
  }

  it('sends, receives and acknowledges, and gets nothing twice', async () => {
    const sender = await producer();
    const receipts = [];
    for (let i = 0; i < 50; i += 1) {
      receipts.push(
        await sender.send({
          topic: 'plain',
          tag: 'T',
          keys: [`key-${i}`, 'all'],
          properties: new Map([['colour', 'grün']]),
          body: Buffer.from(`message ${i}`),
        }),
      );
    }
    expect(new Set(receipts.map(({ messageId }) => messageId)).size).toBe(50);
    const reader = await consumer('plain-readers', 'plain');
    const messages = await receive(reader, 50);
    expect(bodies(messages)).toEqual(Array.from({ length: 50 }, (_, i) => `message ${i}`).sort());
    expect(messages[0]?.properties.get('colour')).toBe('grün');
    expect(messages[0]?.tag).toBe('T');
    expect(messages[0]?.keys).toContain('all');
    expect(messages[0]?.deliveryAttempt).toBe(1);
    expect(messages.map(({ messageId }) => messageId).sort()).toEqual(
      receipts.map(({ messageId }) => messageId).sort(),
    );
    for (const message of messages) await reader.ack(message);
    expect(await reader.receive(32, 15_000)).toEqual([]);
  });

  it('delivers only the tags asked for', async () => {
    const sender = await producer();
    for (const tag of ['A', 'B', 'C', 'A']) await sender.send({ topic: 'tagged', tag, body: Buffer.from(tag) });
    const reader = await consumer('tagged-readers', 'tagged', 'A || C');
    expect(bodies(await receive(reader, 3))).toEqual(['A', 'A', 'C']);
  });

  it('delivers again what was given back, with the next attempt', async () => {
    const sender = await producer();
    await sender.send({ topic: 'again', body: Buffer.from('x') });
    const reader = await consumer('again-readers', 'again');
    const [first] = await receive(reader, 1);
    await reader.changeInvisibleDuration(first as MessageView, 1_000);
    const [second] = await receive(reader, 1);
    expect(second?.messageId).toBe(first?.messageId);
    expect(second?.deliveryAttempt).toBe(2);
    await reader.ack(second as MessageView);
  });

  it('pushes messages to a listener, and again those it failed', async () => {
    const sender = await producer();
    const seen = new Map<string, number>();
    const pushed = new PushConsumer({
      endpoints: broker.endpoints,
      namespace: '',
      consumerGroup: 'pushed-readers',
      subscriptions: new Map([['pushed', '*']]),
      logger: quiet,
      messageListener: {
        consume: (message: MessageView) => {
          const body = message.body.toString();
          seen.set(body, (seen.get(body) ?? 0) + 1);
          const fails = body === 'bad' && message.deliveryAttempt === 1;
          return Promise.resolve(fails ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS);
        },
      },
    });
    await sender.send({ topic: 'pushed', body: Buffer.from('first') });
    await pushed.startup();
    running.push(pushed);
    for (const body of ['good', 'bad']) await sender.send({ topic: 'pushed', body: Buffer.from(body) });
    await until(
      'all three, the failed one twice',
      () => seen.get('first') === 1 && seen.get('good') === 1 && seen.get('bad') === 2,
    );
  });

  it('tells an empty body apart with the protocol’s code', async () => {
    const sender = await producer();
    await expect(sender.send({ topic: 'plain', body: Buffer.alloc(0) })).rejects.toThrow(/41302|body/i);
  });
});
