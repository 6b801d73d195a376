import type { Topic, TopicId } from '@cometmq/model';

import { BrokerWorld, ids } from './broker-world.js';

// Goal: what lies in sealed segments is delivered however little of their indexes is kept. Method: topics of many queues,
// a cache that holds no page longer than until the next one comes, and polls of all topics at once.
it('delivers everything from many queues of sealed segments when no index page stays', async () => {
  const topics = 3;
  const queues = 40;
  const world = await new BrokerWorld().start();
  world.storeLimits = {
    ...world.storeLimits,
    segmentBytes: 16 * 1024,
    recordBytesMax: 4 * 1024,
    tailCacheBytes: 4 * 1024,
    indexCacheBytes: 1,
  };
  await world.restart();
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
  const drain = async (topicId: TopicId): Promise<void> => {
    for (let got = 0; got < queues * 3;) {
      const messages = await world.poll({ topicId, messagesMax: 16, waitMs: 5_000, clientId: `c${topicId}` });
      got += messages.length;
      found.push(...ids(messages));
    }
  };
  await Promise.all(made.map(({ id }) => drain(id)));
  expect(found.sort()).toEqual(wanted.sort());
  await world.broker.stop();
}, 60_000);
