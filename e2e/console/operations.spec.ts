// Goal: an operator handles in a browser what waits: delayed messages, open transactions, message groups, clients, alerts.
// Method: Debian's Chromium, the real console of a real system, the official client as its users.
import { ConsoleBrowser } from '../support/browser.js';
import { Clients, receive } from '../support/clients.js';
import { admin, createTopic } from '../support/admin.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

let broker: Standalone;
let browser: ConsoleBrowser;
let clients: Clients;
const url = (): string => `http://127.0.0.1:${broker.adminPort}`;

beforeAll(async () => {
  broker = await new Standalone().start(['--alert-every-ms=200', '--alert-hold-ms=200', '--alert-lag-max=3']);
  browser = await ConsoleBrowser.open(url());
  clients = new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: broker.endpoints, tls: false, restUrl: url() }),
  );
});
afterAll(async () => {
  await browser?.close();
  await clients?.end();
  await broker?.stop();
});
afterEach(() => expect(browser.faults.splice(0)).toEqual([]));

/** Opens a view by its address; it is there when its heading is. */
async function open(path: string, heading: string): Promise<void> {
  await browser.page.goto(path);
  await browser.page.getByRole('heading', { level: 1, name: heading }).waitFor();
}

it('one delayed message is cancelled, another comes sooner, and their lives tell of it', async () => {
  const { page } = browser;
  await createTopic(broker, { name: 'reminders', type: 'delay', writeQueues: 1 });
  const producer = await clients.producer({ topics: ['reminders'] });
  const consumer = await clients.simple('mailer', 'reminders');
  const deliveryTimestamp = new Date(Date.now() + 3_600_000);
  const ids: string[] = [];
  for (const [tag, body] of [
    ['unwanted', 'never'],
    ['soon', 'sooner'],
  ] as const) {
    ids.push((await producer.send({ topic: 'reminders', tag, body: Buffer.from(body), deliveryTimestamp })).messageId);
  }
  await open('/delayed?topic=reminders', 'Delayed messages');
  const table = page.getByRole('table', { name: 'Delayed messages' });
  const rowOf = (tag: string) => table.getByRole('row').filter({ hasText: tag });
  await rowOf('unwanted').getByRole('button', { name: 'Cancel delivery' }).click();
  await rowOf('unwanted').waitFor({ state: 'detached' });
  await rowOf('soon').getByRole('button', { name: 'Reschedule' }).click();
  const dialog = page.getByRole('dialog');
  expect(await browser.accessibility()).toEqual([]);
  await dialog.getByLabel('New time').fill(new Date(Date.now() - 86_400_000).toISOString().slice(0, 19));
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  const [message] = await receive(consumer, 1);
  expect(Buffer.from(message!.body).toString()).toBe('sooner');
  await consumer.ack(message!);
  await rowOf('soon').waitFor({ state: 'detached' });
  for (const [id, said] of [
    [ids[0], 'Recalled, cancelled or rolled back'],
    [ids[1], 'Rescheduled'],
  ] as const) {
    await page.goto(`/messages?id=${id}`);
    await page.getByRole('table', { name: 'Found' }).getByRole('link').first().click();
    await page.getByText(said).first().waitFor();
  }
}, 120_000);

it('of two open transactions one is committed and one rolled back', async () => {
  const { page } = browser;
  await createTopic(broker, { name: 'transfers', type: 'transaction', writeQueues: 1 });
  const consumer = await clients.simple('bank', 'transfers');
  const producer = await clients.transactional('transfers');
  for (const tag of ['right', 'wrong']) {
    const transaction = producer.beginTransaction();
    await producer.send({ topic: 'transfers', tag, body: Buffer.from(tag) }, transaction); // And nobody ends it.
  }
  await open('/transactions?topic=transfers', 'Transactions');
  const table = page.getByRole('table', { name: 'Transactions' });
  const rowOf = (tag: string) => table.getByRole('row').filter({ hasText: tag });
  await rowOf('right').getByRole('button', { name: 'Commit' }).click();
  await rowOf('right').waitFor({ state: 'detached' });
  await rowOf('wrong').getByRole('button', { name: 'Roll back' }).click();
  await rowOf('wrong').waitFor({ state: 'detached' });
  const decisions = page.getByRole('table', { name: 'Decisions' });
  await decisions.getByText('commit', { exact: true }).waitFor();
  await decisions.getByText('rollback', { exact: true }).waitFor();
  await browser.picture('transactions');
  expect(await browser.accessibility()).toEqual([]);
  const [message] = await receive(consumer, 1);
  expect(Buffer.from(message!.body).toString()).toBe('right');
  await consumer.ack(message!);
}, 120_000);

it('a message group that waits is shown with its message, its holder and how much is behind it', async () => {
  const { page } = browser;
  await createTopic(broker, { name: 'steps', type: 'fifo', writeQueues: 1 });
  await admin(broker, 'POST', '/groups', { name: 'workers', fifo: true });
  const producer = await clients.producer({ topics: ['steps'] });
  for (const [messageGroup, body] of [
    ['stuck', 'one'],
    ['stuck', 'two'],
    ['stuck', 'three'],
  ] as const) {
    await producer.send({ topic: 'steps', messageGroup, keys: [body], body: Buffer.from(body) });
  }
  const consumer = await clients.simple('workers', 'steps');
  const [held] = await consumer.receive(1, 60_000);
  await open('/groups/workers', 'workers');
  const lanes = page.getByRole('table', { name: 'Message groups under way' });
  const row = lanes.getByRole('row').filter({ hasText: 'stuck' });
  await row.waitFor();
  await row.getByText(held!.messageId).waitFor();
  await row.getByText(consumer.clientId).waitFor();
  await browser.picture('lanes');
  expect(await browser.accessibility()).toEqual([]);
  await row.getByRole('link').click();
  await page.getByText('Delivered').first().waitFor();
  await consumer.ack(held!);
  const [second] = await receive(consumer, 1);
  await page.goBack();
  await lanes.getByText(second!.messageId).waitFor();
  await consumer.ack(second!);
}, 120_000);

it('a client is shown with what it is and does, and says where it stands when it is asked', async () => {
  const { page } = browser;
  await createTopic(broker, { name: 'jobs', type: 'normal', writeQueues: 1 });
  const consumer = await clients.simple('runners', 'jobs', 'urgent');
  await consumer.receive(1, 15_000);
  await open('/clients?contains=' + encodeURIComponent(consumer.clientId), 'Clients');
  const row = page.getByRole('table', { name: 'Clients' }).getByRole('row').filter({ hasText: consumer.clientId });
  await row.getByText('jobs (urgent)').waitFor();
  await row.getByRole('button', { name: 'Stack trace' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Ask the client' }).click();
  await dialog.getByLabel('Stack trace', { exact: true }).waitFor();
  expect(await browser.accessibility()).toEqual([]);
  await browser.picture('client-stack');
  await dialog.getByRole('button', { name: 'Close' }).first().click();
}, 120_000);

it('an alert fires, is silenced and let speak again, is over, and its history is kept', async () => {
  const { page } = browser;
  await createTopic(broker, { name: 'bills', type: 'normal', writeQueues: 1 });
  const consumer = await clients.simple('slow', 'bills');
  const producer = await clients.producer({ topics: ['bills'] });
  await producer.send({ topic: 'bills', body: Buffer.from('first') });
  const [first] = await receive(consumer, 1);
  await consumer.ack(first!);
  for (let i = 0; i < 5; i += 1) await producer.send({ topic: 'bills', body: Buffer.from(`${i}`) });
  await open('/alerts', 'Alerts');
  const firing = page.getByRole('table', { name: 'Wrong now' });
  const row = firing.getByRole('row').filter({ hasText: '5 messages wait for group slow' });
  await row.getByRole('button', { name: 'Silence' }).click();
  await row.getByRole('button', { name: 'End silence' }).click();
  await row.getByRole('button', { name: 'Silence' }).waitFor();
  await browser.picture('alerts');
  expect(await browser.accessibility()).toEqual([]);
  await row.getByRole('link').click();
  await page.getByRole('heading', { level: 1, name: 'slow' }).waitFor(); // The cause.
  for (let done = 0; done < 5;) {
    for (const message of await consumer.receive(32, 15_000)) {
      await consumer.ack(message);
      done += 1;
    }
  }
  await page.goBack();
  const history = page.getByRole('table', { name: 'History' });
  await until('it is over', async () => {
    const { history: events } = await admin<{ history: { event: string; key: string }[] }>(broker, 'GET', '/alerts');
    return events.some(({ event, key }) => event === 'resolved' && key === 'consumerLag/slow');
  });
  await history.getByText('over', { exact: true }).first().waitFor();
}, 120_000);
