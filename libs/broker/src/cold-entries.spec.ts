import type { ReceiveCall } from '@cometmq/client';
import { KiB, MiB, type Topic, type TopicId } from '@cometmq/model';

import { BrokerWorld, ids } from './broker-world.js';

const filler = new Uint8Array(256);
const large = new Uint8Array(KiB);

/** A broker that keeps next to nothing in memory of what was sent a moment ago. */
async function worldOnDisk(limits: BrokerWorld['storeLimits'] = {}): Promise<BrokerWorld> {
  const world = await new BrokerWorld().start();
  world.storeLimits = {
    ...world.storeLimits,
    segmentBytes: 16 * KiB,
    recordBytesMax: 4 * KiB,
    tailCacheBytes: 4 * KiB,
    ...limits,
  };
  await world.restart();
  return world;
}

// Goal: what lies in sealed segments is delivered however little of their indexes is kept. Method: topics of many queues,
// a cache that holds no page longer than until the next one comes, and polls of all topics at once.
it('delivers everything from many queues of sealed segments when no index page stays', async () => {
  const topics = 3;
  const queues = 40;
  const world = await worldOnDisk({ indexCacheBytes: 1 });
  const made: Topic[] = [];
  for (let t = 0; t < topics; t += 1) {
    made.push(await world.nameService.createTopic({ name: `t${t}`, readQueues: queues, writeQueues: queues }));
  }
  const wanted: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    for (const topic of made) {
      for (let queue = 0; queue < queues; queue += 1) {
        const id = `${topic.name}-${queue}-${round}`;
        await world.sendAny(id, {}, topic, queue);
        wanted.push(id);
      }
    }
  }
  await world.restart();
  const found: string[] = [];
  const drainOne = async (topicId: TopicId): Promise<void> => {
    for (let got = 0; got < queues * 3;) {
      const messages = await world.poll({ topicId, messagesMax: 16, waitMs: 5_000, clientId: `c${topicId}` });
      got += messages.length;
      found.push(...ids(messages));
    }
  };
  await Promise.all(made.map(({ id }) => drainOne(id)));
  expect(found.sort()).toEqual(wanted.sort());
  await world.broker.stop();
}, 60_000);

// Goal: a long backlog is read from the disk once, however many queues it lies in. Method: queues whose messages lie side by
// side in a sealed segment, and whose index entries lie in pages of their own; at every poll none is far ahead of another.
it('drains queues of a sealed segment in step', async () => {
  const queues = 2;
  const each = 3_000;
  const world = await worldOnDisk({ segmentBytes: 1.5 * MiB });
  const topic = await world.nameService.createTopic({ name: 't', readQueues: queues, writeQueues: queues });
  for (let round = 0; round < each; round += 1) {
    const sends = Array.from({ length: queues }, (_, queue) => world.sendAny(`${round}`, {}, topic, queue, filler));
    await Promise.all(sends);
  }
  await world.restart();
  const { taken, apart } = await drain(world, topic, { messagesMax: 32 });
  expect(taken).toEqual(new Array(queues).fill(each));
  expect(apart).toBeLessThanOrEqual(each / 10);
  await world.broker.stop();
}, 60_000);

it('drains a queue whose messages have to be looked at on disk along with one that is in memory', async () => {
  const each = 200;
  const world = await worldOnDisk({ segmentBytes: 1.5 * MiB, tailCacheBytes: 128 * KiB });
  const topic = await world.nameService.createTopic({ name: 't', readQueues: 2, writeQueues: 2 });
  for (const queue of [0, 1]) {
    for (let i = 0; i < each; i += 1) await world.sendAny(`${i}`, {}, topic, queue, queue === 0 ? large : filler);
  }
  const filter = { type: 'sql', expression: 'absent IS NULL' } as const;
  const { taken, apart } = await drain(world, topic, { messagesMax: 4, filter });
  expect(taken).toEqual([each, each]);
  expect(apart).toBeLessThanOrEqual(each / 10);
  await world.broker.stop();
});

/** What was taken of each queue, and how far one was ahead of another at the most. */
async function drain(
  world: BrokerWorld,
  topic: Topic,
  given: Partial<ReceiveCall>,
): Promise<{ taken: number[]; apart: number }> {
  const taken = new Array<number>(topic.readQueues).fill(0);
  let apart = 0;
  for (;;) {
    const messages = await world.poll({ topicId: topic.id, waitMs: 0, ...given });
    if (messages.length === 0) return { taken, apart };
    for (const { receipt } of messages) taken[receipt.queueId]! += 1;
    apart = Math.max(apart, Math.max(...taken) - Math.min(...taken));
  }
}
