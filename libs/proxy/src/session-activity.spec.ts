// Goal: operators are told which clients do nothing and which are refused what, and nobody is blamed for what it did not do.
// Method: calls as the server would make them, a clock moved by hand, and what the broker is told of the clients.
import type { ClientActivity } from '@cometmq/client';
import { ClientType, HeartbeatRequest, Message, SendMessageRequest, TelemetryCommand } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import { openProxy, type ProxyFixture } from './testing.js';

let context: ProxyFixture;
let telemetry: ReturnType<ProxyFixture['call']>;
beforeEach(async () => {
  context = await openProxy();
  context.nameService.putTopic('orders');
  const topics = [{ name: 'orders' }, { name: 'gone' }];
  const settings = { clientType: ClientType.PRODUCER, pubSub: { $case: 'publishing', value: { topics } } };
  const bytes = TelemetryCommand.encode(
    TelemetryCommand.fromPartial({ command: { $case: 'settings', value: settings } } as never),
  ).finish();
  telemetry = context.call('Telemetry', bytes);
  await telemetry.until(1);
});
afterEach(() => context.stop());

async function send(topic: string, headers: Record<string, string> = {}): Promise<void> {
  const message = {
    topic: { name: topic },
    body: Buffer.from('x'),
    systemProperties: { messageId: 'm', bodyEncoding: 1 },
  };
  const request = SendMessageRequest.encode({ messages: [Message.fromPartial(message as never)] }).finish();
  await context.call('SendMessage', request, { headers, timeoutMs: 3_000 }).untilEnd();
}

describe('a client that says nothing for two minutes', () => {
  const ended = (): boolean => {
    const isForgotten = context.messaging.sessions.get('client-1') === undefined;
    expect(telemetry.ended).toBe(isForgotten);
    return isForgotten;
  };

  it('is forgotten with its stream, so that it says anew what it is when it comes back', () => {
    context.clock.advance(119_000);
    expect(ended()).toBe(false);
    context.clock.advance(30_000);
    expect(ended()).toBe(true);
  });

  it('is kept where this process has read nothing meanwhile', () => {
    context.clock.standStill(600_000);
    context.clock.advance(0);
    expect(ended()).toBe(false);
    context.clock.advance(150_000);
    expect(ended()).toBe(true);
  });
});

/** What the broker is told after so long. */
function toldAfter(ms: number): ClientActivity | undefined {
  context.clock.advance(ms);
  context.messaging.sessions.changed();
  context.clock.advance(20);
  return context.broker.reports.at(-1)?.producers.find(({ clientId }) => clientId === 'client-1')?.activity;
}

it('a heartbeat shows that a client lives, and no more; a send is work', async () => {
  await send('orders');
  const heartbeat = HeartbeatRequest.encode(HeartbeatRequest.fromPartial({ clientType: ClientType.PRODUCER })).finish();
  for (let minute = 0; minute < 3; minute += 1) {
    context.clock.advance(60_000);
    await context.call('Heartbeat', heartbeat).untilEnd();
  }
  expect(toldAfter(980)).toEqual({ idleMs: 181_000, refusals: [] });
  await send('orders');
  expect(toldAfter(980)).toEqual({ idleMs: 1_000, refusals: [] });
});

it('what it is refused is counted by call and code, and forgotten ten minutes after the last time', async () => {
  for (let i = 0; i < 3; i += 1) await send('gone');
  const refusal = { method: 'SendMessage', code: 'TOPIC_NOT_FOUND', count: 3 };
  expect(toldAfter(980)?.refusals).toEqual([{ ...refusal, agoMs: 1_000 }]);
  for (let minute = 0; minute < 9; minute += 1) {
    context.clock.advance(60_000);
    await send('orders');
  }
  expect(toldAfter(980)?.refusals).toEqual([{ ...refusal, agoMs: 542_000 }]);
  context.clock.advance(60_000);
  await send('orders');
  expect(toldAfter(980)?.refusals).toEqual([]);
});

it('is never blamed for what went wrong here, nor for calls that another user made with its id', async () => {
  context.broker.fault = () => new MqError('INTERNAL', 'a bug');
  await send('orders');
  context.broker.fault = () => new MqError('CANCELLED', 'broken off');
  await send('orders');
  const { sessions } = context.messaging;
  const touch = sessions.touch.bind(sessions);
  sessions.touch = (clientId, _user, nowMs, works) => touch(clientId, 'somebody else', nowMs, works);
  await send('orders');
  expect(toldAfter(980)?.refusals).toEqual([]);
});

it('nothing is kept of who is unknown, and of nobody more than a few kinds', async () => {
  const { sessions } = context.messaging;
  await send('gone', { 'x-mq-client-id': 'unknown' });
  expect(sessions.get('unknown')).toBeUndefined();
  for (let i = 0; i < 50; i += 1) sessions.refusedCall('client-1', 'SendMessage', `CODE_${i}`);
  expect(toldAfter(1)?.refusals.length).toBe(8);
});

it('an id longer than one may be is its own session’s all the same', async () => {
  const long = 'c'.repeat(400);
  context.messaging.sessions.open(long.slice(0, 255), '');
  await send('gone', { 'x-mq-client-id': long });
  expect([...(context.messaging.sessions.get(long.slice(0, 255))?.refused.values() ?? [])]).toMatchObject([
    { count: 1 },
  ]);
});
