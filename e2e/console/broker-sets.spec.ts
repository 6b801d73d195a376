// Goal: an operator sees how a broker set is kept, which member may be restarted, and hands it over; what happened is told
// afterwards. Method: a real set of three members as processes, the console of its dashboard API in Debian's Chromium.
import { ConsoleBrowser } from '../support/browser.js';
import { freshCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

interface SetReport {
  readonly protection: string;
  readonly leader?: string;
  readonly members: readonly { readonly member: string; readonly inSync: boolean }[];
  readonly failovers: readonly { readonly epoch: number; readonly member: string; readonly reason: string }[];
}

let cluster: Awaited<ReturnType<typeof freshCluster>>;
let browser: ConsoleBrowser;

const report = async (): Promise<SetReport> =>
  (await (await fetch(`${cluster.restUrl}/api/v1/broker-sets/broker-0`)).json()) as SetReport;
const whole = (what: string): Promise<boolean> =>
  until(
    what,
    async () => {
      const { members, leader } = await report();
      return leader !== undefined && members.filter(({ inSync }) => inSync).length === 3;
    },
    90_000,
  );

beforeAll(async () => {
  cluster = await freshCluster({ size: { etcds: 1, namesrvs: 1, replicas: 3, proxies: 0 } });
  browser = await ConsoleBrowser.open(cluster.restUrl);
}, 180_000);
afterAll(async () => {
  await browser?.close();
  await cluster?.end();
}, 60_000);

it('a set is handed over by a button, its timeline tells of it, also after its dashboard was restarted', async () => {
  const { page } = browser;
  await whole('all three members are in sync');
  const before = await report();
  await page.goto('/brokers');
  await page.getByRole('heading', { level: 1, name: 'Broker sets' }).waitFor();
  const members = page.getByRole('table', { name: 'Members: broker-0' });
  const rowOf = (text: string) => members.getByRole('row').filter({ hasText: text });
  await rowOf('another member takes over first')
    .getByText(before.leader ?? '')
    .waitFor();
  await rowOf('the others go on').first().waitFor();
  const timeline = page.getByRole('table', { name: 'Changes of leader: broker-0' });
  await timeline.getByText('nobody led').first().waitFor();
  await rowOf(before.leader ?? '')
    .getByRole('button', { name: 'Hand over' })
    .click();
  const dialog = page.getByRole('dialog');
  expect(await browser.accessibility()).toEqual([]);
  await dialog.getByRole('button', { name: 'Hand over' }).click();
  await dialog.waitFor({ state: 'detached', timeout: 60_000 });
  await timeline.getByText('handed over').first().waitFor();
  const after = await report();
  expect(after.leader).not.toBe(before.leader);
  await whole('the one that led follows');
  await rowOf(before.leader ?? '')
    .getByRole('button', { name: 'Let it lead' })
    .click({ timeout: 60_000 });
  await dialog.getByText(`${before.leader ?? ''} takes over`).waitFor();
  await dialog.getByRole('button', { name: 'Hand over' }).click();
  await dialog.waitFor({ state: 'detached', timeout: 60_000 });
  await timeline.getByText('handed over').nth(1).waitFor();
  await browser.picture('broker-set');
  expect(await browser.accessibility()).toEqual([]);

  const told = (await report()).failovers;
  expect(told[0]).toMatchObject({ member: before.leader, reason: 'handedOver' });
  expect(told[1]).toMatchObject({ member: after.leader, reason: 'handedOver' });
  await cluster.dashboardApi.stop();
  await page.getByText('Not up to date').first().waitFor();
  await timeline.waitFor(); // What it said last stays.
  cluster.dashboardApi.launch();
  await cluster.dashboardApi.ready(60_000);
  expect((await report()).failovers).toEqual(told);
  await page.getByText('Not up to date').waitFor({ state: 'detached' });
  expect(browser.faults).toEqual([]);
}, 180_000);

it('with a member killed, the others may not be restarted, and it is said who is missing', async () => {
  const { page } = browser;
  await whole('all three members are in sync');
  const { leader } = await report();
  const index = cluster.brokers.findIndex(({ name }) => !leader?.startsWith(`${name}/`));
  const follower = cluster.brokers[index]!;
  await follower.stop();
  await page.goto('/brokers');
  const members = page.getByRole('table', { name: 'Members: broker-0' });
  await members.getByText('must be back in sync first').first().waitFor({ timeout: 60_000 });
  await members
    .getByRole('row')
    .filter({ hasText: `${follower.name}/` })
    .filter({ hasText: 'the others go on without it' })
    .waitFor();
  await browser.picture('broker-set-member-away');
  expect(await browser.accessibility()).toEqual([]);
  follower.launch();
  await follower.ready(60_000);
  await whole('it is back');
  await members.getByText('must be back in sync first').first().waitFor({ state: 'detached', timeout: 60_000 });
  expect(browser.faults).toEqual([]);
}, 180_000);
