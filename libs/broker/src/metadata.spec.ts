/**
 * Goal: nothing that was stored is deleted because the metadata doesn't know it, and a broker acts under its own metadata
 * only. Method: a whole broker before a name service that loses what it knew, or is another one.
 */
import type { DirectoryUpdate } from '@cometmq/client';
import { MessageType, queueId, RecordKind, topicId, topicName } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { BrokerWorld, ids, settle } from './broker-world.js';

const mismatch = new MqError('METADATA_MISMATCH', 'another cluster');
const queue = queueId(0);

/** Messages of the world's topic that its store still shows. */
function kept(world: BrokerWorld): number {
  return (
    world.broker.store.bounds(world.topic.id, queue).committed - world.broker.store.bounds(world.topic.id, queue).first
  );
}

describe('topics and groups that the metadata does not name any more', () => {
  it.each(['one by one', 'all at once'] as const)('keep what is stored of them: lost %s', async (how) => {
    const world = await new BrokerWorld().start();
    await world.sendAny('a', {});
    await world.poll();
    world.nameService.lose(how);
    expect(world.directory.topic('orders')).toBeUndefined();
    expect(kept(world)).toBe(1);
    expect(world.broker.groups.progressOf(world.group.id)).toHaveLength(1);
    await world.restart();
    expect(kept(world)).toBe(1);
    expect(world.broker.groups.progressOf(world.group.id)).toHaveLength(1);
    await world.broker.stop();
  });

  it('lose nothing to a default retention that is shorter than their own', async () => {
    const world = await new BrokerWorld().start();
    world.topic = await world.nameService.createTopic({ name: 'archive', retentionMs: 365 * 86_400_000 });
    await world.sendAny('old', {});
    world.nameService.lose('all at once');
    for (let day = 0; day < 10; day += 1) {
      world.clock.advance(86_400_000);
      await world.broker.store.retention.run(world.clock.wallMs(), () => undefined); // One at a time: the timer's is done.
    }
    expect(kept(world)).toBe(1);
    await world.broker.stop();
  });

  it('lose no delayed message', async () => {
    const world = await new BrokerWorld().start();
    world.topic = await world.nameService.createTopic({ name: 'later', type: MessageType.delay });
    await world.sendAny('soon', { dueMs: world.clock.wallMs() + 5_000 });
    world.nameService.lose('all at once');
    for (let turns = 0; kept(world) === 0 && turns < 1_000; turns += 1) {
      world.clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(kept(world)).toBe(1);
    await world.broker.stop();
  });
});

it('a topic that is made while the log is behind comes into it later', async () => {
  const world = await new BrokerWorld().start();
  world.refuseNext(RecordKind.metadata);
  const { id } = await world.nameService.createTopic({ name: 'late' });
  expect(world.broker.metadata.topics.get(id)).toBeUndefined();
  world.clock.advance(5_001);
  expect(world.broker.metadata.topics.get(id)).toMatchObject({ name: 'late' });
  await world.broker.stop();
});

describe('topics and groups that somebody deleted', () => {
  it('are deleted here too, also when this broker was away', async () => {
    const world = await new BrokerWorld().start();
    await world.sendAny('a', {});
    await world.poll();
    await world.broker.stop();
    await world.nameService.deleteTopic('orders');
    await world.nameService.deleteGroup('readers');
    await world.restart();
    expect(kept(world)).toBe(0);
    expect(world.broker.groups.progressOf(world.group.id)).toHaveLength(0);
    await world.broker.stop();
  });

  it('are told from others that another history of the metadata gave the same id', async () => {
    const world = await new BrokerWorld().start();
    await world.sendAny('a', {});
    const { id } = world.topic;
    world.directory.apply({
      kind: 'topicDeleted',
      revision: 9,
      recorded: true,
      topic: { ...world.topic, id, createdMs: 77 },
    });
    expect(kept(world)).toBe(1);
    await world.broker.stop();
  });
});

describe('metadata that is told late', () => {
  /** The name service as it told everything when this was called. */
  async function snapshotOf({ nameService }: BrokerWorld): Promise<DirectoryUpdate> {
    const told = await new Promise<DirectoryUpdate>((resolve) => {
      const forget = nameService.watch((update) => {
        resolve(update);
        queueMicrotask(() => forget());
      });
    });
    expect(told.kind).toBe('snapshot');
    return told;
  }

  it('is waited for: what the log knows was deleted, or changed, stays so', async () => {
    const world = await new BrokerWorld().start();
    const { nameService, directory, topic, group } = world;
    const lasting = await nameService.createTopic({ name: 'lasting' });
    const before = await snapshotOf(world);
    await nameService.updateTopic('lasting', { writeQueues: 3, readQueues: 3 });
    await nameService.deleteTopic('orders');
    await nameService.deleteGroup('readers');
    const now = await snapshotOf(world);
    directory.apply(before); // By an instance that has not heard of it yet, to who leads already.
    const { metadata } = world.broker.views;
    expect(metadata.topics.get(lasting.id)).toMatchObject({ writeQueues: 3 });
    await world.restart(); // And to who begins to lead.
    expect(world.broker.unready()).toBeUndefined();
    expect(world.broker.views.metadata.topics.isDeleted(topic)).toBe(true);
    expect(world.broker.views.metadata.groups.isDeleted(group)).toBe(true);
    expect(world.broker.views.metadata.topics.get(lasting.id)).toMatchObject({ writeQueues: 3 });
    await expect(world.sendAny('late', {})).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' });
    directory.apply(now);
    const made = await nameService.createTopic({ name: 'made' });
    await world.send('a', '', made);
    expect(world.broker.views.metadata.topics.get(made.id)).toMatchObject({ name: 'made' });
    await world.broker.stop();
  });

  it('is brought in as a whole once it has come as far as the log', async () => {
    const world = await new BrokerWorld().start();
    const lasting = await world.nameService.createTopic({ name: 'lasting' });
    const before = await snapshotOf(world);
    await world.nameService.deleteTopic('orders');
    world.directory.apply(before);
    const other = { ...world.topic, id: topicId(77), name: topicName('other') };
    world.directory.apply({ kind: 'topic', revision: before.revision, topic: other });
    await world.send('a', '', lasting);
    expect(world.broker.views.metadata.topics.get(other.id)).toBeUndefined();
    world.directory.apply({ kind: 'topicDeleted', revision: before.revision + 50, topic: world.topic, recorded: true });
    await world.send('b', '', lasting);
    expect(world.broker.views.metadata.topics.get(other.id)).toMatchObject({ name: 'other' });
    await world.broker.stop();
  });

  it('is metadata that was set back where it shows what was deleted after it has come as far as the log', async () => {
    const world = await new BrokerWorld().start();
    const before = await snapshotOf(world);
    await world.nameService.deleteTopic('orders');
    let why: string | undefined;
    world.onFatal = (error) => (why = error.reason);
    world.directory.apply(before);
    expect(why).toBeUndefined();
    const { group } = world;
    world.directory.apply({ kind: 'group', revision: before.revision + 50, group });
    expect(why).toMatch(/shows topic orders, which the log knows was deleted/);
    await world.broker.stop();
  });
});

describe('a broker before metadata that is not its own', () => {
  it('refuses to start, and writes nothing', async () => {
    const world = await new BrokerWorld().start();
    await world.sendAny('a', {});
    await world.broker.stop();
    const end = world.broker.store.appendEnd;
    world.nameService.mismatch = mismatch;
    await expect(world.restart()).rejects.toBe(mismatch);
    expect(world.broker.store.appendEnd).toBe(end);
    expect(world.registry.claims.at(-1)?.log).toMatchObject({
      epoch: 1,
      metadata: { clusterId: 'cluster-1', generation: 1 },
    });
    await world.broker.stop();
    world.nameService.mismatch = undefined;
    await world.restart();
    expect(ids(await world.poll())).toEqual(['a']);
    await world.broker.stop();
  });

  it('refuses to start where an id is another’s, or what was deleted is there again', async () => {
    const world = await new BrokerWorld().start();
    const { topic } = world;
    await world.broker.stop();
    const takes = (): number => world.registry.calls.filter((name) => name === 'acquireLeadership').length;
    const asked = takes();
    const other = { ...topic, name: 'other' as typeof topic.name };
    world.directory.apply({ kind: 'topic', revision: 9, topic: other });
    await expect(world.restart()).rejects.toThrow(/knows topic \d+ as other.*as orders.*comet cluster adopt/);
    await world.broker.stop();
    world.directory.apply({ kind: 'topicDeleted', revision: 10, topic: other, recorded: false });
    world.directory.apply({ kind: 'topic', revision: 10, topic });
    await world.restart();
    await world.nameService.deleteTopic('orders');
    await world.broker.stop();
    world.directory.apply({ kind: 'topic', revision: 11, topic });
    await expect(world.restart()).rejects.toThrow(/shows topic orders, which the log knows was deleted/);
    await world.broker.stop();
    expect(takes()).toBe(asked + 1);
  });

  it('leads on while it is another one, and is not deposed by it', async () => {
    const world = await new BrokerWorld().start();
    world.nameService.mismatch = mismatch;
    const asked = world.registry.claims.length;
    for (let turns = 0; world.registry.claims.length < asked + 3 && turns < 1_000; turns += 1) {
      world.clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(world.registry.claims.length).toBeGreaterThanOrEqual(asked + 3);
    expect(world.broker.unready()).toBeUndefined();
    expect(world.broker.metadataProblem).toBe('another cluster');
    await world.sendAny('a', {});
    expect(ids(await world.poll())).toEqual(['a']);
    await world.broker.stop();
  });

  it('leads on a data folder that lacks something only once it is told to give that up', async () => {
    const world = await new BrokerWorld().start();
    await world.sendAny('a', {});
    await world.broker.stop();
    world.nameService.mismatch = new MqError('DATA_FOLDER', 'its data folder is an older copy');
    await expect(world.restart()).rejects.toThrow('its data folder is an older copy');
    expect(world.nameService.forgotten).toEqual([]);
    world.nameService.putSet({ name: 'broker-0', leader: undefined });
    world.forgets = true;
    await world.restart();
    expect(world.nameService.forgotten).toEqual(['broker-0']);
    expect(ids(await world.poll())).toEqual(['a']);
    await world.broker.stop();
  });

  it('brings what its log knows once it is told to, and leads then', async () => {
    const world = await new BrokerWorld().start();
    await world.nameService.createTopic({ name: 'gone' });
    const gone = await world.nameService.ensureTopic('gone');
    await world.sendAny('a', {});
    await world.nameService.deleteTopic('gone');
    await world.broker.stop();
    world.nameService.mismatch = mismatch;
    world.adopts = true;
    await world.restart();
    const [part, ...more] = world.nameService.adopted;
    const all = { topics: [...(part?.topics ?? [])], groups: [...(part?.groups ?? [])] };
    for (const { topics, groups } of more) {
      all.topics.push(...topics);
      all.groups.push(...groups);
    }
    expect(all.topics.map(({ name, id }) => [name, id])).toEqual([['orders', world.topic.id]]);
    expect(all.groups.map(({ name, id }) => [name, id])).toEqual([['readers', world.group.id]]);
    expect(part).toMatchObject({ topicIdMax: gone.id, groupIdMax: world.group.id, insist: true });
    expect(world.nameService.adopted.map(({ last }) => last)).toEqual([false, true]);
    expect(ids(await world.poll())).toEqual(['a']);
    await settle<void>((done) => world.broker.clientGone({ clientId: 'c', groupId: world.group.id }, done));
    await world.broker.stop();
  });
});
