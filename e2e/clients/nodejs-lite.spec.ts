// Goal: lite topics of the official Node.js client. Method: the published package against a real process.
import { ConsumeResult, LitePushConsumerImpl, OffsetOption, Producer, type MessageView } from 'rocketmq-client-nodejs';

import { admin, createTopic } from '../support/admin.js';
import { shortPolls } from '../support/client-stories.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const quiet = { info: ignore, warn: ignore, error: ignore, debug: ignore } as never;
function ignore(): void {
  // The client's own log.
}

describe('the official Node.js client, with lite topics', () => {
  let broker: Standalone;
  let producer: Producer;
  const running: { shutdown(): Promise<void> }[] = [];

  beforeAll(async () => {
    broker = await new Standalone().start([shortPolls]);
    await createTopic(broker, { name: 'sessions', type: 'lite' });
    for (const [name, more] of [
      ['agents', {}],
      ['owners', { exclusive: true }],
    ] as const) {
      await admin(broker, 'POST', '/groups', { name, lite: { topic: 'sessions', ...more } });
    }
    producer = new Producer({ endpoints: broker.endpoints, namespace: '', logger: quiet });
    await producer.startup();
  });
  afterAll(async () => {
    await Promise.all([producer, ...running].map((client) => client.shutdown()));
    await broker.stop();
  });

  const send = (liteTopic: string, body: string) =>
    producer.send({ topic: 'sessions', liteTopic, body: Buffer.from(body) });

  async function consumer(consumerGroup: string, seen: string[]): Promise<LitePushConsumerImpl> {
    const made = new LitePushConsumerImpl({
      endpoints: broker.endpoints,
      namespace: '',
      consumerGroup,
      bindTopic: 'sessions',
      logger: quiet,
      messageListener: {
        consume: (message: MessageView) => {
          seen.push(`${message.liteTopic} ${message.body.toString()}`);
          return Promise.resolve(ConsumeResult.SUCCESS);
        },
      },
    } as never);
    await made.startup();
    running.push(made);
    return made;
  }

  it('gets what is sent to the lite topics it subscribes to, each in its order, and nothing else', async () => {
    const seen: string[] = [];
    const agent = await consumer('agents', seen);
    await agent.subscribeLite('a');
    await agent.subscribeLite('b');
    for (let i = 0; i < 20; i += 1) for (const name of ['a', 'b', 'c']) await send(name, `${i}`);
    await until('forty messages', () => seen.length >= 40);
    for (const name of ['a', 'b']) {
      const mine = seen.filter((line) => line.startsWith(`${name} `));
      expect(mine).toEqual(Array.from({ length: 20 }, (_, i) => `${name} ${i}`));
    }
    expect(seen.length).toBe(40);
    const list = await admin<{ items: { name: string; messages: number }[] }>(
      broker,
      'GET',
      '/topics/sessions/lite-topics',
    );
    expect(list.items.map(({ name, messages }) => `${name} ${messages}`).sort()).toEqual(['a 20', 'b 20', 'c 20']);
    const path = '/topics/sessions/lite-topics/a';
    const described = await admin<{ places: { groups: { group: string; subscribers: string[] }[] }[] }>(
      broker,
      'GET',
      path,
    );
    const readers = described.places[0]?.groups.map(({ group, subscribers }) => [group, subscribers.length]);
    expect(readers?.sort()).toEqual([
      ['agents', 1],
      ['owners', 0],
    ]);
    await admin(broker, 'DELETE', path);
    await expect(admin(broker, 'GET', path)).rejects.toThrow(/404/);
  });

  it('begins where its offset option says', async () => {
    const seen: string[] = [];
    for (const body of ['1', '2', '3']) await send('history', body);
    const agent = await consumer('agents', seen);
    await agent.subscribeLite('history', OffsetOption.MIN_OFFSET);
    await until('all of it', () => seen.length >= 3);
    expect(seen).toEqual(['history 1', 'history 2', 'history 3']);
  });

  // This client has no ear for the command that tells it so: a raw stream hears it in libs/proxy/src/messaging/lite.spec.ts.
  it('loses an exclusive lite topic to the newest subscriber', async () => {
    const [older, newer]: string[][] = [[], []];
    const first = await consumer('owners', older!);
    await first.subscribeLite('mine');
    const second = await consumer('owners', newer!);
    await second.subscribeLite('mine');
    await send('mine', 'x');
    await until('the message', () => newer!.length > 0);
    expect([older, newer]).toEqual([[], ['mine x']]);
  });
});
