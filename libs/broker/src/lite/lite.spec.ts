import {
  lagOfGroup,
  type ClientCommand,
  type Delivered,
  type GroupDraft,
  type LiteStart,
  type LiteSyncCall,
  type ReceiveCall,
} from '@cometmq/client';
import { someTraits } from '@cometmq/client/testing';
import { Envelope, firstLiteQueue, KiB, MessageType, RecordKind, type LiteGroup } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { brokerSamples } from '../broker-metrics.js';
import { BrokerReports } from '../broker-reports.js';
import { BrokerWorld, ids, settle } from '../broker-world.js';

const minute = 60_000;

class LiteWorld extends BrokerWorld {
  readonly told: ClientCommand[] = [];

  async begin(lite: Partial<LiteGroup> = {}, liteExpirationMs?: number, attemptsMax = 17): Promise<this> {
    await this.start();
    this.topic = await this.nameService.createTopic({ name: 'sessions', type: MessageType.lite, liteExpirationMs });
    this.group = await this.nameService.createGroup({
      name: 'agents',
      lite: { topic: 'sessions', ...lite },
      attemptsMax,
    });
    this.listen();
    return this;
  }

  listen(): void {
    this.broker.onCommand('p', (command) => this.told.push(command));
    this.hear('c1', 'c2', 'c3');
  }

  hear(...clients: string[]): void {
    const sessions = clients.map((clientId) => ({
      ...someTraits,
      streaming: true,
      clientId,
      groupId: this.group.id,
      subscriptions: [],
    }));
    this.broker.reportSessions({ proxyId: 'p', sessions, producers: [] });
  }

  sendTo(liteTopic: string, ...names: string[]): Promise<number[]> {
    return Promise.all(names.map((id) => this.sendAs(id, { liteTopic: Buffer.from(liteTopic) })));
  }

  sync(clientId: string, action: LiteSyncCall['action'], liteTopics: string[], start?: LiteStart): Promise<void> {
    const call = { clientId, groupId: this.group.id, topicId: this.topic.id, action, liteTopics, start };
    return settle((done) => this.broker.syncLite(call, done));
  }

  subscribe(clientId: string, ...liteTopics: string[]): Promise<void> {
    return this.sync(clientId, 'add', liteTopics);
  }

  async pollIds(given: Partial<ReceiveCall> = {}): Promise<string[]> {
    return ids(await this.poll(given));
  }

  async ackAll(messages: readonly Delivered[]): Promise<void> {
    await Promise.all(messages.map(({ receipt }) => this.ack(receipt)));
  }

  pause(pausedUntilMs: number): void {
    this.directory.apply({ kind: 'group', revision: 1_000, group: { ...this.group, pausedUntilMs } });
  }

  forgotten(): string[] {
    return this.told
      .splice(0)
      .map((command) => `${command.clientId} ${'liteTopic' in command ? command.liteTopic : '?'}`);
  }
}

/** As the metric says it, as a report does, and by counting, lite topic by lite topic. */
async function lagsOf(world: LiteWorld): Promise<{ metric: number; report: number; counted: number }> {
  const reports = new BrokerReports(world.broker, world.directory, 'broker-0', '0');
  const report = lagOfGroup(await reports.describeGroup('broker-0', world.group.id));
  let metric = 0;
  for (const sample of brokerSamples(world.broker, world.directory, world.clock)) {
    const isIt = sample.metric === 'rocketmq_consumer_lag_messages' && sample.labels['consumer_group'] === 'agents';
    if (isIt) metric += sample.value as number;
  }
  let counted = 0;
  const call = { topicId: world.topic.id, prefix: '', from: 0, max: 1_000 };
  for (const { name } of (await reports.listLiteTopics('broker-0', call)).liteTopics) {
    const state = await reports.describeLiteTopic('broker-0', world.topic.id, name);
    for (const { lag } of state?.readers ?? []) counted += lag;
  }
  return { metric, report, counted };
}

async function code(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'OK',
    (caught: unknown) => `${MqError.from(caught).code}: ${MqError.from(caught).reason}`,
  );
}

it.each([
  [false, 7],
  [true, 9],
])('the lag of a group is that of all its lite topics (wildcard: %s)', async (wildcard, all) => {
  const world = await new LiteWorld().begin({ wildcard });
  if (!wildcard) await world.subscribe('c1', 'a', 'b', 'empty');
  await world.sendTo('a', 'a1', 'a2', 'a3', 'a4');
  await world.sendTo('b', 'b1', 'b2', 'b3');
  await world.sendTo('nobody’s', 'x1', 'x2');
  expect(await lagsOf(world)).toMatchObject({ metric: all, report: all });
  const got = await world.poll({ messagesMax: 2 });
  expect(await lagsOf(world)).toMatchObject({ metric: all, report: all });
  await world.ackAll(got);
  expect(await lagsOf(world)).toMatchObject({ metric: all - got.length, report: all - got.length });
  for (let batch = await world.poll(); batch.length > 0; batch = await world.poll()) await world.ackAll(batch);
  expect(await lagsOf(world)).toEqual({ metric: 0, report: 0, counted: 0 });
  await world.broker.stop();
});

describe('lite topics', () => {
  it('deliver to their subscribers, several in one answer, each in its order', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a', 'b');
    await world.sendTo('a', 'a1', 'a2');
    await world.sendTo('b', 'b1');
    await world.sendTo('other', 'x');
    const messages = await world.poll();
    expect(ids(messages)).toEqual(['a1', 'a2', 'b1']);
    expect(messages.map(({ payload }) => new Envelope(payload).liteTopic)).toEqual(['a', 'a', 'b']);
    expect(messages.every(({ receipt }) => receipt.queueId >= firstLiteQueue)).toBe(true);
    expect(await world.pollIds()).toEqual([]);
    await world.broker.stop();
  });

  it('are blocked while a batch is in flight, and go on when it is acknowledged', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a', 'b');
    await world.sendTo('a', 'a1', 'a2', 'a3');
    const first = await world.poll({ messagesMax: 2 });
    expect(ids(first)).toEqual(['a1', 'a2']);
    await world.sendTo('b', 'b1');
    expect(await world.pollIds()).toEqual(['b1']);
    const waiting = world.poll({ waitMs: 20_000 });
    await world.ack(first[1]!.receipt);
    expect(world.broker.waitingPolls).toBe(1);
    await world.ack(first[0]!.receipt);
    expect(ids(await waiting)).toEqual(['a3']);
    await world.broker.stop();
  });

  it('deliver again in place when the lease ends, and wake whoever waits', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a');
    await world.sendTo('a', 'a1', 'a2');
    const first = await world.poll();
    await world.ack(first[1]!.receipt);
    const waiting = world.poll({ waitMs: 20_000 });
    world.clock.advance(10_100);
    const again = await waiting;
    expect(again.map(({ receipt }) => [receipt.offset, receipt.attempt])).toEqual([[0, 2]]);
    await world.broker.stop();
  });

  it.each<[string, (world: LiteWorld) => unknown]>([
    ['the broker looked for dead letters', (world) => world.clock.advance(5_000)],
    ['an operator looked at the lite topic', (world) => world.broker.lite().reports.describe(world.topic.id, 'a')],
  ])('deliver again what a member that died held, to who subscribes after %s', async (_who, look) => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a');
    await world.sendTo('a', 'a1', 'a2');
    expect(await world.pollIds()).toEqual(['a1', 'a2']);
    await world.sync('c1', 'removeAll', []);
    world.clock.advance(10_100);
    await look(world);
    await world.subscribe('c2', 'a');
    expect(await world.pollIds({ clientId: 'c2' })).toEqual(['a1', 'a2']);
    await world.broker.stop();
  });

  it('wake only the polls of their subscribers', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a');
    await world.subscribe('c2', 'b');
    const one = world.poll({ clientId: 'c1', waitMs: 20_000 });
    const two = world.poll({ clientId: 'c2', waitMs: 20_000 });
    await world.sendTo('b', 'b1');
    expect(ids(await two)).toEqual(['b1']);
    expect(world.broker.waitingPolls).toBe(1);
    await world.sendTo('a', 'a1');
    expect(ids(await one)).toEqual(['a1']);
    await world.broker.stop();
  });

  it('give the first subscriber also what was sent before, and later ones what the group has not had', async () => {
    const world = await new LiteWorld().begin();
    await world.sendTo('old', 'before', 'answer');
    await world.subscribe('c1', 'old', 'new');
    await world.sendTo('old', 'after');
    await world.sendTo('new', 'first');
    const found = await world.poll();
    expect(ids(found).sort()).toEqual(['after', 'answer', 'before', 'first']);
    await world.ackAll(found);
    await world.sync('c1', 'removeAll', []);
    await world.sendTo('old', 'meanwhile');
    await world.subscribe('c2', 'old');
    expect(await world.pollIds({ clientId: 'c2' })).toEqual(['meanwhile']);
    await world.broker.stop();
  });

  it.each<[GroupDraft['start'], string[]]>([
    [{ at: 'first' }, ['before', 'after']],
    [{ at: 'end' }, ['after']],
    [{ at: 'time', timeMs: 0 }, ['before', 'after']],
  ])('begin where the group says, if it does: %j', async (start, expected) => {
    const world = await new LiteWorld().begin();
    world.group = await world.nameService.createGroup({ name: 'others', lite: { topic: 'sessions' }, start });
    await world.sendTo('a', 'before');
    await world.subscribe('c1', 'a');
    await world.sendTo('a', 'after');
    expect(await world.pollIds({ waitMs: 1_000 })).toEqual(expected);
    await world.broker.stop();
  });

  it('wait for the disk no longer than their index takes to be read, however much others have', async () => {
    const world = await new LiteWorld().begin();
    world.storeLimits = { ...world.storeLimits, segmentBytes: 16 * KiB, recordBytesMax: 4 * KiB };
    await world.restart();
    await world.sendTo('a', 'a1');
    for (let i = 0; i < 400; i += 1) await world.sendTo('unread', `${i}`);
    await world.restart();
    world.listen();
    await world.subscribe('c1', 'a', 'b');
    await world.sendTo('b', ...Array.from({ length: 10 }, (_, i) => `b${i}`));
    const order: string[] = [];
    while (order.length < 11) {
      const messages = await world.poll({ messagesMax: 3, waitMs: minute });
      order.push(...ids(messages));
      await world.ackAll(messages);
    }
    expect(order.indexOf('a1')).toBeLessThanOrEqual(6);
    await world.broker.stop();
  });

  it('lose nothing when the broker starts again before the first poll', async () => {
    const world = await new LiteWorld().begin();
    await world.sendTo('old', 'before');
    await world.subscribe('c1', 'old', 'new');
    await world.sendTo('old', 'after');
    await world.sendTo('new', 'first');
    await world.restart();
    expect(await world.pollIds()).toEqual([]); // Subscriptions are the clients' to repeat.
    await world.sync('c1', 'setAll', ['old', 'new']);
    const found = await world.poll();
    expect(ids(found).sort()).toEqual(['after', 'before', 'first']);
    await world.restart();
    await world.sync('c1', 'setAll', ['old', 'new']);
    expect(await world.pollIds()).toEqual([]); // Who holds them is in the log.
    await world.ackAll(found);
    world.clock.advance(20_000);
    expect(await world.pollIds()).toEqual([]);
    await world.broker.stop();
  });

  it.each<[LiteStart, string[], string[]]>([
    [{ at: 'last' }, ['4', '5'], ['1', '2', '3', '4', '5']],
    [{ at: 'first' }, ['1', '2', '3', '4', '5'], ['1', '2', '3', '4', '5']],
    [{ at: 'end' }, [], []],
    [{ at: 'offset', value: 1 }, ['2', '3', '4', '5'], ['2', '3', '4', '5']],
    [{ at: 'tail', value: 2 }, ['2', '3', '4', '5'], ['4', '5']],
    [{ at: 'time', value: 1_000 }, ['1', '2', '3', '4', '5'], ['1', '2', '3', '4', '5']],
  ])(
    'begin where %j says: where a group has got to is 3, where it has not begun is the first message',
    async (start, begun, fresh) => {
      const world = await new LiteWorld().begin();
      await world.subscribe('c1', 'a');
      await world.sendTo('a', '1', '2', '3');
      await world.ackAll(await world.poll({ clientId: 'c1' }));
      await world.sendTo('a', '4', '5');
      await world.sync('c1', 'removeAll', []);
      await world.sync('c2', 'add', ['a'], start);
      expect(ids(await world.poll({ clientId: 'c2', waitMs: begun.length > 0 ? 1_000 : 0 }))).toEqual(begun);
      await world.sync('c2', 'add', ['a'], start); // Again, by another way: nothing happens.
      expect(await world.pollIds({ clientId: 'c2' })).toEqual([]);
      world.group = await world.nameService.createGroup({ name: 'others', lite: { topic: 'sessions' } });
      await world.sync('c3', 'add', ['a'], start);
      expect(ids(await world.poll({ clientId: 'c3', waitMs: fresh.length > 0 ? 1_000 : 0 }))).toEqual(fresh);
      await world.broker.stop();
    },
  );

  it('are taken over by the newest subscriber of an exclusive group, and the older one is told', async () => {
    const world = await new LiteWorld().begin({ exclusive: true });
    await world.subscribe('c1', 'a', 'b');
    await world.subscribe('c2', 'a');
    expect(world.forgotten()).toEqual(['c1 a']);
    await world.sendTo('a', 'a1');
    expect(await world.pollIds({ clientId: 'c1' })).toEqual([]);
    await world.sync('c1', 'setAll', ['a', 'b']); // It has not heard yet.
    expect(world.forgotten()).toEqual(['c1 a']);
    expect(await world.pollIds({ clientId: 'c1' })).toEqual([]);
    expect(await world.pollIds({ clientId: 'c2' })).toEqual(['a1']);
    await world.broker.stop();
  });

  it('begin anew after an eviction or an unsubscription where the group says so', async () => {
    const world = await new LiteWorld().begin({ exclusive: true, resetOnEviction: true, resetOnUnsubscribe: true });
    await world.subscribe('c1', 'a');
    await world.sendTo('a', 'a1');
    await world.ackAll(await world.poll({ clientId: 'c1' }));
    await world.subscribe('c2', 'a');
    const again = await world.poll({ clientId: 'c2' });
    expect(ids(again)).toEqual(['a1']);
    await world.ackAll(again);
    await world.sync('c2', 'remove', ['a']);
    await world.subscribe('c3', 'a');
    expect(await world.pollIds({ clientId: 'c3' })).toEqual(['a1']);
    await world.broker.stop();
  });

  it('all go to a wildcard group, those from before too', async () => {
    const world = await new LiteWorld().begin({ wildcard: true });
    for (let i = 0; i < 50; i += 1) await world.sendTo(`t${i}`, `m${i}`);
    const found = [...(await world.poll()), ...(await world.poll({ clientId: 'c2' }))];
    expect(ids(found).sort()).toEqual(Array.from({ length: 50 }, (_, i) => `m${i}`).sort());
    await world.ackAll(found);
    const waiting = world.poll({ clientId: 'c3', waitMs: 20_000 });
    await world.sendTo('new', 'first');
    expect(ids(await waiting)).toEqual(['first']);
    expect(await code(world.subscribe('c1', 'a'))).toMatch(/^BAD_REQUEST/);
    expect(await code(world.sync('c1', 'setAll', []))).toBe('OK');
    await world.broker.stop();
  });

  it('pause when a client suspends them, and that is no failed delivery', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a', 'b');
    await world.sendTo('a', 'a1');
    const [message] = await world.poll();
    await settle((done) =>
      world.broker.changeInvisible({ receipt: message!.receipt, invisibleMs: 30_000, suspend: true }, done),
    );
    await world.sendTo('a', 'a2');
    await world.sendTo('b', 'b1');
    const other = await world.poll();
    expect(ids(other)).toEqual(['b1']);
    await world.ackAll(other);
    const waiting = world.poll({ waitMs: 60_000 });
    world.clock.advance(29_000);
    expect(world.broker.waitingPolls).toBe(1);
    world.clock.advance(1_100);
    const again = await waiting;
    expect(again.map(({ receipt }) => [receipt.offset, receipt.attempt])).toEqual([[0, 1]]);
    await world.ackAll(again); // Nothing behind it is seen before it is done.
    expect(ids(await world.poll())).toEqual(['a2']);
    await world.broker.stop();
  });

  it('answer a repeated attempt with the same messages as the same delivery', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a', 'b');
    await world.sendTo('a', 'a1', 'a2');
    const first = await world.poll({ attemptId: 'x' });
    await world.sendTo('b', 'b1');
    const repeated = await world.poll({ attemptId: 'x' });
    expect(ids(repeated)).toEqual(['a1', 'a2']);
    expect(repeated.map(({ receipt }) => receipt.attempt)).toEqual([1, 1]);
    await world.ackAll(repeated);
    expect(ids(first)).toEqual(ids(repeated));
    expect(await world.pollIds({ attemptId: 'y' })).toEqual(['b1']);
    await world.restart();
    await world.sync('c1', 'setAll', ['a', 'b']);
    expect(await world.pollIds({ attemptId: 'y' })).toEqual(['b1']);
    await world.broker.stop();
  });

  it('put a message that failed too often aside, and go on', async () => {
    const world = await new LiteWorld().begin({}, undefined, 2);
    await world.subscribe('c1', 'a');
    await world.sendTo('a', 'bad', 'good');
    for (const attempt of [1, 2]) {
      const [bad] = await world.poll({ messagesMax: 1 });
      expect([ids([bad!]), bad!.receipt.attempt]).toEqual([['bad'], attempt]);
      world.clock.advance(10_100);
    }
    const waiting = world.poll({ waitMs: 20_000 });
    await until(
      () => world.clock.advance(20),
      () => world.broker.waitingPolls === 0,
    );
    expect(ids(await waiting)).toEqual(['good']);
    await world.broker.stop();
  });

  it('release what a client held when it goes', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a');
    await world.subscribe('c2', 'a');
    await world.sendTo('a', 'a1');
    await world.poll({ clientId: 'c1' });
    const waiting = world.poll({ clientId: 'c2', waitMs: 20_000 });
    await settle((done) => world.broker.clientGone({ clientId: 'c1', groupId: world.group.id }, done));
    expect(ids(await waiting)).toEqual(['a1']);
    expect(await world.pollIds({ clientId: 'c1' })).toEqual([]);
    await world.broker.stop();
  });

  it('remember no more ready lite topics than the group allows, and forget none', async () => {
    const world = await new LiteWorld().begin({ eventsMax: 3 });
    const names = Array.from({ length: 20 }, (_, i) => `t${i}`);
    await world.subscribe('c1', ...names);
    for (const name of names) await world.sendTo(name, name);
    const found: string[] = [];
    for (let polls = 0; polls < 20 && found.length < 20; polls += 1)
      found.push(...(await world.pollIds({ messagesMax: 4 })));
    expect(found.sort()).toEqual(names.sort());
    await world.broker.stop();
  });

  it('refuse what is over a quota, and name it', async () => {
    const world = await new LiteWorld().begin({ clientQuota: 2 });
    expect(await code(world.subscribe('c1', 'a', 'b', 'c'))).toMatch(/^LITE_SUBSCRIPTION_QUOTA_EXCEEDED: .*allows 2/);
    const names = Array.from({ length: 100 }, (_, i) => `t${i}`);
    for (const name of names) await world.sendTo(name, 'x');
    expect(await code(world.sendTo('more', 'x'))).toMatch(/^LITE_TOPIC_QUOTA_EXCEEDED: .*at most 100/);
    expect(await code(world.sendTo('t7', 'y'))).toBe('OK');
    await world.broker.stop();
  });

  it('refuse groups that are bound to none or to another topic', async () => {
    const world = await new LiteWorld().begin();
    const other = await world.nameService.createTopic({ name: 'other', type: MessageType.lite });
    world.topic = other;
    expect(await code(world.subscribe('c1', 'a'))).toMatch(/^ILLEGAL_TOPIC/);
    world.group = await world.nameService.createGroup({ name: 'plain' });
    expect(await code(world.subscribe('c1', 'a'))).toMatch(/^ILLEGAL_CONSUMER_GROUP/);
    await world.broker.stop();
  });

  it('go when nothing is sent to them any more: their subscribers are told, and a new one starts clean', async () => {
    const world = await new LiteWorld().begin({}, 15 * minute);
    await world.subscribe('c1', 'idle', 'busy');
    await world.sendTo('idle', 'i1');
    await world.sendTo('busy', 'b1');
    const found = await world.poll();
    const clients = ['c1', 'c2', 'c3'];
    for (let passed = 0; passed < 18; passed += 1) {
      await world.sync('c1', 'setAll', ['idle', 'busy']);
      world.hear(...clients);
      world.clock.advance(minute);
      await world.sendTo('busy', `b${passed}`);
      if (passed === 12) expect(world.broker.liteTopics.count).toBe(2);
    }
    await until(
      () => world.clock.advance(10),
      () => world.broker.liteTopics.count === 1,
    );
    expect(world.forgotten()).toContain('c1 idle');
    expect(world.broker.store.sizes.queues).toBe(1);
    // Of the one its lease is over, of the other nothing is left.
    for (const { receipt } of found) expect(await code(world.ack(receipt))).toMatch(/^INVALID_RECEIPT_HANDLE/);
    await world.subscribe('c1', 'idle');
    expect(await world.sendTo('idle', 'again')).toEqual([0]);
    expect(await world.pollIds({ messagesMax: 100 })).toContain('again');
    await world.broker.stop();
  });

  it('are listed by prefix, described with their readers, and deleted by an operator', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'user-1', 'user-2');
    for (const name of ['user-1', 'user-2', 'other']) await world.sendTo(name, 'x', 'y');
    const { reports } = world.broker.lite();
    const topicId = world.topic.id;
    const page = reports.list({ topicId, prefix: 'user-', from: 0, max: 1 });
    expect([page.liteTopics.map(({ name, messages }) => [name, messages]), page.total]).toEqual([[['user-1', 2]], 3]);
    const rest = reports.list({ topicId, prefix: 'user-', from: page.next!, max: 10 });
    expect([rest.liteTopics.map(({ name }) => name), rest.next]).toEqual([['user-2'], undefined]);
    const [held] = await world.poll({ messagesMax: 1 });
    expect(await reports.describe(topicId, 'user-1')).toMatchObject({
      first: 0,
      next: 2,
      lastMs: world.clock.wallMs(),
      readers: [{ groupId: world.group.id, committed: 0, inFlight: 1, subscribers: ['c1'] }],
    });
    expect(await reports.describe(topicId, 'nobody')).toBeUndefined();
    expect(await world.broker.lite().delete(topicId, 'user-1')).toBe(true);
    expect(await world.broker.lite().delete(topicId, 'user-1')).toBe(false);
    expect(world.forgotten()).toEqual(['c1 user-1']);
    expect(await code(world.ack(held!.receipt))).toMatch(/^INVALID_RECEIPT_HANDLE/);
    expect(await world.pollIds()).toEqual(['x', 'y']);
    await world.broker.stop();
  });

  it('rest while their group is paused, and go on when the pause ends', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a');
    await world.sendTo('a', 'a1');
    world.pause(world.clock.wallMs() + 30_000);
    expect(await world.pollIds()).toEqual([]);
    const waiting = world.poll({ waitMs: 60_000 });
    world.clock.advance(29_000);
    expect(world.broker.waitingPolls).toBe(1);
    world.clock.advance(1_100);
    expect(ids(await waiting)).toEqual(['a1']);
    await world.broker.stop();
  });

  it('rest no longer than their group does, where its pause was made shorter', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a');
    await world.sendTo('a', 'a1');
    world.pause(world.clock.wallMs() + 50_000);
    const waiting = world.poll({ waitMs: 60_000 });
    world.pause(world.clock.wallMs() + 5_000);
    await new Promise(setImmediate);
    world.clock.advance(5_100);
    await new Promise(setImmediate);
    expect(world.broker.waitingPolls).toBe(0);
    expect(ids(await waiting)).toEqual(['a1']);
    await world.broker.stop();
  });

  it('go on for every member when the pause ends, also beside one that has nothing', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'empty');
    await world.subscribe('c2', 'a');
    await world.sendTo('a', 'a1');
    world.pause(world.clock.wallMs() + 5_000);
    const idle = world.poll({ waitMs: 60_000 });
    const waiting = world.poll({ waitMs: 60_000, clientId: 'c2' });
    world.clock.advance(5_100);
    await new Promise(setImmediate);
    expect(world.broker.waitingPolls).toBe(1);
    expect(ids(await waiting)).toEqual(['a1']);
    world.clock.advance(60_000);
    expect(ids(await idle)).toEqual([]);
    await world.broker.stop();
  });

  it('reach who waits in a moment, where the log did not take it at first', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a');
    const waiting = world.poll({ waitMs: 60_000 });
    world.refuseNext(RecordKind.fifoDelivery);
    await world.sendTo('a', 'a1');
    for (let i = 0; i < 20 && world.broker.waitingPolls > 0; i += 1) {
      world.clock.advance(50);
      await new Promise(setImmediate);
    }
    expect(world.broker.waitingPolls).toBe(0);
    expect(ids(await waiting)).toEqual(['a1']);
    await world.broker.stop();
  });

  it('of a parent that was deleted and made again reach those who go on to subscribe', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a');
    await world.sendTo('a', 'old');
    const found = await world.poll();
    expect(ids(found)).toEqual(['old']);
    await world.ackAll(found);
    expect(await world.poll()).toEqual([]);
    await world.nameService.deleteTopic('sessions');
    world.topic = await world.nameService.createTopic({ name: 'sessions', type: MessageType.lite });
    await world.sync('c1', 'setAll', ['a']);
    await world.sendTo('a', 'new');
    expect(await world.pollIds()).toEqual(['new']);
    await world.broker.stop();
  });

  it('can be subscribed to again where the log did not take where the group begins', async () => {
    const world = await new LiteWorld().begin();
    await world.sendTo('a', 'a1');
    world.refuseNext(RecordKind.delivery);
    expect(await code(world.subscribe('c1', 'a'))).toMatch(/^TOO_MANY_REQUESTS/);
    await world.subscribe('c1', 'a');
    expect(await world.pollIds()).toEqual(['a1']);
    await world.broker.stop();
  });

  it.each([
    ['its client asks again', (world: LiteWorld) => world.sync('c1', 'remove', ['a'])],
    ['some time has passed', async (world: LiteWorld) => world.clock.advance(10_000)],
  ])('begin anew also where the log did not take that at first, when %s', async (_, then) => {
    const world = await new LiteWorld().begin({ resetOnUnsubscribe: true });
    await world.subscribe('c1', 'a');
    await world.sendTo('a', 'a1');
    await world.ackAll(await world.poll({ clientId: 'c1' }));
    world.refuseNext(RecordKind.resetProgress);
    expect(await code(world.sync('c1', 'remove', ['a']))).toMatch(/^TOO_MANY_REQUESTS/);
    await then(world);
    await world.subscribe('c3', 'a');
    expect(await world.pollIds({ clientId: 'c3' })).toEqual(['a1']);
    await world.broker.stop();
  });

  it.each([
    ['the group', /^CONSUMER_GROUP_NOT_FOUND/, (world: LiteWorld) => world.nameService.deleteGroup('agents')],
    ['the parent', /^TOPIC_NOT_FOUND/, (world: LiteWorld) => world.nameService.deleteTopic('sessions')],
    ['the lite topic', /^OK/, (world: LiteWorld) => world.broker.lite().delete(world.topic.id, 'a')],
  ])('leave nothing behind in the log where %s goes while a start is looked up', async (_, answer, go) => {
    const world = await new LiteWorld().begin();
    await world.sendTo('a', 'a1');
    const { store, groups } = world.broker;
    const offsetAtTime = store.offsetAtTime.bind(store);
    const { promise: looked, resolve: goOn } = Promise.withResolvers<void>();
    let looking = false;
    store.offsetAtTime = async (...asked) => {
      looking = true;
      await looked;
      return offsetAtTime(...asked);
    };
    const subscribed = code(world.sync('c1', 'add', ['a'], { at: 'time', value: 0 }));
    for (let i = 0; i < 10_000 && !looking; i += 1) await new Promise(setImmediate);
    await go(world);
    goOn();
    expect(await subscribed).toMatch(answer);
    expect(groups.progressOf(world.group.id)).toEqual([]);
    await world.broker.stop();
  });

  it('give who waits for them their first message, also where its first send was refused', async () => {
    const world = await new LiteWorld().begin();
    world.group = await world.nameService.updateGroup('agents', { start: { at: 'end' } });
    await world.subscribe('c1', 'a');
    world.refuseNext(RecordKind.delivery);
    expect(await code(world.sendTo('a', 'a1'))).toMatch(/^TOO_MANY_REQUESTS/);
    await world.sendTo('a', 'a1');
    expect(await world.pollIds()).toEqual(['a1']);
    await world.broker.stop();
  });

  it('keep their subscribers where the broker itself stood still for as long', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a');
    world.clock.standStill(400_000);
    world.clock.advance(4_000);
    await world.sendTo('a', 'a1');
    expect(await world.pollIds()).toEqual(['a1']);
    await world.broker.stop();
  });

  it('lose subscribers that stay silent for three minutes', async () => {
    const world = await new LiteWorld().begin();
    await world.subscribe('c1', 'a');
    for (let i = 0; i < 50; i += 1) world.clock.advance(4_000);
    await world.sendTo('a', 'a1');
    expect(await world.pollIds()).toEqual([]);
    await world.sync('c1', 'setAll', ['a']);
    await world.sendTo('a', 'a2');
    expect(await world.pollIds()).toEqual(['a1', 'a2']);
    await world.broker.stop();
  });
});

/** Lets things happen until it is so. */
async function until(step: () => void, isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !isSo(); i += 1) {
    step();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(isSo()).toBe(true);
}
