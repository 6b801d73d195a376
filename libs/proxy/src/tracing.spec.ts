// Goal: each message with a sampled context leaves one span a step, with what went wrong by its word; others leave none. Method: a
// proxy over a fake broker, and a list for a collector.
import { SendMessageRequest } from '@cometmq/proto';
import type { MessageSpan } from '@cometmq/telemetry';

import { openProxy, type ProxyFixture } from './testing.js';

const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const spans: MessageSpan[] = [];
let context: ProxyFixture;
beforeEach(async () => {
  spans.length = 0;
  context = await openProxy({ traces: { add: (span) => spans.push(span) } });
  context.nameService.putTopic('orders');
});
afterEach(() => context.stop());

async function send(topic: string, properties: readonly [string, string][], traceContext?: string): Promise<void> {
  const systemProperties = { messageId: '01AB', tag: 'paid', keys: ['k1', 'k2'], bodyEncoding: 1, traceContext };
  const message = {
    ...{ topic: { name: topic }, userProperties: new Map(properties), systemProperties },
    body: Buffer.from('hello'),
  };
  const request = SendMessageRequest.encode(SendMessageRequest.fromPartial({ messages: [message] } as never)).finish();
  const call = context.call('SendMessage', request, { timeoutMs: 3_000 });
  await call.untilEnd();
}

it('of a message that is sent, by its property or by its own field', async () => {
  await send('orders', [['traceparent', parent]]);
  await send('orders', [], parent);
  const attributes = {
    'messaging.message.id': '01AB',
    'messaging.message.body.size': 5,
    'messaging.rocketmq.message.tag': 'paid',
    'messaging.rocketmq.message.keys': 'k1 k2',
    'messaging.client.id': 'client-1',
  };
  const span = { operation: 'send', topic: 'orders', parent, error: undefined, attributes };
  expect(spans).toMatchObject([span, span]);
});

it('of one that is refused, with the word for it', async () => {
  await send('nowhere', [['traceparent', parent]]);
  expect(spans).toMatchObject([{ operation: 'send', topic: 'nowhere', error: 'TOPIC_NOT_FOUND' }]);
});

it.each([
  ['none', undefined],
  ['not sampled', parent.replace(/01$/, '00')],
  ['no trace', parent.replace(/[0-9a-f]{32}/, '0'.repeat(32))],
  ['nonsense', 'yes please'],
])('of none without a sampled context: %s', async (_, traceparent) => {
  await send('orders', traceparent === undefined ? [] : [['traceparent', traceparent]]);
  expect(spans).toEqual([]);
});

it('of none in a request of more fields than are taken, of which nothing is made', async () => {
  const decode = jest.spyOn(SendMessageRequest, 'decode');
  const many = Buffer.alloc(2 * 60_000, Buffer.from([0x0a, 0x00])); // Messages of no bytes.
  const call = context.call('SendMessage', many, { timeoutMs: 3_000 });
  await call.untilEnd();
  expect(decode.mock.results.map(({ type }) => type)).toEqual(['throw']);
  decode.mockRestore();
  expect(spans).toEqual([]);
});
