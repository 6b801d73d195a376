// Goal: what a broker decides about a message with a sampled context is told, with its times and what went wrong; of others
// nothing. Method: a broker on a memory disk, time in our hands, and a list for a collector.
import { Message } from '@cometmq/proto';
import type { MessageSpan } from '@cometmq/telemetry';

import { BrokerWorld } from './broker-world.js';
import { MessageTracing } from './message-tracing.js';

const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const spans: MessageSpan[] = [];
let world: BrokerWorld;

beforeEach(async () => {
  spans.length = 0;
  world = await new BrokerWorld().start(2);
  const { directory, clock } = world;
  const tracing = new MessageTracing({
    ...{ directory, clock, brokerName: 'broker-0' },
    traces: { add: (span) => spans.push(span) },
  });
  world.tracing = tracing;
  await world.restart();
  const { broker } = world;
  const untraced = Object.assign(Object.create(broker) as typeof broker, {
    send: broker.send.bind(broker),
    receive: broker.receive.bind(broker),
  });
  const { send, receive } = tracing.around(untraced);
  Object.assign(broker, { send, receive });
});
afterEach(() => world.broker.stop());

const encoded = (traceparent?: string, traceContext?: string, bytes = 1_000): Uint8Array =>
  Message.encode(
    Message.fromPartial({
      userProperties: new Map(traceparent === undefined ? [] : [['traceparent', traceparent]]),
      systemProperties: { messageId: 'm1', traceContext },
      body: Buffer.alloc(bytes, 'body'),
    } as never),
  ).finish();
const send = (message: Uint8Array, draft: object = {}): Promise<unknown> =>
  world.sendAny('m1', { tag: Buffer.from('paid'), ...draft }, world.topic, 0, message);

it('from when it came until it was safe, and from when it could be had until it was handed out', async () => {
  const sentMs = world.clock.wallMs();
  await send(encoded(parent));
  world.clock.advance(700);
  await world.poll({ clientId: 'c1' });
  const common = {
    ...{ 'messaging.message.id': 'm1', 'messaging.destination.partition.id': '0', 'cometmq.broker_set': 'broker-0' },
    ...{ 'messaging.rocketmq.message.tag': 'paid', 'messaging.rocketmq.queue_offset': 0 },
  };
  expect(spans).toMatchObject([
    { operation: 'store', topic: 'orders', parent, startMs: sentMs, error: undefined, attributes: common },
    {
      ...{ operation: 'deliver', topic: 'orders', parent, endMs: sentMs + 700 },
      attributes: {
        ...common,
        ...{ 'messaging.consumer.group.name': 'readers', 'messaging.client.id': 'c1' },
        'messaging.rocketmq.delivery_attempt': 1,
      },
    },
  ]);
  expect(spans[1]!.startMs).toBe(sentMs);
});

it('by RocketMQ’s own field too, and whatever pieces the message came in', async () => {
  const message = encoded(undefined, parent);
  const sendInPieces = world.broker.send.bind(world.broker);
  world.broker.send = (call, done) => {
    const [bytes] = call.message;
    sendInPieces({ ...call, message: [bytes!.subarray(0, 20), bytes!.subarray(20)] }, done);
  };
  await send(message);
  expect(spans).toMatchObject([{ operation: 'store', parent }]);
});

it('a second attempt begins when it is handed out; after the last one it is moved to the dead letters', async () => {
  await send(encoded(parent));
  await world.poll();
  world.clock.advance(20_000);
  await world.poll();
  const again = spans.at(-1)!;
  expect(again).toMatchObject({ operation: 'deliver', attributes: { 'messaging.rocketmq.delivery_attempt': 2 } });
  expect(again.startMs).toBe(again.endMs);
  for (let i = 0; i < 100 && spans.length < 4; i += 1) {
    world.clock.advance(1_000);
    await new Promise(setImmediate);
  }
  expect(spans.slice(3)).toMatchObject([
    {
      ...{ operation: 'deadLetter', topic: 'orders', parent },
      attributes: { 'messaging.consumer.group.name': 'readers', 'messaging.rocketmq.delivery_attempt': 2 },
    },
  ]);
});

it('of one that is refused, with the code for it', async () => {
  await expect(send(encoded(parent, undefined, 2 * 1024 * 1024))).rejects.toThrow();
  expect(spans).toMatchObject([{ operation: 'store', error: 'MESSAGE_TOO_LARGE' }]);
});

it.each([
  ['none', encoded()],
  ['not sampled', encoded(parent.replace(/01$/, '00'))],
  ['nonsense', encoded('yes please')],
  ['no message at all', Buffer.from([0x12, 0xff, 0xff, 0xff, 0xff])],
  ['nothing', Buffer.alloc(0)],
])('of none without a sampled context: %s', async (_, message) => {
  await send(message);
  expect((await world.poll()).length).toBe(1);
  expect(spans).toEqual([]);
});
