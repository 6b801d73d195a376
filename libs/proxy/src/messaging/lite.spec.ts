import { Envelope, liteGroupDefaults, MessageType, type ConsumerGroup } from '@cometmq/model';
import {
  ClientType,
  Code,
  NotifyClientTerminationRequest,
  SendMessageRequest,
  SendMessageResponse,
  SyncLiteSubscriptionRequest,
  SyncLiteSubscriptionResponse,
  TelemetryCommand,
} from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import { type ProxyFixture, openProxy } from '../testing.js';

let context: ProxyFixture;
let group: ConsumerGroup;
beforeEach(async () => {
  context = await openProxy();
  context.nameService.putTopic('sessions', { type: MessageType.lite });
  context.nameService.putTopic('orders');
  group = context.nameService.putGroup('agents', {
    lite: { ...liteGroupDefaults, topic: 'sessions' as never, clientQuota: 77 },
  });
  context.nameService.putGroup('workers');
});
afterEach(() => context.stop());

async function sync(
  request: Record<string, unknown>,
): Promise<{ code: number | undefined; message: string | undefined }> {
  const bytes = SyncLiteSubscriptionRequest.encode(
    SyncLiteSubscriptionRequest.fromPartial({
      action: 0,
      topic: { name: 'sessions' },
      group: { name: 'agents' },
      liteTopicSet: ['a'],
      ...request,
    } as never),
  ).finish();
  const call = context.call('SyncLiteSubscription', bytes);
  await call.untilEnd();
  const { status } = SyncLiteSubscriptionResponse.decode(call.items[0] as Buffer);
  return { code: status?.code, message: status?.message };
}

async function settings(clientType: number, groupName: string, topic: string) {
  const value = {
    clientType,
    pubSub: {
      $case: 'subscription',
      value: {
        group: { name: groupName },
        subscriptions: [{ topic: { name: topic }, expression: { expression: '*' } }],
      },
    },
  };
  const command = TelemetryCommand.fromPartial({ command: { $case: 'settings', value } } as never);
  const call = context.call('Telemetry', TelemetryCommand.encode(command).finish());
  await call.until(1);
  const { status, command: said } = TelemetryCommand.decode(call.items[0] as Buffer);
  const answer =
    said?.$case === 'settings' && said.value.pubSub?.$case === 'subscription' ? said.value.pubSub.value : undefined;
  return { call, code: status?.code, answer };
}

describe('SyncLiteSubscription', () => {
  it.each([
    [
      { action: 0, liteTopicSet: ['a', 'b'] },
      { action: 'add', liteTopics: ['a', 'b'] },
    ],
    [{ action: 1 }, { action: 'remove', liteTopics: ['a'] }],
    [
      { action: 2, liteTopicSet: [] },
      { action: 'setAll', liteTopics: [] },
    ],
    [
      { action: 3, liteTopicSet: [] },
      { action: 'removeAll', liteTopics: [] },
    ],
    [{ offsetOption: { offsetType: { $case: 'policy', value: 1 } } }, { start: { at: 'first' } }],
    [{ offsetOption: { offsetType: { $case: 'policy', value: 2 } } }, { start: { at: 'end' } }],
    [{ offsetOption: { offsetType: { $case: 'offset', value: 7 } } }, { start: { at: 'offset', value: 7 } }],
    [{ offsetOption: { offsetType: { $case: 'tailN', value: 3 } } }, { start: { at: 'tail', value: 3 } }],
    [{ offsetOption: { offsetType: { $case: 'timestamp', value: 99 } } }, { start: { at: 'time', value: 99 } }],
  ])('%j is told to the brokers', async (request, told) => {
    expect((await sync(request)).code).toBe(Code.OK);
    expect(context.broker.liteSyncs[0]).toMatchObject({ groupId: group.id, ...told });
  });

  it.each([
    ['a bad name', { liteTopicSet: ['a/b'] }, Code.ILLEGAL_LITE_TOPIC],
    ['a long name', { liteTopicSet: ['x'.repeat(65)] }, Code.ILLEGAL_LITE_TOPIC],
    ['another topic', { topic: { name: 'orders' } }, Code.ILLEGAL_TOPIC],
    ['a group that is bound to none', { group: { name: 'workers' } }, Code.ILLEGAL_CONSUMER_GROUP],
    ['a negative offset', { offsetOption: { offsetType: { $case: 'offset', value: -1 } } }, Code.BAD_REQUEST],
    ['an unknown action', { action: 9 }, Code.BAD_REQUEST],
  ])('%s is refused', async (_what, request, code) => {
    expect((await sync(request)).code).toBe(code);
    expect(context.broker.liteSyncs).toEqual([]);
  });

  it('answers the quota that a broker names', async () => {
    context.broker.fault = () => new MqError('LITE_SUBSCRIPTION_QUOTA_EXCEEDED', 'at most 5');
    expect(await sync({})).toEqual({ code: Code.LITE_SUBSCRIPTION_QUOTA_EXCEEDED, message: 'at most 5' });
  });

  it('is repeated to a broker set that has a new leader, without what the client was told to forget', async () => {
    await sync({ action: 2, liteTopicSet: ['a', 'b', 'c'] });
    await sync({ action: 1, liteTopicSet: ['b'] });
    await settings(ClientType.LITE_PUSH_CONSUMER, 'agents', 'sessions');
    const { clientId } = context.broker.liteSyncs[0]!;
    for (const tell of context.broker.tell.values()) {
      tell({
        kind: 'unsubscribeLite',
        clientId,
        topicId: context.nameService.topics.get('sessions')!.id,
        liteTopic: 'c',
      });
    }
    context.broker.liteSyncs.length = 0;
    context.nameService.putSet({ name: 'broker-0', epoch: 2 });
    expect(context.broker.liteSyncs.map(({ action, liteTopics }) => [action, liteTopics])).toEqual([['setAll', ['a']]]);
  });
});

describe('a lite consumer', () => {
  it.each([ClientType.LITE_PUSH_CONSUMER, ClientType.LITE_SIMPLE_CONSUMER])(
    'of type %i gets its quota, the longest name, and order',
    async (type) => {
      const { code, answer } = await settings(type, 'agents', 'sessions');
      expect(code).toBe(Code.OK);
      expect(answer).toMatchObject({ liteSubscriptionQuota: 77, maxLiteTopicSize: 64, fifo: true });
    },
  );

  it.each([
    ['an ordinary group', ClientType.LITE_PUSH_CONSUMER, 'workers', 'sessions', Code.ILLEGAL_CONSUMER_GROUP],
    ['another topic', ClientType.LITE_SIMPLE_CONSUMER, 'agents', 'orders', Code.ILLEGAL_TOPIC],
    ['a lite group, but ordinary itself', ClientType.PUSH_CONSUMER, 'agents', 'sessions', Code.ILLEGAL_CONSUMER_GROUP],
  ])('with %s is refused', async (_what, type, groupName, topic, wanted) => {
    const { code, call } = await settings(type, groupName, topic);
    expect([code, call.ended]).toEqual([wanted, true]);
  });

  it('is told when it loses a lite topic', async () => {
    const { call } = await settings(ClientType.LITE_PUSH_CONSUMER, 'agents', 'sessions');
    const topicId = context.nameService.topics.get('sessions')!.id;
    await sync({});
    const { clientId } = context.broker.liteSyncs[0]!;
    for (const tell of context.broker.tell.values())
      tell({ kind: 'unsubscribeLite', clientId, topicId, liteTopic: 'a' });
    await call.until(2);
    const { command } = TelemetryCommand.decode(call.items[1] as Buffer);
    expect(command).toEqual({ $case: 'notifyUnsubscribeLiteCommand', value: { liteTopic: 'a' } });
  });
});

describe('a message of a lite topic', () => {
  const send = async (liteTopic: string): Promise<number | undefined> => {
    const systemProperties = { messageId: '01AB', bodyEncoding: 1, messageType: 5, liteTopic };
    const request = SendMessageRequest.fromPartial({
      messages: [{ topic: { name: 'sessions' }, body: Buffer.from('x'), systemProperties }],
    } as never);
    const call = context.call('SendMessage', SendMessageRequest.encode(request).finish());
    await call.untilEnd();
    return SendMessageResponse.decode(call.items[0] as Buffer).status?.code;
  };

  it('goes to the broker set of its lite topic, with its name', async () => {
    const second = context.addBroker('broker-1');
    for (let i = 0; i < 40; i += 1) expect(await send(`s${i % 10}`)).toBe(Code.OK);
    const namesOf = (broker: typeof context.broker) =>
      new Set(broker.sent.map(({ envelope }) => new Envelope(Buffer.from(envelope)).liteTopic));
    expect(context.broker.sent.length + second.sent.length).toBe(40);
    const [one, two] = [namesOf(context.broker), namesOf(second)];
    expect(one.size + two.size).toBe(10); // None on both.
    expect(Math.min(one.size, two.size)).toBeGreaterThan(0);
  });
});

it('forgets who said good-bye while brokers were told of its subscriptions', async () => {
  const told = context.broker.syncLite.bind(context.broker);
  context.broker.syncLite = (call, done) => {
    context.call('NotifyClientTermination', NotifyClientTerminationRequest.encode({ group: undefined }).finish());
    told(call, done);
  };
  expect((await sync({})).code).toBe(Code.OK);
  expect(context.takeOver('broker-0').liteSyncs).toEqual([]);
  expect((await sync({})).code).toBe(Code.OK);
  expect(context.takeOver('broker-0').liteSyncs.length).toBe(1); // The same without a good-bye.
});
