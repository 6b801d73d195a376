import { MessageType } from '@cometmq/model';

import { BrokerWorld, ids } from './broker-world.js';

async function priorityWorld(): Promise<BrokerWorld> {
  const world = await new BrokerWorld().start();
  world.topic = await world.nameService.createTopic({
    name: 'alarms',
    type: MessageType.priority,
    writeQueues: 8,
    readQueues: 8,
  });
  return world;
}

/** As a proxy sends it to a topic with 8 queues. */
const send = (world: BrokerWorld, id: string, priority: number): Promise<number> =>
  world.sendAs(id, { priority }, world.topic, Math.min(priority, 7));

describe('a topic of prioritised messages', () => {
  it('gives the highest priority first, and never passes it while there is a backlog', async () => {
    const world = await priorityWorld();
    for (let round = 0; round < 3; round += 1) {
      for (const priority of [0, 5, 9]) await send(world, `${priority}-${round}`, priority);
    }
    expect(ids(await world.poll({ messagesMax: 2 }))).toEqual(['9-0', '9-1']);
    await send(world, '9-3', 9);
    expect(ids(await world.poll({ messagesMax: 3 }))).toEqual(['9-2', '9-3', '5-0']);
    // A queue that the client names is no more urgent for that.
    expect(ids(await world.poll({ queueId: 0 }))).toEqual(['5-1', '5-2', '0-0', '0-1', '0-2']);
    await world.broker.stop();
  });

  it('brings a failed message again behind new ones', async () => {
    const world = await priorityWorld();
    await send(world, 'failed', 7);
    await world.poll();
    world.clock.advance(10_001);
    await send(world, 'new', 0);
    expect(ids(await world.poll())).toEqual(['new', 'failed']);
    await world.broker.stop();
  });

  it('looks at the levels in turn in as many polls as the priority factor leaves', async () => {
    const world = await priorityWorld();
    world.group = await world.nameService.createGroup({ name: 'fair', priorityFactor: 50 });
    for (let i = 0; i < 40; i += 1) for (const priority of [0, 7]) await send(world, `${priority}-${i}`, priority);
    const levels: string[] = [];
    // Polls that don't go by priority take the levels in turn.
    for (let i = 0; i < 8; i += 1) levels.push(...ids(await world.poll({ messagesMax: 1, queueId: 0 })));
    expect(levels.map((id) => id[0]).join('')).toBe('07770777');
    await world.broker.stop();
  });

  it('wakes a waiting poll', async () => {
    const world = await priorityWorld();
    const waiting = world.poll({ waitMs: 20_000 });
    await send(world, 'late', 3);
    expect(ids(await waiting)).toEqual(['late']);
    await world.broker.stop();
  });
});
