/**
 * Goal: no operation of the API does anything for who may not have it, and what is secret is shown to nobody. Method: the
 * operations that the OpenAPI document lists, over real HTTP, as nobody, as a user without policies, and as others.
 */
import { FakeIdentities } from '@cometmq/auth/testing';
import { consumerTemplate, resourceIn } from '@cometmq/auth';
import type { FoundMessage } from '@cometmq/client';
import { auditTopic, queueId, type LogPosition, type PolicyEntry, type QueueOffset } from '@cometmq/model';
import { MqError, sleep, systemClock } from '@cometmq/shared';
import type { Logger } from '@cometmq/telemetry';

import { placeId } from '../reports/message-report.js';
import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';
import { rules } from './access-rules.js';

let identities: FakeIdentities;
let fixture: AdminFixture;
let lines: unknown[];

beforeEach(async () => {
  identities = new FakeIdentities();
  lines = [];
  const note = (...line: unknown[]): void => void lines.push(line);
  const log: Logger = { debug: note, info: note, warn: note, error: note };
  fixture = await startAdminFixture({ identities, log });
  identities.user('root', 'root-secret', { kind: 'super' });
  identities.user('ann', 'ann-secret');
  await fixture.nameService.createTopic({ name: 'orders' });
  await fixture.nameService.createTopic({ name: 'hidden' });
  await fixture.nameService.createGroup({ name: 'billing' });
  await fixture.directory.until(() => fixture.directory.group('billing'), 60_000, 'the group');
});
afterEach(() => fixture.stop());

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly cookies: readonly string[];
  /** How to say who one is. */
  readonly scheme: string | null;
}

async function ask(method: string, path: string, headers: Record<string, string> = {}, body?: object): Promise<Answer> {
  const response = await fetch(`${fixture.url}/api/v1${path}`, {
    method,
    headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    body: (/json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : {}) as Record<string, unknown>,
    cookies: response.headers.getSetCookie(),
    scheme: response.headers.get('www-authenticate'),
  };
}

async function bearer(user: string): Promise<Record<string, string>> {
  const { body } = await ask('POST', '/login', {}, { user, secret: `${user}-secret` });
  return { authorization: `Bearer ${String(body['token'])}` };
}

interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
}

async function operations(): Promise<Operation[]> {
  const document = (await (await fetch(`${fixture.url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { operationId: string }>>;
  };
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { operationId: id }]) => ({
      id,
      method: method.toUpperCase(),
      path: path
        .replace('/api/v1', '')
        .replace('{name}', 'orders')
        .replace(/\{\w+\}/g, 'x'),
    })),
  );
}

it('every operation has a rule', async () => {
  const ids = (await operations()).map(({ id }) => id);
  expect(ids.sort()).toEqual(Object.keys(rules).sort());
});

it('nobody may do anything but look whether it lives, and log in', async () => {
  const session = (await ask('POST', '/session', {}, { user: 'ann', secret: 'ann-secret' })).cookies[0] ?? '';
  const ended = await bearer('ann');
  identities.user('ann', 'another-secret', { secretVersion: 2 });
  const nobody: Record<string, string>[] = [{}, ended, { cookie: session.split(';')[0] ?? '' }];
  for (const headers of nobody) {
    for (const { id, method, path } of await operations()) {
      const { status, body, scheme } = await ask(method, path, headers);
      if (rules[id] === 'open') continue;
      const how = String(body['detail']).includes('log in');
      expect({ id, headers, status, scheme, how }).toEqual({
        ...{ id, headers, status: 401, scheme: 'Bearer realm="CometMQ"', how: true },
      });
    }
  }
  for (const authorization of ['Bearer x', 'Bearer comet1.e30.x', 'Basic cm9vdDpyb290', 'Bearer']) {
    expect(await ask('GET', '/cluster', { authorization })).toMatchObject({ status: 401 });
  }
  for (const { id, method, path } of await operations()) {
    if (rules[id] === 'open') expect({ id, status: (await ask(method, path)).status }).not.toEqual({ id, status: 401 });
  }
}, 60_000);

it('what is open is open to who brings a token that is not good any more', async () => {
  const ended = await bearer('ann');
  identities.user('ann', 'another-secret', { secretVersion: 2 });
  for (const headers of [ended, { authorization: 'Bearer garbage' }]) {
    expect(await ask('GET', '/health', headers)).toMatchObject({ status: 200 });
    expect(await ask('GET', '/session', headers)).toMatchObject({ status: 200, body: { login: true } });
    const anew = await ask('POST', '/login', headers, { user: 'ann', secret: 'another-secret' });
    expect(anew).toMatchObject({ status: 200, body: { token: expect.any(String) } });
    expect(await ask('GET', '/topics', headers)).toMatchObject({ status: 401 });
  }
});

it('a user without policies may see that there is nothing for it', async () => {
  let headers = await bearer('ann');
  for (const { id, method, path } of await operations()) {
    const { status } = await ask(method, path, headers);
    const isOpen = rules[id] === 'open' || rules[id] === 'known' || id === 'changeOwnSecret';
    expect({ id, isOpen, refused: status === 403 }).toEqual({ id, isOpen, refused: !isOpen });
    expect({ id, status }).not.toEqual({ id, status: 401 });
    if (id === 'endSession') headers = await bearer('ann');
  }
  expect(await ask('GET', '/topics', headers)).toMatchObject({ status: 200, body: { items: [] } });
  expect(fixture.nameService.topics.has('orders')).toBe(true);
}, 20_000);

it('a user sees and does what its policies say', async () => {
  const update: PolicyEntry = {
    policy: 'custom',
    resource: resourceIn('Group:billing'),
    actions: ['update'],
    sourceIps: ['127.0.0.0/8'],
    decision: 'allow',
  };
  identities.allow('ann', ...consumerTemplate('orders', 'billing'), update);
  const headers = await bearer('ann');
  expect((await ask('GET', '/topics', headers)).body['items']).toMatchObject([{ name: 'orders' }]);
  expect(await ask('GET', '/topics/orders', headers)).toMatchObject({ status: 200 });
  expect(await ask('PATCH', '/groups/billing', headers, { fifo: true })).toMatchObject({ status: 200 });
  const refused = await ask('GET', '/topics/hidden', headers);
  expect(refused).toMatchObject({
    status: 403,
    body: { detail: 'user ann may not get on topic "hidden" from 127.0.0.1' },
  });
  expect(await ask('DELETE', '/topics/orders', headers)).toMatchObject({ status: 403 });
  // What a replay sends to the topic is for all its groups.
  const replays = '/dead-letters/billing/replays';
  for (const toTopic of [true, 'true', 1]) {
    expect(await ask('POST', replays, headers, { perSecond: 1, toTopic })).toMatchObject({ status: 403 });
  }
  expect(await ask('POST', replays, headers, { perSecond: 1 })).toMatchObject({ status: 202 });
});

it('who may see everything sees nothing of the audit log, by whatever way it is asked for', async () => {
  const { nameService, brokers, directory } = fixture;
  nameService.putSet({ name: 'broker-0' });
  brokers.states.set('broker-0', {});
  const { id: topicId } = await nameService.ensureInnerTopic(auditTopic);
  await directory.until(() => directory.topic(auditTopic), 60_000, 'the topic');
  const message: FoundMessage = {
    ...{ topicId, originTopicId: topicId, queueId: queueId(0), offset: 0 as QueueOffset, position: 100 as LogPosition },
    ...{ size: 100, storedMs: 1, messageId: 'm1', tag: 'done', messageGroup: 'proxy', keys: [], type: 2, bodyBytes: 3 },
    ...{ dueMs: 0, liteTopic: '', cause: 0, attempts: 0 },
  };
  const rest = { cut: false, bodyBytes: 3, encoding: 'IDENTITY', bornHost: '', bornMs: 1, traceContext: '' };
  brokers.inspect.messages.set('broker-0', [message]);
  brokers.inspect.contents.set(100, { message, properties: new Map(), body: Buffer.from('who'), ...rest });
  brokers.inspect.lives.set(100, { events: [], indexedTo: 1, cut: false });
  const allow = (resource: string): PolicyEntry => {
    return { policy: 'custom', resource: resourceIn(resource), actions: ['all'], sourceIps: [], decision: 'allow' };
  };
  const place = placeId('broker-0', { position: 100 as LogPosition, size: 100 });
  const paths = [
    ...[`/topics/${auditTopic}`, `/messages?topic=${auditTopic}`, `/messages/search?topic=${auditTopic}`],
    ...[`/messages/${place}`, `/messages/${place}/life`, `/messages/${place}/why?group=billing`],
  ];
  identities.allow('ann', allow('*'), allow('Topic:*'), allow('Cluster:*'));
  const headers = await bearer('ann');
  for (const path of paths) expect({ path, ...(await ask('GET', path, headers)) }).toMatchObject({ path, status: 403 });
  const names = async (path: string): Promise<unknown> => (await ask('GET', path, headers)).body['items'];
  expect(await names('/messages?id=m1')).toEqual([]);
  expect(await names('/topics?inner=true')).not.toContainEqual(expect.objectContaining({ name: auditTopic }));
  const trial = { group: 'billing', topic: auditTopic, messageId: 'm1' };
  expect(await ask('POST', '/clients/c/verify', headers, trial)).toMatchObject({ status: 403 });

  identities.allow('ann', allow('*'), allow(`Topic:${auditTopic}`));
  for (const path of paths) expect({ path, ...(await ask('GET', path, headers)) }).not.toMatchObject({ status: 403 });
  expect(await names('/messages?id=m1')).toMatchObject([{ messageId: 'm1' }]);
  expect(await names('/topics?inner=false')).not.toContainEqual(expect.objectContaining({ name: auditTopic }));
});

it('a token ends with its user', async () => {
  const headers = await bearer('root');
  expect(await ask('GET', '/cluster', headers)).toMatchObject({ status: 200 });
  identities.user('root', 'root-secret', { enabled: false });
  expect(await ask('GET', '/cluster', headers)).toMatchObject({ status: 401 });
});

it('wrong logins get one answer, and after five a wait', async () => {
  const wrong = await ask('POST', '/login', {}, { user: 'ann', secret: 'guess' });
  const unknown = await ask('POST', '/login', {}, { user: 'nobody', secret: 'guess' });
  expect(unknown).toEqual(wrong);
  expect(wrong).toMatchObject({ status: 401 });
  const statuses: number[] = [];
  for (let i = 0; i < 6; i += 1)
    statuses.push((await ask('POST', '/login', {}, { user: 'ann', secret: `g${i}` })).status);
  expect(statuses).toEqual([401, 401, 401, 401, 429, 429]);
  expect(await ask('POST', '/login', {}, { user: 'root', secret: 'root-secret' })).toMatchObject({ status: 200 });
});

describe('a browser', () => {
  it('has a session in a cookie no script reads, and says its token with what changes something', async () => {
    const before = await ask('GET', '/session');
    expect(before.body).toEqual({ login: true });
    const { body, cookies } = await ask('POST', '/session', {}, { user: 'root', secret: 'root-secret' });
    expect(cookies[0]).toMatch(/^cometmq-session=\S+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=1800$/);
    const cookie = cookies[0]?.split(';')[0] ?? '';
    expect((await ask('GET', '/session', { cookie })).body).toEqual(body);
    expect(await ask('GET', '/cluster', { cookie })).toMatchObject({ status: 200 });
    expect(await ask('DELETE', '/topics/orders', { cookie })).toMatchObject({ status: 403 });
    expect(await ask('DELETE', '/topics/orders', { cookie, 'x-csrf-token': 'x' })).toMatchObject({ status: 403 });
    const csrf = { 'x-csrf-token': String(body['csrfToken']) };
    const foreign = { cookie, ...csrf, origin: 'https://evil.example' };
    expect(await ask('DELETE', '/topics/orders', foreign)).toMatchObject({ status: 403 });
    expect(fixture.nameService.topics.has('orders')).toBe(true);
    expect(await ask('DELETE', '/topics/orders', { cookie, ...csrf })).toMatchObject({ status: 204 });
    // No cookie is a bearer token.
    const authorization = `Bearer ${cookie.split('=')[1]}`;
    expect(await ask('GET', '/cluster', { authorization })).toMatchObject({ status: 401 });
    const out = await ask('DELETE', '/session', { cookie, ...csrf });
    expect(out.cookies[0]).toContain('Max-Age=0');
    expect(await ask('GET', '/cluster', { cookie })).toMatchObject({ status: 401 });
  });

  it('ends in every process of the cluster, and so does a token', async () => {
    const other = await startAdminFixture({ identities });
    const at = async (url: string, headers: Record<string, string>): Promise<number> =>
      (await fetch(`${url}/api/v1/topics`, { headers })).status;
    const { cookies, body } = await ask('POST', '/session', {}, { user: 'root', secret: 'root-secret' });
    const session = { cookie: cookies[0]?.split(';')[0] ?? '', 'x-csrf-token': String(body['csrfToken']) };
    for (const login of [session, await bearer('root')] as Record<string, string>[]) {
      expect([await at(fixture.url, login), await at(other.url, login)]).toEqual([200, 200]);
      identities.revocationFault = new MqError('UNAVAILABLE', 'away');
      expect((await ask('DELETE', '/session', login)).status).toBe(503); // It is not told as done where it is not.
      expect([await at(fixture.url, login), await at(other.url, login)]).toEqual([401, 200]);
      identities.revocationFault = undefined;
      while ((await at(other.url, login)) !== 401) await sleep(systemClock, 100);
    }
    await other.stop();
  });

  it('behind TLS keeps its cookie to this host', async () => {
    const { cookies } = await ask(
      'POST',
      '/session',
      { 'x-forwarded-proto': 'https' },
      { user: 'root', secret: 'root-secret' },
    );
    expect(cookies[0]).toMatch(/^__Host-cometmq-session=\S+; Path=\/; .*; Secure$/);
  });
});

describe('users', () => {
  it('are made with what a service needs, in one request, and their secret is shown once', async () => {
    const headers = await bearer('root');
    const draft = { name: 'shop', produce: ['orders*'], consume: [{ topics: 'orders*', group: 'billing' }] };
    const made = await ask('POST', '/users', headers, draft);
    expect(made).toMatchObject({ status: 201, body: { name: 'shop', kind: 'normal', enabled: true, keyId: 'k1' } });
    const secret = String(made.body['secret']);
    expect(secret).toMatch(/^[a-zA-Z0-9]{40}$/);
    expect(await ask('POST', '/login', {}, { user: 'shop', secret })).toMatchObject({ status: 200 });
    const question = { user: 'shop', action: 'pub', resource: 'Topic:orders-eu' };
    expect((await ask('POST', '/access/test', headers, question)).body).toMatchObject({
      allowed: true,
      policy: { resource: 'Topic:orders*', actions: ['pub', 'get'] },
    });
    expect((await ask('POST', '/access/test', headers, { ...question, resource: 'Topic:x' })).body).toEqual({
      allowed: false,
      why: 'no policy of the user matches',
    });
    const everything = JSON.stringify([
      await ask('GET', '/users', headers),
      await ask('GET', '/users/shop', headers),
      await ask('PATCH', '/users/shop', headers, { reseal: true }),
      await ask('PUT', '/users/shop/policies', headers, { policies: [] }),
      lines,
    ]);
    expect(everything).not.toContain(secret);
    expect(everything).not.toContain(identities.users.get('shop')?.secret.box);
    expect(await ask('DELETE', '/users/shop', headers)).toMatchObject({ status: 204 });
    expect(await ask('GET', '/users/shop', headers)).toMatchObject({ status: 404 });
  });

  it('get another secret, which ends the one before', async () => {
    const headers = await bearer('root');
    const token = await bearer('ann');
    const { body } = await ask('PATCH', '/users/ann', headers, { newSecret: true });
    expect(await ask('GET', '/topics', token)).toMatchObject({ status: 401 });
    expect(await ask('POST', '/login', {}, { user: 'ann', secret: 'ann-secret' })).toMatchObject({ status: 401 });
    expect(await ask('POST', '/login', {}, { user: 'ann', secret: body['secret'] })).toMatchObject({ status: 200 });
  });

  it('change their own secret by the one they have, and not by one that was changed where this process has not heard of it', async () => {
    const headers = await bearer('ann');
    const { updateUser } = identities;
    identities.updateUser = (name, change) => {
      identities.user('ann', 'by-an-admin', { secretVersion: 2 });
      return updateUser.call(identities, name, change);
    };
    expect(await ask('POST', '/session/secret', headers, { secret: 'ann-secret' })).toMatchObject({ status: 409 });
    identities.updateUser = updateUser;
    const login = { user: 'ann', secret: 'by-an-admin' };
    const { body } = await ask('POST', '/login', {}, login);
    const again = { authorization: `Bearer ${String(body['token'])}` };
    expect(await ask('POST', '/session/secret', again, { secret: 'wrong' })).toMatchObject({ status: 401 });
    const changed = await ask('POST', '/session/secret', again, { secret: 'by-an-admin' });
    expect(changed).toMatchObject({ status: 200 });
    expect(await ask('POST', '/login', {}, login)).toMatchObject({ status: 401 });
    expect(await ask('POST', '/login', {}, { user: 'ann', secret: changed.body['secret'] })).toMatchObject({
      status: 200,
    });
  });

  it('are told to give the first of them another secret than the printed one, until it has one', async () => {
    const hints = async (user: string) => (await ask('GET', '/cluster', await bearer(user))).body['hints'];
    const entry = { policy: 'custom', sourceIps: [], decision: 'allow' } as const;
    identities.allow('ann', { ...entry, actions: ['get'], resource: resourceIn('Cluster:*') });
    expect(await hints('root')).toEqual([expect.stringContaining('comet user rotate root')]);
    expect(await hints('ann')).toBeUndefined();
    const headers = await bearer('root');
    const { body } = await ask('POST', '/session/secret', headers, { secret: 'root-secret' });
    const token = await ask('POST', '/login', {}, { user: 'root', secret: body['secret'] });
    const again = { authorization: `Bearer ${String(token.body['token'])}` };
    expect((await ask('GET', '/cluster', again)).body['hints']).toBeUndefined();
  });

  it('who fail to log in wait longer and longer, and are told how long', async () => {
    const login = (secret: string) =>
      fetch(`${fixture.url}/api/v1/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ user: 'ann', secret }),
      });
    for (let i = 0; i < 5; i += 1) expect((await login('wrong')).status).toBe(401);
    const refused = await login('ann-secret');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, expect.stringMatching(/^1[12]$/)]);
    expect((await ask('POST', '/login', {}, { user: 'root', secret: 'root-secret' })).status).toBe(200);
  });

  it('are made with their policies, or not at all', async () => {
    const root = await bearer('root');
    const draft = { name: 'shop', produce: ['orders'] };
    const { setPolicies } = identities;
    identities.setPolicies = () => Promise.reject(new MqError('UNAVAILABLE', 'away'));
    expect((await ask('POST', '/users', root, draft)).status).toBe(503);
    expect(identities.users.has('shop')).toBe(false);
    identities.setPolicies = setPolicies;
    expect((await ask('POST', '/users', root, draft)).status).toBe(201);
  });

  it('never lose their last super user', async () => {
    const headers = await bearer('root');
    for (const [method, path, body] of [
      ['DELETE', '/users/root', undefined],
      ['PATCH', '/users/root', { enabled: false }],
      ['PATCH', '/users/root', { kind: 'normal' }],
    ] as const) {
      expect(await ask(method, path, headers, body)).toMatchObject({ status: 409 });
    }
    await ask('POST', '/users', headers, { name: 'root2', kind: 'super' });
    expect(await ask('DELETE', '/users/root', headers)).toMatchObject({ status: 204 });
  });

  it.each([
    ['POST', '/users', { name: 'a b' }, 'user "a b"'],
    ['POST', '/users', { name: 'x', secret: 'short' }, '8 to 256'],
    ['POST', '/users', { name: 'x', policies: [{ resource: 'Queue:x', actions: ['pub'] }] }, 'allowed are Cluster:'],
    ['POST', '/users', { name: 'x', policies: [{ resource: '*', actions: ['fly'] }] }, 'must be one of all, pub'],
    ['PATCH', '/users/ann', { newSecret: true, secret: '12345678' }, 'one of secret, newSecret and reseal'],
    ['PUT', '/users/nobody/policies', { policies: [] }, 'there is no user nobody'],
  ])('refuse %s %s %j', async (method, path, body, why) => {
    const { body: problem } = await ask(method, path, await bearer('root'), body);
    expect(problem['detail']).toContain(why);
  });
});

it('where there are no users everybody may do everything, and is told so', async () => {
  const open = await startAdminFixture();
  try {
    expect(await (await fetch(`${open.url}/api/v1/session`)).json()).toEqual({ login: false, user: '', super: true });
    expect((await fetch(`${open.url}/api/v1/users`)).status).toBe(501);
    expect((await fetch(`${open.url}/api/v1/cluster`)).status).toBe(200);
  } finally {
    await open.stop();
  }
});
