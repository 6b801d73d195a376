import { someTraits } from '@cometmq/client/testing';
import { type BrokerSetStage, deadLetterTopic, type FilterExpression, type Receipt } from '@cometmq/model';
import type { MqError } from '@cometmq/shared';

import { BrokerWorld, ids, settle } from './broker-world.js';

const tags = (expression: string): FilterExpression => ({ type: 'tag', expression });

describe('the broker', () => {
  it('hands out what was sent, once, until it is visible again', async () => {
    const world = await new BrokerWorld().start();
    for (const id of ['a', 'b', 'c']) await world.send(id);
    expect(ids(await world.poll())).toEqual(['a', 'b', 'c']);
    expect(await world.poll()).toEqual([]);
    world.clock.advance(10_001);
    const again = await world.poll();
    expect(ids(again)).toEqual(['a', 'b', 'c']);
    expect(again.map(({ receipt }) => receipt.attempt)).toEqual([2, 2, 2]);
    await world.broker.stop();
  });

  it('never hands out again what was acknowledged, also after a restart', async () => {
    const world = await new BrokerWorld().start();
    for (const id of ['a', 'b', 'c']) await world.send(id);
    const [a, , c] = await world.poll();
    await Promise.all([world.ack(a!.receipt), world.ack(c!.receipt)]);
    await world.restart();
    world.clock.advance(10_001);
    expect(ids(await world.poll())).toEqual(['b']);
    world.clock.advance(60_000);
    await world.ack(a!.receipt); // A second time: OK, without effect.
    await world.broker.stop();
  });

  it('wakes a waiting poll when a message arrives', async () => {
    const world = await new BrokerWorld().start();
    const waiting = world.poll({ waitMs: 20_000 });
    expect(world.broker.waitingPolls).toBe(1);
    await world.send('late');
    expect(ids(await waiting)).toEqual(['late']);
    expect(world.broker.waitingPolls).toBe(0);
    await world.broker.stop();
  });

  it('wakes a waiting poll when a message becomes visible again', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    const [first] = await world.poll();
    const waiting = world.poll({ waitMs: 20_000 });
    await settle((done) => world.broker.changeInvisible({ receipt: first!.receipt, invisibleMs: 1_000 }, done));
    world.clock.advance(1_100);
    const [second] = await waiting;
    expect(second?.receipt.attempt).toBe(2);
    await world.broker.stop();
  });

  it('answers a poll with nothing when its time has passed, and forgets it', async () => {
    const world = await new BrokerWorld().start();
    const waiting = world.poll({ waitMs: 5_000 });
    world.clock.advance(5_000);
    expect(await waiting).toEqual([]);
    expect(world.broker.waitingPolls).toBe(0);
    await world.broker.stop();
  });

  it('gives nothing to a poll that was taken back', async () => {
    const world = await new BrokerWorld().start();
    let answered = false;
    const cancel = world.pollWith({ waitMs: 5_000 }, () => (answered = true));
    cancel();
    await world.send('a');
    expect(ids(await world.poll())).toEqual(['a']);
    expect(answered).toBe(false);
    await world.broker.stop();
  });

  it('gives members with different tags each their own, and loses none', async () => {
    const world = await new BrokerWorld().start();
    for (const [id, tag] of [
      ['a1', 'A'],
      ['b1', 'B'],
      ['a2', 'A'],
      ['b2', 'B'],
      ['c1', 'C'],
    ] as const) {
      await world.send(id, tag);
    }
    expect(ids(await world.poll({ clientId: 'onlyA', filter: tags('A') }))).toEqual(['a1', 'a2']);
    expect(ids(await world.poll({ clientId: 'onlyB', filter: tags('B || D') }))).toEqual(['b1', 'b2']);
    expect(await world.poll({ clientId: 'onlyA', filter: tags('A') })).toEqual([]);
    await world.broker.stop();
  });

  it('refuses a wrong filter at once', async () => {
    const world = await new BrokerWorld().start();
    const sql: FilterExpression = { type: 'sql', expression: 'a =' };
    await expect(world.poll({ filter: sql })).rejects.toMatchObject({ code: 'ILLEGAL_FILTER_EXPRESSION' });
    await world.broker.stop();
  });

  it('moves a message to the dead-letter topic after its last attempt', async () => {
    const world = await new BrokerWorld().start(2);
    await world.send('poison');
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      expect((await world.poll()).map(({ receipt }) => receipt.attempt)).toEqual([attempt]);
      world.clock.advance(10_001);
    }
    expect(await world.poll()).toEqual([]);
    const dead = await world.directory.until(
      () => world.directory.topic(deadLetterTopic(world.group.name)),
      1000,
      'no dead-letter topic',
    );
    const undertaker = await world.nameService.createGroup({ name: 'undertaker' });
    const waiting = world.poll({ topicId: dead.id, groupId: undertaker.id, waitMs: 10_000 });
    const found = await waiting;
    expect(ids(found)).toEqual(['poison']);
    expect(found[0]?.originTopicId).toBe(world.topic.id);
    world.clock.advance(60_000);
    expect(await world.poll()).toEqual([]);
    await world.broker.stop();
  });

  it('forwards to the dead-letter topic when asked, and says OK a second time', async () => {
    const world = await new BrokerWorld().start();
    await world.send('poison');
    const [message] = await world.poll();
    for (let i = 0; i < 2; i += 1) {
      await settle<void>((done) => world.broker.deadLetter({ receipt: message!.receipt }, done));
    }
    const dead = world.directory.topic(deadLetterTopic(world.group.name))!;
    const undertaker = await world.nameService.createGroup({ name: 'undertaker' });
    expect(ids(await world.poll({ topicId: dead.id, groupId: undertaker.id, waitMs: 10_000 }))).toEqual(['poison']);
    await world.broker.stop();
  });

  it('makes a delivery that never arrived visible at once, without counting it', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    const [lost] = await world.poll();
    await settle<void>((done) => world.broker.handBack({ receipts: [lost!.receipt] }, done));
    const [again] = await world.poll();
    expect(again?.receipt.attempt).toBe(1);
    await world.broker.stop();
  });

  it('renews leases of living clients, and gives back what a client held that left', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    await world.poll({ autoRenew: true, invisibleMs: 60_000, clientId: 'push' });
    for (let i = 0; i < 30; i += 1) {
      world.broker.reportSessions({
        proxyId: 'p',
        sessions: [{ ...someTraits, clientId: 'push', groupId: world.group.id, subscriptions: [] }],
        producers: [],
      });
      world.clock.advance(5_000);
    }
    expect(await world.poll()).toEqual([]);
    await settle<void>((done) => world.broker.clientGone({ clientId: 'push', groupId: world.group.id }, done));
    expect((await world.poll()).map(({ receipt }) => receipt.attempt)).toEqual([2]);
    await world.broker.stop();
  });

  it('does not renew what a proxy was given just before its link ended, though the client lives', async () => {
    const world = await new BrokerWorld().start();
    const lives = (): void =>
      world.broker.reportSessions({
        proxyId: 'p2',
        sessions: [{ ...someTraits, clientId: 'push', groupId: world.group.id, subscriptions: [] }],
        producers: [],
      });
    const take = async (id: string): Promise<{ epoch: number; position: number }> => {
      await world.send(id);
      const push = { autoRenew: true, invisibleMs: 60_000, clientId: 'push', connection: '7:p1/1' };
      const [message] = await world.poll(push);
      return { epoch: message!.receipt.leaseEpoch, position: message!.receipt.leasePosition };
    };
    await take('arrived');
    const underWay = await take('under way');
    world.clock.advance(10_000);
    await take('on the link');
    world.broker.linkLost({ prefix: '7:', report: { agoMs: 1_000, unconfirmed: [underWay] } });
    for (let i = 0; i < 13; i += 1) {
      lives();
      world.clock.advance(5_000);
    }
    expect(ids(await world.poll())).toEqual(['under way', 'on the link']);
    await world.broker.stop();
  });

  it('takes a good-bye said to one proxy for one said to all', async () => {
    const world = await new BrokerWorld().start();
    const report = (proxyId: string) =>
      world.broker.reportSessions({
        proxyId,
        sessions: [{ ...someTraits, clientId: 'push', groupId: world.group.id, subscriptions: [] }],
        producers: [],
      });
    report('p1');
    report('p2');
    await settle<void>((done) => world.broker.clientGone({ clientId: 'push', groupId: world.group.id }, done));
    report('p2'); // Has not noticed yet.
    expect(world.broker.sessions.lives(world.group.id, 'push')).toBe(false);
    await world.poll({ clientId: 'push' }); // It is there again.
    report('p2');
    expect(world.broker.sessions.lives(world.group.id, 'push')).toBe(true);
    await world.broker.stop();
  });

  it('frees nothing of another client with the same id that stays', async () => {
    const world = await new BrokerWorld().start();
    const take = async (id: string, connection: string): Promise<void> => {
      await world.send(id);
      await world.poll({ autoRenew: true, invisibleMs: 60_000, clientId: 'twin', connection });
    };
    await take('a', '3:p1/1');
    await take('b', '3:p1/2');
    const gone = { clientId: 'twin', groupId: world.group.id, connection: 'p1/2' };
    await settle<void>((done) => world.broker.clientGone(gone, done));
    expect(ids(await world.poll())).toEqual(['b']);
    expect(world.broker.sessions.lives(world.group.id, 'twin')).toBe(true);
    await world.broker.stop();
  });

  it('refuses sends that were chosen by an older layout or come too late', async () => {
    const world = await new BrokerWorld().start();
    const late = { ...world.topic, layout: 0 };
    await expect(world.send('a', '', late)).rejects.toMatchObject({ code: 'STALE_LAYOUT' });
    await world.broker.stop();
  });

  it('takes nothing new once its set is removed, and hands out what it holds', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    const set = { name: 'broker-0', epoch: 1, members: [], quorum: 1, inSync: [], writable: false, registeredMs: 1 };
    world.directory.apply({ kind: 'broker', revision: 1_000, broker: { ...set, stage: 'gone' } });
    await expect(world.send('b')).rejects.toMatchObject({ code: 'UNAVAILABLE', retry: true });
    expect(ids(await world.poll())).toEqual(['a']);
    world.directory.apply({ kind: 'broker', revision: 1_001, broker: { ...set, stage: 'serving' } });
    await world.send('b');
    await world.broker.stop();
  });

  it('holds sends up while its last messages are consumed, and sends them elsewhere when its set is removed', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    await world.broker.holdSends(1_000);
    const waits = world.send('b');
    let over = false;
    waits.then(
      () => (over = true),
      () => (over = true),
    );
    expect(ids(await world.poll())).toEqual(['a']);
    expect(over).toBe(false);
    await world.broker.holdSends(0);
    await waits;
    await world.broker.holdSends(1_000);
    const elsewhere = world.send('c');
    const set = { name: 'broker-0', epoch: 1, members: [], quorum: 1, inSync: [], writable: false, registeredMs: 1 };
    world.directory.apply({ kind: 'broker', revision: 1_000, broker: { ...set, stage: 'gone' } });
    await expect(elsewhere).rejects.toMatchObject({ code: 'UNAVAILABLE', retry: true });
    await world.broker.stop();
  });

  it('says that sends are held only once what came before is committed, and can be counted', async () => {
    const world = await new BrokerWorld().start();
    const { store } = world.broker;
    const whenCommitted = store.whenCommitted.bind(store);
    const late: (() => void)[] = [];
    store.whenCommitted = (...call) => void late.push(() => whenCommitted(...call));
    let isHeld = false;
    const holding = world.broker.holdSends(1_000).then(() => (isHeld = true));
    for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
    expect([isHeld, late.length]).toEqual([false, 1]);
    late[0]?.();
    await holding;
    await world.broker.stop();
  });

  it('holds sends up for a set that leaves, also where another set comes meanwhile', async () => {
    const world = await new BrokerWorld().start();
    const set = { epoch: 1, members: [], quorum: 1, inSync: [], writable: true, registeredMs: 1 };
    const stage = (name: string, revision: number, is: BrokerSetStage): void =>
      world.directory.apply({ kind: 'broker', revision, broker: { ...set, name, stage: is } });
    stage('broker-0', 1_000, 'draining');
    stage('broker-1', 1_001, 'joining');
    await world.broker.holdSends(1_000);
    let over = false;
    const waits = world.send('a').finally(() => (over = true));
    stage('broker-1', 1_002, 'serving');
    for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(over).toBe(false);
    stage('broker-0', 1_003, 'gone');
    await expect(waits).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await world.broker.stop();
  });

  it('keeps messages of groups back while others are to come first, and takes those that are its own', async () => {
    const world = await new BrokerWorld().start();
    const set = { epoch: 1, members: [], quorum: 1, inSync: [], writable: true, registeredMs: 1 };
    const stage = (name: string, revision: number, is: BrokerSetStage): void =>
      world.directory.apply({ kind: 'broker', revision, broker: { ...set, name, stage: is } });
    const ofGroup = (id: string): Promise<unknown> => world.sendAs(id, { group: Buffer.from(id) });
    stage('broker-0', 1_000, 'serving');
    stage('broker-1', 1_001, 'joining');
    const groups = Array.from({ length: 16 }, (_, i) => `g${i}`);
    for (const group of groups) await ofGroup(group);
    await world.broker.holdSends(1_000, true);
    const held = groups.map((group) => ofGroup(`${group}-next`).then(String, (caught: MqError) => caught.code));
    await world.send('others do not wait');
    stage('broker-1', 1_002, 'serving');
    const refused = (await Promise.all(held)).filter((code) => code === 'STALE_LAYOUT').length;
    expect(refused).toBeGreaterThan(2);
    expect(refused).toBeLessThan(14);
    stage('broker-0', 1_003, 'draining'); // It keeps those that it has.
    stage('broker-1', 1_004, 'gone');
    for (const group of groups) await ofGroup(`${group}-again`);
    await world.broker.stop();
  });

  it('refuses an acknowledgement of what was never handed out', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    const [message] = await world.poll();
    const forged = { ...message!.receipt, offset: 77 as Receipt['offset'] };
    await expect(world.ack(forged)).rejects.toMatchObject({ code: 'INVALID_RECEIPT_HANDLE' });
    await world.broker.stop();
  });

  it('deletes at its start what was deleted while it was down', async () => {
    const world = await new BrokerWorld().start();
    await world.send('old');
    await world.send('kept', '', await world.nameService.createTopic({ name: 'others' }));
    await world.poll();
    const { store, groups } = world.broker;
    expect([store.topicIds().length, [...groups.groups()].length]).toEqual([2, 1]);
    await world.broker.stop();
    await world.nameService.deleteTopic('orders');
    await world.nameService.deleteGroup('readers');
    await world.restart();
    expect(world.broker.store.topicIds()).toEqual([world.directory.topic('others')?.id]);
    expect([...world.broker.groups.groups()]).toEqual([]);
    expect(world.broker.store.sizes.messages).toBe(1);
    await world.broker.stop();
  });

  it('a deleted topic is gone, and one made again under its name starts clean', async () => {
    const world = await new BrokerWorld().start();
    await world.send('old');
    await world.nameService.deleteTopic('orders');
    const refused = expect(world.send('x')).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' });
    world.clock.advance(3_000);
    await refused;
    world.topic = await world.nameService.createTopic({ name: 'orders' });
    expect(await world.poll()).toEqual([]);
    expect(await world.send('new')).toBe(0);
    expect(ids(await world.poll())).toEqual(['new']);
    await world.broker.stop();
  });
});

describe('what an operator should know is a line of log', () => {
  const linesOf = (world: BrokerWorld, what: string) =>
    world.said.filter(({ said }) => said.includes(what)).map(({ facts }) => facts);

  it('a start after a stop that was not a clean one, and no other', async () => {
    const world = await new BrokerWorld().start();
    await world.send('a');
    await world.restart();
    expect(linesOf(world, 'recovered')).toEqual([]);
    await world.send('b');
    const end = world.broker.store.appendEnd;
    await world.crash();
    expect(linesOf(world, 'recovered')).toEqual([expect.objectContaining({ broker: 'broker-0', end })]);
    await world.broker.stop();
  });

  it('a note of which one copy is damaged, and no failure, as there was none', async () => {
    const world = await new BrokerWorld().start();
    await world.broker.stop();
    const bytes = world.disk.peek('data/identity');
    bytes.writeUInt8(bytes.readUInt8(3) ^ 1, 3);
    await world.crash();
    expect(linesOf(world, 'its other copy is used')).toEqual([{}]);
    await world.broker.stop();
  });

  it('dead letters: the first at once, a flood in one line', async () => {
    const world = await new BrokerWorld().start(1);
    const pass = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 1_000) {
        world.clock.advance(1_000);
        for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await world.send('first');
    await world.poll();
    await pass(13_000);
    const one = { group: 'readers', topic: 'orders', messages: 1 };
    expect(linesOf(world, 'dead-letter')).toEqual([one]);
    for (let i = 0; i < 50; i += 1) await world.send(`${i}`);
    await world.poll({ messagesMax: 20 });
    await world.poll({ messagesMax: 30 });
    await pass(25_000);
    expect(linesOf(world, 'dead-letter')).toEqual([one, { ...one, messages: 50 }]);
    await world.broker.stop();
  });
});
