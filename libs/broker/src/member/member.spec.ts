/** Brokers of one set: real stores, faked clock, disks, network and registry. */
import type { SendResult } from '@cometmq/client';
import {
  epoch,
  KiB,
  logPosition,
  memberId,
  type MemberId,
  MessageType,
  MiB,
  queueId,
  queueOffset,
  type Receipt,
  type SetState,
} from '@cometmq/model';
import { MqError, sleep } from '@cometmq/shared';

import { settle } from '../broker-world.js';
import { MemberDoor } from './member-door.js';
import { brokerSet, sendCall, SetMemberWorld, SetWorld } from './set-world.js';

const range = (from: number, end: number): string[] => Array.from({ length: end - from }, (_, i) => `m${from + i}`);

async function sendAll(world: SetWorld, ids: readonly string[]): Promise<void> {
  for (const id of ids) await world.send(id);
}

describe('a broker set of three', () => {
  it('is founded by whoever comes first, and takes the others in', async () => {
    const world = await new SetWorld(3).start();
    expect(world.leaders).toHaveLength(1);
    expect(world.leader.status).toMatchObject({ role: 'leading', says: 'protected' });
    for (const follower of world.followers) {
      expect(follower.status).toMatchObject({ role: 'following', leader: world.leader.id });
      expect(follower.broker.unready()).toBeUndefined();
    }
    await world.stop();
  });

  // Goal: whatever is asked of a member that listens and has not opened its log yet is answered. Method: every call there is.
  it('answers while a member opens: it is not ready', async () => {
    const world = new SetWorld(3);
    const [first] = world.members as [SetMemberWorld];
    const started = first.start();
    const candidate = memberId('place-1/x');
    const request = { brokerSet, candidate, epoch: epoch(7), log: { epochs: [], end: logPosition(0) } };
    const [from, end] = [logPosition(0), logPosition(9)];
    const peers = world.network.peersAt('place-1:1');
    const door = new MemberDoor(brokerSet, first.broker.member, peers, world.clock);
    const all = async (parts: AsyncIterable<unknown>): Promise<void> => {
      for await (const _ of parts);
    };
    const calls = {
      askPromise: () => door.askPromise(brokerSet, { epoch: epoch(7), candidate, reason: 'silent', sounding: false }),
      fetch: () => all(door.fetch(request)),
      snapshot: () => all(door.snapshot(brokerSet, epoch(7))),
      segmentBytes: () => all(door.segmentBytes(brokerSet, from, end)),
      digest: () => door.digest(brokerSet, from, end),
      handOver: () => door.handOver(brokerSet, epoch(7)),
      elect: () => door.elect(brokerSet, undefined),
      removeMember: () => door.removeMember(brokerSet, candidate),
      mayLeave: () => door.mayLeave(brokerSet, candidate),
    };
    const codes = await Promise.all(
      Object.entries(calls).map(async ([name, call]) => {
        const asked = async (): Promise<unknown> => call();
        const failure = await asked().catch(MqError.from);
        return [name, failure instanceof MqError ? failure.code : 'OK'];
      }),
    );
    expect(Object.fromEntries(codes)).toEqual({
      ...{ askPromise: 'UNAVAILABLE', fetch: 'UNAVAILABLE', snapshot: 'CONFLICT', segmentBytes: 'UNAVAILABLE' },
      ...{ digest: 'UNAVAILABLE', handOver: 'CONFLICT', elect: 'NOT_LEADER', removeMember: 'NOT_LEADER' },
      mayLeave: 'NOT_LEADER',
    });
    await world.during(started);
    await world.stop();
  });

  it('hands over while a topic is deleted, which the next leader does too', async () => {
    const world = await new SetWorld(3).start();
    const { leader } = world;
    await sendAll(world, range(0, 2));
    const handing = leader.broker.member.handOverLead();
    // Its deletion is written, where the lead is not being handed over.
    await world.nameService.deleteTopic('orders');
    await world.during(handing);
    await world.until(() => world.leaders.length === 1 && world.leader !== leader, 'another one leads');
    await world.until(() => world.leader.broker.store.topicIds().length === 0, 'it deletes what was deleted');
    await world.stop();
  });

  it('goes on after its leader was killed, with all that was acknowledged and all progress of its consumers', async () => {
    const world = await new SetWorld(3).start();
    await sendAll(world, range(0, 20));
    const first = await world.poll({ messagesMax: 8 });
    for (const { receipt } of first.slice(0, 5)) await world.ack(receipt);
    const { leader, followers } = world;
    const { epoch } = leader;
    leader.kill();
    const tookMs = await world.send('m20');
    expect(followers).toContain(world.leader);
    expect(world.leader.epoch).toBeGreaterThan(epoch);
    expect(tookMs).toBeLessThan(1_500);
    expect(world.leader.status.lastFailover).toMatchObject({ reason: 'closed', epoch: world.leader.epoch });
    await world.pass(5_000); // What was only handed out comes again after its lease.
    const rest = await world.drain();
    expect(rest.sort()).toEqual(range(5, 21).sort());
    await leader.start();
    await world.until(() => world.isWhole, 'the old leader follows, and has all');
    await world.stop();
  });

  it('remembers when its members took over, also those that were killed since', async () => {
    const world = await new SetWorld(3).start();
    const taken: [string, number][] = [[world.leader.id, world.leader.epoch]];
    for (const i of range(0, 2)) {
      const { leader } = world;
      leader.kill();
      await world.send(`m${i}`);
      taken.push([world.leader.id, world.leader.epoch]);
      await leader.start();
      await world.until(() => world.isWhole, 'all are there again');
    }
    const told = world.members.flatMap(({ id, status }) =>
      status.failovers.map((failover): [string, number] => [id, failover.epoch]),
    );
    expect(told.sort(([, one], [, other]) => one - other)).toEqual(taken);
    await world.stop();
  });

  it('keeps message groups in order, delayed and half messages over a change of its leader', async () => {
    const world = await new SetWorld(3).start();
    const steps = await world.nameService.createTopic({ name: 'steps', type: MessageType.fifo });
    const ordered = await world.nameService.createGroup({ name: 'ordered', fifo: true, attemptsMax: 100 });
    const mixed = await world.nameService.createTopic({ name: 'mixed', type: MessageType.mixed });
    for (const id of ['a', 'b', 'c']) await world.send(id, { group: Buffer.from('g') }, steps);
    await world.send('later', { type: MessageType.delay, dueMs: world.clock.wallMs() + 10_000 }, mixed);
    await world.send('half', { type: MessageType.transaction }, mixed);
    const inOrder = { topicId: steps.id, groupId: ordered.id, messagesMax: 1 };
    const [a] = await world.poll(inOrder);
    if (!a) throw new Error('nothing was delivered');
    await world.ack(a.receipt);
    const [b] = await world.poll(inOrder);
    world.leader.kill();
    // `b` is held by its lease on the next leader too, and nothing passes it.
    expect(await world.drain(inOrder)).toEqual([]);
    expect(b).toBeDefined();
    await world.until(() => world.leaders.length > 0, 'another one leads');
    expect(world.leader.broker.halfMessages.size).toBe(1);
    expect(world.leader.broker.delayed.size).toBe(1);
    await world.pass(6_000);
    expect(await world.drain(inOrder)).toEqual(['b', 'c']);
    await world.pass(6_000);
    expect(await world.drain({ topicId: mixed.id })).toEqual(['later']);
    await world.stop();
  });

  it('goes on without a slow member, and without a dead one, at once', async () => {
    const world = await new SetWorld(3).start();
    const [slow] = world.followers;
    if (!slow) throw new Error('there is no follower');
    world.network.setDelay(world.leader.address, slow.address, 500);
    expect(await world.send('m0')).toBeLessThan(50);
    slow.kill();
    for (const id of range(1, 5)) expect(await world.send(id)).toBeLessThan(50);
    expect(world.leader.broker.member.leading?.members.members).toHaveLength(3);
    await world.stop();
  });

  it('elects another leader when its own is cut off, and what that one wrote last is never acknowledged', async () => {
    const world = await new SetWorld(3).start();
    await sendAll(world, range(0, 5));
    const { leader, followers } = world;
    for (const { address } of followers) world.network.cutBoth(leader.address, address);
    const answers: (MqError | undefined)[] = [];
    leader.broker.send(sendCall(world.topic, 0, 'lost', {}), (error) => answers.push(error));
    // It is present in the registry all the while, which it reaches: those who have left it are believed.
    const tookMs = await world.until(() => followers.some(({ broker }) => broker.leads), 'another one leads');
    expect(tookMs).toBeLessThan(4_000);
    await world.send('m5');
    world.network.healAll();
    await world.until(() => world.isWhole, 'the old leader follows');
    expect(answers).toEqual([expect.objectContaining({ code: 'NOT_LEADER' })]);
    await world.pass(6_000);
    expect((await world.drain()).sort()).toEqual(range(0, 6));
    await world.stop();
  });

  it('elects another leader when its own hears nobody, and is heard', async () => {
    const world = await new SetWorld(3).start();
    await sendAll(world, range(0, 5));
    const { leader, followers } = world;
    for (const { address } of followers) world.network.cut(address, leader.address);
    leader.broker.send(sendCall(world.topic, 0, 'lost', {}), () => undefined);
    const tookMs = await world.until(() => followers.some(({ broker }) => broker.leads), 'another one leads');
    expect(tookMs).toBeLessThan(6_000);
    await world.send('m5');
    world.network.healAll();
    await world.until(() => world.isWhole, 'the old leader follows');
    expect(await world.drain()).toEqual(expect.arrayContaining(range(0, 6)));
    await world.stop();
  });

  it.each([
    ['both others', (world: SetWorld) => world.followers.slice(1)],
    ['the leader alone', () => []],
  ])('keeps its leader when a follower was cut off from %s, and is back', async (_, others) => {
    const world = await new SetWorld(3).start();
    const { leader, epoch } = { leader: world.leader, epoch: world.leader.epoch };
    const [lost] = world.followers as [SetMemberWorld, ...SetMemberWorld[]];
    for (const { address } of [leader, ...others(world)]) world.network.cutBoth(lost.address, address);
    await sendAll(world, range(0, 5));
    await world.pass(20_000);
    expect(lost.status.says).toContain('no leader since');
    world.network.healAll();
    await world.until(() => world.isWhole, 'it follows again');
    await world.pass(5_000);
    expect([world.leader, world.leader.epoch]).toEqual([leader, epoch]);
    await world.stop();
  });

  it('elects another leader also where the registry takes long to answer', async () => {
    const world = await new SetWorld(3).start();
    const { leader, followers } = world;
    for (const follower of followers) follower.registryLagMs = 2_200;
    leader.kill();
    await world.until(() => followers.some(({ broker }) => broker.leads), 'another one leads', 30_000);
    await world.send('m0');
    await world.stop();
  });

  it('says that it can commit nothing before anybody sends, everywhere, and takes messages when it can', async () => {
    const world = await new SetWorld(3).start();
    await world.send('m0');
    const { leader, followers } = world;
    for (const follower of followers) follower.kill();
    await world.until(() => leader.status.stalled, 'it says that it is stalled');
    const missing = followers.map(({ id }) => id).sort();
    const says = `not serving: nothing can be committed, waiting for ${missing.join(', ')}`;
    expect(leader.status).toMatchObject({ role: 'leading', says });
    expect(leader.broker.unready()).toBe(says);
    expect(leader.said.some((line) => line.startsWith('error nothing can be committed now'))).toBe(true);
    for (const follower of followers) await follower.start();
    await world.until(() => !world.leader.status.stalled, 'it is not stalled any more');
    expect(world.leader.broker.unready()).toBeUndefined();
    await world.send('m1');
    await world.stop();
  });

  it.each([
    ['while messages come', true],
    ['while nothing comes', false],
  ])('has another leader when the disk of its own hangs, %s', async (_, comes) => {
    const world = await new SetWorld(3).start();
    await world.send('m0');
    const { leader } = world;
    leader.hang();
    if (comes) world.begin('m1');
    const isOther = (): boolean => world.leaders.some((one) => one !== leader);
    const tookMs = await world.until(isOther, 'another one leads');
    // By the world's clock: 2 s until it resigns, or a lease in which it shows no progress.
    expect(tookMs).toBeLessThan(comes ? 3_000 : 5_000);
    await world.send('m2');
    leader.goOn();
    await world.until(() => world.isWhole, 'the old leader follows');
    expect(await world.drain()).toEqual(expect.arrayContaining(['m0', 'm2']));
    await world.stop();
  });

  it('hands nothing out on its leader alone once that is not sure any more that it leads', async () => {
    const world = await new SetWorld(3).start();
    await sendAll(world, range(0, 3));
    const { leader, followers } = world;
    for (const { address } of followers) world.network.cutBoth(leader.address, address);
    const first = world.wait(leader, { messagesMax: 1, waitMs: 0 });
    expect(await world.during(first, 500)).toMatchObject({ messages: [expect.anything()] });
    await world.pass(1_000); // Nobody was heard for so long: another one may lead by now.
    let answered = false;
    const answer = (): void => void (answered = true);
    world.wait(leader, { messagesMax: 1, waitMs: 0 }).then(answer, answer);
    await world.pass(500);
    expect([leader.broker.leads, answered]).toEqual([true, false]);
    world.network.healAll();
    await world.until(() => world.isWhole && answered, 'the set is whole, and who waited was answered');
    await world.stop();
  });

  it('warns of members that are set up for another number of members', async () => {
    const world = await new SetWorld(3).start();
    const [odd] = world.followers;
    odd?.kill();
    Object.assign(world.options, { membersWanted: 2 });
    await odd?.start();
    await world.until(() => odd?.status.leader !== undefined && world.isWhole, 'it follows');
    expect(odd?.status.membersWanted).toBe(2);
    const warned = world.leader.said.filter((line) => line.includes('differ in membersWanted'));
    expect(warned).toEqual([expect.stringContaining('"wants":2,"leaderWants":3')]);
    await world.stop();
  });

  it('does not take in a second member of one place, and says who holds it', async () => {
    const world = await new SetWorld(3).start();
    const [one] = world.followers;
    if (!one) throw new Error('there is no follower');
    const twin = new SetMemberWorld(world, one.place, 'twin:1');
    const refused = twin.start();
    refused.catch(() => undefined); // Looked at below.
    await expect(world.during(refused)).rejects.toMatchObject({
      code: 'CONFLICT',
      reason: expect.stringContaining(`held by ${one.id} at ${one.address}`),
    });
    twin.kill();
    expect(world.leader.broker.member.leading?.members.members).toHaveLength(3);
    await world.stop();
  });

  it('says not now, and why, while nothing can be committed', async () => {
    const world = await new SetWorld(3).start();
    const { leader, followers } = world;
    for (const follower of followers) follower.kill();
    const waits = settle<SendResult>((done) => leader.broker.send(sendCall(world.topic, 0, 'm0', {}), done));
    waits.catch(() => undefined); // It never comes.
    await world.until(() => leader.status.says.startsWith('not serving'), 'it says that it does not serve');
    await world.pass(100);
    const refused = settle<SendResult>((done) => leader.broker.send(sendCall(world.topic, 0, 'm1', {}), done));
    await expect(refused).rejects.toMatchObject({ code: 'NOT_LEADER', reason: expect.stringContaining('not now') });
    for (const follower of followers) await follower.start();
    await world.send('m2');
    expect(await world.drain()).toEqual(expect.arrayContaining(['m2']));
    await world.stop();
  });

  it('hands over without a call that fails when its leader stops', async () => {
    const world = await new SetWorld(3).start();
    await sendAll(world, range(0, 5));
    const { leader, followers } = world;
    const stopping = leader.stop();
    const held = Array.from({ length: 20 }, (_, i) =>
      settle<SendResult>((done) => leader.broker.send(sendCall(world.topic, 0, `held ${i}`, {}), done)).then(
        () => 'stored',
        (error: unknown) => (error as { leader?: { address: string } }).leader?.address ?? String(error),
      ),
    );
    const answers = await world.during(Promise.all(held));
    await world.during(stopping);
    const next = world.leader;
    expect(followers).toContain(next);
    for (const answer of answers) expect(['stored', next.address]).toContain(answer);
    expect(next.status.lastFailover).toMatchObject({ reason: 'handedOver' });
    await world.stop();
  });

  // Goal: what is told as done survives whoever told it. Method: a leader that can commit nothing is asked twice.
  it('tells nobody that something was done before, until that is committed', async () => {
    const world = await new SetWorld(3).start();
    await sendAll(world, range(0, 3));
    const receipts: Receipt[] = [];
    while (receipts.length < 3) receipts.push(...(await world.poll()).map(({ receipt }) => receipt));
    const { leader, followers } = world;
    for (const follower of followers) follower.kill();
    const { broker } = leader;
    const [first, second, third] = receipts as [Receipt, Receipt, Receipt];
    const groupId = world.group.id;
    const asked = {
      ack: () => settle<void>((done) => broker.ack({ receipt: first }, done)),
      handBack: () => settle<void>((done) => broker.handBack({ receipts: [second] }, done)),
      changeInvisible: () =>
        settle<unknown>((done) => broker.changeInvisible({ receipt: third, invisibleMs: 0, suspend: true }, done)),
      offset: () =>
        settle<unknown>((done) => {
          const place = { topicId: world.topic.id, queueId: queueId(0) };
          broker.offsets({ ...place, ask: { kind: 'setForGroup', groupId, offset: queueOffset(2) } }, () => undefined);
          broker.offsets({ ...place, ask: { kind: 'ofGroup', groupId } }, done);
        }),
    };
    const answered: string[] = [];
    for (const [name, ask] of Object.entries(asked)) {
      for (const nth of ['once', 'again']) {
        void ask().then(
          () => answered.push(`${name} ${nth}`),
          () => undefined,
        );
        await world.pass(20);
      }
    }
    expect(answered).toEqual([]);
    for (const follower of followers) await follower.start();
    await world.until(() => answered.length > 0, 'all is committed');
    await world.stop();
  });

  // Goal: a stop in good order ends well whatever is under way. Method: a leader that is alone, so its term never begins.
  it('stops before its term could begin, and nothing has failed', async () => {
    const world = await new SetWorld(3).start();
    world.leader.kill();
    const [one, other] = world.up as [SetMemberWorld, SetMemberWorld];
    await world.until(() => one.epoch + other.epoch > 0, 'one of them stands and wins');
    const [next, last] = one.epoch > 0 ? [one, other] : [other, one];
    last.kill();
    expect(next.broker.leads).toBe(false);
    await world.during(next.stop());
    expect(next.failure).toBeUndefined();
  });

  it('tells who waits in a hand-over where to go on as soon as the next one leads, however long it takes to follow', async () => {
    const world = await new SetWorld(3).start();
    await sendAll(world, range(0, 5));
    const { leader } = world;
    const { replication } = leader.broker.store;
    const stepDown = replication.stepDown.bind(replication);
    const released = Promise.withResolvers<void>();
    replication.stepDown = async (end) => {
      await released.promise; // All is folded again, which may take a while.
      await stepDown(end);
    };
    const beganMs = world.clock.monotonicMs();
    const handOver = leader.broker.member.handOverLead();
    await world.until(() => leader.said.join().includes('the lead is handed over'), 'calls are held');
    const held = settle<SendResult>((done) => leader.broker.send(sendCall(world.topic, 0, 'held', {}), done));
    const told = await world.during(held.catch((caught: unknown) => caught as MqError));
    expect(told).toMatchObject({ code: 'NOT_LEADER', leader: { address: world.leader.address } });
    expect(world.leader).not.toBe(leader);
    expect(world.clock.monotonicMs() - beganMs).toBeLessThan(1_000); // By the world's clock.
    released.resolve();
    await world.during(handOver);
    await world.until(() => world.isWhole, 'it follows');
    await world.stop();
  });

  it('hands over when its leader alone does not reach the registry, and not while nobody does', async () => {
    const world = await new SetWorld(3).start();
    await world.send('m0');
    const { leader, members } = world;
    const { epoch: before } = leader;
    for (const member of members) member.registryAway = true;
    await world.pass(15_000);
    expect([world.leader, world.leader.epoch]).toEqual([leader, before]);
    for (const member of members) member.registryAway = member === leader;
    await world.until(() => world.leaders.length > 0 && world.leader !== leader, 'another one leads');
    expect(world.leader.status.lastFailover).toMatchObject({ reason: 'handedOver' });
    await world.send('m1');
    leader.registryAway = false;
    await world.until(() => world.isWhole, 'the old leader follows');
    expect((await world.drain()).sort()).toEqual(['m0', 'm1']);
    await world.stop();
  });

  it.each([2, 3])('of %i that are all told to stop at once leave one after the other', async (count) => {
    const world = await new SetWorld(count, { restartWaitMs: 60_000 }).start();
    await sendAll(world, range(0, 5));
    const left: string[] = [];
    const restarts = world.members.map(async (member) => {
      await member.stop();
      expect(world.members.filter(({ isUp }) => isUp).length).toBe(count - 1);
      left.push(member.place);
      await sleep(world.clock, 3_000); // The others go on without it meanwhile.
      await member.start();
    });
    const epochBefore = world.leader.epoch;
    await world.during(Promise.all(restarts), 120_000);
    // The lead did not go round among members that all want to leave: who has it leaves last.
    expect(world.leader.epoch).toBeLessThanOrEqual(epochBefore + count);
    expect(left.sort()).toEqual(world.members.map(({ place }) => place).sort());
    await world.until(() => world.isWhole, 'all are in sync');
    await world.send('m5');
    expect((await world.drain()).sort()).toEqual(range(0, 6));
    for (const member of world.members) member.kill();
  });

  it('of two goes on at once without the one that says that it stops, where nothing answers at its address', async () => {
    const world = await new SetWorld(2).start();
    await world.send('m0');
    const { leader } = world;
    const other = world.members.find((each) => each !== leader) as (typeof world.members)[number];
    world.network.cut(leader.address, other.address);
    const stopped = other.stop();
    const beganMs = world.clock.monotonicMs();
    await world.send('m1');
    expect(world.clock.monotonicMs() - beganMs).toBeLessThan(200); // By the world's clock.
    expect(leader.status.state?.members.length).toBe(1);
    await world.during(stopped);
    world.network.healAll();
    await other.start();
    await world.until(() => world.isWhole, 'both are in sync');
    expect((await world.drain()).sort()).toEqual(['m0', 'm1']);
    await world.stop();
  });

  // Who stands for the lead ends its stream to the leader, and is there as before. A leader of two that took it for one that
  // stops made itself the only member at once, and where that came first, nobody could take the lead for three seconds.
  it('of two does not drop the one that it hands over to', async () => {
    const world = await new SetWorld(2).start();
    const changeMembers = jest.spyOn(world.registry, 'changeMembers');
    for (let i = 0; i < 3; i += 1) {
      const { leader } = world;
      const { epoch: before } = leader.status;
      await world.send(`m${i}`);
      await world.during(leader.broker.member.handOverLead());
      await world.until(() => world.isWhole, 'both are in sync');
      expect(world.leader).not.toBe(leader);
      expect(world.leader.status.epoch).toBe(before + 1);
    }
    const wanted = changeMembers.mock.calls.map(([, { rule }]) => rule.members.length);
    expect(wanted).toEqual([2, 2, 2]); // Each time the one that has led is taken back, and nobody is dropped.
    await world.stop();
  });

  it('of a set that is scaled in all stay until it is in no route, and go on serving', async () => {
    const stopReason = (): Promise<'scaledIn'> => Promise.resolve('scaledIn');
    const world = await new SetWorld(3, { scaleInWaitMs: 600_000, stopReason }).start();
    await sendAll(world, range(0, 3));
    const stops = Promise.all(world.members.map((member) => member.stop()));
    await world.pass(5_000);
    await world.send('m3');
    expect((await world.drain()).sort()).toEqual(range(0, 4));
    expect(world.up.length).toBe(3);
    world.nameService.putSet({ name: brokerSet, stage: 'gone', leader: undefined });
    await world.during(stops);
    expect(world.up).toEqual([]);
  });

  it('of a set that is scaled in leave when nobody takes it out for too long; one that is wanted again restarts', async () => {
    let reason: 'scaledIn' | 'restart' = 'scaledIn';
    const world = await new SetWorld(3, {
      ...{ scaleInWaitMs: 10_000, restartWaitMs: 60_000 },
      stopReason: () => Promise.resolve(reason),
    }).start();
    const { leader, followers } = world;
    const first = followers[0]!.stop();
    const took = await world.until(() => !followers[0]!.isUp, 'it has waited for long enough', 60_000);
    expect(took).toBeGreaterThanOrEqual(10_000);
    await first;
    const second = followers[1]!.stop();
    await world.pass(2_000);
    expect(followers[1]!.isUp).toBe(true);
    reason = 'restart'; // And the first one is not back yet.
    await world.pass(15_000);
    expect(followers[1]!.isUp).toBe(true);
    await followers[0]!.start();
    await world.during(second, 60_000);
    expect(leader.isUp).toBe(true);
    for (const member of world.up) member.kill();
  });

  it('whose StatefulSet goes leave at once, all of them', async () => {
    const stopReason = (): Promise<'stopped'> => Promise.resolve('stopped');
    const world = await new SetWorld(3, { restartWaitMs: 60_000, scaleInWaitMs: 600_000, stopReason }).start();
    const beganMs = world.clock.monotonicMs();
    await world.during(Promise.all(world.members.map((member) => member.stop())));
    expect(world.clock.monotonicMs() - beganMs).toBeLessThan(30_000);
  });

  // Goal: calls wait for nothing that can be done, or found out, before. Method: the one that is asked can't reach the registry.
  it('holds no call for a member that could not take over, and asks another', async () => {
    const world = await new SetWorld(3).start();
    await sendAll(world, range(0, 5));
    const { leader, followers } = world;
    const [deaf, other] = followers;
    deaf!.registryAway = true;
    const toDeaf = leader.broker.member.handOverLead(deaf!.broker.member.me);
    await expect(world.during(toDeaf)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(leader.said.join()).not.toContain('the lead is handed over');
    await world.during(leader.broker.member.handOverLead());
    expect(world.leader).toBe(other);
    deaf!.registryAway = false;
    await world.until(() => world.isWhole, 'all follow');
    await world.stop();
  });

  // Goal: who keeps up may be asked at any moment. Method: the one that is named lacks what the others have just committed.
  it('hands over to a member that is a moment behind', async () => {
    const world = await new SetWorld(3).start();
    const { leader, followers } = world;
    const [late] = followers;
    late!.hang();
    await world.send('m0');
    expect(leader.broker.member.leading!.isInSync(late!.broker.member.me)).toBe(false);
    const handing = leader.broker.member.handOverLead(late!.broker.member.me);
    await world.pass(50);
    late!.goOn();
    await world.during(handing);
    expect(world.leader).toBe(late);
    await world.until(() => world.isWhole, 'all follow');
    await world.stop();
  });

  it('lets calls wait that come before its first record is committed, and no longer than it takes to see that it is not', async () => {
    const world = await new SetWorld(3).start();
    const { leader, followers } = world;
    const [next, other] = followers;
    const begins = (): boolean => next!.broker.member.leading !== undefined && !next!.broker.leads;
    const sends = (body: string): Promise<string> =>
      settle<SendResult>((done) => next!.broker.send(sendCall(world.topic, 0, body, {}), done)).then(
        () => 'stored',
        (caught: unknown) => MqError.from(caught).code,
      );
    const handing = leader.broker.member.handOverLead(next!.broker.member.me);
    await world.until(begins, 'it has won, and does not decide yet');
    expect(await world.during(sends('early'))).toBe('stored');
    await world.during(handing);
    await world.until(() => world.isWhole, 'all follow');

    await world.during(next!.broker.member.handOverLead(leader.broker.member.me));
    await world.until(() => world.isWhole, 'all follow');
    const again = leader.broker.member.handOverLead(next!.broker.member.me);
    again.catch(() => undefined);
    await world.until(begins, 'it has won again');
    leader.kill();
    other!.kill();
    const beganMs = world.clock.monotonicMs();
    expect(await world.during(sends('alone'))).toBe('NOT_LEADER');
    expect(world.clock.monotonicMs() - beganMs).toBeLessThan(1_000); // By the world's clock.
    for (const member of world.members) if (member.isUp) member.kill();
  });

  it('does not wait for one to take over that stops itself', async () => {
    const world = await new SetWorld(3).start();
    await world.send('m0');
    const { leader, followers } = world;
    const [next] = followers;
    const stopping = next!.broker.member.stop();
    const handing = leader.broker.member.handOverLead(next!.broker.member.me);
    await expect(world.during(handing, 1_000)).rejects.toMatchObject({
      code: expect.stringMatching(/CONFLICT|CANCELLED/),
    });
    await world.during(stopping);
    await world.send('m1'); // It goes on leading.
    for (const member of world.members) member.kill();
  });

  it('lets another member lead when it is asked to, and follows', async () => {
    const world = await new SetWorld(3).start();
    const { leader } = world;
    const [, other] = world.followers;
    if (!other) throw new Error('there is no other follower');
    await world.send('m0');
    const waits = world.wait(leader, {
      clientId: 'another',
      topicId: (await world.nameService.ensureTopic('quiet')).id,
    });
    await world.during(leader.broker.member.handOverLead(other.broker.member.me));
    expect(world.leader).toBe(other);
    const again = other.broker.member.handOverLead(other.broker.member.me);
    await expect(again).rejects.toMatchObject({ code: 'CONFLICT', reason: expect.stringMatching(/ leads already$/) });
    // Who waits for messages goes on waiting there.
    await expect(waits).rejects.toMatchObject({ code: 'NOT_LEADER', leader: { address: other.address } });
    await world.until(() => world.isWhole, 'the old leader follows');
    expect(await world.drain()).toEqual(['m0']);
    await world.stop();
  });

  it('goes on while the registry is away, and changes its leader once it is back', async () => {
    const world = await new SetWorld(3).start();
    world.registry.away = true;
    await world.pass(20_000);
    expect(world.leader.broker.leads).toBe(true);
    expect(await world.send('m0')).toBeLessThan(50);
    world.leader.kill();
    await world.pass(5_000);
    expect(world.leaders).toHaveLength(0);
    expect(world.up[0]?.status.says).toMatch(/^no leader since/);
    world.registry.away = false;
    await world.send('m1');
    expect((await world.drain()).sort()).toEqual(['m0', 'm1']);
    await world.stop();
  });

  it('does not stand under a registry that was emptied or set back, and says so', async () => {
    const world = await new SetWorld(3).start();
    const backup = world.registry.backup();
    const first = world.leader;
    first.kill();
    await world.send('m0');
    await first.start();
    await world.until(() => world.isWhole, 'all of them are there again');
    world.registry.setBackTo(backup);
    const { leader } = world;
    await world.pass(5_000);
    expect(world.leader).toBe(leader);
    leader.kill();
    await world.pass(10_000);
    expect(world.leaders).toHaveLength(0);
    expect(world.up[0]?.status.says).toMatch(/^nobody stands for the lead: /);
  });
});

describe('a registry of which another member says that it was set back', () => {
  // Goal: what one member knows better is waited for, and comes back. Method: the registry says so to members that see nothing
  // wrong with it themselves.
  it('has nobody stand, and everybody say what it knows', async () => {
    const world = await new SetWorld(3).start();
    const { registry, nameService, leader } = world;
    const words = new Set<string>();
    nameService.adoptMetadata = ({ claim, set, topics }) => {
      if (set && topics.length === 0) words.add(claim.member);
      return Promise.reject(new MqError('METADATA_MISMATCH', 'no operator has allowed it'));
    };
    const announce = registry.announceMember.bind(registry);
    let doubtedBy: MemberId | undefined = memberId(leader.id);
    registry.announceMember = async (claim) => ({ ...(await announce(claim)), doubtedBy });
    leader.kill();
    await world.pass(10_000);
    expect(world.leaders).toHaveLength(0);
    for (const { id, status } of world.up) {
      expect(status.says).toMatch(/^nobody stands for the lead: .* knows a later state of this set/);
      expect(words).toContain(id);
    }
    doubtedBy = undefined;
    await world.send('m0');
    await leader.start();
    await world.until(() => world.isWhole, 'all are in sync');
    await world.stop();
  });
});

describe('a broker set of two', () => {
  it('goes on alone when the other falls silent, and takes it back', async () => {
    const world = await new SetWorld(2).start();
    const { leader } = world;
    const [other] = world.followers;
    other?.kill();
    expect(await world.send('m0')).toBeLessThan(1_500);
    expect(leader.status.says).toMatch(/^single copy/);
    await other?.start();
    await world.until(() => world.isWhole, 'both are in the set again');
    leader.kill();
    await world.send('m1');
    expect((await world.drain()).sort()).toEqual(['m0', 'm1']);
    await world.stop();
  });

  // Goal: what one has acknowledged alone is not lost to metadata that forgets it did. Method: it is set back before the
  // leader reads it again, and the leader's process ends.
  it('whose leader went on alone has it remember that, though the registry is set back at once', async () => {
    const world = await new SetWorld(2).start();
    const { leader, registry } = world;
    const backup = registry.backup();
    const change = registry.changeMembers.bind(registry);
    let alone: SetState | undefined;
    registry.changeMembers = async (claim, wanted) => {
      alone = await change(claim, wanted);
      registry.setBackTo(backup);
      return alone;
    };
    const [other] = world.followers;
    other!.kill();
    await world.send('m0');
    expect(alone?.members).toEqual([leader.id]);
    leader.kill();
    registry.changeMembers = change;
    await leader.start();
    await world.pass(10_000);
    expect(world.leaders).toHaveLength(0);
    expect(leader.broker.member.lastTerm?.state).toMatchObject({ members: [leader.id], revision: alone?.revision });
    expect(leader.status.says).toMatch(/^nobody stands for the lead: .* it was set back to an older state/);
    leader.kill();
  });

  it('takes the other back also while nothing is written', async () => {
    const world = await new SetWorld(2).start();
    await world.send('m0');
    const [other] = world.followers;
    other!.kill();
    await world.until(() => world.leader.status.state?.members.length === 1, 'the leader goes on alone');
    await world.pass(5_000); // Nothing is sent: it waits for nothing, and serves.
    expect(world.leader.status).toMatchObject({ says: 'single copy', stalled: false });
    await other!.start();
    await world.until(() => world.isWhole, 'the other is taken back');
    await world.stop();
  });

  it('that is strict refuses messages while it has one copy only', async () => {
    const world = await new SetWorld(2, { durability: 'strict' }).start();
    const { leader } = world;
    const [other] = world.followers;
    await world.send('m0');
    other?.kill();
    await world.until(() => leader.status.stalled, 'it says so before anybody sends');
    expect(leader.status.says).toBe(`not serving: nothing can be committed, waiting for ${other?.id}`);
    expect(leader.broker.unready()).toBe(leader.status.says);
    const refused = settle<SendResult>((done) => leader.broker.send(sendCall(world.topic, 0, 'm1', {}), done));
    await expect(refused).rejects.toMatchObject({ code: 'NOT_LEADER', reason: expect.stringContaining('not now') });
    await other?.start();
    await world.send('m2');
    await world.stop();
  });
});

describe('a member', () => {
  it('that comes back with an empty disk is another one, and copies the log from its beginning', async () => {
    const world = await new SetWorld(3).start();
    await sendAll(world, range(0, 10));
    const [place] = world.followers;
    if (!place) throw new Error('there is no follower');
    const { id } = place;
    place.kill();
    place.loseDisk();
    await place.start();
    await world.until(() => place.broker.store.commitEnd >= world.leader.broker.store.commitEnd, 'it has all');
    expect(place.id).not.toBe(id);
    expect(place.status.says).toMatch(/^copies the log/);
    await world.during(world.leader.broker.member.removeMember(id as never));
    await world.until(() => world.isWhole, 'it has the place of the lost one');
    await world.stop();
  });

  it('that lacks what its leader has let go of takes a snapshot, and follows on', async () => {
    const space = { aheadBytes: 16 * KiB, reserveBytes: 8 * KiB, compactionReserveBytes: 8 * KiB };
    const storeLimits = { ...space, tailCacheBytes: 16 * KiB }; // What is in memory was not let go of.
    const world = await new SetWorld(3, { segmentBytes: 64 * KiB, retentionMs: 20_000, storeLimits }, true).start();
    const [place] = world.followers;
    if (!place) throw new Error('there is no follower');
    place.kill();
    await world.sendMany(range(0, 1_500));
    await world.leap(130_000);
    await world.sendMany(range(1_500, 1_510));
    const { store } = world.leader.broker;
    expect(store.replication.oldest).toBeGreaterThan(place.broker.store.appendEnd);
    await place.start();
    await world.until(() => world.isWhole, 'it has all that is kept');
    expect(place.said.join()).toMatch(/a snapshot was taken/);
    expect(place.broker.store.bounds(world.topic.id, queueId(0))).toEqual(store.bounds(world.topic.id, queueId(0)));
    world.leader.kill();
    await world.send('m1510');
    await world.stop();
  });

  it('of whose log a part is damaged mends it from another one', async () => {
    const scrub = { scrubEveryMs: 1_000, scrubBytesPerSecond: 64 * MiB };
    const world = await new SetWorld(3, { segmentBytes: 64 * KiB, ...scrub }).start();
    await world.sendMany(range(0, 1_500));
    const [place] = world.followers;
    if (!place) throw new Error('there is no follower');
    await world.until(() => world.isWhole, 'it has all');
    const { store } = place.broker;
    await world.during(store.checkpoint());
    const [first] = (await place.disk.list('data/log')).filter((name) => name.endsWith('.log')).sort();
    const bytes = place.disk.peek(`data/log/${first ?? ''}`);
    bytes.writeUInt8(bytes.readUInt8(5_000) ^ 1, 5_000);
    await world.leap(70_000); // The log is looked through once a minute.
    expect(place.said.join()).toMatch(/a damaged segment was mended from another member/);
    expect(store.damage.bytes).toBe(0);
    await world.stop();
  });

  it('with the data folder of another set is refused, and touches nothing', async () => {
    const world = await new SetWorld(3).start();
    const stranger = await new SetWorld(1).start();
    await stranger.send('x');
    await stranger.stop();
    const [place] = world.followers;
    if (!place) throw new Error('there is no follower');
    place.kill();
    place.disk = stranger.members[0]!.disk;
    place.checkpoints = stranger.members[0]!.checkpoints;
    await place.start().catch(() => undefined);
    await world.until(() => place.failure !== undefined, 'it gives up');
    expect(place.failure).toMatchObject({ code: 'DATA_FOLDER' });
    await world.send('m0');
    await world.stop();
  });

  it('of which a copy is started elsewhere goes on; the copy is refused', async () => {
    const world = await new SetWorld(3, {}, true).start();
    await world.send('m0');
    const [place] = world.followers;
    if (!place) throw new Error('there is no follower');
    const copy = world.copyOf(place);
    await expect(copy.start()).rejects.toMatchObject({
      code: 'CONFLICT',
      reason: expect.stringContaining('another process'),
    });
    expect(copy.broker.leads).toBe(false);
    expect(place.status.role).toBe('following');
    copy.kill();
    await world.send('m1');
    await world.stop();
  });

  it('has a follower back as soon as it is there again, in the same epoch', async () => {
    const world = await new SetWorld(3).start();
    await world.pass(5_000); // All is noted that there is to note.
    const { epoch } = world.leader;
    for (const follower of world.followers) {
      follower.kill();
      await world.send(`while ${follower.place} is away`);
      await follower.start();
      expect(await world.until(() => world.isWhole, 'the follower is back')).toBeLessThan(1_000);
    }
    expect(world.leader.epoch).toBe(epoch);
    await world.stop();
  });
});
