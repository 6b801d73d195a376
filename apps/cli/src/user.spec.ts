// Goal: users and their rights from the command line, with a login that is kept. Method: the real REST API with users on.
import { Browser, RealOidcProvider, startAdminFixture, type AdminFixture } from '@cometmq/admin/testing';
import { FakeIdentities } from '@cometmq/auth/testing';

import { FakeTerminal, type Ran } from './testing.js';

let fixture: AdminFixture;
let identities: FakeIdentities;
let me: FakeTerminal;
const contextFile = '/home/me/.config/cometmq/contexts/default.json';

beforeEach(async () => {
  identities = new FakeIdentities();
  fixture = await startAdminFixture({ identities });
  identities.user('root', 'root-secret', { kind: 'super' });
  me = new FakeTerminal();
  me.env = { HOME: '/home/me', COMET_API: fixture.url };
});
afterEach(() => fixture.stop());

const comet = (...argv: string[]): Promise<Ran> => me.run(...argv);

async function loggedIn(): Promise<void> {
  me.isTerminal = true;
  me.answers = ['root', 'root-secret'];
  expect(await comet('login')).toMatchObject({ code: 0, err: 'logged in as root; context "default" keeps it\n' });
  me.isTerminal = false;
}

it('nothing is done for nobody, with what to do', async () => {
  const { code, err } = await comet('topic', 'ls');
  expect({ code, err }).toEqual({ code: 4, err: 'comet: log in: comet login, or POST /api/v1/login for a token\n' });
});

it('logs in once, keeps it with the context, and shows its secret nowhere', async () => {
  await loggedIn();
  expect(await comet('topic', 'ls')).toMatchObject({ code: 0 });
  expect(JSON.parse(me.files.get(contextFile) ?? '')).toMatchObject({ user: 'root', secret: 'root-secret' });
  for (const format of ['table', 'wide', 'json', 'jsonl']) {
    const { out } = await comet('context', 'show', '-o', format);
    expect(out).toContain('root');
    expect(out).not.toMatch(/root-secret|comet1\./);
  }
  const { token } = JSON.parse(me.files.get(contextFile) ?? '') as { token: { value: string } };
  expect(await comet('logout')).toMatchObject({ code: 0, err: expect.not.stringContaining('could not') });
  expect(me.files.get(contextFile)).not.toContain('root');
  const headers = { authorization: `Bearer ${token.value}` };
  expect((await fetch(`${fixture.url}/api/v1/topics`, { headers })).status).toBe(401); // A copy of it is worth nothing.
  expect(await comet('topic', 'ls')).toMatchObject({ code: 4 });
});

it('takes who asks from the environment or a file, and keeps nothing of a wrong login', async () => {
  me.env = { ...me.env, COMET_USER: 'root', COMET_SECRET: 'root-secret' };
  expect(await comet('topic', 'ls')).toMatchObject({ code: 0 });
  expect(me.files.size).toBe(0);
  me.env = { HOME: '/home/me', COMET_API: fixture.url, COMET_SECRET_FILE: '/admin' };
  expect(await comet('topic', 'ls')).toMatchObject({ code: 2, err: expect.stringContaining('/admin: no such file') });
  me.files.set('/admin', 'root root-secret\n');
  expect(await comet('topic', 'ls')).toMatchObject({ code: 0 });
  me.env = { HOME: '/home/me', COMET_API: fixture.url };
  me.files.set('/admin', 'root wrong-secret\n');
  expect(await comet('login', '--secret-file', '/admin')).toMatchObject({ code: 4 });
  expect([...me.files.keys()]).toEqual(['/admin']);
  me.files.set('/admin', 'root root-secret\n');
  expect(await comet('login', '--secret-file', '/admin')).toMatchObject({ code: 0 });
  expect(await comet('login')).toMatchObject({ code: 2 });
});

it('makes tokens for programs, which do what they were made for until they are revoked', async () => {
  await loggedIn();
  const made = await comet('user', 'token', 'create', 'root', 'grafana', '--read-only', '--days', '1', '-o', 'json');
  const { id, token } = JSON.parse(made.out) as { readonly id: string; readonly token: string };
  const { out } = await comet('user', 'token', 'ls', 'root');
  expect(out).toMatch(new RegExp(`${id} +grafana .*\\*=get,list`));
  expect(out).not.toContain(token);

  const program = new FakeTerminal();
  program.env = { COMET_API: fixture.url, COMET_TOKEN: token };
  expect(await program.run('topic', 'ls')).toMatchObject({ code: 0 });
  expect(await program.run('topic', 'create', 'orders')).toMatchObject({ code: 4 });
  expect(await program.run('user', 'ls')).toMatchObject({ code: 4 });
  expect(await comet('user', 'token', 'revoke', 'root', id)).toMatchObject({ code: 0 });
  expect(await program.run('topic', 'ls')).toMatchObject({ code: 4, err: expect.stringContaining('has ended') });

  expect(await comet('user', 'token', 'create', 'root', 'ci')).toMatchObject({ code: 0 });
  expect(await comet('user', 'token', 'revoke', 'root', 'ci')).toMatchObject({ code: 0 });
  expect(await comet('user', 'token', 'revoke', 'root', 'ci')).toMatchObject({ code: 3 });

  const wrong = await comet('user', 'token', 'create', 'root', 'x', '--allow', 'Topic:orders');
  expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('must be <resource>=<actions>') });
});

it('takes the first login that is there, and an empty variable for none', async () => {
  identities.user('ann', 'ann-secret');
  await loggedIn();
  const made = await comet('user', 'token', 'create', 'ann', 'ci', '-o', 'json');
  const { token } = JSON.parse(made.out) as { readonly token: string };
  me.files.set('/ann', 'ann ann-secret');
  const who = async (env: Readonly<Record<string, string>>): Promise<string> => {
    me.env = { HOME: '/home/me', COMET_API: fixture.url, ...env };
    const asked = me.fetch;
    let seen = '';
    me.fetch = (url, init) => {
      seen = String(new Headers(init?.headers).get('authorization') ?? seen);
      return asked(url, init);
    };
    const { code } = await comet('user', 'ls');
    me.fetch = asked;
    return seen === `Bearer ${token}` ? 'token' : code === 0 ? 'root' : seen === '' ? 'nobody' : 'ann';
  };
  const root = { COMET_USER: 'root', COMET_SECRET: 'root-secret' };
  const all = { ...root, COMET_TOKEN: token, COMET_SECRET_FILE: '/ann' };
  expect(await who(all)).toBe('root');
  expect(await who({ ...all, COMET_USER: '' })).toBe('token');
  expect(await who({ ...all, COMET_USER: '', COMET_TOKEN: '' })).toBe('ann');
  const none = { COMET_USER: '', COMET_SECRET: '', COMET_TOKEN: '', COMET_SECRET_FILE: '' };
  expect(await who(none)).toBe('root'); // The context's.
  const more = { COMET_API: '', COMET_ENDPOINT: '', COMET_OUTPUT: '', COMET_CONTEXT: '', COMET_TIMEOUT: '' };
  expect(await who({ ...none, ...more })).toBe('root');
});

it('goes on where its token can not be kept', async () => {
  await loggedIn();
  const file = [...me.files.keys()].find((path) => path.endsWith('/default.json')) ?? '';
  const { token: _token, ...context } = JSON.parse(me.files.get(file) ?? '') as { token: unknown };
  me.files.set(file, JSON.stringify(context));
  me.readOnly = true;
  expect(await comet('topic', 'ls')).toMatchObject({ code: 0, err: '' });
});

it('gives a secret to no other address than the one it is for', async () => {
  await loggedIn();
  const other = await startAdminFixture({ identities: new FakeIdentities() });
  const seen: string[] = [];
  me.fetch = (url, init) => {
    seen.push(JSON.stringify([url, init]));
    return fetch(url, init);
  };
  expect(await comet('topic', 'ls', '--api', other.url)).toMatchObject({ code: 4 });
  expect(seen.join()).not.toMatch(/root-secret|comet1\./);
  await other.stop();
});

it('makes a service account in one line, and says why it may', async () => {
  await loggedIn();
  const made = await comet('user', 'create', 'shop', '--produce', 'orders-*', '--consume', 'stock:shop', '-o', 'json');
  const { secret } = JSON.parse(made.out) as { secret: string };
  expect(secret).toHaveLength(40);
  expect(await comet('acl', 'test', 'shop', 'pub', 'Topic:orders-eu')).toMatchObject({ code: 0 });
  expect(await comet('acl', 'test', 'shop', 'pub', 'Topic:stock')).toMatchObject({ code: 4 });
  // A mistyped question is no denial.
  expect(await comet('acl', 'test', 'shop', 'publish', 'Topic:stock')).toMatchObject({ code: 2 });
  expect(await comet('acl', 'test', 'shop', 'pub', 'Topc:stock')).toMatchObject({ code: 2 });
  expect((await comet('acl', 'why', 'shop', 'sub', 'Group:shop')).out).toMatch(/allowed[^]*Group:shop\n[^]*sub,get/);
  expect((await comet('acl', 'deny', 'shop', 'pub', 'Topic:orders-eu', '--from', '10.0.0.0/8')).out).toContain(
    '10.0.0.0/8',
  );
  expect(await comet('acl', 'test', 'shop', 'pub', 'Topic:orders-eu', '--from', '10.1.1.1')).toMatchObject({ code: 4 });
  expect(await comet('acl', 'test', 'shop', 'pub', 'Topic:orders-eu', '--from', '11.1.1.1')).toMatchObject({ code: 0 });
  expect(await comet('acl', 'revoke', 'shop', '--yes')).toMatchObject({ code: 0 });
  expect(await comet('acl', 'test', 'shop', 'sub', 'Group:shop')).toMatchObject({ code: 4 });
  expect((await comet('user', 'rotate', 'shop', '-o', 'json')).out).not.toContain(secret);
  expect((await comet('user', 'disable', 'shop')).code).toBe(0);
  expect((await comet('user', 'ls')).out).toMatch(/shop +normal +false/);
  expect((await comet('user', 'limit', 'shop', '--requests', '5', '-o', 'json')).out).toContain(
    '"requestsPerSecond": 5',
  );
  expect((await comet('user', 'delete', 'shop', '--yes')).code).toBe(0);
  expect(await comet('user', 'describe', 'shop')).toMatchObject({ code: 3 });
});

it.each([
  [['acl', 'allow', 'root', 'fly', 'Topic:x'], 'must be one of all, pub'],
  [['acl', 'allow', 'root', 'pub', 'x'], 'allowed are Cluster:'],
  [['user', 'create', 'x', '--consume', 'orders'], 'must be topics:group'],
  [['acl', 'test', 'nobody', 'pub', 'Topic:x'], 'there is no user'],
])('refuses %j', async (argv, why) => {
  await loggedIn();
  expect((await comet(...argv)).err).toContain(why);
});

describe('by the identity provider', () => {
  let provider: RealOidcProvider;
  let other: AdminFixture;

  beforeEach(async () => {
    provider = new RealOidcProvider();
    await provider.start();
    other = await startAdminFixture({ identities, oidc: provider.known() });
    me.env = { HOME: '/home/me', COMET_API: other.url };
  });
  afterEach(async () => {
    await other.stop();
    await provider.stop();
  });

  async function login(who: string): Promise<Ran> {
    const ran = comet('login', '--oidc');
    const ended = ran.then(() => true);
    const page = (): string | undefined => /open (\S+) in a browser/.exec(me.err)?.[1];
    while (page() === undefined && !(await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 10))])));
    await new Browser(new Map()).confirmDevice(page() ?? '', who);
    return ran;
  }

  it('logs in with a code that is confirmed in a browser, and keeps a token and no secret', async () => {
    expect(await login('ada.dev')).toMatchObject({ code: 0, err: expect.stringContaining('logged in as oidc:ada') });
    expect(await comet('topic', 'ls')).toMatchObject({ code: 0 });
    expect(await comet('topic', 'create', 'orders')).toMatchObject({
      code: 4,
      err: expect.stringContaining('oidc:ada'),
    });
    const kept = JSON.parse(me.files.get(contextFile) ?? '') as { token: { value: string }; secret?: string };
    expect(kept).not.toHaveProperty('secret');
    expect((await comet('context', 'show', '-o', 'json')).out).not.toContain(kept.token.value);
    me.files.set(contextFile, JSON.stringify({ ...kept, token: { ...kept.token, untilMs: 1 } }));
    expect(await comet('topic', 'ls')).toMatchObject({ code: 4, err: expect.stringContaining('comet login --oidc') });
  }, 60_000);

  it('lets nobody in whose groups have no role, and says what is missing where there is no provider', async () => {
    expect(await login('eve')).toMatchObject({
      code: 4,
      err: expect.stringContaining('no group of oidc:eve has a role'),
    });
    expect(me.files.size).toBe(0);
    me.env = { HOME: '/home/me', COMET_API: fixture.url };
    expect(await comet('login', '--oidc')).toMatchObject({ err: expect.stringContaining('no identity provider') });
  }, 60_000);
});
