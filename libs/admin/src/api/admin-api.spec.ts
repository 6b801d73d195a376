import { someTraits } from '@cometmq/client/testing';
import { Directory } from '@cometmq/client';
import { FakeNameService } from '@cometmq/client/testing';
import { MqError, systemClock, type Clock } from '@cometmq/shared';
import { queueId, queueOffset } from '@cometmq/model';
import { silentLogger } from '@cometmq/telemetry';
import type { FastifyInstance, InjectOptions } from 'fastify';

import { FakeBrokers } from '../testing/fake-brokers.js';
import { buildAdminApi } from './admin-api.js';

let nameService: FakeNameService;
let brokers: FakeBrokers;
let directory: Directory;
let app: FastifyInstance;

const brokerSet = {
  name: 'broker-0',
  epoch: 3,
  leader: 'broker-0:10911',
  leaderMember: 'broker-0/v1',
  members: [{ member: 'broker-0/v1', address: '' }],
  quorum: 1,
  stage: 'serving' as const,
  inSync: ['broker-0/v1'],
  writable: true,
  registeredMs: 1,
};

// Building the API compiles its schemas; one serves all tests, and the cluster behind it is a new one for each.
beforeAll(async () => {
  nameService = new FakeNameService({ tellsLate: true });
  brokers = new FakeBrokers();
  directory = new Directory(nameService, systemClock);
  await directory.start();
  // Only who never answers is out of time, however busy this machine is.
  const after: Clock['after'] = (ms, act) => systemClock.after(nameService.silent ? 1 : ms, act);
  const clock = Object.assign(Object.create(systemClock) as Clock, { after });
  const context = { nameService, directory, brokers, clock, log: silentLogger, requestMsMax: 60_000 };
  app = await buildAdminApi({
    context,
    host: '127.0.0.1',
    hostNames: ['comet.test'],
    version: '0.1.0',
    stopping: new AbortController().signal,
  });
});

beforeEach(() => {
  brokers.reset();
  brokers.states.set('broker-0', {});
  nameService.reset([brokerSet]);
});

afterAll(async () => {
  await app.close();
  await directory.stop();
});

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE' | 'PUT';

async function call(method: Method, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const options: InjectOptions = { method, url: path, headers: { host: 'localhost:8082', ...headers } };
  if (body !== undefined) options.payload = body as object;
  const response = await app.inject(options);
  return {
    status: response.statusCode,
    type: response.headers['content-type'],
    headers: response.headers,
    body: response.body === '' ? undefined : response.json<Record<string, unknown>>(),
    text: response.body,
  };
}

async function refused(status: number, code: string, ...of: Parameters<typeof call>): Promise<string> {
  const answer = await call(...of);
  expect({ status: answer.status, body: answer.body }).toMatchObject({ status, body: { status, code } });
  expect(answer.type).toMatch(/^application\/problem\+json\b/);
  const { sentence, params, ...body } = answer.body ?? {};
  expect(Object.keys(body).sort()).toEqual(['code', 'detail', 'status', 'title', 'type']);
  expect([typeof sentence, typeof params]).toEqual(
    sentence === undefined ? ['undefined', 'undefined'] : ['string', 'object'],
  );
  return String(answer.body?.['detail']);
}

describe('the cluster', () => {
  it('is healthy while each set has a leader that answers and takes messages', async () => {
    await nameService.createTopic({ name: 'orders' });
    await nameService.createGroup({ name: 'billing' });
    await directory.until(() => directory.group('billing'), 60_000, 'the group');
    const { status, body } = await call('GET', '/api/v1/cluster');
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: 'cluster-1', healthy: true, reasons: [], topics: 1, groups: 1 });
    expect(body?.['brokerSets']).toMatchObject([
      {
        name: 'broker-0',
        epoch: 3,
        leader: 'broker-0:10911',
        writable: true,
        state: { version: '0.1.0', diskBytes: 268435456 },
      },
    ]);
  });

  it('gives the members of a set up when nobody leads it', async () => {
    const path = '/api/v1/broker-sets/broker-0/members';
    await refused(409, 'CONFLICT', 'DELETE', path);
    nameService.putSet({ ...brokerSet, leader: undefined });
    expect((await call('DELETE', path)).status).toBe(204);
    expect(directory.brokerSet('broker-0')?.inSync).toEqual([]);
    await refused(404, 'NOT_FOUND', 'DELETE', '/api/v1/broker-sets/nope/members');
  });

  it('says what of a log is lost, and gives it up when told to', async () => {
    const path = '/api/v1/broker-sets/broker-0/damage';
    const damage = { first: 4096, end: 8192, what: 'the segment is missing' };
    brokers.damages.push(damage);
    expect(await call('GET', path)).toMatchObject({ status: 200, body: { damages: [damage] } });
    expect(await call('DELETE', path)).toMatchObject({ status: 200, body: { damages: [damage] } });
    expect(await call('GET', path)).toMatchObject({ status: 200, body: { damages: [] } });
    // What was found since somebody looked is not given up with the rest.
    brokers.damages.push(damage);
    const { seen } = (await call('GET', path)).body as { seen: string };
    brokers.damages.push({ ...damage, first: 8192, end: 9000 });
    await refused(409, 'CONFLICT', 'DELETE', `${path}?seen=${seen}`);
    const now = (await call('GET', path)).body as { seen: string };
    expect(await call('DELETE', `${path}?seen=${now.seen}`)).toMatchObject({ status: 200 });
    await refused(404, 'NOT_FOUND', 'GET', '/api/v1/broker-sets/nope/damage');
    await refused(404, 'NOT_FOUND', 'DELETE', '/api/v1/broker-sets/nope/damage');
  });

  it('says what is wrong, set by set', async () => {
    nameService.putSet({ ...brokerSet, name: 'broker-1' });
    nameService.putSet({ ...brokerSet, name: 'broker-2', leader: undefined });
    nameService.putSet({ ...brokerSet, name: 'broker-3', writable: false });
    brokers.states.set('broker-3', {});
    nameService.putSet({ ...brokerSet, name: 'broker-4' });
    brokers.states.set('broker-4', { metadataProblem: 'the metadata is of another cluster' });
    await directory.until(() => directory.brokerSet('broker-4'), 60_000, 'the broker set');
    const { body } = await call('GET', '/api/v1/cluster');
    expect(body).toMatchObject({
      healthy: false,
      reasons: [
        "broker-1: the leader of broker-1 can't be reached",
        'broker-2: nobody leads',
        'broker-3: takes no new messages (its disk is full)',
        'broker-4: the metadata is of another cluster',
      ],
    });
  });

  it('lives even when no broker does', async () => {
    brokers.states.clear();
    expect(await call('GET', '/api/v1/health')).toMatchObject({ status: 200, body: { status: 'ok' } });
  });
});

describe('topics', () => {
  it('are made, shown at once, changed and deleted', async () => {
    const made = await call('POST', '/api/v1/topics', { name: 'orders', writeQueues: 4, retentionMs: 3_600_000 });
    expect(made).toMatchObject({
      status: 201,
      headers: { location: '/api/v1/topics/orders' },
      body: {
        name: 'orders',
        type: 'normal',
        writeQueues: 4,
        readQueues: 4,
        permission: 'readWrite',
        retentionMs: 3_600_000,
      },
    });
    expect(await call('GET', '/api/v1/topics/orders')).toMatchObject({ status: 200, body: { writeQueues: 4 } });
    const changed = await call('PATCH', '/api/v1/topics/orders', { permission: 'read' });
    expect(changed).toMatchObject({ status: 200, body: { permission: 'read', writeQueues: 4, layout: 2 } });
    expect(await call('GET', '/api/v1/topics/orders')).toMatchObject({ body: { permission: 'read' } });
    expect(await call('DELETE', '/api/v1/topics/orders')).toMatchObject({ status: 204, text: '' });
    await refused(404, 'TOPIC_NOT_FOUND', 'GET', '/api/v1/topics/orders');
  });

  it.each(['normal', 'fifo', 'delay', 'transaction', 'priority', 'lite', 'mixed'])(
    'may be of type %s',
    async (type) => {
      expect(await call('POST', '/api/v1/topics', { name: 'typed', type })).toMatchObject({
        status: 201,
        body: { type },
      });
    },
  );

  it('are described with the bounds of their queues on each broker set', async () => {
    const { id } = await nameService.createTopic({ name: 'orders', writeQueues: 2 });
    brokers.topics.set(id, {
      bytes: 5000,
      queues: [
        { queueId: queueId(1), first: queueOffset(0), next: queueOffset(7), unread: 7 },
        { queueId: queueId(0), first: queueOffset(3), next: queueOffset(10), unread: 0 },
      ],
    });
    nameService.putSet({ ...brokerSet, name: 'broker-9' });
    await directory.until(() => directory.brokerSet('broker-9'), 60_000, 'the broker set');
    const { body } = await call('GET', '/api/v1/topics/orders');
    expect(body).toMatchObject({
      bytes: 5000,
      messages: 14,
      unread: 7,
      queues: [
        { brokerSet: 'broker-0', queueId: 0, minOffset: 3, maxOffset: 10 },
        { brokerSet: 'broker-0', queueId: 1, minOffset: 0, maxOffset: 7 },
      ],
      missing: [{ brokerSet: 'broker-9', detail: "the leader of broker-9 can't be reached" }],
    });
  });

  it('have fewer read queues only once what is in the others is consumed, on every broker set', async () => {
    const { id } = await nameService.createTopic({ name: 'orders', writeQueues: 2, readQueues: 4 });
    const queue = (queue: number, unread: number) => ({
      queueId: queueId(queue),
      first: queueOffset(0),
      next: queueOffset(9),
      unread,
    });
    const fewer = ['PATCH', '/api/v1/topics/orders', { readQueues: 2 }] as const;
    brokers.topics.set(id, { bytes: 1, queues: [queue(0, 9), queue(2, 4), queue(3, 5)] });
    await directory.until(() => directory.topicById(id), 60_000, 'the topic');
    expect(await refused(409, 'CONFLICT', ...fewer)).toMatch(/9 in all, 4 of them in queue 2 of broker-0/);
    nameService.putSet({ ...brokerSet, name: 'broker-9' });
    await directory.until(() => directory.brokerSet('broker-9'), 60_000, 'the broker set');
    brokers.topics.set(id, { bytes: 1, queues: [queue(0, 9), queue(2, 0), queue(3, 0)] });
    expect(await refused(503, 'UNAVAILABLE', ...fewer)).toContain('broker set broker-9 does not say');
    nameService.reset([brokerSet]);
    const again = await nameService.createTopic({ name: 'orders', writeQueues: 2, readQueues: 4 });
    brokers.topics.set(again.id, { bytes: 1, queues: [queue(0, 9), queue(2, 0), queue(3, 0)] });
    await directory.until(() => directory.topicById(again.id), 60_000, 'the topic');
    expect(await call(...fewer)).toMatchObject({ status: 200, body: { readQueues: 2 } });
  });

  it('may have "%" and "|" in their names, escaped or, for dead letters, as they are', async () => {
    await nameService.ensureInnerTopic('%DLQ%bill|ing');
    await directory.until(() => directory.topic('%DLQ%bill|ing'), 60_000, 'the topic');
    const escaped = encodeURIComponent('%DLQ%bill|ing');
    expect(await call('GET', `/api/v1/topics/${escaped}`)).toMatchObject({
      body: { name: '%DLQ%bill|ing', inner: true },
    });
    expect(await call('GET', '/api/v1/topics/%DLQ%bill|ing')).toMatchObject({ body: { name: '%DLQ%bill|ing' } });
    await nameService.ensureInnerTopic('%DLQ%ab'); // %ab alone would be an escape.
    await directory.until(() => directory.topic('%DLQ%ab'), 60_000, 'the topic');
    expect(await call('GET', '/api/v1/topics/%DLQ%ab')).toMatchObject({ body: { name: '%DLQ%ab' } });
    const long = `%${'|'.repeat(126)}`;
    await nameService.createTopic({ name: long });
    expect(encodeURIComponent(long).length).toBeGreaterThan(300);
    expect(await call('DELETE', `/api/v1/topics/${encodeURIComponent(long)}`)).toMatchObject({ status: 204 });
  });

  it('are listed by name, a page at a time, filtered', async () => {
    for (const name of ['b', 'a2', 'c', 'a1']) await nameService.createTopic({ name });
    await nameService.ensureInnerTopic('%DLQ%g');
    await nameService.createTopic({ name: 'ordered', type: 2 });
    await directory.until(() => directory.topic('ordered'), 60_000, 'the topics');
    const names = async (query: string) => {
      const { body } = await call('GET', `/api/v1/topics${query}`);
      return [(body?.['items'] as { name: string }[]).map(({ name }) => name), body?.['total'], body?.['next']];
    };
    expect(await names('')).toEqual([['%DLQ%g', 'a1', 'a2', 'b', 'c', 'ordered'], 6, undefined]);
    expect(await names('?limit=2')).toEqual([['%DLQ%g', 'a1'], 6, 'a1']);
    expect(await names('?limit=4&after=a1')).toEqual([['a2', 'b', 'c', 'ordered'], 6, undefined]);
    expect(await names('?contains=A')).toEqual([['a1', 'a2'], 2, undefined]);
    expect(await names('?type=fifo')).toEqual([['ordered'], 1, undefined]);
    expect(await names('?inner=true')).toEqual([['%DLQ%g'], 1, undefined]);
    expect(await names('?inner=false&limit=1')).toEqual([['a1'], 5, 'a1']);
  });

  const bad: [string, unknown, string][] = [
    ['no name', {}, 'body: name is missing'],
    [
      'an unknown field',
      { name: 'a', queues: 4 },
      'body: unknown field "queues"; allowed are name, type, writeQueues,',
    ],
    [
      'an unknown type',
      { name: 'a', type: 'ordered' },
      'type: must be one of normal, fifo, delay, transaction, priority',
    ],
    ['text for a number', { name: 'a', writeQueues: '4' }, 'writeQueues: must be integer'],
    ['no queues', { name: 'a', writeQueues: 0 }, 'writeQueues: must be >= 1'],
    ['too many queues', { name: 'a', readQueues: 1025 }, 'readQueues: must be <= 1024'],
    ['a retention in words', { name: 'a', retentionMs: '72h' }, 'retentionMs: must be integer'],
    ['a name too long', { name: 'a'.repeat(128) }, 'name: must NOT have more than 127 characters'],
    ['a list', [], 'body: must be object'],
    ['a prototype', JSON.parse('{"name":"a","__proto__":{"x":1}}'), 'not valid JSON'],
  ];
  it.each(bad)('are not made with %s', async (_what, body, said) => {
    const headers = { 'content-type': 'application/json' };
    const detail = await refused(400, 'BAD_REQUEST', 'POST', '/api/v1/topics', JSON.stringify(body), headers);
    expect(detail).toContain(said);
    expect(nameService.topics.size).toBe(0);
  });

  it('keep their type, and a change must change something', async () => {
    await nameService.createTopic({ name: 'orders' });
    const typed = await refused(400, 'BAD_REQUEST', 'PATCH', '/api/v1/topics/orders', { type: 'fifo' });
    expect(typed).toContain('unknown field "type"');
    expect(await refused(400, 'BAD_REQUEST', 'PATCH', '/api/v1/topics/orders', {})).toContain('nothing to change');
  });

  it('are refused with the name service’s own words', async () => {
    await call('POST', '/api/v1/topics', { name: 'orders' });
    expect(await refused(409, 'ALREADY_EXISTS', 'POST', '/api/v1/topics', { name: 'orders' })).toContain(
      'exists already',
    );
    expect(await refused(400, 'ILLEGAL_TOPIC', 'POST', '/api/v1/topics', { name: 'or ders' })).toContain(
      'may hold only',
    );
    await refused(404, 'TOPIC_NOT_FOUND', 'PATCH', '/api/v1/topics/nope', { writeQueues: 1 });
    await refused(404, 'TOPIC_NOT_FOUND', 'DELETE', '/api/v1/topics/nope');
  });

  it.each([
    ...['0', '-1', '1e3', 'many', '1001', '1&limit=2'].map((limit): [string, string] => [
      `limit=${limit}`,
      'limit: must be a whole number, 1 to 1000',
    ]),
    ['contains=%ff', 'query: must be UTF-8'],
    ['page=2', 'query: unknown parameter "page"; allowed are limit, after, contains, type, inner'],
    ['type=queue', 'type: must be one of'],
  ])('are not listed with ?%s', async (query, said) => {
    expect(await refused(400, 'BAD_REQUEST', 'GET', `/api/v1/topics?${query}`)).toContain(said);
  });
});

describe('consumer groups', () => {
  it('are made, shown, changed and deleted', async () => {
    const retryPolicy = { kind: 'exponential', initialMs: 100, maxMs: 10_000, multiplier: 1.5 };
    const made = await call('POST', '/api/v1/groups', {
      name: 'billing',
      attemptsMax: 3,
      retryPolicy,
      start: { at: 'end' },
    });
    expect(made).toMatchObject({
      status: 201,
      headers: { location: '/api/v1/groups/billing' },
      body: { name: 'billing', attemptsMax: 3, fifo: false, retryPolicy, start: { at: 'end' } },
    });
    const start = { at: 'time', timeMs: 1_700_000_000_000 };
    expect(await call('PATCH', '/api/v1/groups/billing', { start })).toMatchObject({
      status: 200,
      body: { start, attemptsMax: 3 },
    });
    expect(await call('GET', '/api/v1/groups/billing')).toMatchObject({ body: { start, retryPolicy } });
    expect(await call('GET', '/api/v1/groups?contains=BILL')).toMatchObject({
      body: { total: 1, items: [{ name: 'billing' }] },
    });
    expect(await call('DELETE', '/api/v1/groups/billing')).toMatchObject({ status: 204 });
    await refused(404, 'CONSUMER_GROUP_NOT_FOUND', 'GET', '/api/v1/groups/billing');
  });

  it('take the default retry delays', async () => {
    const { body } = await call('POST', '/api/v1/groups', { name: 'billing' });
    expect(body).toMatchObject({ attemptsMax: 17, retryPolicy: { kind: 'customized' }, start: { at: 'auto' } });
    expect((body?.['retryPolicy'] as { nextMs: number[] }).nextMs).toHaveLength(18);
  });

  it('are described with their progress, lag and members', async () => {
    const topic = await nameService.createTopic({ name: 'orders' });
    const group = await nameService.createGroup({ name: 'billing' });
    const queue = {
      topicId: topic.id,
      queueFirst: queueOffset(10),
      queueNext: queueOffset(30),
      inFlight: 2,
      ready: 1,
      blocked: 3,
      lanes: 2,
    };
    brokers.groups.set(group.id, {
      sums: [],
      queues: [
        { ...queue, queueId: queueId(1), committed: queueOffset(20), frontier: queueOffset(25) },
        { ...queue, queueId: queueId(0), committed: queueOffset(5), frontier: queueOffset(10) },
      ],
      members: [
        {
          ...someTraits,
          clientId: 'client-1',
          groupId: group.id,
          subscriptions: [{ topicId: topic.id, filter: { type: 'tag', expression: 'a||b' } }],
        },
      ],
    });
    brokers.states.set('broker-1', {});
    nameService.putSet({ ...brokerSet, name: 'broker-1' });
    await directory.until(() => directory.brokerSet('broker-1'), 60_000, 'the broker set');
    const { body } = await call('GET', '/api/v1/groups/billing');
    expect(body).toMatchObject({
      lag: 24,
      inFlight: 8,
      ready: 4,
      missing: [],
      members: [
        {
          clientId: 'client-1',
          language: someTraits.language,
          version: someTraits.version,
          brokerSets: ['broker-0', 'broker-1'],
          subscriptions: [{ topic: 'orders', filter: 'tag', expression: 'a||b' }],
        },
      ],
    });
    expect(body?.['queues']).toMatchObject([
      // What is in flight, ready and blocked; what was done above `committed` is no lag.
      {
        brokerSet: 'broker-0',
        topic: 'orders',
        queueId: 0,
        committed: 5,
        frontier: 10,
        minOffset: 10,
        maxOffset: 30,
        lag: 6,
      },
      { brokerSet: 'broker-0', queueId: 1, lag: 6 },
      { brokerSet: 'broker-1', queueId: 0, lag: 6 },
      { brokerSet: 'broker-1', queueId: 1, lag: 6 },
    ]);
  });

  const bad: [unknown, string][] = [
    [
      { name: 'g', retryPolicy: { kind: 'linear' } },
      'retryPolicy: kind must be one of exponential, customized, not linear',
    ],
    [{ name: 'g', retryPolicy: { kind: 'exponential', initialMs: 1, maxMs: 2 } }, 'retryPolicy: multiplier is missing'],
    [
      { name: 'g', retryPolicy: { kind: 'customized', nextMs: [] } },
      'retryPolicy.nextMs: must NOT have fewer than 1 items',
    ],
    [
      { name: 'g', retryPolicy: { kind: 'customized', nextMs: [1], maxMs: 3 } },
      'unknown field "maxMs"; allowed are kind, nextMs',
    ],
    [{ name: 'g', start: { at: 'time' } }, 'start: timeMs is missing'],
    [
      { name: 'g', retryPolicy: { nextMs: [1000] } },
      'retryPolicy: kind is missing; it is one of exponential, customized',
    ],
    [{ name: 'g', retryPolicy: { kind: null } }, 'kind must be one of exponential, customized, not null'],
    [{ name: 'g', start: {} }, 'start: at is missing; it is one of auto, first, end, time'],
    [{ name: 'g', start: { at: 'now' } }, 'start: at must be one of auto, first, end, time, not now'],
    [{ name: 'g', attemptsMax: 0 }, 'attemptsMax: must be >= 1'],
    [{ name: 'g', fifo: 'yes' }, 'fifo: must be boolean'],
  ];
  it.each(bad)('are not made from %j', async (body, said) => {
    expect(await refused(400, 'BAD_REQUEST', 'POST', '/api/v1/groups', body)).toContain(said);
    expect(nameService.groups.size).toBe(0);
  });

  it('are refused with the name service’s own words', async () => {
    await refused(400, 'ILLEGAL_CONSUMER_GROUP', 'POST', '/api/v1/groups', { name: 'CID_RMQ_SYS_x' });
    await refused(404, 'CONSUMER_GROUP_NOT_FOUND', 'PATCH', '/api/v1/groups/nope', { attemptsMax: 2 });
    await refused(404, 'CONSUMER_GROUP_NOT_FOUND', 'DELETE', '/api/v1/groups/nope');
  });
});

describe('whatever goes wrong is a problem document', () => {
  it('what is no JSON, no body at all, too long, of another type, no route, no URL', async () => {
    const json = { 'content-type': 'application/json' };
    await refused(400, 'BAD_REQUEST', 'POST', '/api/v1/topics', '{"name":', json);
    await refused(400, 'BAD_REQUEST', 'POST', '/api/v1/topics', '', json);
    await refused(400, 'BAD_REQUEST', 'POST', '/api/v1/topics');
    await refused(413, 'BAD_REQUEST', 'POST', '/api/v1/topics', JSON.stringify({ name: 'a'.repeat(70_000) }), json);
    await refused(415, 'BAD_REQUEST', 'POST', '/api/v1/topics', '{"name":"a"}', { 'content-type': 'text/plain' });
    await refused(415, 'BAD_REQUEST', 'POST', '/api/v1/topics', 'name=a', {
      'content-type': 'application/x-www-form-urlencoded',
    });
    await refused(404, 'NOT_FOUND', 'GET', '/api/v1/nothing');
    await refused(404, 'NOT_FOUND', 'PUT', '/api/v1/topics/orders', {});
    await refused(400, 'BAD_REQUEST', 'GET', '/api/v1/topics/%zz');
    await refused(404, 'TOPIC_NOT_FOUND', 'GET', `/api/v1/topics/${'a'.repeat(400)}`);
  });

  it('a stranger’s failure shows nothing of its inside', async () => {
    nameService.failure = new Error('secret at /srv/cometmq/thing.ts:12');
    const answer = await call('POST', '/api/v1/topics', { name: 'a' });
    expect(answer).toMatchObject({ status: 500, body: { code: 'INTERNAL', detail: 'unexpected failure' } });
    expect(answer.text).not.toMatch(/secret|thing\.ts|at /);
  });

  it.each([
    ['UNAVAILABLE', 503],
    ['CONFLICT', 409],
    ['TOO_MANY_REQUESTS', 429],
    ['STORAGE_FULL', 507],
  ] as const)('%s of the name service is %i', async (code, status) => {
    nameService.failure = new MqError(code, 'not now');
    expect(await refused(status, code, 'POST', '/api/v1/topics', { name: 'a' })).toBe('not now');
  });

  it('a name service that never answers is a timeout', async () => {
    nameService.silent = true;
    expect(await refused(504, 'TIMEOUT', 'POST', '/api/v1/topics', { name: 'a' })).toContain('within 60000 ms');
  });
});

describe('a visitor’s browser is nobody’s hand', () => {
  it('refuses changes for pages of another origin', async () => {
    const foreign = [{ origin: 'https://evil.test' }, { 'sec-fetch-site': 'cross-site' }, { origin: 'null' }];
    for (const headers of foreign) {
      await refused(403, 'FORBIDDEN', 'POST', '/api/v1/topics', { name: 'a' }, headers);
      await refused(403, 'FORBIDDEN', 'DELETE', '/api/v1/topics/a', undefined, headers);
    }
    const own = { origin: 'http://localhost:8082', 'sec-fetch-site': 'same-origin' };
    expect(await call('POST', '/api/v1/topics', { name: 'a' }, own)).toMatchObject({ status: 201 });
  });

  it('on loopback, answers only to names that mean this machine or were allowed', async () => {
    await refused(403, 'FORBIDDEN', 'GET', '/api/v1/cluster', undefined, { host: 'evil.test:8082' });
    for (const host of ['127.0.0.1:8082', '[::1]:8082', 'localhost', 'comet.test']) {
      expect(await call('GET', '/api/v1/health', undefined, { host })).toMatchObject({ status: 200 });
    }
  });

  it('sends nothing a page could be built of', async () => {
    const { headers } = await call('GET', '/api/v1/health');
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    });
    const page = await app.inject({ url: '/docs/', headers: { host: 'localhost' } });
    expect(page.statusCode).toBe(200);
    const policy = page.headers['content-security-policy'];
    expect(policy).toContain("default-src 'self'");
    // It works over plain http at any address, and asks nobody else for anything.
    expect(policy).not.toMatch(/upgrade-insecure-requests|https?:|\*/);
    expect(page.body).toContain('swagger-ui');
    expect(page.body).toContain('CometMQ administration API');
    const script = await app.inject({ url: '/docs/static/swagger-initializer.js', headers: { host: 'localhost' } });
    const [, logo = ''] = /image\/svg\+xml;base64,([^"'`]+)/.exec(script.body) ?? [];
    expect(Buffer.from(logo, 'base64').toString()).toContain('CometMQ');
  });
});
