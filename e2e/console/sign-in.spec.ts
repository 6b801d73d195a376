// Goal: where there are users, the console lets nobody see anything before they sign in, and may change things afterwards.
// Method: the real program with users, its first admin's secret from its data folder, Debian's Chromium.
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ConsoleBrowser } from '../support/browser.js';
import { Standalone } from '../support/standalone.js';

const broker = new Standalone();
let browser: ConsoleBrowser;

beforeAll(async () => {
  await broker.start(['--users']);
  browser = await ConsoleBrowser.open(`http://127.0.0.1:${broker.adminPort}`);
}, 180_000);
afterAll(async () => {
  await browser?.close();
  await broker.stop();
});

/** As an authenticator app reckons it (RFC 6238): six digits, of half a minute. */
function codeOf(key: string, nowMs: number): string {
  const bits = [...key].map((letter) =>
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'),
  );
  const bytes = (bits.join('').match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(nowMs / 30_000)));
  const digest = createHmac('sha1', Buffer.from(bytes)).update(step).digest();
  const number = digest.readUInt32BE((digest.at(-1) ?? 0) & 0xf) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

it('asks who is there, takes the right secret only, changes what is asked for, and wants a code where there is a second factor', async () => {
  const { page } = browser;
  const [user = '', secret = ''] = readFileSync(join(broker.dataDir, 'identity/admin'), 'utf8').trim().split(' ');
  await page.goto('/topics');
  await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
  expect(await browser.accessibility()).toEqual([]);
  await browser.picture('sign-in');
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Secret').fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Secret').fill(secret);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Topics' }).waitFor(); // The view that was asked for.
  await page.getByRole('button', { name: 'Create a topic' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('signed-in');
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('link', { name: 'signed-in' }).waitFor();

  await page.getByRole('link', { name: 'Access' }).click();
  await page.getByRole('heading', { level: 1, name: 'Access' }).waitFor();
  await page.getByRole('button', { name: 'Create a user' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('User').fill('shop');
  await dialog.getByLabel('May send to topics').fill('signed-in');
  await dialog.getByRole('button', { name: 'Create', exact: true }).click();
  await dialog.getByText('It is not shown again.').waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('table', { name: 'Users' }).getByText('shop').waitFor();
  for (const [action, verdict] of [
    ['pub', 'yes'],
    ['sub', 'no'],
  ] as const) {
    await page.getByLabel('Who').fill('shop');
    await page.getByLabel('Action').selectOption(action);
    await page.getByLabel('On what').fill('Topic:signed-in');
    await page.getByRole('button', { name: 'Ask' }).click();
    await page.getByRole('status').getByText(`${verdict}:`).waitFor();
  }
  const shop = page.getByRole('table', { name: 'Users' }).getByRole('row').filter({ hasText: 'shop' });
  await shop.getByRole('button', { name: 'Change what it may' }).click();
  await dialog.getByRole('button', { name: 'Add a line' }).click();
  const line = dialog.getByRole('group').last();
  await line.getByLabel('Actions').fill('sub');
  await line.getByLabel('On what').fill('signed-in');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByRole('alert').waitFor(); // In the words of the API: Topic: or Group: is missing.
  await line.getByLabel('On what').fill('Topic:signed-in');
  expect(await browser.accessibility()).toEqual([]);
  await browser.picture('policies');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  await shop.getByText('allow sub Topic:signed-in').waitFor();
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.getByRole('status').getByText('yes:').waitFor();
  await shop.getByRole('button', { name: 'Lock out' }).click();
  await dialog.getByRole('button', { name: 'Lock out' }).click();
  await shop.getByText('locked out').waitFor();
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.getByRole('status').getByText('no: the user is disabled').waitFor();
  await shop.getByRole('button', { name: 'Let in' }).click();
  await shop.getByText('locked out').waitFor({ state: 'detached' });
  const own = page.locator('form').filter({ has: page.getByRole('button', { name: 'New secret' }) });
  await own.getByLabel('Your secret now').fill('not it');
  await own.getByRole('button', { name: 'New secret' }).click();
  await page.getByRole('alert').waitFor();
  await own.getByLabel('Your secret now').fill(secret);
  await own.getByRole('button', { name: 'New secret' }).click();
  await page.getByRole('status').getByText(`The secret of ${user}`).waitFor();
  const next = (await page.getByRole('status').locator('code, pre').last().innerText()).trim();
  expect(next).not.toBe(secret);
  const login = (said: string) =>
    fetch(`http://127.0.0.1:${broker.adminPort}/api/v1/login`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
      body: JSON.stringify({ user, secret: said }),
    });
  expect([(await login(secret)).status, (await login(next)).status]).toEqual([401, 200]);
  const factor = page.locator('form').filter({ has: page.getByRole('button', { name: 'Set up' }) });
  await factor.getByLabel('Your secret now').fill(next);
  await factor.getByRole('button', { name: 'Set up' }).click();
  await page.getByRole('button', { name: 'Set up' }).click();
  const key = (await page.locator('form').filter({ hasText: 'Confirm the code' }).locator('pre').innerText()).trim();
  await page.getByLabel('Code of the app').fill(codeOf(key, Date.now()));
  await page.getByRole('button', { name: 'Confirm the code' }).click();
  const shown = page.getByRole('status').locator('pre');
  const recovery = (await shown.filter({ hasText: /\n/ }).innerText()).trim().split('\n');
  expect(recovery).toHaveLength(10);
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByText('Signing in needs a code of your app.').waitFor();
  expect((await login(next)).status).toBe(401);
  await page.getByRole('table', { name: 'Audit' }).getByText('changeOwnSecret').first().waitFor();
  await page.getByRole('table', { name: 'Audit' }).getByText('createUser').first().waitFor();
  // Of a login it is said who somebody said to be; in brackets where the secret was wrong.
  const logins = page.getByRole('table', { name: 'Audit' }).getByRole('row').filter({ hasText: 'beginSession' });
  await logins.getByText(user, { exact: true }).first().waitFor();
  await logins.getByText(`(${user})`, { exact: true }).first().waitFor();
  expect(await browser.accessibility()).toEqual([]);
  await browser.picture('access');
  await page.context().clearCookies(); // The session ends.
  await page.getByRole('heading', { level: 1, name: 'Sign in' }).waitFor();
  await page.getByRole('alert').getByText('Your access has ended.').waitFor();
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Secret').fill(next);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('Code of the app').fill(recovery[0] ?? '');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Access' }).waitFor();
  expect(browser.faults).toEqual([]);
}, 120_000);

it('makes a token for a program, shows it once, says what it may, and ends it', async () => {
  const { page } = browser;
  const users = page.getByRole('table', { name: 'Users' });
  await users.getByRole('row').filter({ hasText: 'shop' }).getByRole('button', { name: 'Tokens' }).click();
  const table = page.getByRole('table', { name: 'Tokens of shop' });
  await page.getByText('There are no tokens.').waitFor();
  const dialog = page.getByRole('dialog');
  const begin = async (name: string, scope: string): Promise<void> => {
    await page.getByRole('button', { name: 'Create a token' }).click();
    await dialog.getByLabel('What it is for').fill(name);
    await dialog.getByLabel('Good for days').fill('7');
    await dialog.getByLabel('It may').selectOption({ label: scope });
  };
  const create = dialog.getByRole('button', { name: 'Create', exact: true });
  await begin('deploy', 'what the lines below say');
  const line = dialog.getByRole('group').last();
  await line.getByLabel('Actions').fill('get');
  await line.getByLabel('On what').fill('signed-in');
  await create.click();
  await dialog.getByRole('alert').waitFor(); // In the words of the API: Topic: or Group: is missing.
  await line.getByLabel('On what').fill('Topic:signed-in');
  expect(await browser.accessibility()).toEqual([]);
  await browser.picture('create-token');
  await create.click();
  await dialog.getByText('It is not shown again.').waitFor();
  expect(await browser.accessibility()).toEqual([]);
  const token = (await dialog.getByRole('status').locator('pre').innerText()).trim();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await table.getByText('get Topic:signed-in').waitFor();
  expect(await page.content()).not.toContain(token);
  const asked = async (path: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`http://127.0.0.1:${broker.adminPort}/api/v1${path}`, { headers })).status;
  };
  expect([await asked('/groups'), await asked('/users')]).toEqual([200, 403]);

  await begin('deploy', 'all that its user may');
  await create.click();
  await dialog.getByRole('alert').getByText('the user has a token named').waitFor();
  await dialog.getByLabel('What it is for').fill('grafana');
  await create.click();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await table.getByText('all that its user may').waitFor();
  await table.getByRole('row').filter({ hasText: 'deploy' }).getByRole('button', { name: 'Revoke' }).click();
  await dialog.getByText('are refused from now on').waitFor();
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await table.getByText('deploy').waitFor({ state: 'detached' });
  expect(await asked('/groups')).toBe(401);
  expect(await browser.accessibility()).toEqual([]);
  await browser.picture('tokens');

  await page.getByLabel('Language').selectOption('zh');
  await page.getByText('shop 的程序令牌').waitFor();
  await page.getByRole('button', { name: '创建令牌' }).click();
  await dialog.getByLabel('有效天数').waitFor();
  expect(await browser.accessibility()).toEqual([]);
  expect(browser.faults).toEqual([]);
}, 120_000);
