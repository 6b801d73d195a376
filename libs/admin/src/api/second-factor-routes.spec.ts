// Goal: a second factor is set up before or after a login, asked for by each way to log in, reset by super users, and audited without
// what is secret of it. Method: the real REST API with users on.
import { codeOf, FakeIdentities } from '@cometmq/auth/testing';
import { ManualClock } from '@cometmq/shared/testing';

import { startAdminFixture, type AdminFixture } from '../testing/admin-fixture.js';

let clock: ManualClock;
let identities: FakeIdentities;
let fixture: AdminFixture;
const lines: string[] = [];

beforeEach(async () => {
  lines.length = 0;
  clock = new ManualClock();
  identities = new FakeIdentities();
  fixture = await startAdminFixture({ clock, identities, audit: async (line) => void lines.push(line) });
  identities.user('root', 'root-secret', { kind: 'super' });
  identities.user('ada', 'ada-secret');
});
afterEach(() => fixture.stop());

async function ask(method: string, path: string, body?: object, token?: string) {
  const answer = await fetch(`${fixture.url}/api/v1${path}`, {
    method,
    headers: {
      ...(body && { 'content-type': 'application/json' }),
      ...(token && { authorization: `Bearer ${token}` }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, string & string[]> };
}
const ada = { user: 'ada', secret: 'ada-secret' };
const factor = '/session/second-factor';

it('is set up with a first code, and then needed for tokens and sessions alike', async () => {
  const begun = await ask('POST', factor, ada);
  expect(begun.status).toBe(200);
  const { secretKey = '', setupToken = '' } = begun.body;
  const code = (): string => {
    clock.advance(30_000);
    return codeOf(secretKey, clock.wallMs());
  };
  expect(await ask('PUT', factor, { ...ada, setupToken, code: '000000' })).toMatchObject({ status: 401 });
  const set = await ask('PUT', factor, { ...ada, setupToken, code: code() });
  expect(set).toMatchObject({ status: 200 });
  expect(set.body['recoveryCodes']).toHaveLength(10);
  for (const path of ['/login', '/session']) {
    expect(await ask('POST', path, ada)).toMatchObject({ status: 401, body: { sentence: 'codeNeeded' } });
    const wrong = await ask('POST', path, { ...ada, code: '000000' });
    expect(wrong).toMatchObject({ status: 401, body: { sentence: 'codeWrong' } });
    expect(await ask('POST', path, { ...ada, code: code() })).toMatchObject({ status: 200 });
  }
  const [recovery = ''] = set.body['recoveryCodes'] ?? [];
  expect(await ask('POST', '/login', { ...ada, code: recovery })).toMatchObject({ status: 200 });
  expect(await ask('POST', '/login', { ...ada, code: recovery })).toMatchObject({ status: 401 });

  const root = (await ask('POST', '/login', { user: 'root', secret: 'root-secret' })).body['token'];
  expect(await ask('GET', '/users/ada', undefined, root)).toMatchObject({ body: { secondFactor: true } });
  const mine = (await ask('POST', '/login', { ...ada, code: code() })).body['token'];
  expect(await ask('GET', '/session', undefined, mine)).toMatchObject({ body: { secondFactor: true } });
  expect(await ask('DELETE', '/users/ada/second-factor', undefined, mine)).toMatchObject({ status: 403 });
  expect(await ask('DELETE', '/users/eve/second-factor', undefined, root)).toMatchObject({ status: 404 });
  expect(await ask('DELETE', '/users/ada/second-factor', undefined, root)).toMatchObject({ status: 204 });
  expect(await ask('POST', '/login', ada)).toMatchObject({ status: 200 });

  const text = lines.join('\n');
  for (const operation of ['beginSecondFactor', 'finishSecondFactor', 'resetSecondFactor'])
    expect(text).toContain(operation);
  for (const secret of [
    secretKey,
    setupToken,
    recovery,
    'ada-secret',
    JSON.stringify(identities.users.get('ada')?.secret),
  ]) {
    expect(text).not.toContain(secret);
  }
});

it('guesses of codes end as guesses of secrets do', async () => {
  const begun = await ask('POST', factor, ada);
  const { secretKey = '', setupToken = '' } = begun.body;
  await ask('PUT', factor, { ...ada, setupToken, code: codeOf(secretKey, clock.wallMs()) });
  const statuses: number[] = [];
  for (let i = 0; i < 7; i += 1) statuses.push((await ask('POST', '/login', { ...ada, code: '000000' })).status);
  expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429]);
});

it('ends by who has it', async () => {
  const { secretKey = '', setupToken = '' } = (await ask('POST', factor, ada)).body;
  await ask('PUT', factor, { ...ada, setupToken, code: codeOf(secretKey, clock.wallMs()) });
  expect(await ask('POST', `${factor}/end`, ada)).toMatchObject({ status: 401 });
  clock.advance(30_000);
  const code = codeOf(secretKey, clock.wallMs());
  expect(await ask('POST', `${factor}/end`, { ...ada, code })).toMatchObject({ status: 204 });
  expect(await ask('POST', '/login', ada)).toMatchObject({ status: 200 });
});
