/** QueryRoute, QueryAssignment, Heartbeat, NotifyClientTermination. */
import { MessageType } from '@cometmq/model';
import {
  AddressScheme,
  ClientType,
  Code,
  HeartbeatRequest,
  HeartbeatResponse,
  NotifyClientTerminationRequest,
  NotifyClientTerminationResponse,
  Permission,
  QueryAssignmentRequest,
  QueryAssignmentResponse,
  QueryRouteRequest,
  QueryRouteResponse,
  ReceiveMessageRequest,
  TelemetryCommand,
} from '@cometmq/proto';
import { grpcStatus } from '@cometmq/rpc';

import { defaultLimits } from '../limits.js';
import { type CallOptions, type ProxyFixture, type FakeCall, openProxy } from '../testing.js';

let context: ProxyFixture;
beforeEach(async () => {
  context = await openProxy();
  context.nameService.putTopic('orders', { readQueues: 2, writeQueues: 2 });
  context.nameService.putGroup('workers');
});
afterEach(() => context.stop());

const endpoints = { scheme: AddressScheme.IPv4, addresses: [{ host: '127.0.0.1', port: 8081 }] };

async function route(change: Record<string, unknown> = {}, options?: CallOptions): Promise<QueryRouteResponse> {
  const request = QueryRouteRequest.fromPartial({
    topic: { name: 'orders', resourceNamespace: 'ns' },
    endpoints,
    ...change,
  } as never);
  const call = context.call('QueryRoute', QueryRouteRequest.encode(request).finish(), options);
  await call.untilEnd();
  return QueryRouteResponse.decode(call.items[0] as Buffer);
}

describe('QueryRoute', () => {
  it('lists the queues of every broker set as clients need them, always in the same order', async () => {
    context.addBroker('broker-a');
    context.nameService.putSet({ name: 'broker-a', leader: undefined });
    const answer = await route();
    expect(answer.status).toEqual({ code: Code.OK, message: 'OK' });
    expect(answer.messageQueues.map(({ id, broker }) => `${broker?.name} ${id}`)).toEqual([
      'broker-0 0',
      'broker-0 1',
      'broker-a 0',
      'broker-a 1',
    ]);
    for (const queue of answer.messageQueues) {
      expect(queue).toMatchObject({
        topic: { name: 'orders', resourceNamespace: 'ns' },
        permission: Permission.READ_WRITE,
        broker: { id: 0, endpoints },
        acceptMessageTypes: [1],
      });
    }
  });

  it('gives queue 0 every permission where counts differ', async () => {
    context.nameService.putTopic('orders', { readQueues: 1, writeQueues: 3 });
    const counts = (await route()).messageQueues.map(({ permission }) => permission);
    expect(counts).toEqual([Permission.READ_WRITE, Permission.WRITE, Permission.WRITE]);
    context.nameService.putTopic('orders', { readQueues: 2, writeQueues: 2, permission: 'none' });
    expect((await route()).messageQueues.map(({ permission }) => permission)).toEqual([
      Permission.NONE,
      Permission.NONE,
    ]);
  });

  it.each([
    [MessageType.normal, [1]],
    [MessageType.fifo, [2]],
    [MessageType.delay, [3]],
    [MessageType.transaction, [4]],
    [MessageType.lite, [5]],
    [MessageType.priority, [6]],
    [MessageType.mixed, [1, 2, 3, 4]],
  ])('says what a topic of type %p takes', async (type, accepted) => {
    context.nameService.putTopic('orders', { type });
    expect((await route()).messageQueues[0]?.acceptMessageTypes).toEqual(accepted);
  });

  it.each([
    ['JAVA', '5.0.8', [1, 2, 3, 4]],
    ['JAVA', '5.1.0', [1, 2, 3, 4]],
    ['JAVA', '5.1.1', [1, 2, 3, 4, 6]],
    ['JAVA', '5.2.0', [1, 2, 3, 4, 6]],
    ['JAVA', 'unknown', [1, 2, 3, 4]],
    ['HTTP', '1.0.8', [1, 2, 3, 4, 6]],
    ['DOTNET', '5.1.0', [1, 2, 3, 4]],
  ])(
    'names all types that %s %s knows while the first message of a topic made on first use may be of any',
    async (language, version, all) => {
      const options = { language, version };
      context.nameService.putTopic('orders', { typeFixed: false });
      expect((await route({}, options)).messageQueues[0]?.acceptMessageTypes).toEqual(all);
      context.nameService.putTopic('orders', { type: MessageType.fifo, typeFixed: true });
      expect((await route({}, options)).messageQueues[0]?.acceptMessageTypes).toEqual([2]);
    },
  );

  it('says an address of its own where one is configured, with the scheme that fits', async () => {
    for (const [host, scheme] of [
      ['mq.example.org', AddressScheme.DOMAIN_NAME],
      ['10.0.0.7', AddressScheme.IPv4],
      ['fd00::7', AddressScheme.IPv6],
    ] as const) {
      await context.stop();
      context = await openProxy({ advertised: { kind: 'address', host, port: 9 } });
      context.nameService.putTopic('orders');
      const [queue] = (await route()).messageQueues;
      expect(queue?.broker?.endpoints).toEqual({ scheme, addresses: [{ host, port: 9 }] });
    }
  });

  it.each([
    ['nothing', undefined],
    ['no address', { scheme: AddressScheme.IPv4, addresses: [] }],
    ['port 0', { scheme: AddressScheme.IPv4, addresses: [{ host: 'x', port: 0 }] }],
  ])('never answers without an address, when asked with %s', async (_what, asked) => {
    const [queue] = (await route({ endpoints: asked })).messageQueues;
    expect(queue?.broker?.endpoints).toEqual(endpoints);
  });

  it.each([
    ['an unknown topic', { topic: { name: 'nobody' } }, Code.TOPIC_NOT_FOUND],
    ['an illegal topic', { topic: { name: 'a.b' } }, Code.ILLEGAL_TOPIC],
    ['a system topic', { topic: { name: 'TBW102' } }, Code.ILLEGAL_TOPIC],
    ['a long topic', { topic: { name: 'x'.repeat(128) } }, Code.ILLEGAL_TOPIC],
    ['no topic', { topic: undefined }, Code.ILLEGAL_TOPIC],
  ])('refuses %s', async (_what, change, code) => {
    const answer = await route(change);
    expect([answer.status?.code, answer.messageQueues]).toEqual([code, []]);
  });

  it('makes topics where that is allowed, and the dead-letter topic of a group that exists', async () => {
    context.nameService.createsTopics = true;
    expect((await route({ topic: { name: 'fresh' } })).status?.code).toBe(Code.OK);
    context.nameService.createsTopics = false;
    expect((await route({ topic: { name: '%DLQ%workers' } })).status?.code).toBe(Code.OK);
    expect((await route({ topic: { name: '%DLQ%nobody' } })).status?.code).toBe(Code.TOPIC_NOT_FOUND);
  });

  it('makes no more for one address than may be in a minute, and goes on with what there is', async () => {
    context.nameService.createsTopics = true;
    const codes = new Map<number | undefined, number>();
    for (let i = 0; i < defaultLimits.creationsPerAddressMax + 2; i += 1) {
      const code = (await route({ topic: { name: `fresh-${i}` } })).status?.code;
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect(codes).toEqual(
      new Map([
        [Code.OK, defaultLimits.creationsPerAddressMax],
        [Code.TOO_MANY_REQUESTS, 2],
      ]),
    );
    expect((await route({ topic: { name: 'fresh-0' } })).status?.code).toBe(Code.OK);
    context.clock.advance(60_000);
    expect((await route({ topic: { name: 'later' } })).status?.code).toBe(Code.OK);
  });

  it('makes no more than that for one address when they are asked for all at once', async () => {
    context.nameService.createsTopics = true;
    const asked = Array.from({ length: defaultLimits.creationsPerAddressMax + 2 }, (_, i) =>
      route({ topic: { name: `fresh-${i}` } }),
    );
    const codes = (await Promise.all(asked)).map(({ status }) => status?.code);
    expect(codes.filter((code) => code === Code.TOO_MANY_REQUESTS).length).toBe(2);
    expect(codes.filter((code) => code === Code.OK).length).toBe(defaultLimits.creationsPerAddressMax);
  });

  it('waits for the first broker, and answers no empty list', async () => {
    context.nameService.sets.clear();
    context.nameService.tellWhole();
    const found = route({}, { timeoutMs: 3_000 });
    await Promise.resolve();
    context.clock.advance(1_000);
    context.addBroker('broker-0');
    expect((await found).messageQueues.length).toBe(2);
    context.nameService.sets.clear();
    context.nameService.tellWhole();
    const none = route({}, { timeoutMs: 3_000 });
    for (let i = 0; i < 5; i += 1) await Promise.resolve();
    context.clock.advance(2_800);
    expect((await none).status?.code).toBe(Code.TOPIC_NOT_FOUND);
  });

  it('refuses who does not say its id', async () => {
    expect((await route({}, { clientId: '' })).status?.code).toBe(Code.CLIENT_ID_REQUIRED);
  });
});

async function assignment(change: Record<string, unknown> = {}): Promise<QueryAssignmentResponse> {
  const request = QueryAssignmentRequest.fromPartial({
    topic: { name: 'orders' },
    group: { name: 'workers' },
    endpoints,
    ...change,
  } as never);
  const call = context.call('QueryAssignment', QueryAssignmentRequest.encode(request).finish());
  await call.untilEnd();
  return QueryAssignmentResponse.decode(call.items[0] as Buffer);
}

describe('QueryAssignment', () => {
  it('gives one assignment a broker set, any queue; to orderly groups one a queue', async () => {
    context.addBroker('broker-1');
    const any = (await assignment()).assignments.map(({ messageQueue }) => messageQueue);
    expect(any.map((queue) => [queue?.broker?.name, queue?.id])).toEqual([
      ['broker-0', -1],
      ['broker-1', -1],
    ]);
    expect(any[0]).toMatchObject({
      topic: { name: 'orders' },
      permission: Permission.READ_WRITE,
      broker: { id: 0, endpoints },
    });
    context.nameService.putGroup('workers', { fifo: true });
    expect((await assignment()).assignments.map(({ messageQueue }) => messageQueue?.id)).toEqual([0, 1, 0, 1]);
  });

  it.each([
    ['an unknown topic', { topic: { name: 'nobody' } }, Code.TOPIC_NOT_FOUND],
    ['an illegal group', { group: { name: 'a b' } }, Code.ILLEGAL_CONSUMER_GROUP],
  ])('refuses %s', async (_what, change, code) => {
    expect((await assignment(change)).status?.code).toBe(code);
  });

  it('says that a topic has no readable queue, and makes groups on first use', async () => {
    expect((await assignment({ group: { name: 'fresh' } })).status?.code).toBe(Code.OK);
    context.nameService.putTopic('orders', { permission: 'write' });
    expect((await assignment()).status?.code).toBe(Code.FORBIDDEN);
  });
});

async function beat(clientType: number, group: string | undefined, options?: CallOptions): Promise<number | undefined> {
  const request = {
    group: group === undefined ? undefined : { name: group, resourceNamespace: '' },
    clientType: clientType as 1,
  };
  const call = context.call('Heartbeat', HeartbeatRequest.encode(request).finish(), options);
  await call.untilEnd();
  return call.failure ?? HeartbeatResponse.decode(call.items[0] as Buffer).status?.code;
}

describe('Heartbeat', () => {
  it('keeps clients that never sent settings, of every known type', async () => {
    for (const type of [1, 2, 3, 4, 5, 6]) expect(await beat(type, 'workers', { clientId: `c${type}` })).toBe(Code.OK);
    expect(context.messaging.sessions.size).toBe(6);
    expect(await beat(ClientType.PRODUCER, '')).toBe(Code.OK);
    expect(await beat(ClientType.PUSH_CONSUMER, undefined)).toBe(Code.OK);
  });

  it('refuses unknown types and illegal groups', async () => {
    expect(await beat(0, 'workers')).toBe(Code.UNRECOGNIZED_CLIENT_TYPE);
    expect(await beat(99, 'workers')).toBe(Code.UNRECOGNIZED_CLIENT_TYPE);
    expect(await beat(ClientType.SIMPLE_CONSUMER, 'a b')).toBe(Code.ILLEGAL_CONSUMER_GROUP);
  });

  it('fails by gRPC while the node stops, so that producers go elsewhere', async () => {
    context.messaging.drain();
    expect(await beat(1, undefined)).toBe(grpcStatus.UNAVAILABLE);
  });
});

describe('NotifyClientTermination', () => {
  it('ends polls, tells every broker, and is OK for unknownMembers', async () => {
    const second = context.addBroker('broker-1');
    await beat(ClientType.PUSH_CONSUMER, 'workers');
    const poll = context.call(
      'ReceiveMessage',
      ReceiveMessageRequest.encode(
        ReceiveMessageRequest.fromPartial({
          group: { name: 'workers' },
          messageQueue: { topic: { name: 'orders' } },
          autoRenew: true,
          longPollingTimeout: { seconds: 9 },
        }),
      ).finish(),
    );
    context.clock.advance(1);
    for (const clientId of ['client-1', 'stranger']) {
      const call = context.call(
        'NotifyClientTermination',
        NotifyClientTerminationRequest.encode({ group: undefined }).finish(),
        { clientId },
      );
      expect(NotifyClientTerminationResponse.decode(call.items[0] as Buffer).status?.code).toBe(Code.OK);
    }
    expect(poll.ended).toBe(true);
    const groupId = context.nameService.groups.get('workers')?.id;
    expect(context.broker.gone).toEqual([{ clientId: 'client-1', groupId, connection: undefined }]);
    expect(second.gone).toEqual(context.broker.gone);
    expect(context.messaging.sessions.size).toBe(0);
  });

  describe('of one of two clients with the same id', () => {
    const settings = TelemetryCommand.encode(
      TelemetryCommand.fromPartial({
        command: {
          $case: 'settings',
          value: {
            clientType: ClientType.PUSH_CONSUMER,
            pubSub: { $case: 'subscription', value: { group: { name: 'workers' }, subscriptions: [] } },
          },
        },
      } as never),
    ).finish();
    const join = async (connection: number): Promise<FakeCall[]> => {
      const stream = context.call('Telemetry', settings, { connection });
      await stream.until(1);
      const poll = context.call(
        'ReceiveMessage',
        ReceiveMessageRequest.encode(
          ReceiveMessageRequest.fromPartial({
            group: { name: 'workers' },
            messageQueue: { topic: { name: 'orders' } },
            autoRenew: true,
            longPollingTimeout: { seconds: 9 },
          }),
        ).finish(),
        { connection },
      );
      return [stream, poll];
    };
    const bye = (connection: number): FakeCall =>
      context.call('NotifyClientTermination', NotifyClientTerminationRequest.encode({ group: undefined }).finish(), {
        connection,
      });
    const gone = (): unknown[] => context.broker.gone.map(({ connection }) => connection?.split('/')[1] ?? 'all');

    it('gives up what went out on its own connection, and nothing of the other', async () => {
      const [, first] = await join(1);
      const [, second] = await join(2);
      bye(1);
      expect(gone()).toEqual(['1']);
      expect([first?.ended, second?.ended]).toEqual([true, false]);
      expect(context.messaging.sessions.size).toBe(1);
      bye(2);
      expect(gone()).toEqual(['1', 'all']);
      expect(second?.ended).toBe(true);
      expect(context.messaging.sessions.size).toBe(0);
    });

    it('keeps nothing of those that came and went, while one client stays', async () => {
      const [stays] = await join(1);
      for (let connection = 2; connection < 10; connection += 1) {
        const [stream] = await join(connection);
        bye(connection);
        stream?.cancel();
        bye(connection); // Said again, on a connection without a stream.
      }
      const session = context.messaging.sessions.get('client-1');
      expect([session?.streams.size, session?.left.size]).toEqual([1, 0]);
      const told = context.broker.gone.length;
      await join(1); // It asks for messages: it is not who said good-bye.
      stays?.cancel();
      expect(context.broker.gone.length).toBe(told);
      expect(context.messaging.sessions.get('client-1')).toBe(session);
    });

    it('ends with the last stream, where one client said it on one of its connections', async () => {
      await join(1);
      const [stream] = await join(2);
      bye(1);
      stream?.cancel();
      expect(gone()).toEqual(['1', 'all']);
    });
  });
});
