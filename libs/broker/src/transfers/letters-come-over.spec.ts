/**
 * Goal: dead letters of a broker set that leaves can be replayed where they are now: to their group alone, once for each order, in
 * no other order than their message group allows; whatever breaks on the way. Method: two sets of real brokers on faked clocks,
 * disks and network; letters that real leaders write, hand over and replay.
 */
import type { MessagePlace, ReplayOutcome } from '@cometmq/client';
import { deadLetterTopic, Envelope, hashBytes, MessageType, queueId, queueOfGroup, queueOffset } from '@cometmq/model';
import type { ConsumerGroup, Topic } from '@cometmq/model';
import { MqError, Prng } from '@cometmq/shared';
import { seeds } from '@cometmq/shared/testing';

import type { BrokerService } from '../broker-service.js';
import { settle } from '../broker-world.js';
import { bodyOf, type SetWorld } from '../member/set-world.js';
import { Cluster } from './leaving-cluster.js';

class LettersCluster extends Cluster {
  letters(set: SetWorld, group: ConsumerGroup): number {
    const topic = this.nameService.topics.get(deadLetterTopic(group.name));
    return topic ? set.leader.broker.store.bounds(topic.id, queueId(0)).committed : 0;
  }

  /** What waits for the group at the leaving set becomes dead letters, and the set leaves. */
  async giveUp(group: ConsumerGroup, topic: Topic, count: number): Promise<void> {
    const { leaving } = this;
    while (this.letters(leaving, group) < count) {
      for (const { receipt } of await leaving.poll({ groupId: group.id, topicId: topic.id })) {
        await leaving.trying((broker) => settle<void>((done) => broker.deadLetter({ receipt }, done)));
      }
    }
  }

  async places(set: SetWorld, group: ConsumerGroup): Promise<MessagePlace[]> {
    const topic = this.nameService.topics.get(deadLetterTopic(group.name))!;
    const entries = await set.leader.broker.store.scan(topic.id, queueId(0), queueOffset(0), 100);
    return Array.from({ length: entries.count }, (_, i) => ({ position: entries.position(i), size: entries.size(i) }));
  }

  replay(set: SetWorld, group: ConsumerGroup, places: readonly MessagePlace[]): Promise<ReplayOutcome[]> {
    return set.trying((broker) => replayAt(broker, group, places));
  }
}

function replayAt({ replays }: BrokerService, group: ConsumerGroup, places: readonly MessagePlace[]) {
  return replays.replay({ groupId: group.id, places, replayId: 'r1', who: 'ada' });
}

async function consumed(set: SetWorld, group: ConsumerGroup, topic: Topic): Promise<string[]> {
  const some = await set.poll({ groupId: group.id, topicId: topic.id, invisibleMs: 60_000 });
  for (const { receipt } of some) await set.ack(receipt);
  return some.map(({ payload, receipt }) => `${bodyOf(payload)} ${receipt.attempt}`);
}

let cluster: LettersCluster;
let weak: ConsumerGroup;
let strong: ConsumerGroup;
beforeEach(async () => {
  cluster = await new LettersCluster().start();
  weak = await cluster.nameService.createGroup({ name: 'weak', attemptsMax: 50 });
  strong = await cluster.nameService.createGroup({ name: 'strong' });
  for (const { id } of [weak, strong]) await cluster.leaving.poll({ groupId: id });
});
afterEach(() => cluster.stop());

/** One letter of the weak group, which the strong one was done with, at the set that stays. */
async function oneCame(): Promise<MessagePlace> {
  const { staying, leaving } = cluster;
  await leaving.send('poison', { tag: Buffer.from('blue') });
  await consumed(leaving, strong, leaving.topic);
  await cluster.giveUp(weak, leaving.topic, 1);
  await cluster.drain(() => cluster.letters(staying, weak) === 1 && cluster.left === 0);
  const [place] = await cluster.places(staying, weak);
  return place!;
}

it('shows whose it is and why, and gives it back to its group alone; again only when the group is done with it', async () => {
  const { staying } = cluster;
  const { topic } = staying;
  const place = await oneCame();
  const letter = await staying.leader.broker.store.read(place.position, place.size);
  expect(letter).toMatchObject({ originTopicId: topic.id, letterOf: weak.id, cause: 2, attempts: 1 });
  expect(await cluster.replay(staying, strong, [place])).toEqual(['notALetter']);
  expect(await cluster.replay(staying, weak, [place, place])).toEqual(['replayed', 'open']);
  expect(await cluster.replay(staying, weak, [place])).toEqual(['open']); // It waits.
  const [held, ...more] = await staying.poll({ groupId: weak.id, invisibleMs: 60_000 });
  expect([bodyOf(held!.payload), held!.receipt.attempt, more.length]).toEqual(['poison', 1, 0]);
  expect(await cluster.replay(staying, weak, [place])).toEqual(['open']); // Somebody is at work on it.
  await staying.ack(held!.receipt);
  expect(await consumed(staying, strong, topic)).toEqual([]);
  expect(await cluster.replay(staying, weak, [place])).toEqual(['replayed']);
  expect(await consumed(staying, weak, topic)).toEqual(['poison 1']);
  expect(await consumed(staying, weak, topic)).toEqual([]);
});

it('goes back once when it is replayed by two at a time', async () => {
  const { staying } = cluster;
  const place = await oneCame();
  const { broker } = staying.leader;
  const both = [replayAt(broker, weak, [place]), replayAt(broker, weak, [place])];
  expect((await staying.during(Promise.all(both))).flat().sort()).toEqual(['open', 'replayed']);
  expect(await consumed(staying, weak, staying.topic)).toEqual(['poison 1']);
  expect(await consumed(staying, weak, staying.topic)).toEqual([]);
});

it('does not go back while it is being sent to its topic', async () => {
  const { staying } = cluster;
  const place = await oneCame();
  const { broker } = staying.leader;
  const order = { groupId: weak.id, place, replayId: 'r2', who: 'bob' };
  const resent = broker.replays.resend(order, () => Promise.resolve([]));
  const replayed = replayAt(broker, weak, [place]);
  const [{ messageId }, outcomes] = await staying.during(Promise.all([resent, replayed]));
  expect(outcomes).toEqual(['open']);
  const came = await staying.poll({ groupId: weak.id });
  expect(came.map(({ payload }) => new Envelope(payload).id)).toEqual([messageId]);
});

it('is sent to its topic, for all its groups', async () => {
  const { staying } = cluster;
  const place = await oneCame();
  const sent = await staying.trying(({ replays }) =>
    replays.resend({ groupId: weak.id, place, replayId: 'r2', who: 'ada' }, () => Promise.resolve([])),
  );
  for (const { id } of [weak, strong]) {
    const ids = (await staying.poll({ groupId: id })).map(({ payload }) => new Envelope(payload).id);
    expect(ids).toEqual([sent.messageId]);
  }
});

it('is replayed where it is, no more where it was', async () => {
  const { leaving, staying } = cluster;
  await oneCame();
  expect(await cluster.replay(leaving, weak, await cluster.places(leaving, weak))).toEqual(['notALetter']);
  expect(await consumed(staying, weak, staying.topic)).toEqual([]);
});

it('does not go before what follows it in its message group; it can be sent, behind them', async () => {
  const { staying, leaving, nameService } = cluster;
  const queues = { readQueues: 8, writeQueues: 8 };
  const steps = await nameService.createTopic({ name: 'steps', type: MessageType.fifo, ...queues });
  const walkers = await nameService.createGroup({ name: 'walkers', fifo: true, attemptsMax: 1 });
  // At home at the set that leaves, until it does; and not in the first queue.
  const laneOf = (name: string): number => queueOfGroup(hashBytes(Buffer.from(name)), 8);
  const name = ['c', 'd', 'g'].find((one) => laneOf(one) > 0)!;
  const [group, lane] = [Buffer.from(name), laneOf(name)];
  const of = { groupId: walkers.id, topicId: steps.id, invisibleMs: 100 };
  await leaving.send('c1', { group }, steps, lane);
  await leaving.poll({ ...of, queueId: queueId(lane) });
  await leaving.until(() => cluster.letters(leaving, walkers) === 1, 'it is a dead letter');
  await cluster.drain(() => cluster.letters(staying, walkers) === 1);
  const [place] = await cluster.places(staying, walkers);
  expect(await cluster.replay(staying, walkers, [place!])).toEqual(['orderly']);
  const sent = await staying.trying(({ replays }) =>
    replays.resend({ groupId: walkers.id, place: place!, replayId: 'r2', who: 'ada' }, () => Promise.resolve([])),
  );
  expect(sent.queueId).toBe(lane); // Where others of its message group are, so that one goes at a time.
});

it('goes with few others at a time where they are large', async () => {
  const { staying, leaving } = cluster;
  const tag = Buffer.alloc(60 * 1024, 'x');
  for (let i = 0; i < 40; i += 1) await leaving.send(`m${i}`, { tag });
  await cluster.giveUp(weak, leaving.topic, 40);
  await consumed(leaving, strong, leaving.topic);
  const { broker } = staying.leader;
  const take = broker.takeTransfer.bind(broker);
  const sizes: number[] = [];
  broker.takeTransfer = (call) => {
    sizes.push(call.messages.reduce((sum, { payload }) => sum + payload.length, 0));
    return take(call);
  };
  await cluster.drain(() => cluster.letters(staying, weak) === 40);
  expect(sizes.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThan(40 * 60 * 1024);
  expect(Math.max(...sizes)).toBeLessThan(1.2 * 1024 * 1024); // What refers to them is small.
});

// Chance says when processes die, on either side, while letters are handed over and while they are replayed.
it.each(seeds(12))('replays each letter once when processes die on either side (seed %i)', async (seed) => {
  const chance = new Prng(seed);
  const { staying, leaving } = cluster;
  cluster.loseAnswers(chance);
  const ids = Array.from({ length: 30 }, (_, i) => `m${i}`);
  await leaving.sendMany(ids);
  await cluster.giveUp(weak, leaving.topic, ids.length);
  const strike = async (victim: SetWorld): Promise<void> => {
    const [member] = victim.members;
    member!.kill(chance);
    await victim.pass(chance.below(300));
    await member!.start();
    if (victim === staying) cluster.loseAnswers(chance);
    await victim.until(() => victim.leaders.length > 0, 'somebody leads again');
    cluster.tell('draining');
  };
  cluster.tell('draining');
  for (let i = 0; i < 5; i += 1) {
    await leaving.pass(chance.below(400));
    if (chance.chance(0.6)) await strike(chance.pick([staying, leaving]));
  }
  cluster.losesAnswers = false;
  await leaving.until(() => cluster.letters(staying, weak) === ids.length, 'all have come', 120_000);
  const places = await cluster.places(staying, weak);
  const done: string[] = [];
  const consume = async (whole: boolean): Promise<number> => {
    const some = await staying.poll({ groupId: weak.id, messagesMax: 4, invisibleMs: 300 });
    for (const { payload, receipt } of some) {
      if (!whole && chance.chance(0.5)) break;
      const isDone = await staying.ack(receipt).then(
        () => true,
        () => false, // Its lease is over by now.
      );
      if (isDone) done.push(bodyOf(payload));
    }
    return some.length;
  };
  for (let at = 0; at < places.length;) {
    const some = places.slice(at, at + 1 + chance.below(6));
    at += some.length;
    const { broker, gone } = staying.leader;
    const first = Promise.race([replayAt(broker, weak, some), gone]).then(
      () => true,
      (caught: unknown) => {
        if (!MqError.from(caught).retry) throw caught;
        return false;
      },
    );
    const dies = chance.chance(0.5);
    if (dies) {
      for (let turns = chance.below(40); turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
      await strike(staying);
    }
    // What was not answered is asked again, as an operator does.
    if (!(await staying.during(first))) await cluster.replay(staying, weak, some);
    expect(await cluster.replay(staying, weak, some)).toEqual(some.map(() => 'open'));
    if (chance.chance(0.5)) await consume(false);
  }
  for (let empty = 0; empty < 3;) {
    empty = (await consume(true)) === 0 ? empty + 1 : 0;
    await staying.pass(400);
  }
  expect(done.sort()).toEqual([...ids].sort());
});
