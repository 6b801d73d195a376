import { Directory } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import { someTraits } from '@cometmq/client/testing';
import { pausedForGood, type BrokerSet } from '@cometmq/model';
import { MqError, systemClock } from '@cometmq/shared';
import { silentLogger } from '@cometmq/telemetry';
import type { FastifyInstance } from 'fastify';

import { FakeBrokers } from '../testing/fake-brokers.js';
import { buildAdminApi } from './admin-api.js';
import { lagPoints } from './progress-routes.js';

let app: FastifyInstance;
let nameService: FakeNameService;
let brokers: FakeBrokers;
let directory: Directory;
const brokerSet: BrokerSet = {
  name: 'broker-0',
  epoch: 1,
  leader: '',
  members: [],
  quorum: 1,
  stage: 'serving',
  inSync: [],
  writable: true,
  registeredMs: 1,
};

beforeAll(async () => {
  nameService = new FakeNameService({ tellsLate: true });
  brokers = new FakeBrokers();
  directory = new Directory(nameService, systemClock);
  await directory.start();
  const context = { nameService, directory, brokers, clock: systemClock, log: silentLogger, requestMsMax: 60_000 };
  app = await buildAdminApi({
    context,
    host: '127.0.0.1',
    hostNames: [],
    version: '0.1.0',
    stopping: new AbortController().signal,
  });
});
beforeEach(async () => {
  brokers.reset();
  brokers.states.set('broker-0', {});
  nameService.reset([brokerSet]);
  await nameService.createTopic({ name: 'orders' });
  await nameService.createGroup({ name: 'billing' });
  await directory.until(() => directory.group('billing') && directory.topic('orders'), 60_000, 'the group');
});
afterAll(async () => {
  await app.close();
  await directory.stop();
});

async function call(method: 'GET' | 'POST', path: string, body?: object) {
  const headers = { host: 'localhost:8082' };
  const url = `/api/v1${path}`;
  const response = await app.inject({ method, url, headers, ...(body && { payload: body }) });
  return {
    status: response.statusCode,
    body: response.body === '' ? undefined : response.json<Record<string, never>>(),
  };
}

describe('a pause', () => {
  it('has an end or none, is shown, and ends when the group is resumed', async () => {
    const untilMs = systemClock.wallMs() + 600_000;
    expect(await call('POST', '/groups/billing/pause', { untilMs })).toMatchObject({
      status: 200,
      body: { pausedUntilMs: untilMs },
    });
    expect(await call('GET', '/groups/billing')).toMatchObject({ body: { pausedUntilMs: untilMs } });
    const before = systemClock.wallMs();
    const { body } = await call('POST', '/groups/billing/pause', { forMs: 60_000 });
    expect(Number(body?.['pausedUntilMs'])).toBeGreaterThanOrEqual(before + 60_000);
    expect(await call('POST', '/groups/billing/pause', {})).toMatchObject({ body: { pausedUntilMs: pausedForGood } });
    expect(await call('POST', '/groups/billing/pause')).toMatchObject({
      status: 200,
      body: { pausedUntilMs: pausedForGood },
    });
    expect(await call('POST', '/groups/billing/resume')).toMatchObject({ status: 200, body: { name: 'billing' } });
  });

  it.each([
    [{ untilMs: 5 }, /has passed/],
    [{ untilMs: 5, forMs: 5 }, /untilMs or forMs/],
    [{ forMs: 0 }, /must be >= 1/],
    [{ for: '5m' }, /unknown field "for"/],
  ])('%j is refused', async (body, detail) => {
    const answer = await call('POST', '/groups/billing/pause', body);
    expect(answer.status).toBe(400);
    expect(String(answer.body?.['detail'])).toMatch(detail);
  });
});

describe('a reset', () => {
  it('is refused as the brokers refuse it: a queue that does not exist, say', async () => {
    brokers.refusal = new MqError('BAD_REQUEST', 'topic "orders" has queues 0 to 7');
    const answer = await call('POST', '/groups/billing/reset', { topic: 'orders', queueId: 99, to: { at: 'first' } });
    expect(answer).toMatchObject({
      status: 400,
      body: { code: 'BAD_REQUEST', detail: 'topic "orders" has queues 0 to 7' },
    });
  });

  it('is refused of a queue that no number between processes can name', async () => {
    const wanted = { topic: 'orders', brokerSet: 'broker-0', queueId: 2 ** 32, to: { at: 'first' } };
    const answer = await call('POST', '/groups/billing/reset', wanted);
    expect(answer).toMatchObject({ status: 400, body: { detail: 'queueId: must be <= 4294967295' } });
  });

  it('that no broker answers is no success', async () => {
    brokers.states.clear();
    const answer = await call('POST', '/groups/billing/reset', { topic: 'orders', to: { at: 'first' } });
    expect(answer).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
  });

  it('goes to every broker set and says what was set', async () => {
    const answer = await call('POST', '/groups/billing/reset', { topic: 'orders', to: { at: 'time', timeMs: 5 } });
    expect(answer).toEqual({
      status: 200,
      body: {
        move: expect.any(String),
        queues: [{ brokerSet: 'broker-0', topic: 'orders', queueId: 0, before: 3, after: 7 }],
        missing: [],
      },
    });
    const ids = { groupId: directory.group('billing')!.id, topicId: directory.topic('orders')!.id };
    expect(brokers.resets).toMatchObject([{ ...ids, brokerSet: 'broker-0', to: { at: 'time', timeMs: 5 } }]);
  });

  it('takes over from another group, and may mean one queue of one set', async () => {
    await nameService.createGroup({ name: 'audit' });
    await directory.until(() => directory.group('audit'), 60_000, 'the group');
    nameService.putSet({ ...brokerSet, name: 'broker-1' });
    await directory.until(() => directory.brokerSet('broker-1'), 60_000, 'the broker set');
    const to = { at: 'group', group: 'audit' };
    const one = { topic: 'orders', brokerSet: 'broker-0', queueId: 2, to };
    expect((await call('POST', '/groups/billing/reset', one)).status).toBe(200);
    expect(brokers.resets).toMatchObject([
      { brokerSet: 'broker-0', queueId: 2, to: { at: 'group', groupId: directory.group('audit')!.id } },
    ]);
    const vague = { topic: 'orders', to: { at: 'offset', offset: 3 } };
    expect((await call('POST', '/groups/billing/reset', vague)).status).toBe(400);
    // One set that does not answer does not hide the others.
    expect(await call('POST', '/groups/billing/reset', { topic: 'orders', to: { at: 'end' } })).toMatchObject({
      body: { queues: [{ brokerSet: 'broker-0' }], missing: [{ brokerSet: 'broker-1' }] },
    });
  });

  it.each([
    [{ topic: 'nothing', to: { at: 'end' } }, 404],
    [{ topic: 'orders', to: { at: 'group', group: 'nobody' } }, 404],
    [{ topic: 'orders', brokerSet: 'x', to: { at: 'end' } }, 404],
    [{ topic: 'orders', to: { at: 'now' } }, 400],
    [{ topic: 'orders', to: { at: 'offset', offset: -1 } }, 400],
    [{ topic: 'orders' }, 400],
  ])('%j is refused with %i', async (body, status) => {
    expect((await call('POST', '/groups/billing/reset', body)).status).toBe(status);
    expect(brokers.resets).toEqual([]);
  });
});

it('warns where members of a group have different filters', async () => {
  const topicId = directory.topic('orders')!.id;
  const groupId = directory.group('billing')!.id;
  const member = (clientId: string, type: 'tag' | 'sql', expression: string) => ({
    ...someTraits,
    clientId,
    groupId,
    subscriptions: [{ topicId, filter: { type, expression } }],
  });
  brokers.groups.set(groupId, { queues: [], sums: [], members: [member('a', 'tag', 'A'), member('b', 'tag', 'A')] });
  expect(await call('GET', '/groups/billing')).toMatchObject({ body: { warnings: [] } });
  brokers.groups.set(groupId, {
    queues: [],
    sums: [],
    members: [member('a', 'tag', 'A'), member('b', 'sql', 'a > 1')],
  });
  const { body } = await call('GET', '/groups/billing');
  expect(String(body?.['warnings'])).toMatch(/"orders" with 2 different filters \(sql a > 1; tag A\)/);
});

describe('a client', () => {
  const said = { nonce: 'n', code: 20_000, message: 'OK', text: 'main: at x' };

  it('is asked for its stacks, to connect anew, and to try a message', async () => {
    brokers.clients.set('c@1', said);
    expect(await call('POST', '/clients/c%401/stack-trace')).toEqual({
      status: 200,
      body: { code: 20_000, message: 'OK', text: 'main: at x' },
    });
    expect((await call('POST', '/clients/c%401/reconnect')).status).toBe(202);
    const trial = { group: 'billing', topic: 'orders', messageId: 'm1' };
    expect((await call('POST', '/clients/c%401/verify', trial)).status).toBe(200);
    expect(brokers.questions).toMatchObject([
      { kind: 'printStack', clientId: 'c@1' },
      { kind: 'reconnect' },
      { kind: 'verify', messageId: 'm1', topicId: directory.topic('orders')!.id },
    ]);
  });

  it('that nobody holds a stream of is not found, nor a trial without its topic', async () => {
    expect((await call('POST', '/clients/nobody/stack-trace')).status).toBe(404);
    const trial = { group: 'billing', topic: 'nothing', messageId: 'm1' };
    expect((await call('POST', '/clients/nobody/verify', trial)).status).toBe(404);
  });
});

describe('a move', () => {
  const past = { moveId: 'm1', who: 'ada', undoes: '', queues: [{ queueId: 0, before: 3, after: 7 }] };
  const note = (more: object = {}) => {
    const topicId = fixtureTopicId();
    brokers.inspect.moved.set('broker-0', [{ ...past, atMs: Date.now(), topicId, ...more } as never]);
  };
  const fixtureTopicId = (): number => directory.topic('orders')?.id ?? 0;

  it('that is previewed is noted nowhere', async () => {
    const { body } = await call('POST', '/groups/billing/reset', { topic: 'orders', to: { at: 'end' }, preview: true });
    expect(body).not.toHaveProperty('move');
    expect(brokers.resets).toMatchObject([{ preview: true }]);
    expect(brokers.resets[0]).not.toHaveProperty('move');
  });

  it('is taken back to where the group was, once', async () => {
    note();
    expect(await call('GET', '/groups/billing/moves')).toMatchObject({
      body: { items: [{ id: 'm1', who: 'ada', topic: 'orders', undone: false }] },
    });
    expect((await call('POST', '/groups/billing/moves/m1/undo')).status).toBe(200);
    expect(brokers.resets).toMatchObject([
      { brokerSet: 'broker-0', queueId: 0, to: { at: 'offset', offset: 3 }, move: { undoes: 'm1' } },
    ]);
    const topicId = fixtureTopicId();
    brokers.inspect.moved
      .get('broker-0')
      ?.push({ ...past, moveId: 'm2', undoes: 'm1', atMs: Date.now(), topicId } as never);
    expect(await call('POST', '/groups/billing/moves/m1/undo')).toMatchObject({ status: 409 });
    expect(await call('POST', '/groups/billing/moves/m9/undo')).toMatchObject({ status: 404 });
  });

  it('that was taken back in part is taken back for the rest, and not while a broker set is silent', async () => {
    const queues = [0, 1].map((queueId) => ({ queueId, before: 3, after: 7 }));
    note({ queues });
    const topicId = fixtureTopicId();
    const part = { ...past, moveId: 'm2', undoes: 'm1', atMs: Date.now(), topicId, queues: queues.slice(0, 1) };
    brokers.inspect.moved.get('broker-0')?.push(part as never);
    nameService.putSet({ ...brokerSet, name: 'broker-1' }); // It answers nothing yet.
    await directory.until(() => directory.brokerSet('broker-1'), 60_000, 'the broker set');
    expect(await call('POST', '/groups/billing/moves/m1/undo')).toMatchObject({ status: 503 });
    expect(brokers.resets).toEqual([]);
    brokers.states.set('broker-1', {});
    expect((await call('POST', '/groups/billing/moves/m1/undo')).status).toBe(200);
    expect(brokers.resets).toMatchObject([{ brokerSet: 'broker-0', queueId: 1, to: { at: 'offset', offset: 3 } }]);
  });
});

it('lags of broker sets are summed where they were sampled at about the same time', async () => {
  const at = 120_000 * 10;
  expect(
    lagPoints([
      [
        { atMs: at, lag: 5, oldestMs: 70 },
        { atMs: at + 120_000, lag: 0, oldestMs: 0 },
      ],
      [{ atMs: at + 3_000, lag: 2, oldestMs: 60 }],
    ]),
  ).toEqual([
    { atMs: at, lag: 7, oldestMs: 60 },
    { atMs: at + 120_000, lag: 0 },
  ]);
});
