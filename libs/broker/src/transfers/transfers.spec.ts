/**
 * Goal: what a broker set that leaves still holds comes to the sets that stay, each message once, for the groups that were not
 * done with it, as often tried as it was; whatever breaks on the way. Method: two sets of real brokers on faked clocks, disks and
 * network; groups that consume at the one set until it leaves, and at the other from then on.
 */
import type { RecallResult } from '@cometmq/client';
import { MessageType, type ConsumerGroup, type PendingPlace } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import { settle } from '../broker-world.js';
import { bodyOf, SetWorld } from '../member/set-world.js';
import { Cluster, pendingToo } from './leaving-cluster.js';

describe('a broker set that leaves', () => {
  it('hands over what a group is not done with: for it alone, once, as often tried as it was', async () => {
    const cluster = await new Cluster().start();
    const { staying, leaving, nameService } = cluster;
    const [late, early] = [
      await nameService.createGroup({ name: 'late', attemptsMax: 5 }),
      await nameService.createGroup({ name: 'early' }),
    ];
    await leaving.poll({ groupId: late.id });
    await leaving.poll({ groupId: early.id });
    for (const id of ['a', 'b', 'c', 'd']) await leaving.send(id);
    // The one group is done with the first three; the other one has failed with the first one twice.
    for (const { receipt, payload } of await leaving.poll({ groupId: early.id })) {
      if (bodyOf(payload) !== 'd') await leaving.ack(receipt);
    }
    for (const attempt of [1, 2]) {
      const [first] = await leaving.poll({ groupId: late.id, messagesMax: 1 });
      expect([bodyOf(first!.payload), first!.receipt.attempt]).toEqual(['a', attempt]);
      await leaving.pass(5_100);
    }
    await cluster.drain();
    expect([cluster.lag(staying, late), cluster.lag(staying, early)]).toEqual([4, 1]);
    expect(await leaving.poll({ groupId: late.id })).toEqual([]);
    const came = await staying.poll({ groupId: late.id });
    expect(came.map(({ payload, receipt }) => [bodyOf(payload), receipt.attempt])).toEqual([
      ['a', 3],
      ['b', 1],
      ['c', 1],
      ['d', 1],
    ]);
    const again = await staying.poll({ groupId: early.id });
    expect(again.map(({ payload, receipt }) => [bodyOf(payload), receipt.attempt])).toEqual([['d', 2]]);
    for (const { receipt } of [...came, ...again]) await staying.ack(receipt);
    expect([cluster.lag(staying, late), cluster.lag(staying, early)]).toEqual([0, 0]);
    await cluster.stop();
  });

  it('hands over what nobody has ever read, for whoever comes', async () => {
    const cluster = await new Cluster().start();
    for (const id of ['a', 'b']) await cluster.leaving.send(id);
    const { broker } = cluster.leaving.leader;
    await cluster.drain(() => broker.views.transfers.sent === 2);
    expect(await cluster.staying.drain()).toEqual(['a', 'b']);
    await cluster.stop();
  });

  it('gives a group that came before all there is, and one that comes later what nobody had been done with', async () => {
    const cluster = await new Cluster().start();
    const { staying, leaving, nameService } = cluster;
    const create = (name: string): Promise<ConsumerGroup> => nameService.createGroup({ name, start: { at: 'first' } });
    const [done, before] = [await create('done'), await create('before')];
    for (const id of ['a', 'b']) await leaving.send(id);
    for (const { receipt, payload } of await leaving.poll({ groupId: done.id })) {
      if (bodyOf(payload) === 'a') await leaving.ack(receipt);
    }
    await leaving.poll({ groupId: before.id, messagesMax: 1, invisibleMs: 100 });
    const other = await nameService.createTopic({ name: 'other' });
    await leaving.send('c', {}, other);
    await cluster.drain(() => leaving.leader.broker.views.transfers.sent === 3);
    const later = await create('later');
    const read = async (group: ConsumerGroup): Promise<string[]> => {
      const some = [];
      for (const { id: topicId } of [staying.topic, other])
        some.push(...(await staying.poll({ groupId: group.id, topicId })));
      return some.map(({ payload }) => bodyOf(payload));
    };
    expect(await read(before)).toEqual(['a', 'b', 'c']);
    expect(await read(later)).toEqual(['b', 'c']);
    await cluster.stop();
  });

  it('looks through many queues once for many messages', async () => {
    const cluster = await new Cluster().start();
    const { staying, leaving, nameService } = cluster;
    const wide = await nameService.createTopic({ name: 'wide', readQueues: 60, writeQueues: 60 });
    for (let queue = 0; queue < 60; queue += 1) await leaving.send(`m${queue}`, {}, wide, queue);
    const { store } = leaving.leader.broker;
    const queueIds = store.queueIds.bind(store);
    let looks = 0;
    store.queueIds = (topicId) => {
      if (topicId === wide.id) looks += 1;
      return queueIds(topicId);
    };
    await cluster.drain(() => leaving.leader.broker.views.transfers.sent === 60);
    expect(looks).toBeLessThan(20);
    const there = staying.leader.broker.store;
    const came = there.queueIds(wide.id).map((queue) => there.bounds(wide.id, queue).committed);
    expect(came.reduce((sum, one) => sum + one, 0)).toBe(60);
    await cluster.stop();
  });

  it('hands over message groups in their order, with what is sent to them meanwhile', async () => {
    const cluster = await new Cluster().start();
    const { staying, leaving, nameService } = cluster;
    const steps = await nameService.createTopic({ name: 'steps', type: MessageType.fifo });
    const walkers = await nameService.createGroup({ name: 'walkers', fifo: true });
    const of = { groupId: walkers.id, topicId: steps.id };
    const send = (id: string): Promise<number> => leaving.send(id, { group: Buffer.from(id.slice(0, 1)) }, steps);
    for (const id of ['c1', 'd1', 'c2', 'd2', 'c3']) await send(id);
    // The first of one group has failed once; somebody is at work on the first of the other.
    const [c1] = await leaving.poll({ ...of, messagesMax: 1, invisibleMs: 100 });
    await leaving.pass(200);
    const [again] = await leaving.poll({ ...of, messagesMax: 1, invisibleMs: 100 });
    const [d1] = await leaving.poll({ ...of, messagesMax: 1, invisibleMs: 60_000 });
    expect([c1, again, d1].map((one) => bodyOf(one!.payload))).toEqual(['c1', 'c1', 'd1']);
    await leaving.pass(200);
    cluster.tell('draining');
    await leaving.until(() => leaving.leader.broker.views.transfers.sent === 3, 'the one group has gone');
    await send('c4');
    await send('d3');
    await leaving.until(() => leaving.leader.broker.views.transfers.sent === 4, 'so has what was sent to it');
    expect(await leaving.poll(of)).toEqual([]); // In their order, or not at all.
    await leaving.ack(d1!.receipt);
    await leaving.until(() => cluster.left === 0, 'the other one has gone, too');
    expect(leaving.leader.broker.views.transfers.sent).toBe(6);
    const came: (readonly [string, number])[] = [];
    for (let empty = 0; empty < 2;) {
      const some = await staying.poll(of);
      for (const { payload, receipt } of some) came.push([bodyOf(payload), receipt.attempt]);
      for (const { receipt } of some) await staying.ack(receipt);
      empty = some.length === 0 ? empty + 1 : 0;
    }
    expect(came.filter(([id]) => id.startsWith('c'))).toEqual([
      ['c1', 3],
      ['c2', 1],
      ['c3', 1],
      ['c4', 1],
    ]);
    expect(came.filter(([id]) => id.startsWith('d')).map(([id]) => id)).toEqual(['d2', 'd3']);
    await cluster.stop();
  });

  it('gives message groups out again once it takes messages again', async () => {
    const cluster = await new Cluster().start();
    const { leaving, nameService } = cluster;
    const steps = await nameService.createTopic({ name: 'steps', type: MessageType.fifo });
    const walkers = await nameService.createGroup({ name: 'walkers', fifo: true });
    const of = { groupId: walkers.id, topicId: steps.id };
    await leaving.send('c1', { group: Buffer.from('c') }, steps);
    cluster.tell('draining');
    await leaving.until(() => leaving.leader.broker.views.transfers.sent === 1, 'it has gone');
    cluster.tell('gone');
    cluster.tell('serving');
    await leaving.until(() => leaving.leader.broker.views.transfers.sent === 0, 'it is back');
    await leaving.send('c2', { group: Buffer.from('c') }, steps);
    expect((await leaving.poll(of)).map(({ payload }) => bodyOf(payload))).toEqual(['c2']);
    await cluster.stop();
  });

  it('keeps what is on its way of a topic that is missing and that nobody has deleted for good', async () => {
    const cluster = await new Cluster().start();
    const { staying, leaving, nameService } = cluster;
    await leaving.send('m0');
    const [other] = staying.members;
    other!.kill();
    cluster.tell('draining');
    const { transfers } = leaving.leader.broker.views;
    await leaving.until(() => transfers.open().length === 1, 'it is on its way');
    nameService.lose('one by one');
    await other!.start();
    await staying.until(() => staying.leaders.length === 1, 'the other set is led');
    cluster.tell('draining');
    await leaving.until(
      () => leaving.leader.broker.handingOver.handOverProblem?.includes('may come back') === true,
      'it waits',
    );
    expect([transfers.open().length, transfers.sent]).toEqual([1, 0]);
    await cluster.stop();
  });

  it('hands over delayed messages: due when they were, once, and taken back by the handles that there are', async () => {
    const cluster = await new Cluster().start();
    const { staying, leaving, nameService } = cluster;
    const later = await nameService.createTopic({ name: 'later', type: MessageType.delay });
    const of = { topicId: later.id };
    await leaving.poll(of);
    await staying.poll(of);
    const dueMs = leaving.clock.wallMs() + 20_000;
    const pend = (id: string, due: number): Promise<PendingPlace> =>
      cluster.pend(id, later, { dueMs: due, keys: [Buffer.from(`key of ${id}`)], group: Buffer.from(id.slice(0, 1)) });
    const [first, second] = [await pend('c1', dueMs), await pend('c2', dueMs + 1)];
    const far = await pend('d3', dueMs + 7_200_000);
    await leaving.leader.broker.waiting!.delays.move(second, dueMs + 5_000);
    await cluster.drain();
    const { waiting, store } = staying.leader.broker;
    expect((await waiting!.delays.find({ ...far, from: 'broker-1' }))?.dueMs).toBe(far.dueMs);
    expect((await waiting!.delays.find({ ...second, from: 'broker-1' }))?.dueMs).toBe(dueMs + 5_000);
    expect(store.pendingSize(later.id).messages).toBe(3);
    expect(leaving.leader.broker.store.pendingSize(later.id).messages).toBe(0);
    expect(await cluster.recall(far)).toEqual({ messageId: 'd3' });
    expect(await cluster.recall(far)).toEqual({ messageId: 'd3' }); // Asked again, as its answer was lost.
    await leaving.pass(19_000);
    expect(await staying.poll(of)).toEqual([]);
    await leaving.pass(1_500);
    const [came, ...more] = await staying.poll(of);
    expect([bodyOf(came!.payload), more.length]).toEqual(['c1', 0]);
    await staying.ack(came!.receipt);
    await expect(cluster.recall(first)).rejects.toMatchObject({ code: 'MESSAGE_NOT_FOUND' });
    await leaving.pass(5_000);
    expect((await staying.poll(of)).map(({ payload }) => bodyOf(payload))).toEqual(['c2']);
    expect(await leaving.poll(of)).toEqual([]);
    await cluster.stop();
  });

  it('hands over open transactions: as often asked about as they were, and ended by the ids that there are', async () => {
    const cluster = await new Cluster().start();
    const { staying, leaving, nameService } = cluster;
    const deals = await nameService.createTopic({ name: 'deals', type: MessageType.transaction });
    const of = { topicId: deals.id };
    await staying.poll(of);
    const produce = (set: SetWorld): Map<string, PendingPlace> => {
      const asked = new Map<string, PendingPlace>();
      const { broker } = set.leader;
      const producer = { clientId: 'p', topicIds: [deals.id], language: 'JAVA', version: '5', streaming: true };
      broker.onCommand('proxy', (command) => {
        if (command.kind === 'recoverOrphan') asked.set(bodyOf(command.payload), command.place);
      });
      broker.reportSessions({ proxyId: 'proxy', sessions: [], producers: [producer] });
      return asked;
    };
    const asked = produce(leaving);
    const [kept, dropped, open] = [
      await cluster.pend('kept', deals, { checkAfterMs: 1_000 }),
      await cluster.pend('dropped', deals, { checkAfterMs: 1_000 }),
      await cluster.pend('open', deals, { checkAfterMs: 1_000 }),
    ];
    await leaving.until(() => asked.size === 3, 'the producer was asked about all of them');
    await cluster.drain();
    await cluster.endTransaction(kept, 'commit');
    await cluster.endTransaction(kept, 'commit'); // Asked again, as its answer was lost.
    await expect(cluster.endTransaction(kept, 'rollback')).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await cluster.endTransaction(dropped, 'rollback');
    expect(await staying.drain(of)).toEqual(['kept']);
    const { halfMessages } = staying.leader.broker;
    expect(halfMessages.list(undefined, { storedMs: 0, position: -1 }, 9)).toMatchObject([{ checks: 1 }]);
    const askedThere = produce(staying);
    await leaving.until(() => askedThere.size === 1, 'the producer is asked by the other set', 60_000);
    // The id that it is asked with is of the other set.
    const place = askedThere.get('open')!;
    await staying.trying((broker) =>
      settle<void>((done) => broker.endTransaction({ place, resolution: 'commit', checked: true }, done)),
    );
    await cluster.endTransaction(open, 'commit'); // By the id of the send, it is known as well.
    expect(await staying.drain(of)).toEqual(['open']);
    await cluster.stop();
  });

  it('finds a pending message that two sets have handed over by the handle of the first', async () => {
    const cluster = await new Cluster().start();
    const { staying, leaving, nameService } = cluster;
    const later = await nameService.createTopic({ name: 'later', type: MessageType.delay });
    const place = await cluster.pend('far', later, { dueMs: leaving.clock.wallMs() + 3_600_000 });
    await cluster.drain();
    const third = new SetWorld(1, { ...pendingToo, brokerName: 'broker-2' }, false, staying);
    await third.start();
    nameService.putSet({ name: 'broker-1', stage: 'gone' });
    nameService.putSet({ name: 'broker-2', leader: third.leader.address });
    nameService.putSet({ name: 'broker-0', stage: 'draining', leader: staying.leader.address });
    await third.until(() => third.leader.broker.delayed.size === 1, 'it has gone on');
    const { delays } = third.leader.broker.waiting!;
    const recalled = await settle<RecallResult>((done) =>
      delays.recall({ place: { ...place, from: 'broker-1' } }, done),
    );
    expect(recalled).toEqual({ messageId: 'far' });
    await Promise.all([cluster.stop(), third.stop()]);
  });

  // Where a process ends between what it does for a transfer and what it writes down of it.
  it.each(['before it is taken', 'when it is taken', 'when it is taken, and the other one too'])(
    'hands a pending message over once when its process ends %s',
    async (when) => {
      const cluster = await new Cluster().start();
      const { staying, leaving, nameService } = cluster;
      const later = await nameService.createTopic({ name: 'later', type: MessageType.delay });
      const deals = await nameService.createTopic({ name: 'deals', type: MessageType.transaction });
      const place = await cluster.pend('late', later, { dueMs: leaving.clock.wallMs() + 60_000 });
      await cluster.pend('half', deals, {});
      const { broker } = staying.leader;
      const take = broker.takeTransfer.bind(broker);
      let ended = false;
      broker.takeTransfer = async (call) => {
        if (when !== 'before it is taken') await take(call);
        ended = true;
        leaving.members[0]!.kill();
        if (when.endsWith('too')) staying.members[0]!.kill();
        throw new MqError('UNAVAILABLE', 'nobody hears it');
      };
      cluster.tell('draining');
      await leaving.until(() => ended, 'it ends');
      broker.takeTransfer = take;
      for (const set of [staying, leaving]) {
        if (!set.members[0]!.isUp) await set.members[0]!.start();
        await set.until(() => set.leaders.length === 1, 'somebody leads again');
      }
      const { delayed } = leaving.leader.broker;
      expect(delayed.size).toBe(0); // It is on its way, and of nobody else.
      await expect(settle<RecallResult>((done) => leaving.leader.broker.recall({ place }, done))).rejects.toMatchObject(
        { code: 'UNAVAILABLE' },
      );
      await cluster.drain();
      const there = staying.leader.broker;
      expect([there.delayed.size, there.halfMessages.size]).toEqual([1, 1]);
      expect(there.store.pendingSize(later.id).messages + there.store.pendingSize(deals.id).messages).toBe(2);
      await cluster.stop();
    },
  );

  // Chance says what is taken back or ended meanwhile, when messages are due, and when processes die, on either side.
  it.each(seeds(12))('delivers each pending message once, or not where that was promised (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const cluster = await new Cluster().start();
    const { staying, leaving, nameService } = cluster;
    const later = await nameService.createTopic({ name: 'later', type: MessageType.delay });
    const deals = await nameService.createTopic({ name: 'deals', type: MessageType.transaction });
    cluster.loseAnswers(chance);
    const topics = [later, deals];
    for (const set of [staying, leaving]) for (const { id } of topics) await set.poll({ topicId: id });
    const came: string[] = [];
    const consume = async (set: SetWorld): Promise<number> => {
      let some = 0;
      for (const { id } of topics) {
        for (const { payload, receipt } of await set.poll({ topicId: id, invisibleMs: 600_000 })) {
          await set.ack(receipt);
          came.push(bodyOf(payload));
          some += 1;
        }
      }
      return some;
    };
    const fates = new Map<string, 'comes' | 'never' | 'open'>();
    const places = new Map<string, PendingPlace>();
    const beganMs = leaving.clock.wallMs();
    for (let i = 0; i < 60; i += 1) {
      const id = `${chance.chance(0.6) ? 'late' : 'half'}${i}`;
      const isLate = id.startsWith('late');
      const dueMs = beganMs + (chance.chance(0.7) ? chance.below(12_000) : chance.below(300_000));
      const group = chance.chance(0.3) ? Buffer.from('cdg'.charAt(chance.below(3))) : Buffer.alloc(0);
      places.set(
        id,
        await cluster.pend(id, isLate ? later : deals, isLate ? { dueMs, group } : { checkAfterMs: 9_000_000 }),
      );
      fates.set(id, isLate ? 'comes' : 'open');
    }
    /** What a client has heard of it counts. */
    const decide = async (id: string): Promise<void> => {
      const place = places.get(id)!;
      if (id.startsWith('late')) {
        await cluster.recall(place).then(
          () => fates.set(id, 'never'),
          (caught: unknown) => expect(MqError.from(caught).code).toBe('MESSAGE_NOT_FOUND'),
        );
        return;
      }
      const resolution = chance.chance(0.5) ? 'commit' : 'rollback';
      await cluster.endTransaction(place, resolution);
      fates.set(id, resolution === 'commit' ? 'comes' : 'never');
    };
    const undecided = (): string[] =>
      [...fates]
        .filter(([id, fate]) => fate === 'open' || (fate === 'comes' && id.startsWith('late')))
        .map(([id]) => id);
    cluster.tell('draining');
    for (let i = 0; i < 14; i += 1) {
      await leaving.pass(chance.below(400));
      const what = chance.below(10);
      if (what < 4) {
        const victim = chance.pick([staying, leaving]);
        const [member] = victim.members;
        member!.kill(chance);
        await leaving.pass(chance.below(300));
        await member!.start();
        if (victim === staying) cluster.loseAnswers(chance);
        await victim.until(() => victim.leaders.length > 0, 'somebody leads again');
        cluster.tell('draining');
      } else if (what < 8) {
        await decide(chance.pick(undecided()));
      } else await consume(chance.pick([staying, leaving]));
    }
    cluster.losesAnswers = false;
    await leaving.until(() => cluster.left === 0, 'all has gone', 120_000);
    for (const [id, fate] of [...fates]) if (fate === 'open') await decide(id);
    for (let i = 0; i < 3; i += 1) await decide(chance.pick(undecided()));
    expect(await consume(leaving)).toBe(0);
    await staying.leap(300_000);
    while ((await consume(staying)) > 0);
    expect([...came].sort()).toEqual(
      [...fates]
        .filter(([, fate]) => fate === 'comes')
        .map(([id]) => id)
        .sort(),
    );
    await cluster.stop();
  });

  // Chance says who consumes what before the set leaves and while it does, and when processes die, on either side.
  it.each(seeds(12))('loses nothing and repeats nothing when processes die on either side (seed %i)', async (seed) => {
    const chance = new Prng(seed);
    const cluster = await new Cluster().start();
    const { staying, leaving, nameService } = cluster;
    const steps = await nameService.createTopic({ name: 'steps', type: MessageType.fifo });
    const readers = await Promise.all(['one', 'two'].map((name) => nameService.createGroup({ name, attemptsMax: 50 })));
    const walkers = await nameService.createGroup({ name: 'walkers', fifo: true, attemptsMax: 50 });
    const strollers = await nameService.createGroup({ name: 'strollers', attemptsMax: 50 });
    const all = [...readers, walkers, strollers];
    cluster.loseAnswers(chance);
    const done = new Map<string, string[]>();
    const sent = { orders: [] as string[], steps: [] as string[] };
    /** One poll of one group at one set; of what comes, some is acknowledged. */
    const consume = async (set: SetWorld, group: ConsumerGroup, whole: boolean): Promise<number> => {
      const topic = group === walkers || group === strollers ? steps : staying.topic;
      const some = await set.poll({ groupId: group.id, topicId: topic.id, messagesMax: 8, invisibleMs: 300 });
      for (const { payload, receipt } of some) {
        if (!whole && chance.chance(0.3)) break;
        const isDone = await set.ack(receipt).then(
          () => true,
          () => false, // Its lease is over by now.
        );
        if (isDone) done.set(group.name, [...(done.get(group.name) ?? []), bodyOf(payload)]);
      }
      return some.length;
    };
    const send = async (): Promise<void> => {
      const isStep = chance.chance(0.5);
      const list = isStep ? sent.steps : sent.orders;
      const id = isStep ? `${'cdg'[chance.below(3)]}${list.length}` : `m${list.length}`;
      if (isStep) await leaving.send(id, { group: Buffer.from(id.slice(0, 1)) }, steps);
      else await leaving.send(id);
      list.push(id);
    };
    for (const group of all) await consume(leaving, group, true);
    for (let i = 0; i < 60; i += 1) await send();
    for (let i = chance.below(20); i > 0; i -= 1) await consume(leaving, chance.pick(all), false);
    cluster.tell('draining');
    const victims = [staying, leaving];
    for (let i = 0; i < 12; i += 1) {
      await leaving.pass(chance.below(400));
      const what = chance.below(10);
      if (what < 4) {
        const victim = chance.pick(victims);
        const [member] = victim.members;
        member!.kill(chance);
        await leaving.pass(chance.below(300));
        await member!.start();
        if (victim === staying) cluster.loseAnswers(chance);
        await victim.until(() => victim.leaders.length > 0, 'somebody leads again');
        cluster.tell('draining');
      } else if (what < 7) {
        await consume(chance.pick(victims), chance.pick(all), chance.chance(0.5));
      } else if (what < 9) {
        const id = `${'cdg'[chance.below(3)]}${sent.steps.length}`;
        await leaving.send(id, { group: Buffer.from(id.slice(0, 1)) }, steps);
        sent.steps.push(id);
      }
    }
    cluster.losesAnswers = false;
    await leaving.until(() => cluster.left === 0, 'all has gone', 120_000);
    for (let empty = 0; empty < 12;) {
      let some = 0;
      for (const group of all) some += await consume(staying, group, true);
      empty = some === 0 ? empty + 1 : 0;
      if (some === 0) await staying.pass(100);
    }
    expect([...done.get('strollers')!].sort()).toEqual([...sent.steps].sort());
    for (const { name } of readers)
      expect([name, [...done.get(name)!].sort()]).toEqual([name, [...sent.orders].sort()]);
    for (const group of ['c', 'd', 'g']) {
      const isIts = (id: string): boolean => id.startsWith(group);
      expect(done.get('walkers')!.filter(isIts)).toEqual(sent.steps.filter(isIts));
    }
    await cluster.stop();
  });
});
