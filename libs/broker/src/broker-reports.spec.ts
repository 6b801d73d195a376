import { groupId, queueId } from '@cometmq/model';

import { BrokerReports } from './broker-reports.js';
import { BrokerWorld } from './broker-world.js';

describe('a topic as the broker describes it', () => {
  it('says what is still to be consumed in each queue, by the slowest of its groups, and of all queues that hold any', async () => {
    const world = await new BrokerWorld().start();
    const topic = await world.nameService.createTopic({ name: 'wide', writeQueues: 3, readQueues: 3 });
    const reports = new BrokerReports(world.broker, world.directory, 'broker-0', '1');
    const unread = async (): Promise<number[]> =>
      (await reports.describeTopic('broker-0', topic.id)).queues.map((queue) => queue.unread);
    for (const queue of [0, 0, 1, 2]) await world.sendAny(`m${queue}`, {}, topic, queue);
    expect(await unread()).toEqual([2, 1, 1]); // Nobody has read any.
    const slow = await world.nameService.createGroup({ name: 'slow' });
    for (const { receipt } of await world.poll({ topicId: topic.id })) await world.ack(receipt);
    const held = await world.poll({ topicId: topic.id, groupId: slow.id });
    expect(held).toHaveLength(4);
    expect(await unread()).toEqual([2, 1, 1]);
    for (const { receipt } of held) if (receipt.queueId !== 1) await world.ack(receipt);
    expect(await unread()).toEqual([0, 1, 0]);
    // Whatever the counts of the topic are by now.
    world.directory.apply({ kind: 'topic', revision: 99, topic: { ...topic, writeQueues: 1, readQueues: 1 } });
    expect((await reports.describeTopic('broker-0', topic.id)).queues.map((queue) => queue.queueId)).toEqual(
      [0, 1, 2].map(queueId),
    );
    await world.broker.stop();
  });
});

describe('a broker that is starting', () => {
  it('is told from one that can say something', async () => {
    const { broker, directory } = new BrokerWorld();
    const reports = new BrokerReports(broker, directory, 'broker-0', '1');
    await expect(reports.describe('broker-0')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(reports.describeGroup('broker-0', groupId(1))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
