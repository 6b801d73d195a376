// Goal: a change of leaders is no error to a client: what waits moves along, what can go elsewhere does. Method: a front
// context over two broker sets whose leaders are replaced, silent, or can't be reached.
import { MessageType } from '@cometmq/model';
import { Message, ReceiveMessageRequest, ReceiveMessageResponse, SendMessageRequest } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import { type FakeBroker, type FakeCall, type ProxyFixture, openProxy } from '../testing.js';

let context: ProxyFixture;
let second: FakeBroker;
beforeEach(async () => {
  context = await openProxy();
  second = context.addBroker('broker-1');
  context.nameService.putTopic('orders');
  context.nameService.putTopic('in-order', { type: MessageType.fifo });
  context.nameService.putGroup('workers');
});
afterEach(() => context.stop());

function send(group?: string): FakeCall {
  const system = { messageId: '01AB', bodyEncoding: 1, messageType: group === undefined ? 1 : 2, messageGroup: group };
  const message = Message.fromPartial({
    topic: { name: group === undefined ? 'orders' : 'in-order' },
    body: Buffer.from('hello'),
    systemProperties: system,
  } as never);
  return context.call('SendMessage', SendMessageRequest.encode({ messages: [message] }).finish(), { timeoutMs: 3_000 });
}
function receive(): FakeCall {
  const request = ReceiveMessageRequest.fromPartial({
    group: { name: 'workers' },
    messageQueue: { topic: { name: 'orders' }, id: 0, broker: { name: 'broker-0', id: 0 } },
    filterExpression: { type: 1, expression: '*' },
    batchSize: 16,
    invisibleDuration: { seconds: 30, nanos: 0 },
    longPollingTimeout: { seconds: 5, nanos: 0 },
  } as never);
  return context.call('ReceiveMessage', ReceiveMessageRequest.encode(request).finish(), { timeoutMs: 8_000 });
}
const bodies = (call: FakeCall): string[] =>
  call.items.flatMap((item) => {
    const { content } = ReceiveMessageResponse.decode(item);
    return content?.$case === 'message' ? [Buffer.from(content.value.body).toString()] : [];
  });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('messages without a group pass over a set whose leader can not be reached', async () => {
  context.doubtful.add('broker-0');
  for (let i = 0; i < 20; i += 1) await send().untilEnd();
  expect([context.broker.sent.length, second.sent.length]).toEqual([0, 20]);
  context.doubtful.delete('broker-0');
  for (let i = 0; i < 20; i += 1) await send().untilEnd();
  expect(context.broker.sent.length).toBe(10);
});

it.each(['NOT_LEADER', 'UNAVAILABLE'] as const)(
  'a message that a set answers with %s goes to another at once',
  async (code) => {
    context.broker.fault = () => new MqError(code, 'not now');
    for (let i = 0; i < 10; i += 1) await send().untilEnd();
    expect(second.sent).toHaveLength(10);
  },
);

it('where no set can be reached, they are asked all the same', async () => {
  context.doubtful.add('broker-0').add('broker-1');
  await send().untilEnd();
  expect(context.broker.sent.length + second.sent.length).toBe(1);
});

it('a message of a group waits for its own set, and goes to its new leader as soon as that is heard of', async () => {
  context.broker.fault = () => new MqError('NOT_LEADER', 'not now');
  second.fault = () => new MqError('NOT_LEADER', 'not now');
  const call = send('g');
  await turn();
  expect(call.ended).toBe(false);
  const heirs = [context.takeOver('broker-0'), context.takeOver('broker-1')];
  context.clock.advance(0); // Not even the next beat is waited for.
  await call.untilEnd();
  expect(heirs.flatMap(({ sent }) => sent)).toHaveLength(1);
});

it('a long poll moves along to a new leader while it goes on waiting for the other set', async () => {
  await send().untilEnd();
  await send().untilEnd();
  const call = receive();
  await turn();
  context.clock.advance(0); // Both sets are asked what they have, and are waited for.
  await turn();
  expect([context.broker.waiting.size, second.waiting.size]).toEqual([1, 1]);
  const [waiting] = context.broker.waiting;
  context.broker.waiting.clear();
  const heir = context.takeOver('broker-0');
  waiting!.done(new MqError('NOT_LEADER', 'not here any more'), undefined);
  context.clock.advance(0);
  await turn();
  expect([heir.waiting.size, second.waiting.size]).toEqual([1, 1]);
  heir.deliver(context.broker.delivered(0));
  await call.untilEnd();
  expect(bodies(call)).toEqual(['hello']);
});

it('a set that is silent keeps no poll from the messages of the other', async () => {
  await send().untilEnd();
  await send().untilEnd();
  const silent = (): (() => void) => () => undefined;
  context.broker.receive = silent;
  const call = receive();
  await turn();
  context.clock.advance(400);
  await turn();
  expect(second.waiting.size).toBe(1);
  second.deliver(second.delivered(0));
  await call.untilEnd();
  expect(bodies(call)).toEqual(['hello']);
});
