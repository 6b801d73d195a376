import { queueId, type Topic } from '@cometmq/model';

import { BrokerWorld, ids } from './broker-world.js';

async function untilExpired(world: BrokerWorld, { id }: Topic, queues: readonly number[]): Promise<void> {
  const isOver = (): boolean => queues.every((queue) => world.broker.store.bounds(id, queueId(queue)).everExpired);
  for (let round = 0; round < 20 && !isOver(); round += 1) {
    world.clock.advance(60_000);
    await world.broker.store.retention.run(0, () => undefined); // Waits for the round that the clock began.
  }
  expect(isOver()).toBe(true);
}

describe('messages that expire', () => {
  // What the expiry of the first queue says must not be read as one of another topic: here the number of messages that
  // expire in it is that topic's id.
  it('two queues in one round, they leave the groups of other topics where they are', async () => {
    const world = await new BrokerWorld().start();
    const { topic: orders } = world;
    await world.send('before');
    for (const { receipt } of await world.poll()) await world.ack(receipt);
    const other = await world.nameService.createTopic({
      name: 'other',
      writeQueues: 2,
      readQueues: 2,
      retentionMs: 60_000,
    });
    for (let i = 0; i < orders.id; i += 1) await world.sendAny(`other-${i}`, {}, other, 0);
    await world.sendAny('other-last', {}, other, 1);
    await untilExpired(world, other, [0, 1]);

    const { committed } = world.broker.groups.figures(world.group.id, orders.id, queueId(0))!;
    expect(committed).toBe(1);
    const after = ['a', 'b', 'c'];
    for (const id of after) await world.send(id);
    expect(ids(await world.poll())).toEqual(after);
    await world.restart();
    world.clock.advance(10_001);
    expect(ids(await world.poll())).toEqual(after);
    await world.broker.stop();
  });

  // A group that says nothing begins at the end of a queue in which something has expired. It begins in all queues at once:
  // its first poll finds what it wants before it has looked at the queue that is empty.
  it('cost a new group nothing that comes after its first poll, whichever queue that was served from', async () => {
    const world = await new BrokerWorld().start();
    const topic = await world.nameService.createTopic({
      ...{ name: 'short-lived', writeQueues: 2, readQueues: 2, retentionMs: 60_000 },
    });
    world.topic = topic;
    const { id: groupId } = await world.nameService.createGroup({ name: 'new' });
    await world.sendAny('old 1', {}, topic, 1);
    await untilExpired(world, topic, [1]);
    await world.sendAny('new 0', {}, topic, 0);
    expect(ids(await world.poll({ groupId, messagesMax: 1 }))).toEqual(['new 0']);
    await world.sendAny('new 1', {}, topic, 1);
    expect(ids(await world.poll({ groupId }))).toEqual(['new 1']);
    await world.broker.stop();
  });
});
