// Goal: what operators ask across processes is answered as in one. Method: the gRPC adapter and the broker's methods face
// to face, over a real broker.
import { GrpcWaitingAdmin, type LeaderChannels } from '@cometmq/client';
import { MessageType, type Topic } from '@cometmq/model';

import { BrokerReports } from './broker-reports.js';
import { BrokerWorld } from './broker-world.js';
import { waitingMethods } from './waiting-door.js';

let world: BrokerWorld;
let topic: Topic;
let near: BrokerReports['waiting'];
let far: GrpcWaitingAdmin;

beforeEach(async () => {
  world = await new BrokerWorld().start();
  topic = await world.nameService.createTopic({ name: 'all', type: MessageType.mixed });
  near = new BrokerReports(world.broker, world.directory, 'broker-0', '1').waiting;
  const methods = waitingMethods(near, 'broker-0');
  const ask = (_set: string, path: string, request: Uint8Array): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      const method = methods[path.split('/').at(-1) ?? ''];
      if (method?.kind !== 'unary') throw new Error(`${path} is no call of the service`);
      const send = (answer: Uint8Array | readonly Uint8Array[]): void =>
        resolve(Buffer.concat(answer instanceof Uint8Array ? [answer] : answer));
      method.handler(request, {} as never, { send, fail: reject });
    });
  far = new GrpcWaitingAdmin({ ask } as unknown as LeaderChannels);
});
afterEach(() => world.broker.stop());

it('delayed messages', async () => {
  const nowMs = world.clock.wallMs();
  for (let i = 0; i < 5; i += 1) {
    const tag = Buffer.from('A');
    await world.sendAny(`m${i}`, { type: MessageType.delay, dueMs: nowMs + 1_000 * (5 - i), tag }, topic);
  }
  const query = { topicId: topic.id, fromMs: 0, toMs: Infinity, after: { dueMs: 0, position: -1 }, max: 3 };
  const page = await far.listDelayed('broker-0', query);
  expect(page).toEqual(await near.listDelayed('broker-0', query));
  expect(page.messages.map(({ messageId }) => messageId)).toEqual(['m4', 'm3', 'm2']);
  expect(page.total).toBe(5);
  const [first, second] = page.messages;
  if (!first || !second) throw new Error('three were listed');
  const rest = await far.listDelayed('broker-0', { ...query, topicId: undefined, after: second.place });
  expect(rest.messages.map(({ messageId }) => messageId)).toEqual(['m2', 'm1', 'm0']);
  expect(await far.findDelayed('broker-0', first.place)).toEqual(first);
  await far.takeBackDelayed('broker-0', first.place);
  await far.moveDelayed('broker-0', second.place, nowMs + 60_000);
  expect(await far.findDelayed('broker-0', first.place)).toBeUndefined();
  expect((await far.findDelayed('broker-0', second.place))?.place.dueMs).toBe(nowMs + 60_000);
});

it('half messages', async () => {
  for (const id of ['a', 'b']) await world.sendAny(id, { type: MessageType.transaction }, topic);
  const query = { topicId: topic.id, after: { storedMs: 0, position: -1 }, max: 10 };
  const { messages, total } = await far.listHalf('broker-0', query);
  expect(await near.listHalf('broker-0', query)).toEqual({ messages, total });
  const [a, b] = messages;
  if (!a || !b) throw new Error('two are open');
  expect([a.messageId, b.messageId, total]).toEqual(['a', 'b', 2]);
  const after = { storedMs: a.storedMs, position: a.place.position };
  expect((await far.listHalf('broker-0', { ...query, after })).messages).toEqual([b]);
  expect(await far.findHalf('broker-0', b.place)).toEqual(b);
  await far.resolveHalf('broker-0', a.place, 'commit', 'ada');
  expect(await far.findHalf('broker-0', a.place)).toBeUndefined();
  expect(await far.audits('broker-0')).toMatchObject([{ who: 'ada', resolution: 'commit', topicId: topic.id }]);
});
