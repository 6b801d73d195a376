import { createHash } from 'node:crypto';

import { topicId } from '@cometmq/model';
import { Code, Message, ReceiveMessageRequest, ReceiveMessageResponse, SendMessageRequest } from '@cometmq/proto';
import { MqError, WireReader } from '@cometmq/shared';
import { ReceiveMessageResponse as OfficialResponse } from 'rocketmq-client-nodejs/proto/apache/rocketmq/v2/service_pb';

import { defaultLimits } from '../limits.js';
import { type CallOptions, type ProxyFixture, type FakeCall, openProxy } from '../testing.js';
import { pollingMs } from './polling-time.js';
import { readReceiveRequest } from './receive-request.js';

const request = (change: Record<string, unknown> = {}): Uint8Array =>
  ReceiveMessageRequest.encode(
    ReceiveMessageRequest.fromPartial({
      group: { name: 'workers' },
      messageQueue: { topic: { name: 'orders' }, id: 2, broker: { name: 'broker-0', id: 0 } },
      filterExpression: { type: 1, expression: '*' },
      batchSize: 16,
      invisibleDuration: { seconds: 30, nanos: 0 },
      longPollingTimeout: { seconds: 5, nanos: 0 },
      ...change,
    } as never),
  ).finish();

interface Heard {
  readonly status: { code: number; message: string } | undefined;
  readonly messages: Message[];
  readonly order: string[];
}

function hear(call: FakeCall): Heard {
  const contents = call.items.map((item) => ReceiveMessageResponse.decode(item).content);
  const status = contents.find((content) => content?.$case === 'status');
  return {
    status: status?.$case === 'status' ? status.value : undefined,
    messages: contents.flatMap((content) => (content?.$case === 'message' ? [content.value] : [])),
    order: contents.map((content) => content?.$case ?? 'nothing'),
  };
}

let context: ProxyFixture;
beforeEach(async () => {
  context = await openProxy();
  context.nameService.putTopic('orders');
  context.nameService.putGroup('workers');
});
afterEach(() => context.stop());

const receive = (change?: Record<string, unknown>, options?: CallOptions): FakeCall =>
  context.call('ReceiveMessage', request(change), { timeoutMs: 8_000, ...options });

async function sendOne(properties: Record<string, unknown> = {}, body = 'hello'): Promise<number> {
  const message = Message.fromPartial({
    topic: { name: 'orders', resourceNamespace: 'ns' },
    userProperties: new Map([['colour', 'blau']]),
    body: Buffer.from(body),
    systemProperties: {
      messageId: '01AB',
      tag: 'A',
      keys: ['k'],
      bodyEncoding: 2,
      bornHost: 'their-host',
      bornTimestamp: { seconds: 1_700_000_000, nanos: 5 },
      bodyDigest: { type: 1, checksum: 'ABCD' },
      queueId: 99,
      deliveryAttempt: 5000,
      receiptHandle: 'forged',
      ...properties,
    },
  } as never);
  const call = context.call('SendMessage', SendMessageRequest.encode({ messages: [message] }).finish());
  await call.untilEnd();
  return context.broker.sent.length - 1;
}

it('delivers what was sent with all that consumers need, in the order of the protocol', async () => {
  const index = await sendOne();
  const call = receive();
  const delivered = context.broker.delivered(index, { attempt: 3, queueId: 2 as never });
  context.broker.deliver(delivered);
  await call.untilEnd();
  const { order, status, messages } = hear(call);
  expect(order).toEqual(['status', 'message', 'deliveryTimestamp']);
  expect(status).toEqual({ code: Code.OK, message: 'OK' });
  const [message] = messages;
  expect(message?.topic).toEqual({ name: 'orders', resourceNamespace: 'ns' });
  expect(message?.userProperties).toEqual(new Map([['colour', 'blau']]));
  expect(Buffer.from(message?.body ?? []).toString()).toBe('hello');
  const system = message?.systemProperties;
  expect(system).toMatchObject({
    messageId: '01AB',
    tag: 'A',
    keys: ['k'],
    bodyEncoding: 2,
    messageType: 1,
    bornHost: 'their-host',
    bornTimestamp: { seconds: 1_700_000_000, nanos: 5 },
    bodyDigest: { type: 2, checksum: createHash('md5').update('hello').digest('hex').toUpperCase() },
    storeTimestamp: { seconds: 1_700_000_123, nanos: 456_000_000 },
    storeHost: 'broker-0',
    queueId: 2,
    queueOffset: 300,
    deliveryAttempt: 3,
  });
  expect(system?.deadLetterQueue).toBeUndefined();
  expect(system?.invisibleDuration).toBeUndefined();
  expect(system?.receiptHandle).toMatch(/^[\w-]{60,255}$/);
});

// Goal: decoders that keep only the last copy of a field read the same. Method: the official Node.js client's own code.
it('reads the same with the decoder of the official Node.js client', async () => {
  const index = await sendOne({ bornHost: '', bodyEncoding: 0 });
  const call = receive();
  context.broker.deliver(context.broker.delivered(index));
  await call.untilEnd();
  const official = OfficialResponse.deserializeBinary(call.items[1] as Buffer).getMessage();
  const system = official?.getSystemProperties();
  expect(official?.getTopic()?.getName()).toBe('orders');
  expect(Buffer.from(official?.getBody_asU8() ?? []).toString()).toBe('hello');
  expect([system?.getMessageId(), system?.getTag(), system?.getKeysList()]).toEqual(['01AB', 'A', ['k']]);
  expect([system?.getBodyEncoding(), system?.getBornHost(), system?.getDeliveryAttempt()]).toEqual([1, '10.1.2.3', 1]);
  expect(system?.getBodyDigest()?.getChecksum()).toBe(createHash('md5').update('hello').digest('hex').toUpperCase());
  expect(system?.getReceiptHandle()).not.toBe('forged');
});

it('names a dead letter by the topic it is read from, and says where it came from', async () => {
  const index = await sendOne();
  const dlq = context.nameService.putTopic('%DLQ%workers');
  const call = receive({ messageQueue: { topic: { name: '%DLQ%workers' } } });
  const delivered = context.broker.delivered(index, { topicId: dlq.id });
  context.broker.deliver({ ...delivered, originTopicId: topicId(1) });
  await call.untilEnd();
  const [message] = hear(call).messages;
  expect(message?.topic).toEqual({ name: '%DLQ%workers', resourceNamespace: 'ns' });
  expect(message?.systemProperties?.deadLetterQueue).toEqual({ topic: 'orders', messageId: '01AB' });
});

it('delivers large bodies and large properties', async () => {
  const index = await sendOne({ traceContext: 'x'.repeat(10_000) }, 'b'.repeat(3_000_000));
  const call = receive();
  context.broker.deliver(context.broker.delivered(index));
  await call.untilEnd();
  const [message] = hear(call).messages;
  expect(message?.body.length).toBe(3_000_000);
  expect(message?.systemProperties?.traceContext?.length).toBe(10_000);
});

it('passes on what the client asks for', () => {
  receive({ attemptId: 'try-1', batchSize: 100, filterExpression: { type: 0, expression: 'A || B' } });
  receive({
    autoRenew: true,
    invisibleDuration: undefined,
    batchSize: 0,
    attemptId: '',
    messageQueue: { topic: { name: 'orders' }, id: 1, broker: { name: 'gone' } },
  });
  expect(context.broker.receives[0]).toMatchObject({
    queueId: 2,
    messagesMax: 32,
    filter: { type: 'tag', expression: 'A || B' },
    invisibleMs: 30_000,
    autoRenew: false,
    clientId: 'client-1',
    waitMs: 5_000,
    attemptId: 'try-1',
  });
  expect(context.broker.receives[1]).toMatchObject({
    queueId: -1,
    messagesMax: 1,
    invisibleMs: 60_000,
    autoRenew: true,
    attemptId: undefined,
  });
});

it.each([
  ['its polling time equals the deadline', { longPollingTimeout: { seconds: 5, nanos: 0 } }, 5_000, 4_500],
  ['it names no polling time', { longPollingTimeout: undefined }, 6_000, 4_500],
  ['it polls for 2 s', { longPollingTimeout: { seconds: 2, nanos: 0 } }, 5_000, 2_000],
  ['it wants no wait', { longPollingTimeout: { seconds: 0, nanos: 0 } }, 3_000, 0],
  ['it wants a minute', { longPollingTimeout: { seconds: 60, nanos: 0 } }, 63_000, 20_000],
  ['it has no deadline', { longPollingTimeout: { seconds: 3, nanos: 0 } }, undefined, 3_000],
])('says that there is nothing in time when %s', async (_what, change, timeoutMs, endMs) => {
  const call = receive(change, { timeoutMs });
  if (endMs > 0) context.clock.advance(endMs - 20);
  expect(call.ended).toBe(false);
  context.clock.advance(20);
  await call.untilEnd();
  expect(hear(call)).toMatchObject({
    status: { code: Code.MESSAGE_NOT_FOUND },
    order: ['status', 'deliveryTimestamp'],
  });
  expect(context.messaging.waitingPolls).toBe(0);
});

it.each([
  [undefined, undefined, 20_000],
  [30_000, 33_000, 20_000],
  [40_000, 40_000, 20_000],
  [undefined, 13_000, 11_500],
  [1_000, 4_000, 1_000],
  [3_000, 1_000, 900],
  [-5, 1_000, 0],
  [1_000, -50, 0],
])('polls of %p ms with %p ms left wait %p ms', (wantedMs, remainingMs, waitMs) => {
  expect(pollingMs(wantedMs, remainingMs, 20_000)).toBe(waitMs);
});

it('ends a poll whose broker never answers', async () => {
  const call = receive();
  context.broker.waiting.clear();
  context.clock.advance(5_200);
  expect(call.ended).toBe(true);
  expect(hear(call).status?.code).toBe(Code.MESSAGE_NOT_FOUND);
});

it('answers no error while leaders change, and delivers once there is one', async () => {
  const index = await sendOne();
  context.nameService.putSet({ name: 'broker-0', leader: undefined });
  const patient = receive();
  context.clock.advance(1_000);
  expect(patient.items).toEqual([]);
  context.nameService.putSet({ name: 'broker-0', epoch: 2 });
  context.clock.advance(10);
  expect(context.broker.receives.at(-1)?.waitMs).toBe(4_000);
  context.broker.deliver(context.broker.delivered(index));
  await patient.untilEnd();
  expect(hear(patient).messages.length).toBe(1);

  context.broker.fault = () => new MqError('NOT_LEADER', 'somebody else leads');
  const unlucky = receive();
  context.clock.advance(4_900);
  expect(unlucky.items).toEqual([]);
  context.clock.advance(200);
  expect(hear(unlucky).status?.code).toBe(Code.MESSAGE_NOT_FOUND);
});

it.each([
  [
    'an invisible time below 10 s',
    { invisibleDuration: { seconds: 9, nanos: 999_000_000 } },
    Code.ILLEGAL_INVISIBLE_TIME,
  ],
  ['an invisible time above 12 h', { invisibleDuration: { seconds: 43_201, nanos: 0 } }, Code.ILLEGAL_INVISIBLE_TIME],
  ['no invisible time', { invisibleDuration: undefined }, Code.ILLEGAL_INVISIBLE_TIME],
  ['a wrong SQL filter', { filterExpression: { type: 2, expression: 'a = ' } }, Code.ILLEGAL_FILTER_EXPRESSION],
  ['an unknown filter', { filterExpression: { type: 7, expression: 'a' } }, Code.ILLEGAL_FILTER_EXPRESSION],
  ['a filter that names no tag', { filterExpression: { type: 1, expression: '||' } }, Code.ILLEGAL_FILTER_EXPRESSION],
  ['an unknown topic', { messageQueue: { topic: { name: 'nobody' } } }, Code.TOPIC_NOT_FOUND],
  ['a bad topic', { messageQueue: { topic: { name: 'a b' } } }, Code.ILLEGAL_TOPIC],
  ['no queue', { messageQueue: undefined }, Code.ILLEGAL_TOPIC],
  ['a bad group', { group: { name: '' } }, Code.ILLEGAL_CONSUMER_GROUP],
])('refuses %s, slowly', async (_what, change, code) => {
  const call = receive(change);
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
  context.clock.advance(990);
  expect(call.items).toEqual([]);
  context.clock.advance(20);
  expect(hear(call)).toMatchObject({ status: { code }, order: ['status', 'deliveryTimestamp'] });
  expect(hear(call).status?.message).toMatch(/\w/);
});

it('refuses at once who has no time', async () => {
  const call = receive({ invisibleDuration: undefined, longPollingTimeout: { seconds: 0, nanos: 0 } });
  expect(hear(call).status).toEqual({
    code: Code.ILLEGAL_INVISIBLE_TIME,
    message: 'the invisibleTime is too small: 0 ms; allowed are 10000 to 43200000 ms',
  });
});

it('forgets a refusal that nobody waits for', () => {
  const call = receive({ invisibleDuration: undefined });
  call.cancel();
  context.clock.advance(2_000);
  expect(call.items).toEqual([]);
});

it('refuses unknownMembers, garbage and write-only topics', async () => {
  const stranger = receive({}, { clientId: '' });
  const garbage = context.call('ReceiveMessage', Buffer.from([0x0a, 0x7f]), { timeoutMs: 5_000 });
  context.nameService.putTopic('inbox', { permission: 'write' });
  const blind = receive({ messageQueue: { topic: { name: 'inbox' } } });
  context.clock.advance(1_001);
  expect([stranger, garbage, blind].map((call) => hear(call).status?.code)).toEqual([
    Code.CLIENT_ID_REQUIRED,
    Code.BAD_REQUEST,
    Code.FORBIDDEN,
  ]);
});

it('makes a group on first use, and says so where that is not allowed', async () => {
  const call = receive({ group: { name: 'fresh' } });
  while (context.broker.receives.length === 0) await Promise.resolve();
  expect(context.broker.receives[0]?.groupId).toBe(context.nameService.groups.get('fresh')?.id);
  call.cancel();
  context.nameService.createsGroups = false;
  const refused = receive({ group: { name: 'strange' } });
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
  context.clock.advance(1_001);
  expect(hear(refused).status?.code).toBe(Code.CONSUMER_GROUP_NOT_FOUND);
});

it('takes the wait back when the client goes', () => {
  const call = receive();
  expect(context.broker.waiting.size).toBe(1);
  call.cancel();
  expect(context.broker.waiting.size).toBe(0);
  expect(context.messaging.waitingPolls).toBe(0);
});

// Check 15: cancelled between the pop and the write.
it('gives messages back that were taken for a stream that had gone', async () => {
  const index = await sendOne();
  const call = receive();
  const [waiting] = context.broker.waiting;
  call.cancel();
  waiting?.done(undefined, { messages: [context.broker.delivered(index)] });
  expect(context.broker.handedBack.map(({ receipts }) => receipts[0]?.offset)).toEqual([300]);
  expect(context.messaging.counters.handedBack).toBe(1);
});

it('writes as fast as the client reads, and gives back what it never read', async () => {
  const index = await sendOne();
  const messages = Array.from({ length: 5 }, () => context.broker.delivered(index));
  const slow = receive({}, { room: 2 });
  context.broker.deliver(...messages);
  expect(slow.items.length).toBe(2);
  slow.read(2);
  expect(slow.items.length).toBe(4);
  slow.read(Infinity);
  expect(hear(slow).order).toEqual([
    'status',
    'message',
    'message',
    'message',
    'message',
    'message',
    'deliveryTimestamp',
  ]);
  expect(slow.ended).toBe(true);
  expect(context.broker.handedBack).toEqual([]);

  const lost = receive({}, { room: 3 });
  context.broker.deliver(...messages);
  lost.cancel();
  expect(context.broker.handedBack[0]?.receipts.length).toBe(5);
});

describe('a receive that waits for what changes', () => {
  const settled = (): Promise<void> => new Promise(setImmediate);
  const answer = (call: FakeCall): number | undefined => {
    context.clock.advance(1_001); // An error is answered slowly.
    return hear(call).status?.code;
  };

  it.each<[string, () => unknown, Code]>([
    ['its topic is deleted', () => context.nameService.deleteTopic('orders'), Code.TOPIC_NOT_FOUND],
    ['its group is deleted', () => context.nameService.deleteGroup('workers'), Code.CONSUMER_GROUP_NOT_FOUND],
    ['its topic is closed', () => context.nameService.putTopic('orders', { permission: 'write' }), Code.FORBIDDEN],
  ])('is answered when %s', (_what, act, code) => {
    const call = receive();
    expect(context.broker.waiting.size).toBe(1);
    act();
    context.clock.advance(1);
    expect(context.broker.waiting.size).toBe(0);
    expect(answer(call)).toBe(code);
  });

  it.each(['topic', 'group'] as const)('asks anew when its %s was made again under the same name', async (what) => {
    const call = receive();
    const before = context.broker.receives.at(-1);
    // Both are heard of before the poll is looked at.
    if (what === 'topic') {
      await context.nameService.deleteTopic('orders');
      context.nameService.putTopic('orders');
    } else {
      await context.nameService.deleteGroup('workers');
      context.nameService.putGroup('workers');
    }
    context.clock.advance(1);
    await settled();
    const after = context.broker.receives.at(-1);
    expect(after?.[`${what}Id`]).not.toBe(before?.[`${what}Id`]);
    expect([context.broker.waiting.size, call.ended]).toEqual([1, false]);
    context.broker.deliver(context.broker.delivered(await sendOne()));
    await call.untilEnd();
    expect(hear(call).messages.length).toBe(1);
  });

  it('asks anew when the leader knew first that the topic is another, else says so', async () => {
    const call: FakeCall = receive();
    const [first] = context.broker.waiting;
    context.broker.waiting.clear();
    first?.done(new MqError('TOPIC_NOT_FOUND', 'gone'), undefined);
    expect(answer(call)).toBe(Code.TOPIC_NOT_FOUND); // It is the same as far as this node knows.
  });

  it('waits on when nothing of it has changed', () => {
    const call = receive();
    context.nameService.putTopic('orders', { retentionMs: 1_000 });
    context.clock.advance(1);
    expect([context.broker.receives.length, context.broker.waiting.size, call.ended]).toEqual([1, 1, false]);
  });
});

describe('messages that may not have reached their client', () => {
  async function answered(options: CallOptions = {}, attemptId = 'try-1'): Promise<FakeCall> {
    const call = receive({ attemptId }, { holdsArrival: true, ...options });
    context.broker.deliver(context.broker.delivered(await sendOne()));
    await call.untilEnd();
    expect(hear(call).messages.length).toBe(1);
    return call;
  }
  const back = (): number => context.broker.handedBack.length;

  it('are given back when the connection ends before they have arrived, also of an answer that was whole', async () => {
    const call = await answered();
    expect(back()).toBe(0);
    call.arrival?.(false);
    expect(back()).toBe(1);
  });

  it('stay with the client once they have arrived, whatever becomes of the connection', async () => {
    const call = await answered();
    call.arrival?.(true);
    call.arrival?.(false);
    receive({ attemptId: 'try-1' }, { connection: 2 });
    context.clock.advance(120_000);
    expect(back()).toBe(0);
  });

  it('are given back when the client asks with the same attempt id again, before it is served', async () => {
    await answered();
    receive({ attemptId: 'try-2' });
    expect(back()).toBe(0);
    receive({ attemptId: 'try-1' });
    expect(back()).toBe(1);
  });

  it('are given back soon when the client asks on another connection', async () => {
    await answered();
    receive({ attemptId: 'try-2' }, { connection: 2 });
    context.clock.advance(9_000);
    expect(back()).toBe(0);
    context.clock.advance(2_000);
    expect(back()).toBe(1);
  });

  it('are given back after one lease when nothing is heard at all', async () => {
    const call = await answered();
    context.clock.advance(59_000);
    expect(back()).toBe(0);
    context.clock.advance(2_000);
    expect(back()).toBe(1);
    call.arrival?.(true); // Too late.
    expect(back()).toBe(1);
  });

  it('are left to the leader in an orderly group, which knows the attempt', async () => {
    context.nameService.putGroup('workers', { fifo: true });
    await answered();
    receive({ attemptId: 'try-1' });
    expect(back()).toBe(0);
  });
});

it('asks every broker set, the named one first, and waits for all of them at once', async () => {
  const index = await sendOne();
  const second = context.addBroker('broker-1');
  const call = receive({ messageQueue: { topic: { name: 'orders' }, id: 3, broker: { name: 'broker-1' } } });
  context.clock.advance(1);
  expect(second.receives[0]).toMatchObject({ queueId: 3, waitMs: 0 });
  expect(context.broker.receives[0]).toMatchObject({ queueId: -1, waitMs: 0 });
  expect([context.broker.waiting.size, second.waiting.size]).toEqual([1, 1]);
  const [other] = second.waiting;
  context.broker.deliver(context.broker.delivered(index));
  await call.untilEnd();
  expect(hear(call).messages.length).toBe(1);
  expect(second.waiting.size).toBe(0);
  // The other's answer was on its way already.
  other?.done(undefined, {
    messages: [second.sent.length > 0 ? second.delivered(0) : context.broker.delivered(index, { broker: 'broker-1' })],
  });
  expect(second.handedBack.length).toBe(1);
});

it('bounds the polls that wait', async () => {
  await context.stop();
  context = await openProxy({ limits: { ...defaultLimits, pollsPerGroupMax: 2, pollsMax: 3 } });
  context.nameService.putTopic('orders');
  context.nameService.putGroup('workers');
  context.nameService.putGroup('others');
  receive();
  const second = receive();
  const third = receive();
  receive({ group: { name: 'others' } });
  const fifth = receive({ group: { name: 'others' } });
  context.clock.advance(1_001);
  expect(hear(third).status?.code).toBe(Code.TOO_MANY_REQUESTS);
  expect(hear(fifth).status?.code).toBe(Code.TOO_MANY_REQUESTS);
  second.cancel();
  receive();
  expect(context.messaging.waitingPolls).toBe(3);
});

it('ends long polls when the context closes, and answers later ones at once', async () => {
  const call = receive();
  context.messaging.drain();
  await call.untilEnd();
  expect(hear(call).status?.code).toBe(Code.MESSAGE_NOT_FOUND);
  const late = receive();
  context.clock.advance(1);
  expect(hear(late).status?.code).toBe(Code.MESSAGE_NOT_FOUND);
});

it('delivers the rest when one stored message is damaged', async () => {
  const index = await sendOne();
  const call = receive();
  const good = context.broker.delivered(index);
  context.broker.deliver({ ...good, payload: good.payload.subarray(0, 40) }, good);
  await call.untilEnd();
  expect(hear(call).messages.length).toBe(1);
});

it('reads a request like the generated decoder', () => {
  const bytes = Buffer.from(
    request({ attemptId: 'a', autoRenew: true, longPollingTimeout: { seconds: 1, nanos: 500_000_000 } }),
  );
  expect(readReceiveRequest(new WireReader(bytes, 0, bytes.length))).toEqual({
    group: 'workers',
    topic: 'orders',
    broker: 'broker-0',
    queueId: 2,
    filter: { type: 'tag', expression: '*' },
    batchSize: 16,
    invisibleMs: 30_000,
    autoRenew: true,
    pollMs: 1_500,
    attemptId: 'a',
  });
});

describe('room for the answer', () => {
  it('is what the client has, and is asked for before a broker reads', async () => {
    const index = await sendOne();
    const call = receive();
    call.roomBytes = 100;
    const [waiting] = context.broker.waiting;
    expect(waiting?.call.askRoom?.(60, () => undefined)).toBe(true);
    const granted = jest.fn();
    expect(waiting?.call.askRoom?.(60, granted)).toBe(false);
    context.broker.deliver(context.broker.delivered(index));
    await call.untilEnd();
    expect(granted).not.toHaveBeenCalled();
  });

  it('is asked for one broker set at a time: only one of them is the answer', async () => {
    const index = await sendOne();
    const second = context.addBroker('broker-1');
    const call = receive();
    call.roomBytes = 0;
    for (const broker of [context.broker, second]) broker.deliver(); // They have nothing at first.
    await new Promise(setImmediate);
    const asks = [context.broker, second].map((broker) => [...broker.waiting].at(-1)?.call.askRoom);
    const granted = [jest.fn(), jest.fn()];
    asks.forEach((ask, i) => expect(ask?.(10, granted[i] as () => void)).toBe(false));
    call.giveRoom(10);
    expect(granted.map(({ mock }) => mock.calls.length)).toEqual([1, 0]);
    context.broker.deliver(); // What was to be read was gone: the other one's turn.
    call.giveRoom(10);
    expect(granted.map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
    second.deliver(context.broker.delivered(index, { broker: 'broker-1' }));
    await call.untilEnd();
    expect(hear(call).messages.length).toBe(1);
  });
});
