/** What the front context does for message groups and orderly consumer groups. */
import { Envelope, MessageType } from '@cometmq/model';
import { Code, Message, ReceiveMessageRequest, SendMessageRequest, SendMessageResponse } from '@cometmq/proto';
import { MqError } from '@cometmq/shared';

import { type FakeCall, type ProxyFixture, openProxy } from '../testing.js';

let context: ProxyFixture;
beforeEach(async () => {
  context = await openProxy();
  context.nameService.putTopic('orders', { type: MessageType.fifo });
});
afterEach(() => context.stop());

const encode = (id: string, group: string, topic = 'orders'): Uint8Array =>
  SendMessageRequest.encode({
    messages: [
      Message.fromPartial({
        topic: { name: topic },
        body: Buffer.from(id),
        systemProperties: { messageId: id, bodyEncoding: 1, messageType: 2, messageGroup: group, queueId: 3 },
      } as never),
    ],
  }).finish();

const send = (id: string, group = 'g', topic = 'orders'): FakeCall =>
  context.call('SendMessage', encode(id, group, topic), { timeoutMs: 3_000 });
const codeOf = async (call: FakeCall): Promise<Code | undefined> => {
  await call.untilEnd();
  return SendMessageResponse.decode(call.items[0] as Buffer).status?.code;
};
const sentIds = (): string[] =>
  context.broker.sent.map(({ envelope, message }) => new Envelope(Buffer.concat([envelope, ...message])).id);

describe('messages of a group', () => {
  it('go to one queue of one broker set, whatever the client chose; those of many groups to all', async () => {
    const second = context.addBroker('broker-1');
    for (let i = 0; i < 200; i += 1) await codeOf(send(`${i}`, `group-${i % 50}`));
    const places = new Map<number, Set<string>>();
    for (const [name, broker] of [
      ['broker-0', context.broker],
      ['broker-1', second],
    ] as const) {
      for (const { groupHash, queueId } of broker.sent) {
        places.set(groupHash, (places.get(groupHash) ?? new Set()).add(`${name}/${queueId}`));
      }
    }
    expect(places.size).toBe(50);
    for (const place of places.values()) expect(place.size).toBe(1);
    expect(new Set([...places.values()].flatMap((place) => [...place])).size).toBe(8);
  });

  it('wait for their broker set while it has no leader, and do not go to another that is not full', async () => {
    const second = context.addBroker('broker-1');
    let group = 0;
    while (context.broker.sent.length === 0) await codeOf(send('x', `group-${(group += 1)}`));
    const others = second.sent.length;
    context.broker.fault = () => new MqError('STORAGE_FULL', 'the disk is full');
    expect(await codeOf(send('y', `group-${group}`))).toBe(Code.TOO_MANY_REQUESTS);
    context.broker.fault = () => undefined;
    context.nameService.putSet({ name: 'broker-0', leader: undefined });
    const waiting = send('z', `group-${group}`);
    context.clock.advance(300);
    expect(waiting.items).toEqual([]);
    context.nameService.putSet({ name: 'broker-0', epoch: 2 });
    context.clock.advance(100);
    expect(await codeOf(waiting)).toBe(Code.OK);
    expect(sentIds()).toEqual(['x', 'z']);
    expect(second.sent.length).toBe(others);
  });

  it('that are parked keep the order of their arrival, and those that come later stay behind them', async () => {
    let fails = true;
    context.broker.fault = () => (fails ? new MqError('NOT_LEADER', 'not now') : undefined);
    const calls = ['1', '2', '3'].map((id) => send(id));
    context.clock.advance(40);
    fails = false; // The next try comes 10 ms later, and meanwhile another message.
    calls.push(send('4'), send('other', 'h'));
    expect(sentIds()).toEqual(['other']);
    context.clock.advance(60);
    for (const call of calls) expect(await codeOf(call)).toBe(Code.OK);
    expect(sentIds()).toEqual(['other', '1', '2', '3', '4']);
  });

  it('that failed in another order than they came in are sent again as they came', async () => {
    const answers: (() => void)[] = [];
    const failLater = true;
    const { broker } = context;
    const plain = broker.send.bind(broker);
    broker.send = (call, done) => {
      if (failLater && answers.length < 3) answers.push(() => done(new MqError('STALE_LAYOUT', 'no'), undefined));
      else plain(call, done);
    };
    const calls = ['1', '2', '3'].map((id) => send(id));
    for (const fail of answers.reverse()) fail();
    context.clock.advance(60);
    for (const call of calls) expect(await codeOf(call)).toBe(Code.OK);
    expect(sentIds()).toEqual(['1', '2', '3']);
  });

  it('keep their order while their topic is made on first use', async () => {
    context.nameService.createsTopics = true;
    const { nameService } = context;
    const release: (() => void)[] = [];
    const ensure = nameService.ensureTopic.bind(nameService);
    nameService.ensureTopic = async (name) => {
      const topic = await ensure(name); // Known to the directory before the first sender hears of it.
      await new Promise<void>((resolve) => release.push(resolve));
      return topic;
    };
    const first = send('1', 'g', 'fresh');
    while (release.length === 0) await Promise.resolve();
    nameService.putTopic('fresh', { type: MessageType.fifo, typeFixed: true });
    const second = send('2', 'g', 'fresh');
    for (let i = 0; i < 20; i += 1) await Promise.resolve();
    expect(sentIds()).toEqual([]);
    for (const act of release) act();
    expect([await codeOf(first), await codeOf(second)]).toEqual([Code.OK, Code.OK]);
    expect(sentIds()).toEqual(['1', '2']);
  });
});

describe('a receive of an orderly group', () => {
  const receive = (attemptId: string | undefined, broker: string): FakeCall =>
    context.call(
      'ReceiveMessage',
      ReceiveMessageRequest.encode(
        ReceiveMessageRequest.fromPartial({
          group: { name: 'ordered' },
          messageQueue: { topic: { name: 'orders' }, id: 1, broker: { name: broker } },
          batchSize: 32,
          autoRenew: true,
          longPollingTimeout: { seconds: 2, nanos: 0 },
          attemptId,
        } as never),
      ).finish(),
      { timeoutMs: 5_000 },
    );

  beforeEach(() => context.nameService.putGroup('ordered', { fifo: true }));

  it('with an attempt id asks the named broker set only, and waits while that has no leader', () => {
    const second = context.addBroker('broker-1');
    receive('try-1', 'broker-1');
    expect([context.broker.receives.length, second.receives.length]).toEqual([0, 1]);
    expect(second.receives[0]).toMatchObject({ attemptId: 'try-1', queueId: 1 });
    context.nameService.putSet({ name: 'broker-1', leader: undefined });
    receive('try-2', 'broker-1');
    context.clock.advance(500);
    expect([context.broker.receives.length, second.receives.length]).toEqual([0, 1]);
  });

  it('without one asks them all', () => {
    const second = context.addBroker('broker-1');
    receive(undefined, 'broker-1');
    context.clock.advance(100);
    expect(context.broker.receives.length).toBeGreaterThan(0);
    expect(second.receives.length).toBeGreaterThan(0);
  });
});
