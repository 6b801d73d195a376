// Goal: a broker set is taken out without losing what nobody has consumed, or by a word that names it. Method: the REST API
// over brokers that say what they hold.
import { MessageType, queueId, queueOffset, logPosition } from '@cometmq/model';

import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

let fixture: AdminFixture;
beforeEach(async () => {
  fixture = await startAdminFixture();
  put('broker-1');
});
afterEach(() => fixture.stop());

function put(name: string, isLed = true): void {
  const leader = isLed ? 'a:1' : undefined;
  fixture.nameService.putSet({
    ...{ name, epoch: 4, leader, leaderMember: 'a/1', members: [{ member: 'a/1', address: 'a:1' }] },
    ...{ quorum: 1, stage: 'serving', inSync: ['a/1'], writable: true, registeredMs: 1 },
  });
  if (isLed) fixture.brokers.states.set(name, {});
}
async function call(method: string, path: string, body?: unknown) {
  const init = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await fetch(`${fixture.url}/api/v1${path}`, { method, ...(body !== undefined && init) });
  const text = await answer.text();
  return { status: answer.status, body: JSON.parse(text) as Record<string, unknown> };
}
/** A topic whose groups have so much to do. */
async function topicWith(name: string, unread: number): Promise<void> {
  const { id } = await fixture.nameService.createTopic({ name, type: MessageType.normal });
  const [first, next] = [queueOffset(0), queueOffset(100)];
  fixture.brokers.topics.set(id, { queues: [{ queueId: queueId(0), first, next, unread }], bytes: 1 });
  await fixture.directory.until(() => fixture.directory.topic(name), 60_000, 'the topic');
}
const stage = (name: string): string | undefined => fixture.directory.brokerSet(name)?.stage;

it('drains, is refused while something is not consumed, and is out when nothing is', async () => {
  await topicWith('orders', 3);
  await topicWith('quiet', 0);
  await topicWith('bills', 7);
  const early = await call('DELETE', '/broker-sets/broker-1');
  expect(early).toMatchObject({ status: 409, body: { detail: expect.stringContaining('drain it first') } });
  expect((await call('PUT', '/broker-sets/broker-1/stage', { stage: 'draining' })).status).toBe(200);
  expect(stage('broker-1')).toBe('draining');
  // What drains is no fault of the cluster.
  expect((await call('GET', '/cluster')).body).toMatchObject({ healthy: true });
  const place = {
    topicId: (fixture.directory.topic('orders') ?? { id: 0 }).id,
    position: logPosition(1),
    size: 1,
    dueMs: 9,
  };
  fixture.brokers.waiting.delayed.set('broker-1', [{ place: place as never, messageId: 'm', tag: '', storedMs: 1 }]);
  expect((await call('GET', '/broker-sets/broker-1/remains')).body).toEqual({
    ...{
      brokerSet: 'broker-1',
      stage: 'draining',
      messages: 10,
      delayed: 1,
      transactions: 0,
      onTheirWay: 0,
      handedOver: 0,
    },
    topics: [
      { topic: 'bills', messages: 7 },
      { topic: 'orders', messages: 3 },
    ],
  });
  expect(await call('DELETE', '/broker-sets/broker-1')).toMatchObject({
    status: 409,
    body: {
      detail: expect.stringContaining('10 messages that are not consumed (bills: 7, orders: 3), 1 delayed message'),
    },
  });
  fixture.brokers.topics.clear();
  fixture.brokers.waiting.delayed.clear();
  expect(await call('DELETE', '/broker-sets/broker-1')).toEqual({
    status: 200,
    body: { brokerSet: 'broker-1', held: 'nothing' },
  });
  expect(stage('broker-1')).toBe('gone');
  put('broker-2');
  fixture.brokers.states.delete('broker-1'); // It is stopped, and nobody misses it.
  expect((await call('GET', '/cluster')).body).toMatchObject({ healthy: true, reasons: [] });
});

it('is out at once where it is forced, and says what that gives up', async () => {
  await topicWith('orders', 3);
  expect(await call('DELETE', '/broker-sets/broker-1?force=true')).toEqual({
    status: 200,
    body: { brokerSet: 'broker-1', held: '3 messages that are not consumed (orders: 3)' },
  });
  put('broker-2', false);
  expect((await call('GET', '/broker-sets/broker-2/remains')).status).not.toBe(200);
  expect(await call('DELETE', '/broker-sets/broker-2?force=true')).toMatchObject({
    status: 200,
    body: { held: expect.stringContaining('nobody could count') },
  });
});

it('keeps the last set that takes messages', async () => {
  expect((await call('PUT', '/broker-sets/broker-1/stage', { stage: 'draining' })).status).toBe(200);
  for (const [method, path, body] of [
    ['PUT', '/broker-sets/broker-0/stage', { stage: 'draining' }],
    ['DELETE', '/broker-sets/broker-0?force=true', undefined],
  ] as const) {
    const answer = await call(method, path, body);
    expect(answer).toMatchObject({ status: 409, body: { detail: expect.stringContaining('only broker set') } });
  }
  expect((await call('PUT', '/broker-sets/broker-1/stage', { stage: 'serving' })).status).toBe(200);
  expect(stage('broker-1')).toBe('serving');
  expect((await call('PUT', '/broker-sets/broker-1/stage', { stage: 'gone' })).status).toBe(400);
  expect((await call('PUT', '/broker-sets/nope/stage', { stage: 'draining' })).status).toBe(404);
});
