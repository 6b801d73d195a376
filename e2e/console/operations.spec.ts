// Goal: an operator handles in a browser what waits: delayed messages, open transactions, message groups, clients, alerts.
// Method: Debian's Chromium, the real console of a real system, the official client as its users.
import { receive } from '../support/clients.js';
import { ConsoleWorld } from '../support/console-world.js';
import { admin, createTopic } from '../support/admin.js';
import { until } from '../support/until.js';

let world: ConsoleWorld;

beforeAll(async () => {
  world = await ConsoleWorld.begin(['--alert-every-ms=200', '--alert-hold-ms=200', '--alert-lag-max=3']);
}, 180_000);
afterAll(() => world?.end());
afterEach(() => expect(world.faults()).toEqual([]));

it('one delayed message is cancelled, another comes sooner, and their lives tell of it', async () => {
  const { page } = world.browser;
  await createTopic(world.broker, { name: 'reminders', type: 'delay', writeQueues: 1 });
  const producer = await world.clients.producer({ topics: ['reminders'] });
  const consumer = await world.clients.simple('mailer', 'reminders');
  const deliveryTimestamp = new Date(Date.now() + 3_600_000);
  const ids: string[] = [];
  for (const [tag, body] of [
    ['unwanted', 'never'],
    ['soon', 'sooner'],
  ] as const) {
    ids.push((await producer.send({ topic: 'reminders', tag, body: Buffer.from(body), deliveryTimestamp })).messageId);
  }
  await world.open('/delayed?topic=reminders', 'Delayed messages');
  const table = page.getByRole('table', { name: 'Delayed messages' });
  const rowOf = (tag: string) => table.getByRole('row').filter({ hasText: tag });
  const dialog = page.getByRole('dialog');
  await rowOf('unwanted').getByRole('button', { name: 'Cancel delivery' }).click();
  await dialog.getByText('will never be delivered').waitFor(); // It is asked about, and can be left alone.
  await dialog.getByRole('button', { name: 'Cancel', exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
  await rowOf('unwanted').getByRole('button', { name: 'Cancel delivery' }).click();
  await dialog.getByRole('button', { name: 'Cancel delivery' }).click();
  await rowOf('unwanted').waitFor({ state: 'detached' });
  await rowOf('soon').getByRole('button', { name: 'Reschedule' }).click();
  expect(await world.browser.accessibility()).toEqual([]);
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
  const { page } = world.browser;
  await createTopic(world.broker, { name: 'transfers', type: 'transaction', writeQueues: 1 });
  const consumer = await world.clients.simple('bank', 'transfers');
  const producer = await world.clients.transactional('transfers');
  for (const tag of ['right', 'wrong']) {
    const transaction = producer.beginTransaction();
    await producer.send({ topic: 'transfers', tag, body: Buffer.from(tag) }, transaction); // And nobody ends it.
  }
  await world.open('/transactions?topic=transfers', 'Transactions');
  const table = page.getByRole('table', { name: 'Transactions' });
  const rowOf = (tag: string) => table.getByRole('row').filter({ hasText: tag });
  const dialog = page.getByRole('dialog');
  // In a narrow window the table is moved sideways; what can be done with a row is in sight all the same.
  await page.setViewportSize({ width: 800, height: 800 });
  const button = await rowOf('right').getByRole('button', { name: 'Roll back' }).boundingBox();
  expect((button?.x ?? 0) + (button?.width ?? 0)).toBeLessThanOrEqual(800);
  await page.setViewportSize({ width: 1280, height: 800 });
  await rowOf('right').getByRole('button', { name: 'Commit' }).click();
  await dialog.getByRole('button', { name: 'Commit' }).click();
  await rowOf('right').waitFor({ state: 'detached' });
  await rowOf('wrong').getByRole('button', { name: 'Roll back' }).click();
  await dialog.getByRole('button', { name: 'Roll back' }).click();
  await rowOf('wrong').waitFor({ state: 'detached' });
  const decisions = page.getByRole('table', { name: 'Decisions' });
  await decisions.getByText('committed', { exact: true }).waitFor();
  await decisions.getByText('rolled back', { exact: true }).waitFor();
  await world.browser.picture('transactions');
  expect(await world.browser.accessibility()).toEqual([]);
  const [message] = await receive(consumer, 1);
  expect(Buffer.from(message!.body).toString()).toBe('right');
  await consumer.ack(message!);
}, 120_000);

it('a message group that waits is shown with its message, its holder and how much is behind it', async () => {
  const { page } = world.browser;
  await createTopic(world.broker, { name: 'steps', type: 'fifo', writeQueues: 1 });
  await admin(world.broker, 'POST', '/groups', { name: 'workers', fifo: true });
  const producer = await world.clients.producer({ topics: ['steps'] });
  for (const [messageGroup, body] of [
    ['stuck', 'one'],
    ['stuck', 'two'],
    ['stuck', 'three'],
  ] as const) {
    await producer.send({ topic: 'steps', messageGroup, keys: [body], body: Buffer.from(body) });
  }
  const consumer = await world.clients.simple('workers', 'steps');
  const [held] = await consumer.receive(1, 60_000);
  await world.open('/groups/workers', 'workers');
  const lanes = page.getByRole('table', { name: 'Message groups under way' });
  const row = lanes.getByRole('row').filter({ hasText: 'stuck' });
  await row.waitFor();
  await row.getByText(held!.messageId).waitFor();
  await row.getByText(consumer.clientId).waitFor();
  await world.browser.picture('lanes');
  expect(await world.browser.accessibility()).toEqual([]);
  await row.getByRole('link').click();
  await page.getByText('Delivered').first().waitFor();
  await consumer.ack(held!);
  const [second] = await receive(consumer, 1);
  await page.goBack();
  await lanes.getByText(second!.messageId).waitFor();
  await consumer.ack(second!);
}, 120_000);

it('a client is shown with what it is and does, and says where it stands when it is asked', async () => {
  const { page } = world.browser;
  await createTopic(world.broker, { name: 'jobs', type: 'normal', writeQueues: 1 });
  const consumer = await world.clients.simple('runners', 'jobs', 'urgent');
  await consumer.receive(1, 15_000);
  const other = await world.clients.simple('runners', 'jobs', 'slow');
  const producer = await world.clients.producer({ topics: ['jobs'] });
  const wrong = producer.send({ topic: 'jobs', tag: 'two|tags', body: Buffer.from('x') });
  await expect(wrong).rejects.toThrow();
  await world.open('/clients', 'Clients');
  await page.getByLabel('State').selectOption('refused');
  const refused = page.getByRole('table', { name: 'Clients' }).getByRole('row').filter({ hasText: producer.clientId });
  await refused.getByText('SendMessage: ILLEGAL_MESSAGE_TAG').waitFor();
  await page.getByText(other.clientId).waitFor({ state: 'detached' });
  await world.browser.picture('clients');
  expect(await world.browser.accessibility()).toEqual([]);
  await page.getByLabel('State').selectOption('otherFilter');
  await page.getByRole('row').filter({ hasText: other.clientId }).getByText('other filters in its group').waitFor();
  await page.getByLabel('State').selectOption('');
  await page.getByLabel('Client id contains').fill(consumer.clientId);
  const row = page.getByRole('table', { name: 'Clients' }).getByRole('row').filter({ hasText: consumer.clientId });
  await row.getByText('jobs (urgent)').waitFor();
  await page.getByText(producer.clientId).waitFor({ state: 'detached' });
  await row.getByRole('button', { name: 'Stack trace' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Ask the client' }).click();
  await dialog.getByLabel('Stack trace', { exact: true }).waitFor();
  expect(await world.browser.accessibility()).toEqual([]);
  await world.browser.picture('client-stack');
  await dialog.getByRole('button', { name: 'Close' }).first().click();
}, 120_000);

it('an alert fires, is silenced and let speak again, is over, and its history is kept', async () => {
  const { page } = world.browser;
  await createTopic(world.broker, { name: 'bills', type: 'normal', writeQueues: 1 });
  const consumer = await world.clients.simple('slow', 'bills');
  const producer = await world.clients.producer({ topics: ['bills'] });
  await producer.send({ topic: 'bills', body: Buffer.from('first') });
  const [first] = await receive(consumer, 1);
  await consumer.ack(first!);
  for (let i = 0; i < 5; i += 1) await producer.send({ topic: 'bills', body: Buffer.from(`${i}`) });
  await world.open('/alerts', 'Alerts');
  const firing = page.getByRole('table', { name: 'Wrong now' });
  const row = firing.getByRole('row').filter({ hasText: '5 messages wait for group slow' });
  await row.getByRole('button', { name: 'Silence' }).click();
  await row.getByRole('button', { name: 'End silence' }).click();
  await row.getByRole('button', { name: 'Silence' }).waitFor();
  await world.browser.picture('alerts');
  expect(await world.browser.accessibility()).toEqual([]);
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
    const { history: events } = await admin<{ history: { event: string; key: string }[] }>(
      world.broker,
      'GET',
      '/alerts',
    );
    return events.some(({ event, key }) => event === 'resolved' && key === 'consumerLag/slow');
  });
  await history.getByText('over', { exact: true }).first().waitFor();
}, 120_000);
