// Goal: SQL filters, pauses, resets and pulls as clients see them. Method: the official Node.js client and the protocol's
// own messages against a real process.
import { ConsumeResult, FilterExpression, Producer, PushConsumer, SimpleConsumer } from 'rocketmq-client-nodejs';
import {
  PullMessageRequest,
  PullMessageResponse,
  QueryOffsetPolicy,
  QueryOffsetRequest,
  QueryOffsetResponse,
} from '@cometmq/proto';
import { GrpcJsChannel } from '@cometmq/rpc';
import { systemClock } from '@cometmq/shared';

import { admin, createTopic } from '../support/admin.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const quiet = { info: ignore, warn: ignore, error: ignore, debug: ignore } as never;
function ignore(): void {
  // The client's own log.
}
const sqlType = 2;

describe('the official Node.js client, with SQL filters', () => {
  let broker: Standalone;
  let producer: Producer;
  const consumers: SimpleConsumer[] = [];

  beforeAll(async () => {
    broker = await new Standalone().start();
    for (const name of ['orders', 'pulled']) await createTopic(broker, { name, type: 'normal', writeQueues: 1 });
    producer = new Producer({ endpoints: broker.endpoints, namespace: '', logger: quiet });
    await producer.startup();
  });
  afterAll(async () => {
    for (const consumer of consumers) await consumer.shutdown();
    await producer.shutdown();
    await broker.stop();
  });

  const consumer = async (consumerGroup: string, filter: FilterExpression): Promise<SimpleConsumer> => {
    const made = new SimpleConsumer({
      endpoints: broker.endpoints,
      namespace: '',
      consumerGroup,
      subscriptions: new Map([['orders', filter]]),
      awaitDuration: 3_000,
      logger: quiet,
    });
    await made.startup();
    consumers.push(made);
    return made;
  };
  const receive = async (from: SimpleConsumer, count: number): Promise<string[]> => {
    const bodies: string[] = [];
    await until(`${count} messages`, async () => {
      for (const message of await from.receive(16, 15_000)) {
        bodies.push(message.body.toString());
        await from.ack(message);
      }
      return bodies.length >= count;
    });
    return bodies.sort();
  };

  it('gets what its expression wants, shares with a member that wants something else, and is warned of', async () => {
    const dear = await consumer('billing', new FilterExpression("region = 'EU' AND price > 10", sqlType));
    const cheap = await consumer('billing', new FilterExpression('price <= 10', sqlType));
    expect(await dear.receive(1, 15_000)).toEqual([]); // Both are known from here on.
    expect(await cheap.receive(1, 15_000)).toEqual([]);
    const prices = [5, 15, 25, 8, 40];
    for (const price of prices) {
      const properties = new Map([
        ['price', String(price)],
        ['region', price === 25 ? 'US' : 'EU'],
      ]);
      await producer.send({ topic: 'orders', body: Buffer.from(String(price)), properties });
    }
    expect(await receive(dear, 2)).toEqual(['15', '40']);
    expect(await receive(cheap, 2)).toEqual(['5', '8']);
    const { warnings } = await admin<{ warnings: string[] }>(broker, 'GET', '/groups/billing');
    expect(warnings.join()).toMatch(/"orders" with 2 different filters/);
  });

  it('is told where its expression is wrong', async () => {
    const wrong = consumer('wrong', new FilterExpression("region = 'EU' AND", sqlType));
    await expect(wrong.then((made) => made.receive(1, 15_000))).rejects.toThrow();
  });

  it('is handed nothing while its group is paused, and what a reset says afterwards', async () => {
    const reader = await consumer('readers', FilterExpression.SUB_ALL);
    expect(await receive(reader, 5)).toHaveLength(5);
    await admin(broker, 'POST', '/groups/readers/pause', {});
    await admin(broker, 'POST', '/groups/readers/reset', { topic: 'orders', to: { at: 'offset', offset: 3 } });
    expect(await reader.receive(16, 15_000)).toEqual([]);
    await admin(broker, 'POST', '/groups/readers/resume');
    expect(await receive(reader, 2)).toEqual(['40', '8']);
  });

  it('answers what an operator asks it', async () => {
    const tried: string[] = [];
    const push = new PushConsumer({
      endpoints: broker.endpoints,
      namespace: '',
      consumerGroup: 'pushed',
      subscriptions: new Map([['pulled', '*']]),
      messageListener: {
        consume: async (message) => {
          tried.push(message.messageId);
          return ConsumeResult.SUCCESS;
        },
      },
      logger: quiet,
    });
    await push.startup();
    try {
      const receipt = await producer.send({ topic: 'pulled', body: Buffer.from('try me') });
      await until('the message', () => tried.length > 0);
      const { members } = await admin<{ members: { clientId: string }[] }>(broker, 'GET', '/groups/pushed');
      const client = `/clients/${encodeURIComponent(members[0]?.clientId ?? '')}`;
      // Node.js answers with a fixed text.
      expect(await admin(broker, 'POST', `${client}/stack-trace`)).toMatchObject({
        code: 20_000,
        text: expect.any(String),
      });
      // It declines (50100), in the wrong field of its answer, which is understood all the same.
      const trial = { group: 'pushed', topic: 'pulled', messageId: receipt.messageId };
      expect(await admin(broker, 'POST', `${client}/verify`, trial)).toMatchObject({ code: 50_100 });
      await admin(broker, 'POST', `${client}/reconnect`);
    } finally {
      await push.shutdown();
    }
  });

  it('and anybody may pull by offset', async () => {
    for (const body of ['a', 'b', 'c']) await producer.send({ topic: 'pulled', body: Buffer.from(body) });
    const channel = new GrpcJsChannel({ address: broker.endpoints, clock: systemClock });
    const service = '/apache.rocketmq.v2.MessagingService';
    const headers = { 'x-mq-client-id': 'puller' };
    const messageQueue = { topic: { name: 'pulled' }, id: 0 };
    const end = QueryOffsetRequest.fromPartial({ messageQueue, queryOffsetPolicy: QueryOffsetPolicy.END } as never);
    const answer = await channel.unary(`${service}/QueryOffset`, QueryOffsetRequest.encode(end).finish(), { headers });
    expect(QueryOffsetResponse.decode(answer).offset).toBe(4); // And the one to try.
    const pull = PullMessageRequest.fromPartial({
      group: { name: 'pullers' },
      messageQueue,
      offset: 1,
      batchSize: 32,
    } as never);
    const items = await new Promise<PullMessageResponse[]>((resolve, reject) => {
      const found: PullMessageResponse[] = [];
      const stream = channel.serverStream(`${service}/PullMessage`, PullMessageRequest.encode(pull).finish(), {
        headers,
      });
      stream.onMessage((bytes) => found.push(PullMessageResponse.decode(bytes)));
      stream.onEnd((error) => (error ? reject(error) : resolve(found)));
    });
    const bodies = items.flatMap(({ content }) =>
      content?.$case === 'message' ? [Buffer.from(content.value.body).toString()] : [],
    );
    expect(bodies).toEqual(['a', 'b', 'c']);
    expect(items.at(-1)?.content).toEqual({ $case: 'nextOffset', value: 4 });
    channel.close();
  });
});
