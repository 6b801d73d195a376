import { queueId } from '@cometmq/model';

import { BrokerWorld, ids } from './broker-world.js';

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
    const expired = (): boolean[] => [0, 1].map((q) => world.broker.store.bounds(other.id, queueId(q)).everExpired);
    for (let round = 0; round < 20 && expired().includes(false); round += 1) {
      world.clock.advance(60_000);
      await world.broker.store.retention.run(0, () => undefined); // Waits for the round that the clock began.
    }
    expect(expired()).toEqual([true, true]);

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
});
