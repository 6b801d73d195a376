import { type ClientCommand, Directory } from '@cometmq/client';
import { type RetryPolicy, defaultRetryPolicy } from '@cometmq/model';
import { ClientType, Code, Message, SendMessageRequest, type Settings, TelemetryCommand } from '@cometmq/proto';

import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { defaultLimits } from '../limits.js';
import { type CallOptions, type ProxyFixture, type FakeCall, openProxy } from '../testing.js';
import { strategyFor } from './settings.js';

let context: ProxyFixture;
beforeEach(async () => {
  context = await openProxy();
  context.nameService.putTopic('orders');
  context.nameService.putGroup('workers');
});
afterEach(() => context.stop());

const command = (settings: Record<string, unknown>): Uint8Array =>
  TelemetryCommand.encode(
    TelemetryCommand.fromPartial({ command: { $case: 'settings', value: settings } } as never),
  ).finish();

const producer = (topics: string[]): Record<string, unknown> => ({
  clientType: ClientType.PRODUCER,
  accessPoint: { scheme: 1, addresses: [{ host: '127.0.0.1', port: 8081 }] },
  requestTimeout: { seconds: 3 },
  userAgent: { language: 1, version: '5.0.8', platform: 'p', hostname: 'h' },
  backoffPolicy: { maxAttempts: 9 },
  pubSub: {
    $case: 'publishing',
    value: { topics: topics.map((name) => ({ name, resourceNamespace: 'ns' })), validateMessageType: false },
  },
});

const consumer = (
  change: Record<string, unknown> = {},
  clientType: number = ClientType.PUSH_CONSUMER,
): Record<string, unknown> => ({
  clientType,
  pubSub: {
    $case: 'subscription',
    value: {
      group: { name: 'workers', resourceNamespace: 'ns' },
      subscriptions: [{ topic: { name: 'orders' }, expression: { type: 1, expression: 'A' } }],
      ...change,
    },
  },
});

async function open(settings: Record<string, unknown>, options?: CallOptions): Promise<FakeCall> {
  const call = context.call('Telemetry', command(settings), options);
  await call.until(1);
  return call;
}

function heard(call: FakeCall, index = 0): { code: number | undefined; settings: Settings | undefined } {
  const { status, command: said } = TelemetryCommand.decode(call.items[index] as Buffer);
  return { code: status?.code, settings: said?.$case === 'settings' ? said.value : undefined };
}

it('completes the settings of a producer', async () => {
  const call = await open(producer(['orders']));
  expect(heard(call)).toMatchObject({
    code: Code.OK,
    settings: {
      clientType: ClientType.PRODUCER,
      accessPoint: { addresses: [{ host: '127.0.0.1', port: 8081 }] },
      requestTimeout: { seconds: 3 },
      userAgent: { hostname: 'h' },
      backoffPolicy: {
        maxAttempts: 3,
        strategy: {
          $case: 'exponentialBackoff',
          value: { initial: { seconds: 0, nanos: 10_000_000 }, max: { seconds: 1, nanos: 0 }, multiplier: 2 },
        },
      },
      pubSub: {
        $case: 'publishing',
        value: {
          maxBodySize: 4_194_304,
          validateMessageType: true,
          topics: [{ name: 'orders', resourceNamespace: 'ns' }],
        },
      },
      metric: { on: false },
    },
  });
  expect(call.ended).toBe(false);
  expect(context.messaging.sessions.get('client-1')?.publishes).toEqual(['orders']);
});

it('answers a producer without topics, and topics that do not exist', async () => {
  expect(heard(await open(producer([]))).code).toBe(Code.OK);
  expect(heard(await open(producer(['nobody']))).code).toBe(Code.OK);
});

it('completes the settings of a consumer with every field that some client needs', async () => {
  const call = await open(consumer());
  expect(heard(call)).toMatchObject({
    code: Code.OK,
    settings: {
      backoffPolicy: { maxAttempts: 17, strategy: { $case: 'customizedBackoff' } },
      pubSub: {
        $case: 'subscription',
        value: {
          group: { name: 'workers', resourceNamespace: 'ns' },
          subscriptions: [{ topic: { name: 'orders' }, expression: { type: 1, expression: 'A' } }],
          fifo: false,
          receiveBatchSize: 32,
          longPollingTimeout: { seconds: 20, nanos: 0 },
          liteSubscriptionQuota: 2000,
          maxLiteTopicSize: 64,
        },
      },
      metric: { on: false },
    },
  });
});

it.each([
  ['JAVA', 'customized', 'customizedBackoff'],
  ['JAVA', 'exponential', 'exponentialBackoff'],
  ['HTTP', 'customized', 'exponentialBackoff'],
  ['HTTP', 'exponential', 'exponentialBackoff'],
  ['PYTHON', 'exponential', 'customizedBackoff'],
  ['CPP', 'exponential', 'customizedBackoff'],
  ['CPP', 'customized', 'customizedBackoff'],
] as const)('gives %s a back-off that it knows when the group has a %s one', (language, kind, strategy) => {
  const policy: RetryPolicy =
    kind === 'customized' ? defaultRetryPolicy : { kind, initialMs: 1_500, maxMs: 20_000, multiplier: 2 };
  const made = strategyFor(language, policy, 17);
  expect(made?.$case).toBe(strategy);
  if (made?.$case === 'customizedBackoff' && kind === 'exponential') {
    expect(made.value.next.map(({ seconds, nanos }) => [seconds, nanos])).toEqual([
      [2, 0],
      [3, 0],
      [6, 0],
      [12, 0],
      [20, 0],
    ]);
  }
  if (made?.$case === 'exponentialBackoff' && kind === 'customized') expect(made.value.max?.seconds).toBe(7200);
});

it('tells consumers when the settings of their group change, and nobody else', async () => {
  const [member, cpp, stranger] = [
    await open(consumer(), { clientId: 'm' }),
    await open(consumer(), { clientId: 'cpp', language: 'CPP' }),
    await open(consumer({ group: { name: 'others' } }), { clientId: 's' }),
  ];
  const change = { attemptsMax: 5, retryPolicy: { kind: 'customized', nextMs: [2_000] } } as const;
  context.nameService.putGroup('workers', change);
  context.nameService.putGroup('workers', { ...change, pausedUntilMs: 5 }); // Nothing that a client is told.
  await member.until(2);
  expect(heard(member, 1)).toMatchObject({
    code: Code.OK,
    settings: {
      backoffPolicy: { maxAttempts: 5, strategy: { $case: 'customizedBackoff', value: { next: [{ seconds: 2 }] } } },
      pubSub: { value: { subscriptions: [{ topic: { name: 'orders' } }] } },
    },
  });
  expect([member.items.length, cpp.items.length, stranger.items.length]).toEqual([2, 1, 1]);
});

it.each([
  ['neither publishing nor subscription', { clientType: 1 }, Code.BAD_REQUEST],
  ['an illegal group', consumer({ group: { name: 'a b' } }), Code.ILLEGAL_CONSUMER_GROUP],
])('rejects %s with only a status, and ends the stream', async (_what, settings, code) => {
  const call = await open(settings);
  expect(heard(call)).toEqual({ code, settings: undefined });
  expect([call.ended, call.failure]).toEqual([true, undefined]);
});

it('leaves a topic with an illegal name out, and keeps the stream', async () => {
  const sender = await open(producer(['a b', 'orders', '']), { clientId: 'sender' });
  expect(heard(sender)).toMatchObject({ code: Code.OK, settings: { pubSub: { value: { maxBodySize: 4_194_304 } } } });
  expect(context.messaging.sessions.get('sender')?.publishes).toEqual(['orders']);
  const subscriptions = [{ topic: { name: '' } }, { topic: { name: 'orders' } }, { topic: { name: 'TBW102' } }];
  const reader = await open(consumer({ subscriptions }));
  expect(heard(reader).code).toBe(Code.OK);
  expect([...(context.messaging.sessions.get('client-1')?.groups.get('workers')?.keys() ?? [])]).toEqual(['orders']);
  expect([sender.ended, reader.ended]).toEqual([false, false]);
});

// Go says its settings once for each send that is under way.
it('answers settings that are said hundreds of times at once, each of them, and never ends the stream', async () => {
  const call = context.call('Telemetry', new Uint8Array(0));
  for (let i = 0; i < 300; i += 1) call.say(command(producer([`topic-${i}`])));
  expect(call.heldBack).toBeGreaterThan(0); // It is read as fast as it is answered.
  await call.until(300);
  for (let i = 0; i < 300; i += 1) expect(heard(call, i).code).toBe(Code.OK);
  expect([call.items.length, call.heldBack, call.ended]).toEqual([300, 0, false]);
});

it('tells Node.js its settings again for half a minute, as it may not have listened yet; nobody else', async () => {
  const node = await open(producer(['orders']), { language: 'HTTP' });
  const java = await open(producer(['orders']), { clientId: 'java' });
  const gone = await open(producer(['orders']), { clientId: 'gone', language: 'HTTP' });
  gone.cancel();
  const counts: number[] = [];
  for (const ms of [99, 1, 200, 700, 2_000, 7_000, 20_000, 300_000]) {
    context.clock.advance(ms);
    counts.push(node.items.length);
  }
  expect(counts).toEqual([1, 2, 3, 4, 5, 6, 7, 7]);
  for (let i = 1; i < 7; i += 1) expect(node.items[i]).toEqual(node.items[0]);
  expect([java.items.length, gone.items.length]).toEqual([1, 1]);
});

it.each([
  ['HTTP', 8, 'NODE_JS'], // The header of the official Node.js client names a protocol.
  ['HTTP', undefined, 'HTTP'],
  ['JAVA', 1, 'JAVA'],
])('tells brokers the language of a client: header %s, in its settings %s', async (header, language, told) => {
  await open({ ...producer(['orders']), userAgent: { language } }, { language: header });
  context.clock.advance(2_000);
  expect(context.broker.reports.at(-1)?.producers).toMatchObject([{ language: told }]);
});

it('waits for a name service that gives no answer', async () => {
  const ensureGroup = context.nameService.ensureGroup.bind(context.nameService);
  let tries = 0;
  context.nameService.ensureGroup = (name) => {
    tries += 1;
    return tries <= 3 ? Promise.reject(new MqError('TIMEOUT', 'no answer')) : ensureGroup(name);
  };
  const call = context.call('Telemetry', command(consumer({ group: { name: 'fresh' } })));
  const answered = call.until(1);
  while (tries < 4) {
    await new Promise(setImmediate);
    context.clock.advance(500);
  }
  await answered;
  expect(heard(call).code).toBe(Code.OK);
  expect(call.ended).toBe(false);
});

it('reads no more from who does not read the answers, and leaves commands to it out', async () => {
  const call = context.call('Telemetry', command(consumer()), { room: 1 });
  await call.until(1);
  await new Promise(setImmediate);
  for (let i = 0; i < 5; i += 1) call.say(command(consumer()));
  await new Promise(setImmediate);
  expect([call.items.length, call.heldBack]).toEqual([1, 5]);
  const [tell] = [...context.broker.tell.values()];
  tell?.({ clientId: 'client-1', kind: 'printStack', nonce: 'n1' });
  context.nameService.putGroup('workers', { attemptsMax: 5 });
  expect(call.items.length).toBe(1);
  call.read(Infinity);
  await call.until(6);
  expect([call.items.length, call.heldBack, call.ended]).toEqual([6, 0, false]);
  expect(heard(call, 5).settings?.backoffPolicy?.maxAttempts).toBe(5);
});

describe('what clients say of themselves', () => {
  const long = 'x'.repeat(100);
  const many = (count: number, change: Record<string, unknown>): Record<string, unknown>[] =>
    Array.from({ length: count }, (_, i) => ({ topic: { name: `${long}-${i}` }, ...change }));

  it('is kept up to a size for each of them and for all, and forgotten with them', async () => {
    const [sessionBytesMax, sessionsBytesMax] = [20_000, 500_000];
    await context.stop();
    context = await openProxy({ limits: { ...defaultLimits, sessionBytesMax, sessionsBytesMax } });
    const { sessions } = context.messaging;
    const expression = { type: 1, expression: 'A'.repeat(1_000) };
    const clients = Math.ceil(sessionsBytesMax / sessionBytesMax) + 20;
    for (let i = 0; i < clients; i += 1) {
      const call = await open(consumer({ subscriptions: many(40, { expression }) }), { clientId: `c${i}` });
      expect([heard(call).code, call.ended]).toEqual([Code.OK, false]);
      call.cancel();
      expect(sessions.get(`c${i}`)?.keptBytes).toBeLessThanOrEqual(sessionBytesMax);
    }
    expect(sessions.keptBytes).toBeGreaterThan(sessionsBytesMax / 2);
    expect(sessions.keptBytes).toBeLessThanOrEqual(sessionsBytesMax);
    expect(sessions.leftOut).toBeGreaterThan(0);
    context.clock.advance(130_000);
    expect([sessions.size, sessions.keptBytes]).toEqual([0, 0]);
  });

  it('is read to the end only as far as it is kept: a hundred thousand subscriptions cost nothing', async () => {
    const checked = jest.spyOn(Directory.prototype, 'topic');
    const call = await open(consumer({ subscriptions: many(7_000, {}) }));
    expect(heard(call).code).toBe(Code.OK);
    expect(checked.mock.calls.length).toBeLessThan(6_000);
    checked.mockRestore();
    const more = await open(consumer({ subscriptions: many(100_000, {}) }));
    expect(heard(more).code).toBe(Code.BAD_REQUEST); // More fields than a request may have.
  });

  it('is kept to be told again as far as there is room for all streams', async () => {
    const bytes = command(consumer({ subscriptions: many(2_000, {}) })).length;
    const streams = Math.ceil(defaultLimits.settingsBytesMax / 3 / bytes) + 5;
    const calls: FakeCall[] = [];
    for (let i = 0; i < streams; i += 1) {
      calls.push(await open(consumer({ subscriptions: many(2_000, {}) }), { clientId: `c${i}` }));
    }
    context.nameService.putGroup('workers', { attemptsMax: 5 });
    const told = (): number => calls.filter(({ items }) => items.length === 2).length;
    expect(told()).toBe(streams - 5 - 1);
    for (const call of calls) call.cancel();
    const fresh = await open(consumer());
    context.nameService.putGroup('workers', { attemptsMax: 6 });
    expect(fresh.items.length).toBe(2); // What was kept for the others is free again.
  });

  it('keeps labels as far as the official clients allow themselves', async () => {
    const labels = new Map(Array.from({ length: 5_000 }, (_, i) => [`k${i}`, 'v']));
    labels.set('k0', 'v'.repeat(10_000));
    await open({ ...consumer(), clientProperties: labels });
    expect([...(context.messaging.sessions.get('client-1')?.properties.keys() ?? [])]).toEqual(
      Array.from({ length: 32 }, (_, i) => `k${i + 1}`),
    );
  });

  it('is only its own user’s, though it began after the other’s request came', () => {
    const { sessions } = context.messaging;
    sessions.touch('client-1', 'ann', 0, true); // There is none yet.
    const own = sessions.open('client-1', 'bob');
    expect(sessions.open('client-1', 'bob')).toBe(own);
    for (const act of [() => sessions.open('client-1', 'ann'), () => sessions.touch('client-1', 'ann', 0, true)]) {
      expect(act).toThrow('another user has a client with this id');
    }
  });

  it.each(seeds(10))('is counted exactly, whatever it says after what (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const number = (below: number): number => Math.floor(chance.next() * below);
    const { sessions } = context.messaging;
    for (let i = 0; i < 300; i += 1) {
      const session = sessions.open(`c${number(3)}`, '');
      const names = Array.from({ length: number(5) }, () => `t${number(8)}`);
      const filter = { type: 'tag', expression: 'A'.repeat(number(4)) } as const;
      const acts = [
        () => sessions.publish(session, names),
        () => sessions.subscribeAll(session, `g${number(2)}`, new Map(names.map((name) => [name, filter]))),
        () => sessions.subscribe(session, `g${number(2)}`, `t${number(8)}`, filter),
        () => sessions.transacted(session.clientId, `t${number(8)}`),
        () => sessions.label(session, new Map(names.map((name) => [name, 'v']))),
        () => sessions.remove(session.clientId),
      ];
      acts[number(acts.length)]?.();
    }
    const kept = [...sessions.all()].reduce((sum, { keptBytes }) => sum + keptBytes, 0);
    expect(sessions.keptBytes).toBe(kept);
    for (const session of [...sessions.all()]) {
      sessions.publish(session, []);
      sessions.label(session, new Map());
      for (const group of session.groups.keys()) sessions.subscribeAll(session, group, new Map());
      const names = [...session.groups.keys(), ...session.transacts];
      expect(session.keptBytes).toBe(names.reduce((sum, { length }) => sum + length + 64, 0));
      sessions.remove(session.clientId);
    }
    expect(sessions.keptBytes).toBe(0);
  });
});

it('leaves a subscription with a wrong filter out: the receive that carries it is refused, in words that clients show', async () => {
  context.nameService.putTopic('payments');
  const subscriptions = [
    { topic: { name: 'orders' }, expression: { type: 2, expression: 'a = ' } },
    { topic: { name: 'payments' }, expression: { type: 2, expression: 'a = 1' } },
  ];
  const call = await open(consumer({ subscriptions }));
  expect(heard(call).code).toBe(Code.OK);
  expect(call.ended).toBe(false);
  context.clock.advance(20);
  expect(context.broker.reports.at(-1)?.sessions[0]?.subscriptions).toEqual([
    { topicId: context.nameService.topics.get('payments')?.id, filter: { type: 'sql', expression: 'a = 1' } },
  ]);
});

it('rejects unknownMembers, garbage, and unknown groups where none are made', async () => {
  expect(heard(await open(producer([]), { clientId: '' })).code).toBe(Code.CLIENT_ID_REQUIRED);
  const garbage = context.call('Telemetry', Buffer.from([0x12, 0x7f]));
  expect(heard(garbage)).toEqual({ code: Code.BAD_REQUEST, settings: undefined });
  context.nameService.createsGroups = false;
  expect(heard(await open(consumer({ group: { name: 'strange' } }))).code).toBe(Code.CONSUMER_GROUP_NOT_FOUND);
});

it('skips commands that it does not know, and answers each settings command in order', async () => {
  const call = context.call('Telemetry', new Uint8Array(0));
  call.say(
    TelemetryCommand.encode(
      TelemetryCommand.fromPartial({ command: { $case: 'verifyMessageResult', value: { nonce: 'n' } } }),
    ).finish(),
  );
  call.say(command(consumer({ group: { name: 'fresh' } })));
  call.say(command(producer(['orders'])));
  await call.until(2);
  expect(call.items.length).toBe(2);
  expect(heard(call, 0).settings?.pubSub?.$case).toBe('subscription');
  expect(heard(call, 1).settings?.pubSub?.$case).toBe('publishing');
  expect(call.ended).toBe(false);
});

it('keeps the session when the stream ends, and the newest of two streams', async () => {
  const first = await open(consumer());
  const second = await open(consumer());
  const session = context.messaging.sessions.get('client-1');
  const newest = session?.stream;
  first.hangUp();
  expect(first.ended).toBe(true);
  expect(session?.stream).toBe(newest);
  second.cancel();
  expect(session?.stream).toBeUndefined();
  expect(context.messaging.sessions.get('client-1')).toBe(session);
});

it('ends its streams when the context closes', async () => {
  const call = await open(consumer());
  context.messaging.drain();
  expect(call.ended).toBe(true);
});

describe('sessions', () => {
  const reported = (): unknown =>
    context.broker.reports
      .at(-1)
      ?.sessions.map(({ clientId, groupId, subscriptions }) => ({ clientId, groupId, subscriptions }));

  it('are reported to every broker soon after a change, and every few seconds', async () => {
    const second = context.addBroker('broker-1');
    await open(consumer());
    context.clock.advance(20);
    const orders = context.nameService.topics.get('orders')?.id;
    const workers = context.nameService.groups.get('workers')?.id;
    expect(reported()).toEqual([
      {
        clientId: 'client-1',
        groupId: workers,
        subscriptions: [{ topicId: orders, filter: { type: 'tag', expression: 'A' } }],
      },
    ]);
    expect(second.reports.at(-1)).toEqual(context.broker.reports.at(-1));
    const count = context.broker.reports.length;
    context.clock.advance(5_000);
    expect(context.broker.reports.length).toBe(count + 1);
    await open(consumer()); // Nothing new.
    context.clock.advance(100);
    expect(context.broker.reports.length).toBe(count + 1);
    await open(consumer({ subscriptions: [] }));
    context.clock.advance(100);
    expect(reported()).toEqual([{ clientId: 'client-1', groupId: workers, subscriptions: [] }]);
  });

  it('hold no client type that nobody knows: brokers are told numbers from 0 on', async () => {
    const call = await open(consumer());
    call.say(command({ ...producer(['orders']), clientType: -1 }));
    await call.until(2);
    context.clock.advance(5_000);
    expect(context.broker.reports.at(-1)?.sessions.map(({ clientType }) => clientType)).toEqual([
      ClientType.PUSH_CONSUMER,
    ]);
  });

  it('end 120 s after the last request of any kind', async () => {
    await open(consumer());
    context.clock.advance(119_000);
    context.call('SendMessage', new Uint8Array(0)); // Refused, and a sign of life.
    context.clock.advance(119_000);
    expect(context.messaging.sessions.size).toBe(1);
    context.clock.advance(7_000);
    expect(context.messaging.sessions.size).toBe(0);
    expect(reported()).toEqual([]);
  });
});

describe('commands of a broker', () => {
  const tell = (): ((command: ClientCommand) => void) => [...context.broker.tell.values()][0] ?? (() => undefined);
  const said = (call: FakeCall): TelemetryCommand => TelemetryCommand.decode(call.items.at(-1) as Buffer);

  it('go to the newest stream of the client, and its answers to the brokers', async () => {
    const call = await open(consumer());
    tell()({ clientId: 'client-1', kind: 'printStack', nonce: 'n1' });
    expect(said(call).command).toEqual({ $case: 'printThreadStackTraceCommand', value: { nonce: 'n1' } });
    const answer = { $case: 'threadStackTrace' as const, value: { nonce: 'n1', threadStackTrace: 'main: running' } };
    call.say(TelemetryCommand.encode({ status: { code: Code.OK, message: 'fine' }, command: answer }).finish());
    expect(context.broker.commandAnswers).toEqual([
      { nonce: 'n1', code: Code.OK, message: 'fine', text: 'main: running' },
    ]);
  });

  it('to verify a message carry it as whole as a delivery', async () => {
    const message = Message.fromPartial({
      topic: { name: 'orders' },
      body: Buffer.from('body'),
      systemProperties: { messageId: 'm1' },
    });
    await context.call('SendMessage', SendMessageRequest.encode({ messages: [message] }).finish()).until(1);
    const call = await open(consumer());
    tell()({ clientId: 'client-1', kind: 'verify', nonce: 'n2', message: context.broker.delivered(0) });
    const { command } = said(call);
    if (command?.$case !== 'verifyMessageCommand') throw new Error('another command was said');
    const heardMessage = command.value.message;
    expect(Buffer.from(heardMessage?.body ?? []).toString()).toBe('body');
    expect(heardMessage?.systemProperties).toMatchObject({ messageId: 'm1', deliveryAttempt: 1 });
    expect(heardMessage?.systemProperties?.bodyDigest?.checksum).toMatch(/^[0-9A-F]{32}$/);
    // As the official Node.js client answers.
    const odd = { $case: 'verifyMessageCommand' as const, value: { nonce: 'n2', message: undefined } };
    call.say(TelemetryCommand.encode({ status: { code: Code.OK, message: '' }, command: odd }).finish());
    expect(context.broker.commandAnswers.map(({ nonce }) => nonce)).toEqual(['n2']);
  });

  it('are answered by who was asked, and once: nothing else is passed on', async () => {
    const [asked, other] = [await open(consumer()), await open(consumer(), { clientId: 'client-2' })];
    tell()({ clientId: 'client-1', kind: 'printStack', nonce: 'n1' });
    const value = { nonce: 'n1', threadStackTrace: 'main: running' };
    const answer = TelemetryCommand.encode({
      status: { code: Code.OK, message: '' },
      command: { $case: 'threadStackTrace', value },
    }).finish();
    other.say(answer);
    expect(context.broker.commandAnswers.length).toBe(0);
    asked.say(answer);
    asked.say(answer);
    expect(context.broker.commandAnswers.length).toBe(1);
  });

  it('are answered with codes from 0 on, whatever the client says', async () => {
    const call = await open(consumer());
    tell()({ clientId: 'client-1', kind: 'printStack', nonce: 'n1' });
    const answer = { $case: 'threadStackTrace' as const, value: { nonce: 'n1', threadStackTrace: '' } };
    const below: number = -1;
    call.say(TelemetryCommand.encode({ status: { code: below as Code, message: '' }, command: answer }).finish());
    expect(context.broker.commandAnswers.map(({ code }) => code)).toEqual([0]);
  });

  it('to a client that is not here are left to whom it is with', async () => {
    const call = await open(consumer());
    const before = call.items.length;
    tell()({ clientId: 'client-2', kind: 'reconnect', nonce: 'n3' });
    expect(call.items.length).toBe(before);
  });
});

it('reports producers with the topics they send to', async () => {
  await open(producer(['orders', 'unknown']));
  context.clock.advance(20);
  expect(context.broker.reports.at(-1)?.producers).toEqual([
    expect.objectContaining({
      clientId: 'client-1',
      topicIds: [context.nameService.topics.get('orders')?.id],
      streaming: true,
    }),
  ]);
});
