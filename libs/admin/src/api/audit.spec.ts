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
    headers: { 'content-type': 'application/json', ...(token !== '' && { authorization: `Bearer ${token}` }) },
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

it('lets nothing be changed while lines can not be kept, and looks go on', async () => {
  const token = await login();
  keep = () => Promise.reject(new Error('the disk is full'));
  await ask('POST', '/topics', { name: 'last' }, token);
  expect(await ask('POST', '/topics', { name: 'orders' }, token)).toMatchObject({ status: 503 });
  expect(fixture.nameService.topics.has('orders')).toBe(false);
  expect(await ask('GET', '/topics', undefined, token)).toMatchObject({ status: 200 });
});
