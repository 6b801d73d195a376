/**
 * Goal: no call does anything for who may not have it, and a change is felt at once by what is open. Method: every method the
 * service has, by name, with a request that works; as nobody, as a user without policies, as one with just those it needs.
 */
import { AuditLog, Authenticator, IdentityBook, officialSignature, Secret } from '@cometmq/auth';
import { FakeIdentities } from '@cometmq/auth/testing';
import { MessageType, type Action, type PolicyEntry, type ResourceType } from '@cometmq/model';
import {
  AckMessageRequest,
  ChangeInvisibleDurationRequest,
  ClientType,
  Code,
  EndTransactionRequest,
  ForwardMessageToDeadLetterQueueRequest,
  GetOffsetRequest,
  HeartbeatRequest,
  NotifyClientTerminationRequest,
  PullMessageRequest,
  QueryAssignmentRequest,
  QueryOffsetRequest,
  QueryRouteRequest,
  RecallMessageRequest,
  ReceiveMessageRequest,
  SendMessageRequest,
  Status,
  SyncLiteSubscriptionRequest,
  TelemetryCommand,
  UpdateOffsetRequest,
} from '@cometmq/proto';
import { ManualClock } from '@cometmq/shared/testing';

import { type CallOptions, type FakeBroker, type FakeCall, openProxy, type ProxyFixture } from '../testing.js';

let context: ProxyFixture;
let identities: FakeIdentities;
let audit: AuditLog;

beforeEach(async () => {
  const clock = new ManualClock();
  identities = new FakeIdentities();
  const book = new IdentityBook({ source: identities, box: identities.box, clock });
  await book.start();
  await Promise.resolve();
  identities.user('ann', 'ann-secret');
  audit = new AuditLog(clock, undefined);
  const access = new Authenticator({ book, clock, ageMsMax: 900_000, localTimes: true });
  context = await openProxy({ access, audit });
  context.nameService.putTopic('orders');
  context.nameService.putTopic('events', { type: MessageType.lite });
  context.nameService.putGroup('workers');
});
afterEach(() => context.stop());

const name = { name: 'orders' };
const group = { name: 'workers' };
const messageQueue = { topic: name, id: 0, broker: { name: 'broker-0' } };
const message = {
  topic: name,
  body: Buffer.from('x'),
  systemProperties: { messageId: 'm1', messageType: 1, bornTimestamp: { seconds: 1, nanos: 0 }, bodyEncoding: 1 },
};

interface Method {
  readonly request: Uint8Array;
  readonly needs: readonly string[];
}
const consume = ['sub group workers', 'sub topic orders'];
type Codec<T> = { fromPartial(part: never): T; encode(message: T): { finish(): Uint8Array } };
const method = <T>(codec: Codec<T>, part: object, ...needs: string[]): Method => ({
  request: codec.encode(codec.fromPartial(part as never)).finish(),
  needs,
});
const settings = (pubSub: object, clientType: number): object => ({
  command: { $case: 'settings', value: { clientType, pubSub } },
});
const subscription = { $case: 'subscription', value: { group, subscriptions: [{ topic: name }] } };
const publishing = { $case: 'publishing', value: { topics: [name] } };

/** By the method's name, and what follows a blank where one method has several rules. */
const methods: Readonly<Record<string, Method>> = {
  QueryRoute: method(QueryRouteRequest, { topic: name }, 'pub topic orders'),
  'QueryRoute of a consumer': method(QueryRouteRequest, { topic: name }, 'sub topic orders'),
  SendMessage: method(SendMessageRequest, { messages: [message] }, 'pub topic orders'),
  RecallMessage: method(RecallMessageRequest, { topic: name, recallHandle: 'x' }, 'pub topic orders'),
  EndTransaction: method(EndTransactionRequest, { topic: name, transactionId: 'x' }, 'pub topic orders'),
  Heartbeat: method(HeartbeatRequest, { group, clientType: ClientType.PUSH_CONSUMER }, 'sub group workers'),
  NotifyClientTermination: method(NotifyClientTerminationRequest, { group }, 'sub group workers'),
  Telemetry: method(TelemetryCommand, settings(subscription, ClientType.PUSH_CONSUMER), ...consume),
  'Telemetry of a producer': method(TelemetryCommand, settings(publishing, ClientType.PRODUCER), 'pub topic orders'),
  ReceiveMessage: method(ReceiveMessageRequest, { group, messageQueue, batchSize: 1, autoRenew: true }, ...consume),
  AckMessage: method(AckMessageRequest, { group, topic: name, entries: [{ receiptHandle: 'x' }] }, ...consume),
  ChangeInvisibleDuration: method(
    ChangeInvisibleDurationRequest,
    { group, topic: name, receiptHandle: 'x', invisibleDuration: { seconds: 20, nanos: 0 } },
    ...consume,
  ),
  ForwardMessageToDeadLetterQueue: method(
    ForwardMessageToDeadLetterQueueRequest,
    { group, topic: name, receiptHandle: 'x' },
    ...consume,
  ),
  QueryAssignment: method(QueryAssignmentRequest, { group, topic: name }, ...consume),
  SyncLiteSubscription: method(SyncLiteSubscriptionRequest, { group, topic: name }, ...consume),
  PullMessage: method(PullMessageRequest, { group, messageQueue, offset: 0, batchSize: 1 }, ...consume),
  UpdateOffset: method(UpdateOffsetRequest, { group, messageQueue, offset: 0 }, ...consume),
  GetOffset: method(GetOffsetRequest, { group, messageQueue }, 'get group workers', 'get topic orders'),
  QueryOffset: method(QueryOffsetRequest, { messageQueue }, 'get topic orders'),
};

const as = (user: string, secret = `${user}-secret`): CallOptions => {
  const dateTime = '20231114T221320Z'; // Where the clock stands.
  const signature = officialSignature(new Secret(secret), dateTime);
  return {
    clientId: `${user}-client`,
    headers: {
      authorization: `MQv2-HMAC-SHA1 Credential=${user}, SignedHeaders=x-mq-date-time, Signature=${signature}`,
      'x-mq-date-time': dateTime,
    },
  };
};

const entryOf = (need: string): PolicyEntry => {
  const [action, type, of = ''] = need.split(' ');
  return {
    policy: 'custom',
    resource: { type: type as ResourceType, match: 'literal', name: of },
    actions: [action as Action],
    sourceIps: [],
    decision: 'allow',
  };
};

async function settle(): Promise<void> {
  for (let i = 0; i < 40; i += 1) await Promise.resolve();
}

/** All that the broker was asked, session reports aside: they say who there is. */
const askedOf = ({ sent, acked, changed, receives, pulls, offsetCalls, liteSyncs, deadLetters, gone }: FakeBroker) =>
  [sent, acked, changed, receives, pulls, offsetCalls, liteSyncs, deadLetters, gone].flat();

/** Of the first thing that is said; undefined: nothing yet. */
function codeOf(call: FakeCall): number | undefined {
  const [first] = call.items;
  return first?.[0] === 0x0a ? Status.decode(first.subarray(2, 2 + (first[1] ?? 0))).code : undefined;
}

async function answer(what: string, options: CallOptions): Promise<FakeCall> {
  const call = context.call(what.split(' ')[0] ?? '', methods[what]?.request, { ...options, timeoutMs: 5_000 });
  await settle();
  return call;
}

it('every method is called here', () => {
  const called = new Set(Object.keys(methods).map((what) => what.split(' ')[0]));
  expect([...called].sort()).toEqual(Object.keys(context.messaging.service.methods).sort());
});

describe.each(Object.keys(methods))('%s', (what) => {
  it('is nothing for who says no name, a wrong one, or another’s secret', async () => {
    for (const options of [{}, as('bob'), as('ann', 'guess')]) {
      const call = await answer(what, options);
      context.clock.advance(2_000); // A refused receive is answered late.
      expect({ code: codeOf(call), ended: call.ended }).toEqual({ code: Code.UNAUTHORIZED, ended: true });
    }
    expect(askedOf(context.broker)).toEqual([]);
    const told = { operation: what.split(' ')[0], decision: 'refused', how: 'none' };
    expect(audit.page({}).items).toMatchObject([told, told, told]);
  });

  it('needs each of its permissions', async () => {
    const needs = methods[what]?.needs ?? [];
    for (const left of [needs, ...needs.map((need) => [need])]) {
      identities.allow('ann', ...needs.filter((need) => !left.includes(need)).map(entryOf));
      const call = await answer(what, as('ann'));
      context.clock.advance(2_000);
      expect({ left, code: codeOf(call), ended: call.ended }).toEqual({ left, code: Code.UNAUTHORIZED, ended: true });
      const [told] = audit.page({}).items;
      expect(told).toMatchObject({ operation: what.split(' ')[0], user: 'ann', decision: 'refused' });
      expect(told?.reason).toMatch(/^user ann may not /);
    }
    expect(askedOf(context.broker)).toEqual([]);
  });

  it('is done for who has just these', async () => {
    identities.allow('ann', ...(methods[what]?.needs ?? []).map(entryOf));
    const call = await answer(what, as('ann'));
    expect(codeOf(call)).not.toBe(Code.UNAUTHORIZED);
    call.cancel();
  });
});

describe('what is open when its user changes', () => {
  const consumer = (): void => identities.allow('ann', ...consume.map(entryOf));
  const changes: readonly (readonly [string, () => void])[] = [
    ['is disabled', () => identities.user('ann', 'ann-secret', { enabled: false })],
    ['is deleted', () => identities.delete('ann')],
    ['has another secret', () => identities.user('ann', 'other-secret', { secretVersion: 2 })],
    ['has no policy any more', () => identities.allow('ann')],
  ];

  it.each(changes)('is refused within a second once it %s', async (_what, change) => {
    consumer();
    context.broker.holdsPulls = true;
    const stream = await answer('Telemetry', as('ann'));
    const poll = await answer('ReceiveMessage', as('ann'));
    const pull = await answer('PullMessage', as('ann'));
    expect([stream, poll, pull].map(({ ended }) => ended)).toEqual([false, false, false]);
    change();
    context.clock.advance(500);
    await settle();
    expect(codeOf({ items: stream.items.slice(-1) } as FakeCall)).toBe(Code.UNAUTHORIZED);
    expect([poll, pull].map(codeOf)).toEqual([Code.UNAUTHORIZED, Code.UNAUTHORIZED]);
    expect([stream, poll, pull].map(({ ended }) => ended)).toEqual([true, true, true]);
  });

  it('goes on where the change takes nothing of it', async () => {
    consumer();
    const stream = await answer('Telemetry', as('ann'));
    const poll = await answer('ReceiveMessage', as('ann'));
    identities.allow('ann', ...consume.map(entryOf), entryOf('pub topic orders'));
    context.clock.advance(500);
    await settle();
    expect([stream, poll].map(({ ended }) => ended)).toEqual([false, false]);
  });
});

it('a producer that names one topic too many keeps its stream, and is known for the others', async () => {
  identities.allow('ann', entryOf('pub topic orders'));
  const two = { $case: 'publishing', value: { topics: [name, { name: 'other' }] } };
  const said = method(TelemetryCommand, settings(two, ClientType.PRODUCER)).request;
  const call = context.call('Telemetry', said, as('ann'));
  await settle();
  expect([codeOf(call), call.ended]).toEqual([Code.OK, false]);
  expect(context.messaging.sessions.get('ann-client')?.publishes).toEqual(['orders']);
});

it('one user is not served under the client id of another', async () => {
  identities.user('bob', 'bob-secret', { kind: 'super' });
  identities.allow('ann', ...consume.map(entryOf));
  await answer('Heartbeat', as('ann'));
  const call = await answer('NotifyClientTermination', { ...as('bob'), clientId: 'ann-client' });
  expect(codeOf(call)).toBe(Code.UNAUTHORIZED);
  expect(context.messaging.sessions.get('ann-client')?.user).toBe('ann');
});

it('a user with a quota is refused beyond it with a hint, and goes on when it is over; nobody else notices', async () => {
  identities.user('ann', 'ann-secret', { quota: { requestsPerSecond: 10 } });
  identities.allow('ann', ...consume.map(entryOf), entryOf('pub topic orders'));
  identities.user('bob', 'bob-secret', { kind: 'super' });
  const codes = async (user: string, count: number): Promise<number> => {
    let throttled = 0;
    for (let i = 0; i < count; i += 1) {
      if (codeOf(await answer('SendMessage', as(user))) === Code.TOO_MANY_REQUESTS) throttled += 1;
    }
    return throttled;
  };
  expect(await codes('ann', 25)).toBe(15);
  const refused = await answer('SendMessage', as('ann'));
  expect(refused.items[0]?.toString()).toMatch(
    /user ann has used up its 10 requests a second on this node; try again in 100 ms/,
  );
  expect(await codes('bob', 25)).toBe(0);
  expect(context.messaging.counters.throttled).toMatchObject({ quota: 16, rate: 0 });
  // What is refused gives way to what others send, and nothing else does.
  expect([refused.gaveWay, (await answer('SendMessage', as('bob'))).gaveWay]).toEqual([true, false]);
  // What ends work is never refused.
  expect(codeOf(await answer('AckMessage', as('ann')))).not.toBe(Code.TOO_MANY_REQUESTS);
  context.clock.advance(500);
  expect(await codes('ann', 10)).toBe(5);
  identities.user('ann', 'ann-secret', { quota: { bytesPerSecond: 1 } });
  expect(await codes('ann', 2)).toBe(1);
});
