import { Envelope, MessageType, reservedPropertyNames } from '@cometmq/model';
import { Code, Message, SendMessageRequest, SendMessageResponse } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import { defaultLimits } from '../limits.js';
import { type CallOptions, type ProxyFixture, openProxy } from '../testing.js';

const message = (change: Record<string, unknown> = {}, outer: Record<string, unknown> = {}): Message =>
  Message.fromPartial({
    topic: { name: 'orders', resourceNamespace: 'ns' },
    body: Buffer.from('hello'),
    systemProperties: {
      messageId: '01AB',
      bodyEncoding: 1,
      bornHost: 'their-host',
      bornTimestamp: { seconds: 1_700_000_000, nanos: 5 },
      messageType: 1,
      ...change,
    },
    ...outer,
  } as never);

const encode = (...messages: Message[]): Uint8Array => SendMessageRequest.encode({ messages }).finish();

async function send(context: ProxyFixture, request: Uint8Array, options?: CallOptions): Promise<SendMessageResponse> {
  const call = context.call('SendMessage', request, options);
  await call.untilEnd();
  return SendMessageResponse.decode(call.items[0] as Buffer);
}

let context: ProxyFixture;
beforeEach(async () => {
  context = await openProxy();
  context.nameService.putTopic('orders');
});
afterEach(() => context.stop());

const stored = (index: number): Message => Message.decode(Buffer.concat(context.broker.sent[index]?.message ?? []));

it('passes the encoded message through byte for byte and answers id and offset', async () => {
  const sent = message({ tag: 'A', keys: ['k1', '', 'k2'], queueId: 3, deliveryAttempt: 5000 });
  const answer = await send(context, encode(sent));
  expect(answer.status).toEqual({ code: Code.OK, message: 'OK' });
  expect(answer.entries).toEqual([
    { status: { code: Code.OK, message: 'OK' }, messageId: '01AB', transactionId: '', offset: 0, recallHandle: '' },
  ]);
  const call = context.broker.sent[0];
  expect(Buffer.concat(call?.message ?? [])).toEqual(Buffer.from(Message.encode(sent).finish()));
  const envelope = new Envelope(Buffer.concat([call?.envelope ?? Buffer.alloc(0), ...(call?.message ?? [])]));
  expect([envelope.id, envelope.tag.toString(), envelope.keyCount, envelope.type]).toEqual([
    '01AB',
    'A',
    2,
    MessageType.normal,
  ]);
});

it('adds what every delivery must have and the sender left out', async () => {
  await send(context, encode(message({ bodyEncoding: 0, bornHost: '', bornTimestamp: undefined })));
  expect(stored(0).systemProperties).toMatchObject({
    messageId: '01AB',
    bodyEncoding: 1,
    bornHost: '10.1.2.3',
    bornTimestamp: { seconds: 1_700_000_000, nanos: 0 },
  });
  expect(Buffer.from(stored(0).body).toString()).toBe('hello');
  expect(stored(0).topic).toEqual({ name: 'orders', resourceNamespace: 'ns' });
});

it('takes out what only the server may say and a delivery can not undo', async () => {
  const lies = { deadLetterQueue: { topic: 'x', messageId: 'y' }, invisibleDuration: { seconds: 5, nanos: 0 } };
  await send(context, encode(message({ ...lies, tag: 'A' })));
  const system = stored(0).systemProperties;
  expect(system).toMatchObject({ tag: 'A', messageId: '01AB', bornHost: 'their-host' });
  expect([system?.deadLetterQueue, system?.invisibleDuration]).toEqual([undefined, undefined]);
});

const manyProperties = new Map(Array.from({ length: 129 }, (_, i) => [`k${i}`, 'v']));
const bigProperty = new Map([['k', 'v'.repeat(16 * 1024)]]);
it.each([
  ['no body', message({}, { body: new Uint8Array(0) }), Code.MESSAGE_BODY_EMPTY],
  [
    'a body of 4 MiB and a byte',
    message({}, { body: new Uint8Array(4 * 1024 * 1024 + 1) }),
    Code.MESSAGE_BODY_TOO_LARGE,
  ],
  ['129 user properties', message({}, { userProperties: manyProperties }), Code.MESSAGE_PROPERTIES_TOO_LARGE],
  ['properties over 16 KiB', message({}, { userProperties: bigProperty }), Code.MESSAGE_PROPERTIES_TOO_LARGE],
  ['a reserved property', message({}, { userProperties: new Map([['KEYS', 'x']]) }), Code.ILLEGAL_MESSAGE_PROPERTY_KEY],
  ['a control character', message({}, { userProperties: new Map([['k', '\n']]) }), Code.ILLEGAL_MESSAGE_PROPERTY_KEY],
  ['a tag with |', message({ tag: 'a|b' }), Code.ILLEGAL_MESSAGE_TAG],
  ['a blank tag', message({ tag: '  ' }), Code.ILLEGAL_MESSAGE_TAG],
  ['a tag of ideographic spaces', message({ tag: '\u3000' }), Code.ILLEGAL_MESSAGE_TAG],
  ['a tag with a tab', message({ tag: 'a\tb' }), Code.ILLEGAL_MESSAGE_TAG],
  ['a blank key', message({ keys: ['good', ' '] }), Code.ILLEGAL_MESSAGE_KEY],
  ['1025 keys', message({ keys: Array.from({ length: 1025 }, () => 'k') }), Code.MESSAGE_PROPERTIES_TOO_LARGE],
  ['a huge trace context', message({ traceContext: 'x'.repeat(70_000) }), Code.MESSAGE_PROPERTIES_TOO_LARGE],
  ['no message id', message({ messageId: '' }), Code.ILLEGAL_MESSAGE_ID],
  ['a blank message id', message({ messageId: ' ' }), Code.ILLEGAL_MESSAGE_ID],
  ['a long message id', message({ messageId: 'x'.repeat(256) }), Code.ILLEGAL_MESSAGE_ID],
  ['no system properties', message({}, { systemProperties: undefined }), Code.ILLEGAL_MESSAGE_ID],
  ['an unknown encoding', message({ bodyEncoding: 9 }), Code.MESSAGE_CORRUPTED],
  [
    'a delivery too far ahead',
    message({ deliveryTimestamp: { seconds: 1_700_000_001 + 40 * 86_400, nanos: 0 } }),
    Code.ILLEGAL_DELIVERY_TIME,
  ],
  ['a message group of 64 bytes', message({ messageGroup: 'g'.repeat(64) }), Code.ILLEGAL_MESSAGE_GROUP],
  ['a blank message group', message({ messageGroup: ' ' }), Code.ILLEGAL_MESSAGE_GROUP],
  ['a bad lite topic', message({ liteTopic: 'a/b' }), Code.ILLEGAL_LITE_TOPIC],
  ['a priority below 0', message({ priority: -1 }), Code.BAD_REQUEST],
  [
    'a late recovery',
    message({ messageType: 4, orphanedTransactionRecoveryDuration: { seconds: 3601, nanos: 0 } }),
    Code.BAD_REQUEST,
  ],
  ['a FIFO message', message({ messageGroup: 'g' }), Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE],
  [
    'a delayed message',
    message({ deliveryTimestamp: { seconds: 1_700_000_100, nanos: 0 } }),
    Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE,
  ],
  ['a half message', message({ messageType: 4 }), Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE],
  ['an unknown topic', message({}, { topic: { name: 'nobody' } }), Code.TOPIC_NOT_FOUND],
  ['a topic that is no name', message({}, { topic: { name: 'a b' } }), Code.ILLEGAL_TOPIC],
  ['a topic of another alphabet', message({}, { topic: { name: 'täglich' } }), Code.ILLEGAL_TOPIC],
  ['a system topic', message({}, { topic: { name: 'rmq_sys_x' } }), Code.ILLEGAL_TOPIC],
  ['the audit log', message({}, { topic: { name: 'rmq_sys_audit_log' } }), Code.ILLEGAL_TOPIC],
  ['no topic', message({}, { topic: undefined }), Code.ILLEGAL_TOPIC],
])('refuses %s', async (_what, bad, code) => {
  const answer = await send(context, encode(bad));
  expect(answer.status?.code).toBe(code);
  expect(answer.entries.map(({ status }) => status?.code)).toEqual([code]);
  expect(answer.status?.message).toMatch(/\w+ \w+/);
  expect(context.broker.sent).toEqual([]);
  expect(context.messaging.sendsInFlight).toBe(0);
});

it('refuses every reserved property name', async () => {
  for (const name of reservedPropertyNames) {
    const answer = await send(context, encode(message({}, { userProperties: new Map([[name, 'x']]) })));
    expect([name, answer.status?.code]).toEqual([name, Code.ILLEGAL_MESSAGE_PROPERTY_KEY]);
  }
});

it('gives each priority a queue of its own, as far as there are queues, and all broker sets in turn', async () => {
  context.nameService.putTopic('orders', { type: MessageType.priority });
  for (const priority of [0, 2, 3, 9]) {
    expect((await send(context, encode(message({ priority })))).status?.code).toBe(Code.OK);
  }
  expect(context.broker.sent.map(({ queueId }) => queueId)).toEqual([0, 2, 3, 3]);
  expect(context.broker.sent.map(({ envelope }) => new Envelope(Buffer.from(envelope)).priority)).toEqual([0, 2, 3, 9]);
  expect(stored(3).systemProperties?.priority).toBe(9);
});

it('refuses a negative priority, and a message without one on a topic of prioritised messages', async () => {
  context.nameService.putTopic('orders', { type: MessageType.priority });
  expect((await send(context, encode(message({ priority: -1 })))).status?.code).toBe(Code.BAD_REQUEST);
  const plain = await send(context, encode(message()));
  expect(plain.status?.code).toBe(Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE);
});

it('answers bytes that are no request, and requests without message or with two topics', async () => {
  const corrupt = await send(context, encode());
  expect(corrupt.status?.code).toBe(Code.MESSAGE_CORRUPTED);
  const garbage = await send(context, Buffer.from([0x0a, 0xff, 0x01]));
  expect(garbage.status?.code).toBe(Code.BAD_REQUEST);
  expect(context.messaging.counters.malformed).toBe(1);
  const two = await send(context, encode(message(), message({}, { topic: { name: 'other' } })));
  expect(two.status?.code).toBe(Code.MESSAGE_CORRUPTED);
  const stranger = await send(context, encode(message()), { clientId: ' ' });
  expect(stranger.status?.code).toBe(Code.CLIENT_ID_REQUIRED);
});

it('answers one entry a message, each with its own result', async () => {
  const answer = await send(
    context,
    encode(message({ messageId: 'a' }), message({ messageId: 'b', tag: '|' }), message({ messageId: 'c' })),
  );
  expect(answer.status?.code).toBe(Code.MULTIPLE_RESULTS);
  expect(answer.entries.map(({ messageId, status, offset }) => [messageId, status?.code, offset])).toEqual([
    ['a', Code.OK, 0],
    ['b', Code.ILLEGAL_MESSAGE_TAG, 0],
    ['c', Code.OK, 1],
  ]);
});

it('spreads messages evenly over brokers and queues, leaving out who takes none', async () => {
  const second = context.addBroker('broker-1');
  const third = context.addBroker('broker-2');
  context.nameService.putSet({ name: 'broker-2', writable: false });
  for (let i = 0; i < 80; i += 1) await send(context, encode(message()));
  const counts = new Map<string, number>();
  for (const broker of [context.broker, second]) {
    for (const { queueId } of broker.sent)
      counts.set(`${broker.name} ${queueId}`, (counts.get(`${broker.name} ${queueId}`) ?? 0) + 1);
  }
  expect([...counts.values()]).toEqual(Array.from({ length: 8 }, () => 10));
  expect(third.sent).toEqual([]);
});

it('says at once that the disks of all brokers are full, and waits for one that may come back', async () => {
  context.nameService.putSet({ name: 'broker-0', writable: false });
  const refused = await send(context, encode(message(), message({ messageId: '02' })));
  expect(refused.entries.map(({ status }) => status?.code)).toEqual([Code.TOO_MANY_REQUESTS, Code.TOO_MANY_REQUESTS]);
  expect(refused.entries[0]?.status?.message).toMatch(/disk is full/);
  context.nameService.putSet({ name: 'broker-1', leader: undefined });
  const waiting = send(context, encode(message()), { timeoutMs: 3_000 });
  context.nameService.putSet({ name: 'broker-0', writable: true });
  context.clock.advance(200);
  expect((await waiting).status?.code).toBe(Code.OK);
});

it('refuses a topic that may not be written to', async () => {
  context.nameService.putTopic('orders', { permission: 'read' });
  expect((await send(context, encode(message()))).status?.code).toBe(Code.FORBIDDEN);
});

it('waits for a leader, and sends with the new layout', async () => {
  context.nameService.putSet({ name: 'broker-0', leader: undefined });
  const waiting = send(context, encode(message()), { timeoutMs: 3_000 });
  context.clock.advance(200);
  expect(context.broker.sent).toEqual([]);
  context.nameService.putTopic('orders', { layout: 7 });
  context.nameService.putSet({ name: 'broker-0', epoch: 2 });
  context.clock.advance(100);
  expect((await waiting).status?.code).toBe(Code.OK);
  expect(context.broker.sent[0]?.layout).toBe(7);
});

it.each(['NOT_LEADER', 'STALE_LAYOUT', 'UNAVAILABLE'] as const)(
  'repeats a send that met %s, and answers before the deadline',
  async (code) => {
    let fails = true;
    context.broker.fault = () => (fails ? new MqError(code, 'not now') : undefined);
    const bytes = encode(message());
    const first = send(context, bytes, { timeoutMs: 3_000 });
    context.clock.advance(500);
    fails = false;
    context.clock.advance(100);
    expect((await first).status?.code).toBe(Code.OK);
    // What it says of itself is what it says where it is sent once: its id tells that it is the same message.
    await send(context, bytes, { timeoutMs: 3_000 });
    const [again, once] = context.broker.sent.map(({ envelope }) => Buffer.from(envelope));
    expect(again).toEqual(once);

    fails = true;
    const second = context.call('SendMessage', encode(message()), { timeoutMs: 3_000 });
    context.clock.advance(2_600);
    expect(second.items).toEqual([]);
    context.clock.advance(200); // 300 ms are left to the answer.
    await second.untilEnd();
    expect(SendMessageResponse.decode(second.items[0] as Buffer).status?.code).toBe(Code.PROXY_TIMEOUT);
    expect(context.messaging.sendsInFlight).toBe(0);
  },
);

it('goes to another broker when one is full, and says so when all are', async () => {
  const second = context.addBroker('broker-1');
  context.broker.fault = () => new MqError('STORAGE_FULL', 'the disk is full');
  for (let i = 0; i < 4; i += 1) expect((await send(context, encode(message()))).status?.code).toBe(Code.OK);
  expect(second.sent.length).toBe(4);
  second.fault = context.broker.fault;
  const answer = await send(context, encode(message()));
  expect(answer.status).toEqual({ code: Code.TOO_MANY_REQUESTS, message: 'the disk is full' });
});

it('fixes the type of a topic made on first use by its first message', async () => {
  context.nameService.createsTopics = true;
  expect((await send(context, encode(message({}, { topic: { name: 'fresh' } })))).status?.code).toBe(Code.OK);
  expect(context.nameService.asked).toEqual(['ensureTopic fresh', `fixTopicType fresh ${MessageType.normal}`]);
  await send(context, encode(message({}, { topic: { name: 'fresh' } })));
  expect(context.nameService.asked.length).toBe(2);
  const lite = await send(context, encode(message({ liteTopic: 'l' }, { topic: { name: 'fresh-2' } })));
  expect(lite.status?.code).toBe(Code.OK);
  expect(context.nameService.topics.get('fresh-2')).toMatchObject({ typeFixed: true, type: MessageType.lite });
});

describe('while the name service is asked for a topic of first use', () => {
  const fresh = encode(message({}, { topic: { name: 'fresh' } }));
  const sendWhile = async (asked: 'ensureTopic' | 'fixTopicType', meanwhile: () => Promise<unknown>) => {
    const { nameService } = context;
    nameService.createsTopics = true;
    const ask = nameService[asked].bind(nameService) as (...given: unknown[]) => Promise<never>;
    nameService[asked] = async (...given: unknown[]) => {
      const answer = await ask(...given);
      await meanwhile();
      return answer;
    };
    return send(context, fresh);
  };

  it.each(['ensureTopic', 'fixTopicType'] as const)(
    'it may be deleted: after %s nothing is sent to it',
    async (asked) => {
      const { nameService } = context;
      const answer = await sendWhile(asked, () => nameService.deleteTopic('fresh'));
      expect(answer.status?.code).toBe(Code.TOPIC_NOT_FOUND);
      expect(context.broker.sent.length).toBe(0);
      nameService.createsTopics = false;
      expect((await send(context, fresh)).status?.code).toBe(Code.TOPIC_NOT_FOUND);
      expect(context.broker.sent.length).toBe(0);
    },
  );

  it.each(['ensureTopic', 'fixTopicType'] as const)('it may be changed: what came before %s holds', async (asked) => {
    const { nameService } = context;
    const answer = await sendWhile(asked, async () => {
      nameService.putTopic('fresh', { typeFixed: true, layout: 7, readQueues: 1, writeQueues: 1 });
      return Promise.resolve();
    });
    expect(answer.status?.code).toBe(Code.OK);
    expect(context.broker.sent.map(({ layout, queueId }) => [layout, queueId])).toEqual([[7, 0]]);
  });
});

it('asks once for an unknown topic that many want, and believes a no for a moment', async () => {
  const request = encode(message({}, { topic: { name: 'nobody' } }));
  await Promise.all([send(context, request), send(context, request), send(context, request)]);
  await send(context, request);
  expect(context.nameService.asked).toEqual(['ensureTopic nobody']);
  context.nameService.putTopic('nobody');
  expect((await send(context, request)).status?.code).toBe(Code.OK);
});

it('bounds the sends under way by count and by bytes', async () => {
  await context.stop();
  context = await openProxy({ limits: { ...defaultLimits, sendsMax: 2, sendBytesMax: 400 } });
  context.nameService.putTopic('orders');
  context.broker.holdSends = true;
  const first = context.call('SendMessage', encode(message()));
  const large = await send(context, encode(message({}, { body: new Uint8Array(400) })));
  expect(large.status?.code).toBe(Code.TOO_MANY_REQUESTS);
  const second = context.call('SendMessage', encode(message()));
  const third = await send(context, encode(message()));
  expect(third.status?.code).toBe(Code.TOO_MANY_REQUESTS);
  expect(context.messaging.counters.throttled.sends).toBe(2);
  for (const answer of context.broker.held.splice(0)) answer();
  await Promise.all([first.untilEnd(), second.untilEnd()]);
  context.broker.holdSends = false;
  expect((await send(context, encode(message()))).status?.code).toBe(Code.OK);
});

it('finishes the sends under way when it stops', async () => {
  context.broker.holdSends = true;
  const call = context.call('SendMessage', encode(message()));
  const stopping = context.messaging.stop();
  context.broker.held[0]?.();
  context.clock.advance(20);
  await stopping;
  expect(SendMessageResponse.decode(call.items[0] as Buffer).status?.code).toBe(Code.OK);
});

it('sends nothing to a set that is draining or gone, led or not', async () => {
  const others = (['draining', 'gone'] as const).map((stage, at) => {
    const broker = context.addBroker(`broker-${at + 1}`);
    context.nameService.putSet({ name: broker.name, stage, writable: false, leader: undefined });
    context.nameService.putSet({ name: broker.name, stage, writable: stage !== 'draining' });
    return broker;
  });
  for (let i = 0; i < 20; i += 1) await send(context, encode(message()));
  expect([context.broker.sent.length, others.map(({ sent }) => sent.length)]).toEqual([20, [0, 0]]);
});

it('sends to a set that is joining, but no message of a message group', async () => {
  const joining = context.addBroker('broker-1');
  context.nameService.putSet({ name: 'broker-1', stage: 'joining' });
  for (let i = 0; i < 20; i += 1) await send(context, encode(message()));
  expect([context.broker.sent.length, joining.sent.length]).toEqual([10, 10]);
  const ofGroup = (group: string): Uint8Array =>
    encode(message({ messageGroup: group, messageType: 2 }, { topic: { name: 'ordered', resourceNamespace: '' } }));
  await context.nameService.createTopic({ name: 'ordered', type: MessageType.fifo });
  for (let i = 0; i < 20; i += 1) await send(context, ofGroup(`g${i}`));
  expect([context.broker.sent.length, joining.sent.length]).toEqual([30, 10]);
  context.nameService.putSet({ name: 'broker-1', stage: 'serving' });
  for (let i = 0; i < 20; i += 1) await send(context, ofGroup(`g${i}`));
  expect(joining.sent.length).toBeGreaterThan(12);
});
