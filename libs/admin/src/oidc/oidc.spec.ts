/**
 * Goal: who logs in by the team's identity provider gets what the groups' roles allow, and nothing else lets anybody in; a
 * provider that is away keeps nobody else out. Method: a real provider in a process of its own, the real REST API, and a
 * browser that keeps cookies and follows redirects.
 */
import { consumerTemplate } from '@cometmq/auth';
import { FakeIdentities } from '@cometmq/auth/testing';

import { type AdminFixture, startAdminFixture } from '../testing/admin-fixture.js';
import { Browser, consoleUrl, RealOidcProvider } from '../testing/real-oidc-provider.js';

let provider: RealOidcProvider;
let identities: FakeIdentities;
let fixture: AdminFixture;

const begin = `${consoleUrl}/api/v1/session/oidc`;
const callback = `${begin}/callback`;

async function startWith(env: Readonly<Record<string, string>> = {}, loginMsMax?: number): Promise<void> {
  provider = new RealOidcProvider(env);
  await provider.start();
  identities = new FakeIdentities();
  fixture = await startAdminFixture({
    identities,
    oidc: provider.known(loginMsMax === undefined ? {} : { loginMsMax }),
  });
  identities.user('root', 'root-secret', { kind: 'super' });
  await fixture.nameService.createTopic({ name: 'orders' });
  await fixture.nameService.createTopic({ name: 'stock' });
  await fixture.nameService.createGroup({ name: 'billing' });
  await fixture.directory.until(() => fixture.directory.group('billing'), 10_000, 'the group');
}
afterEach(async () => {
  await fixture.stop();
  await provider.stop();
});

const newBrowser = (): Browser => new Browser(new Map([[consoleUrl, fixture.url]]));

/** To the provider, through its form, and back to the console. */
async function logIn(login: string, returnTo = '/', browser = newBrowser()) {
  const asked = await browser.follow(`${begin}?${new URLSearchParams({ returnTo }).toString()}`);
  const back = await browser.follow(await browser.logIn(asked.url, login), callback);
  const answer = await browser.visit(back.url);
  return { browser, back: back.url, answer, page: answer.headers.get('location') };
}

async function ask(method: string, path: string, headers: Record<string, string>, body?: object) {
  const response = await fetch(`${fixture.url}/api/v1${path}`, {
    method,
    headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
}

async function headersOf(browser: Browser): Promise<Record<string, string>> {
  const cookie = { cookie: `cometmq-session=${browser.cookieOf(consoleUrl, 'cometmq-session') ?? ''}` };
  const { body } = await ask('GET', '/session', cookie);
  return { ...cookie, 'x-csrf-token': String(body['csrfToken']) };
}

/** A token of the provider for a program: by the device flow, which a person confirms. */
async function idToken(login: string, client = 'cli'): Promise<string> {
  const post = async (path: string, form: Record<string, string>): Promise<Record<string, string>> =>
    (await (
      await fetch(`${provider.issuer}${path}`, { method: 'POST', body: new URLSearchParams(form) })
    ).json()) as Record<string, string>;
  const asked = await post('/device/auth', { client_id: client, scope: 'openid profile' });
  await newBrowser().confirmDevice(asked['verification_uri_complete'] ?? '', login);
  const grant = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code' };
  const got = await post('/token', { ...grant, client_id: client, device_code: asked['device_code'] ?? '' });
  return got['id_token'] ?? '';
}

describe('a browser', () => {
  it('comes back logged in, with what its groups’ roles allow', async () => {
    await startWith();
    const { browser, page } = await logIn('ada.ops', '/topics?all=1');
    expect(page).toBe('/topics?all=1');
    const headers = await headersOf(browser);
    expect(await ask('GET', '/session', headers)).toMatchObject({
      body: { login: true, user: 'oidc:ada', super: true, oidc: { issuer: provider.issuer, deviceClientId: 'cli' } },
    });
    expect(await ask('PATCH', '/groups/billing', headers, { fifo: true })).toMatchObject({ status: 200 });
    expect(await ask('PATCH', '/topics/orders', { cookie: headers['cookie'] ?? '' }, {})).toMatchObject({
      status: 403,
    });
    expect(await ask('GET', '/audit?user=oidc:ada', headers)).toMatchObject({
      body: { items: [{ operation: 'updateGroup' }, { operation: 'finishOidcLogin', how: 'oidc', decision: 'done' }] },
    });

    const viewer = await headersOf((await logIn('bob.dev')).browser);
    expect(await ask('GET', '/topics/orders', viewer)).toMatchObject({ status: 200 });
    expect(await ask('PATCH', '/groups/billing', viewer, { fifo: true })).toMatchObject({ status: 403 });
    expect(await ask('GET', '/users', viewer)).toMatchObject({ status: 403 });
  }, 60_000);

  it('in no group with a role is not let in, and is told so', async () => {
    await startWith();
    for (const login of ['eve', 'eve.strangers']) {
      const { browser, page } = await logIn(login);
      expect(page).toBe('/?loginFailed=FORBIDDEN');
      expect(browser.cookieOf(consoleUrl, 'cometmq-session')).toBeUndefined();
    }
    const root = await ask('POST', '/login', {}, { user: 'root', secret: 'root-secret' });
    const headers = { authorization: `Bearer ${String(root.body['token'])}` };
    expect(await ask('GET', '/audit?operation=finishOidcLogin', headers)).toMatchObject({
      body: { items: [{ decision: 'refused', reason: expect.stringContaining('no group of oidc:eve') }, {}] },
    });
  }, 60_000);

  it('has the rights of the user that a role names, as they are now', async () => {
    await startWith();
    identities.user('billing', 'billing-secret');
    identities.allow('billing', ...consumerTemplate('orders', 'billing'));
    const headers = await headersOf((await logIn('ada.billing')).browser);
    expect(await ask('GET', '/topics/orders', headers)).toMatchObject({ status: 200 });
    expect(await ask('GET', '/topics/stock', headers)).toMatchObject({ status: 403 });
    identities.user('billing', 'billing-secret', { enabled: false });
    expect(await ask('GET', '/topics/orders', headers)).toMatchObject({ status: 403 });
  }, 60_000);

  it('is asked nothing more where the userinfo endpoint alone knows the groups', async () => {
    await startWith({ CLAIMS_IN_USERINFO: 'true' });
    const headers = await headersOf((await logIn('ada.ops')).browser);
    expect(await ask('GET', '/session', headers)).toMatchObject({ body: { user: 'oidc:ada', super: true } });
  }, 60_000);

  it('can’t finish a login that it did not begin, nor one twice', async () => {
    await startWith();
    const first = newBrowser();
    const asked = await first.follow(begin);
    const { url } = await first.follow(await first.logIn(asked.url, 'ada.ops'), callback);
    const stranger = newBrowser();
    expect((await stranger.visit(url)).headers.get('location')).toBe('/?loginFailed=UNAUTHORIZED');
    // With a login of its own under way, which the answer is not for.
    await stranger.visit(begin);
    expect((await stranger.visit(url)).headers.get('location')).toBe('/?loginFailed=UNAUTHORIZED');
    expect((await first.visit(url)).headers.get('location')).toBe('/');
    expect((await first.visit(url)).headers.get('location')).toBe('/?loginFailed=UNAUTHORIZED');
    expect(stranger.cookieOf(consoleUrl, 'cometmq-session')).toBeUndefined();
  }, 60_000);

  it('is sent to pages of the console alone', async () => {
    await startWith();
    for (const returnTo of [
      '//evil.example/x',
      '/\\\\evil.example',
      'https://evil.example',
      'javascript:alert(1)',
      '',
    ]) {
      expect({ returnTo, page: (await logIn('ada.ops', returnTo)).page }).toEqual({ returnTo, page: '/' });
    }
  }, 60_000);

  it('is logged in for as long as the settings say', async () => {
    await startWith({}, 60_000);
    const { answer } = await logIn('ada.ops');
    expect(answer.headers.getSetCookie().at(-1)).toContain('Max-Age=60');
  }, 60_000);
});

describe('a program', () => {
  it('brings a token of the provider, or has it changed for one that lasts', async () => {
    await startWith();
    const token = await idToken('ada.dev');
    const headers = { authorization: `Bearer ${token}` };
    expect(await ask('GET', '/topics/orders', headers)).toMatchObject({ status: 200 });
    expect(await ask('DELETE', '/topics/orders', headers)).toMatchObject({ status: 403 });
    const { body } = await ask('POST', '/login/oidc', {}, { idToken: token });
    const lasting = { authorization: `Bearer ${String(body['token'])}` };
    expect(await ask('GET', '/topics/orders', lasting)).toMatchObject({ status: 200 });
    expect(await ask('DELETE', '/topics/orders', lasting)).toMatchObject({ status: 403 });
    // Who asks is known, and may nothing: to log in again would not help.
    const noRole = await idToken('eve.strangers');
    const refused = { status: 403, body: { detail: expect.stringContaining('no group of oidc:eve has a role here') } };
    expect(await ask('GET', '/topics/orders', { authorization: `Bearer ${noRole}` })).toMatchObject(refused);
    expect(await ask('POST', '/login/oidc', {}, { idToken: noRole })).toMatchObject(refused);
    // What is changed is the provider's word, not ours: or a login would never end.
    expect(await ask('POST', '/login/oidc', {}, { idToken: String(body['token']) })).toMatchObject({ status: 401 });
  }, 60_000);

  it('is refused with what is no token for here', async () => {
    await startWith();
    const good = await idToken('ada.ops');
    const [head = '', payload = '', mac = ''] = good.split('.');
    const said = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const other = Buffer.from(JSON.stringify({ ...said, groups: ['ops', 'more'] })).toString('base64url');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const strangers = await idToken('ada.ops', 'stranger');
    for (const token of [
      `${head}.${other}.${mac}`,
      `${none}.${payload}.`,
      `${head}.${payload}.`,
      strangers,
      'x',
      'a.b.c',
    ]) {
      const answer = await ask('GET', '/topics', { authorization: `Bearer ${token}` });
      expect({ token, answer }).toMatchObject({ answer: { status: 401 } });
    }
    expect(await ask('GET', '/topics', { authorization: `Bearer ${good}` })).toMatchObject({ status: 200 });
  }, 60_000);
});

it('goes on with new keys of the provider, and the old ones end', async () => {
  await startWith();
  const old = await idToken('ada.ops');
  expect(await ask('GET', '/topics', { authorization: `Bearer ${old}` })).toMatchObject({ status: 200 });
  await provider.stop();
  await provider.start();
  const fresh = await idToken('ada.ops');
  expect(await ask('GET', '/topics', { authorization: `Bearer ${fresh}` })).toMatchObject({ status: 200 });
  expect(await ask('GET', '/topics', { authorization: `Bearer ${old}` })).toMatchObject({ status: 401 });
  expect((await logIn('ada.ops')).page).toBe('/');
}, 60_000);

it('is shut and says why while the provider is away, and open to users of its own', async () => {
  await startWith();
  await provider.stop();
  const browser = newBrowser();
  expect((await browser.visit(begin)).headers.get('location')).toBe('/?loginFailed=UNAVAILABLE');
  expect(await ask('GET', '/session/oidc', {})).toMatchObject({
    status: 503,
    body: { detail: expect.stringContaining(`the identity provider ${provider.issuer} does not answer`) },
  });
  expect(await ask('GET', '/topics', { authorization: 'Bearer a.b.c' })).toMatchObject({ status: 503 });
  expect(await ask('POST', '/login', {}, { user: 'root', secret: 'root-secret' })).toMatchObject({ status: 200 });
  await provider.start();
  expect((await logIn('ada.ops')).page).toBe('/');
  await provider.stop(); // Known by now, and asked all the same: a browser is not sent to where nobody answers.
  expect((await newBrowser().visit(begin)).headers.get('location')).toBe('/?loginFailed=UNAVAILABLE');
}, 60_000);
