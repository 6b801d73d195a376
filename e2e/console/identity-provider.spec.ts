// Goal: people sign in by their team's identity provider, may do what their groups' roles allow, and sign out; while the provider
// is away they are told so, and users of the cluster sign in as ever. Method: the real program, a real provider in a process of
// its own, Debian's Chromium.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { RealOidcProvider } from '@cometmq/admin/testing';

import { ConsoleBrowser } from '../support/browser.js';
import { freePort } from '../support/free-port.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const broker = new Standalone();
let provider: RealOidcProvider;
let browser: ConsoleBrowser;

beforeAll(async () => {
  broker.adminPort = await freePort();
  const url = `http://127.0.0.1:${broker.adminPort}`;
  provider = new RealOidcProvider({}, url);
  await provider.start();
  const secretFile = join(broker.dataDir, 'oidc-secret');
  writeFileSync(secretFile, 'console-secret\n');
  await broker.start([
    ...['--users', `--oidc-issuer=${provider.issuer}`, '--oidc-client-id=console', `--oidc-console-url=${url}`],
    ...[`--oidc-client-secret-file=${secretFile}`, '--oidc-scopes=openid,profile'],
    ...['--oidc-name-claim=preferred_username', '--oidc-roles=ops=admin,dev=viewer'],
  ]);
  browser = await ConsoleBrowser.open(url);
}, 180_000);
afterAll(async () => {
  await browser?.close();
  await broker.stop();
  await provider?.stop();
});
afterEach(async () => {
  expect(browser.faults).toEqual([]);
  // Of the provider too, which would let the same person in without a word.
  await browser.page.context().clearCookies();
});

const byProvider = () => browser.page.getByRole('link', { name: `Sign in with ${new URL(provider.issuer).host}` });

/** Groups are told by the name: `ada.ops` is in ops. */
async function signIn(login: string, at = '/topics'): Promise<void> {
  const { page } = browser;
  await page.goto(at);
  await byProvider().click();
  await page.locator('input[name=login]').fill(login);
  await page.locator('input[name=password]').fill('any');
  await page.locator('button[type=submit]').click();
}

it('who is in a group of admins comes back to the page asked for, changes something, and signs out', async () => {
  const { page } = browser;
  await page.goto('/topics?contains=or');
  await byProvider().waitFor();
  expect(await browser.accessibility()).toEqual([]);
  await browser.picture('sign-in-by-provider');
  await signIn('ada.ops', '/topics?contains=or');
  await page.getByText('Signed in as oidc:ada').waitFor();
  expect(new URL(page.url()).search).toBe('?contains=or');
  await page.getByRole('button', { name: 'Create a topic' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('orders');
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('link', { name: 'orders' }).waitFor();
  // Its secret is the provider's: there is none to be changed here.
  await page.getByRole('link', { name: 'Access' }).click();
  await page.getByRole('table', { name: 'Audit' }).getByText('oidc:ada').first().waitFor();
  expect(await page.getByLabel('Your secret now').count()).toBe(0);
  expect(await browser.accessibility()).toEqual([]);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
  await page.goBack();
  await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
}, 120_000);

it('who is in a group of viewers sees the same, and is refused what it may not', async () => {
  const { page } = browser;
  await signIn('bob.dev');
  await page.getByText('Signed in as oidc:bob').waitFor();
  await page.getByRole('link', { name: 'orders' }).waitFor();
  await page.getByRole('button', { name: 'Create a topic' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('not-mine');
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  // In the words of the API: it has not signed out, and may not do this.
  await page.getByRole('dialog').getByRole('alert').getByText('oidc:bob').waitFor();
  await page.keyboard.press('Escape');
}, 120_000);

it('who is in no group that counts is told so, and not let in', async () => {
  const { page } = browser;
  await signIn('eve.guests');
  await page.getByRole('alert').getByText('none of your groups has a role in this cluster').waitFor();
  expect(await browser.accessibility()).toEqual([]);
  await browser.picture('sign-in-without-a-role');
}, 120_000);

it('while the provider is away that is said, and a user of the cluster signs in', async () => {
  const { page } = browser;
  await provider.stop();
  await page.goto('/topics');
  await byProvider().click();
  await page.getByRole('alert').getByText('The identity provider does not answer now').waitFor();
  await browser.picture('sign-in-provider-away');
  const [user = '', secret = ''] = readFileSync(join(broker.dataDir, 'identity/admin'), 'utf8').trim().split(' ');
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Secret').fill(secret);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByText(`Signed in as ${user}`).waitFor();
  expect(page.url()).not.toContain('loginFailed');
  await provider.start();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
  // It has new keys, and those of before were asked for a moment ago: they are asked for again half a minute later.
  await until(
    'who comes by the provider is let in again',
    async () => {
      await page.context().clearCookies();
      await signIn('ada.ops');
      return page
        .getByText('Signed in as oidc:ada')
        .waitFor({ timeout: 5_000 })
        .then(
          () => true,
          () => false,
        );
    },
    90_000,
  );
}, 180_000);
