// Goal: every change and refusal is recorded with who and from where, no secret is, and nothing is changed unrecorded.
import { FakeIdentities } from '@cometmq/auth/testing';

import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

let fixture: AdminFixture;
let lines: Record<string, unknown>[];
let keep: () => Promise<void>;

beforeEach(async () => {
  lines = [];
  keep = () => Promise.resolve();
  const identities = new FakeIdentities();
  const audit = (line: string): Promise<void> => {
    lines.push(JSON.parse(line) as Record<string, unknown>);
    return keep();
  };
  fixture = await startAdminFixture({ identities, audit });
  identities.user('root', 'root-secret', { kind: 'super' });
});
afterEach(() => fixture.stop());

async function ask(
  method: string,
  path: string,
  body?: object,
  token = '',
): Promise<{ status: number; token?: string }> {
  const response = await fetch(`${fixture.url}/api/v1${path}`, {
    method,
    headers: {
      ...(body && { 'content-type': 'application/json' }),
      ...(token !== '' && { authorization: `Bearer ${token}` }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, ...(text === '' ? {} : (JSON.parse(text) as object)) };
}
const login = async (): Promise<string> =>
  (await ask('POST', '/login', { user: 'root', secret: 'root-secret' })).token ?? '';

it('records who changed what, from where, and what was refused; and no secret', async () => {
  const token = await login();
  await ask('POST', '/topics', { name: 'orders' }, token);
  await ask('GET', '/topics', undefined, token);
  await ask('DELETE', '/topics/orders');
  await ask('POST', '/users', { name: 'shop', secret: 'shop-secret' }, token);
  const by = { user: 'root', how: 'token', from: '127.0.0.1' };
  expect(lines).toMatchObject([
    { operation: 'login', status: 200, change: { user: 'root', secret: '***' } },
    { operation: 'createTopic', status: 201, decision: 'done', change: { name: 'orders' }, ...by },
    { operation: 'deleteTopic', status: 401, decision: 'refused', how: 'none', target: { name: 'orders' } },
    { operation: 'createUser', status: 201, change: { name: 'shop', secret: '***' }, ...by },
  ]);
  expect(JSON.stringify(lines)).not.toMatch(/root-secret|shop-secret|comet1\./);
});

it('records that a dead letter was sent again with another body, and not what is in it', async () => {
  const token = await login();
  await fixture.nameService.createGroup({ name: 'billing' });
  await fixture.directory.until(() => fixture.directory.group('billing'), 60_000, 'the group');
  const id = 'broker-0~20~100';
  await ask('POST', '/dead-letters/billing/resend', { id, text: 'card 4111', properties: { a: 'b' } }, token);
  await ask('POST', '/dead-letters/billing/resend', { id, base64: 'NDExMQ==' }, token);
  expect(lines.slice(-2)).toMatchObject([
    { operation: 'resendDeadLetter', change: { id, text: '*** (9 characters)', properties: { a: 'b' } } },
    { operation: 'resendDeadLetter', change: { id, base64: '*** (8 characters)' } },
  ]);
  expect(JSON.stringify(lines)).not.toMatch(/4111|NDEx/);
});

it('records what was there before a change and after it', async () => {
  const token = await login();
  await ask('POST', '/topics', { name: 'orders', writeQueues: 4, readQueues: 4 }, token);
  await fixture.directory.until(() => fixture.directory.topic('orders'), 60_000, 'the topic');
  await ask('PATCH', '/topics/orders', { permission: 'read' }, token);
  expect(lines.at(-1)).toMatchObject({
    ...{ operation: 'updateTopic', target: { name: 'orders' }, change: { permission: 'read' } },
    ...{ before: { name: 'orders', permission: 'readWrite' }, after: { name: 'orders', permission: 'read' } },
  });
  await ask('POST', '/users', { name: 'shop' }, token);
  await ask('PATCH', '/users/shop', { enabled: false }, token);
  expect(lines.at(-1)).toMatchObject({ before: { name: 'shop', enabled: true }, after: { enabled: false } });
  await ask('DELETE', '/users/shop', undefined, token);
  expect(lines.at(-1)).toMatchObject({ operation: 'deleteUser', before: { name: 'shop', enabled: false } });
  for (const line of lines) expect(line).toHaveProperty('requestId');
});

it('what is too long for a line is told apart by its digest, also behind what is shown of it', async () => {
  const token = await login();
  const policies = (last: string) =>
    [...Array.from({ length: 100 }, (_, i) => `Topic:orders-${i}`), last].map((resource) => ({
      resource,
      actions: ['pub'],
    }));
  const cutOf = async (last: string) => {
    await ask('PUT', '/users/root/policies', { policies: policies(last) }, token);
    return lines.at(-1)?.['change'] as { readonly cut: string; readonly sha256: string };
  };
  const [one, other, again] = [await cutOf('Topic:a'), await cutOf('Topic:b'), await cutOf('Topic:a')];
  expect(one.cut).toBe(other.cut);
  expect(one.sha256).toMatch(/^[0-9a-f]{64}$/);
  expect([one.sha256 === other.sha256, one.sha256 === again.sha256]).toEqual([false, true]);
});

it('is read by pages, by super users alone', async () => {
  const token = await login();
  for (let i = 0; i < 5; i += 1) await ask('POST', '/topics', { name: `t${i}` }, token);
  await ask('DELETE', '/topics/t0');
  const read = async (query: string): Promise<{ items: { target?: object; decision: string }[]; next?: string }> =>
    (await (
      await fetch(`${fixture.url}/api/v1/audit?${query}`, { headers: { authorization: `Bearer ${token}` } })
    ).json()) as Awaited<ReturnType<typeof read>>;
  const first = await read('limit=4');
  expect(first.items).toMatchObject([
    { operation: 'deleteTopic', decision: 'refused' },
    ...[4, 3, 2].map((i) => ({ operation: 'createTopic', change: { name: `t${i}` } })),
  ]);
  const rest = await read(`limit=4&after=${first.next}`);
  expect(rest.items).toMatchObject([{ change: { name: 't1' } }, { change: { name: 't0' } }, { operation: 'login' }]);
  expect(rest).not.toHaveProperty('next');
  expect((await read('decision=refused')).items).toHaveLength(1);
  expect((await read('user=root&operation=createTopic')).items).toHaveLength(5);
  const made = (await (
    await fetch(`${fixture.url}/api/v1/users`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ name: 'shop' }),
    })
  ).json()) as { secret: string };
  const other = (await ask('POST', '/login', { user: 'shop', secret: made.secret })).token;
  expect(await ask('GET', '/audit', undefined, other)).toMatchObject({ status: 403 });
});

it('lets nothing be changed while lines can not be kept, and looks go on', async () => {
  const token = await login();
  keep = () => Promise.reject(new Error('the disk is full'));
  await ask('POST', '/topics', { name: 'last' }, token);
  expect(await ask('POST', '/topics', { name: 'orders' }, token)).toMatchObject({ status: 503 });
  expect(fixture.nameService.topics.has('orders')).toBe(false);
  expect(await ask('GET', '/topics', undefined, token)).toMatchObject({ status: 200 });
});
