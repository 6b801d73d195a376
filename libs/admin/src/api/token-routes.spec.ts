// Goal: tokens for programs are made by who may, shown once, and do no more than they were made for. Method: over real HTTP.
import { FakeIdentities } from '@cometmq/auth/testing';

import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

let identities: FakeIdentities;
let fixture: AdminFixture;

beforeEach(async () => {
  identities = new FakeIdentities();
  fixture = await startAdminFixture({ identities });
  for (const [name, kind] of [
    ['root', 'super'],
    ['ann', 'normal'],
    ['bob', 'normal'],
  ] as const) {
    identities.user(name, `${name}-secret`, { kind });
  }
  await fixture.nameService.createTopic({ name: 'orders' });
  await fixture.directory.until(() => fixture.directory.topic('orders'), 60_000, 'the topic');
});
afterEach(() => fixture.stop());

async function ask(method: string, path: string, token: string, body?: object) {
  const response = await fetch(`${fixture.url}/api/v1${path}`, {
    method,
    headers: {
      ...(token !== '' && { authorization: `Bearer ${token}` }),
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
}
async function login(user: string): Promise<string> {
  const { body } = await ask('POST', '/login', '', { user, secret: `${user}-secret` });
  return String(body['token']);
}
async function make(by: string, user: string, draft: object): Promise<{ readonly id: string; readonly token: string }> {
  const { status, body } = await ask('POST', `/users/${user}/tokens`, by, draft);
  expect(status).toBe(201);
  return body as unknown as { readonly id: string; readonly token: string };
}
const readOnly = [{ resource: '*', actions: ['get', 'list'] }];

it('is shown once, listed with its name, and ended by its id', async () => {
  const root = await login('root');
  const { id, token } = await make(root, 'root', { name: 'grafana', policies: readOnly });
  expect(await ask('GET', '/topics/orders', token)).toMatchObject({ status: 200 });
  expect(await ask('DELETE', '/topics/orders', token)).toMatchObject({ status: 403 });
  expect(await ask('GET', '/users', token)).toMatchObject({ status: 403 }); // No super user any more.
  const { body } = await ask('GET', '/users/root/tokens', root);
  expect(body['items']).toMatchObject([{ id, name: 'grafana', policies: [{ resource: '*' }] }]);
  const shown = JSON.stringify([body, await ask('GET', '/users', root), await ask('GET', '/audit', root)]);
  expect(shown).not.toContain(token);
  expect(await ask('DELETE', '/session', token)).toMatchObject({ status: 400 });
  expect(await ask('DELETE', `/users/root/tokens/${id}`, root)).toMatchObject({ status: 204 });
  expect(await ask('GET', '/topics/orders', token)).toMatchObject({ status: 401 });
  expect(await ask('DELETE', `/users/root/tokens/${id}`, root)).toMatchObject({ status: 404 });
});

it('is made by a user for itself, by a super user for all, and by no token', async () => {
  const [root, ann] = [await login('root'), await login('ann')];
  const own = await make(ann, 'ann', { name: 'ci', days: 1 });
  const given = await make(root, 'ann', { name: 'given' });
  const ofRoot = await make(root, 'root', { name: 'all' });
  expect(await ask('POST', '/users/bob/tokens', ann, { name: 'x' })).toMatchObject({ status: 403 });
  expect(await ask('GET', '/users/bob/tokens', ann)).toMatchObject({ status: 403 });
  expect(await ask('DELETE', `/users/root/tokens/${ofRoot.id}`, ann)).toMatchObject({ status: 403 });
  for (const { token } of [own, given, ofRoot]) {
    expect(await ask('GET', '/topics', token)).toMatchObject({ status: 200 });
    for (const user of ['ann', 'root'])
      expect(await ask('POST', `/users/${user}/tokens`, token, { name: 'next' })).toMatchObject({ status: 403 });
  }
  // One's tokens are none of its own business, as one of them may have been given away.
  expect(await ask('DELETE', `/users/ann/tokens/${given.id}`, own.token)).toMatchObject({ status: 403 });
  expect((await ask('GET', '/users/ann/tokens', ann)).body['items']).toMatchObject([{ name: 'ci' }, { name: 'given' }]);
  const { body } = await ask('GET', '/audit', root);
  expect(body['items']).toContainEqual(expect.objectContaining({ user: 'ann', how: 'apiToken', apiToken: 'ci' }));
});

it('says which token may not, and what it is for; or that its user may not', async () => {
  const [root, ann] = [await login('root'), await login('ann')];
  const orders = await make(root, 'root', { name: 'ci', policies: [{ resource: 'Topic:orders*', actions: ['get'] }] });
  const said = async (method: string, path: string, token: string, body?: object) => {
    const { status, body: problem } = await ask(method, path, token, body);
    expect(status).toBe(403);
    return problem['detail'];
  };
  const why = 'token "ci" of user root may not get on topic "stock": it is for get on Topic:orders*';
  expect(await said('GET', '/topics/stock', orders.token)).toBe(why);
  const noSuper = 'token "ci" of user root has a scope, and is no super user';
  expect(await said('GET', '/users', orders.token)).toBe(noSuper);
  const all = await make(ann, 'ann', { name: 'ci', policies: [{ resource: '*', actions: ['all'] }] });
  expect(await said('GET', '/topics/orders', all.token)).toBe('user ann may not get on topic "orders"');
  const long = Array.from({ length: 20 }, (_, i) => ({ resource: `Topic:long-name-${i}`, actions: ['get'] }));
  const many = await make(root, 'root', { name: 'many', policies: long });
  const detail = String(await said('DELETE', '/topics/orders', many.token));
  expect([detail.length < 400, detail.at(-1)]).toEqual([true, '…']);
  const { body } = await ask('GET', '/topics/stock', orders.token);
  expect(body).toMatchObject({ sentence: 'tokenMayNot', params: { token: 'ci', scope: 'get on Topic:orders*' } });
});

it('is made and ended by a user so often, and others go on', async () => {
  const [root, ann] = [await login('root'), await login('ann')];
  let refused: Response | undefined;
  for (let i = 0; i < 100 && !refused; i += 1) {
    const method = i % 2 === 0 ? 'DELETE' : 'POST';
    const path = method === 'POST' ? '/users/ann/tokens' : '/users/ann/tokens/none';
    const headers = { authorization: `Bearer ${ann}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ name: `t${i}` });
    const response = await fetch(`${fixture.url}/api/v1${path}`, { method, headers, body });
    if (response.status === 429) refused = response;
  }
  expect(refused?.headers.get('retry-after')).toBe('1');
  expect(await refused?.json()).toMatchObject({ sentence: 'ownChangesTooMany', params: { user: 'ann' } });
  expect(await ask('GET', '/users/ann/tokens', ann)).toMatchObject({ status: 200 });
  expect(await ask('POST', '/users/ann/tokens', root, { name: 'given' })).toMatchObject({ status: 201 });
});

it('changes no users, secrets or tokens, whosever it is and with whatever secret beside it', async () => {
  const { token } = await make(await login('root'), 'root', { name: 'all' });
  const draft = { name: 'eve', kind: 'super', secret: 'eve-secret' };
  const asked = [
    ['POST', '/session/secret', { secret: 'root-secret' }],
    ['POST', '/users', draft],
    ['PATCH', '/users/root', { newSecret: true }],
    ['PATCH', '/users/ann', { kind: 'super' }],
    ['PUT', '/users/ann/policies', { policies: readOnly }],
    ['DELETE', '/users/ann', undefined],
    ['DELETE', '/users/ann/second-factor', undefined],
  ] as const;
  for (const [method, path, body] of asked) {
    const { status, body: said } = await ask(method, path, token, body);
    expect([method, path, status, said['detail']]).toEqual([
      method,
      path,
      403,
      expect.stringContaining('a token changes no'),
    ]);
  }
  expect([...identities.users.keys()]).toEqual(['root', 'ann', 'bob']);
});

it('is not made by who has a secret that is another one already, or for who is disabled', async () => {
  const ann = await login('ann');
  const before = identities.users.get('ann');
  const { updateUser } = identities;
  identities.updateUser = (name, change) => {
    // This process has not heard of it yet.
    if (before)
      identities.users.set('ann', { ...before, secretVersion: 2, secret: { ...before.secret, box: 'another' } });
    return updateUser.call(identities, name, change);
  };
  expect(await ask('POST', '/users/ann/tokens', ann, { name: 'ci' })).toMatchObject({ status: 409 });
  identities.updateUser = (name, change) => {
    if (before) identities.users.set('ann', { ...before, enabled: false });
    return updateUser.call(identities, name, change);
  };
  expect(await ask('POST', '/users/ann/tokens', ann, { name: 'ci' })).toMatchObject({ status: 409 });
});

it('has a scope that is not too long, and all of a user are not too long together', async () => {
  const ann = await login('ann');
  const named = (length: number, count: number): object[] =>
    Array.from({ length: count }, (_, i) => ({ resource: `Topic:${'x'.repeat(length)}${i}`, actions: ['get'] }));
  const long = await ask('POST', '/users/ann/tokens', ann, { name: 'long', policies: named(100, 40) });
  expect(long).toMatchObject({ status: 400, body: { detail: expect.stringContaining('4096 characters') } });
  const statuses: number[] = [];
  for (let i = 0; i < 20; i += 1) {
    const { status } = await ask('POST', '/users/ann/tokens', ann, { name: `t${i}`, policies: named(100, 12) });
    statuses.push(status);
  }
  expect([statuses[0], statuses.at(-1)]).toEqual([201, 409]);
});

it.each([
  [{}, 'name is missing'],
  [{ name: 'x', days: 0 }, 'days'],
  [{ name: 'x', days: 367 }, 'days'],
  [{ name: 'a\u0007' }, '1 to 64 letters'],
  [{ name: 'x', policies: [{ resource: 'Queue:x', actions: ['get'] }] }, 'allowed are Cluster:'],
  [{ name: 'x', policies: [{ resource: '*', actions: ['get'], decision: 'deny' }] }, 'each entry allows'],
])('refuses %j', async (draft, why) => {
  const { status, body } = await ask('POST', '/users/ann/tokens', await login('ann'), draft);
  expect([status, body['detail']]).toEqual([400, expect.stringContaining(why)]);
});

it('says so where the name service keeps none', async () => {
  const { updateUser } = identities;
  identities.updateUser = (name) => updateUser.call(identities, name, {}); // As one of an older release.
  expect(await ask('POST', '/users/ann/tokens', await login('ann'), { name: 'ci' })).toMatchObject({ status: 503 });
});
