// Goal: a message whose producer may have sent it before is judged by the topic as it is when it is stored, not as it was when
// it came. Method: what was sent before can no longer be read, and the topic's queues change while that is found out.
import { hashBytes, hashText, queueId, setOfHash, type BrokerSetStage } from '@cometmq/model';
import { MqError } from '@cometmq/shared';

import { BrokerWorld } from './broker-world.js';

it('a repeated message is refused where its queue was taken away while the first one was looked up', async () => {
  const world = await new BrokerWorld().start();
  world.topic = await world.nameService.createTopic({ name: 'pairs', writeQueues: 2, readQueues: 2 });
  const group = Buffer.from('g');
  await world.sendAs('a', { group }, world.topic, 1);
  const { store } = world.broker;
  let looked = false;
  store.read = async () => {
    looked = true;
    await world.nameService.updateTopic('pairs', { writeQueues: 1 });
    throw new MqError('NOT_FOUND', 'planted: its segment is gone');
  };
  await expect(world.sendAs('a', { group }, world.topic, 1)).rejects.toMatchObject({ code: 'STALE_LAYOUT' });
  expect([looked, store.bounds(world.topic.id, queueId(1)).next]).toEqual([true, 1]);
  await world.broker.stop();
});

it('a repeated message is refused where its group has another set since the first one was looked up', async () => {
  const world = await new BrokerWorld().start();
  const homes = ['broker-0', 'broker-1'].map(hashText);
  const name =
    ['a', 'b', 'c', 'd', 'e', 'f'].find((each) => setOfHash(hashBytes(Buffer.from(each)), homes) === 1) ?? '';
  const group = Buffer.from(name);
  const set = { epoch: 1, members: [], quorum: 1, inSync: [], writable: true, registeredMs: 1 };
  const stage = (broker: string, revision: number, is: BrokerSetStage): void =>
    world.directory.apply({ kind: 'broker', revision, broker: { ...set, name: broker, stage: is } });
  stage('broker-0', 1_000, 'serving');
  stage('broker-1', 1_001, 'joining');
  await world.sendAs('a', { group });
  const { store } = world.broker;
  store.read = async () => {
    stage('broker-1', 1_002, 'serving');
    throw new MqError('NOT_FOUND', 'planted: its segment is gone');
  };
  await expect(world.sendAs('a', { group })).rejects.toMatchObject({ code: 'STALE_LAYOUT' });
  await world.broker.stop();
});

it('a message whose sender has given up by then is not stored', async () => {
  const world = await new BrokerWorld().start();
  const body = Buffer.from('body');
  const nowMs = world.clock.monotonicMs();
  await world.sendAny('a', {}, world.topic, 0, body, nowMs + 1);
  world.clock.advance(2);
  await expect(world.sendAny('b', {}, world.topic, 0, body, nowMs + 1)).rejects.toMatchObject({ code: 'TIMEOUT' });
  expect(world.broker.store.bounds(world.topic.id, queueId(0)).next).toBe(1);
  await world.broker.stop();
});
