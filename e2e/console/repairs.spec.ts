// Goal: an operator puts right in a browser what went wrong: dead letters, and what was deleted by mistake. Method: Debian's
// Chromium, the real console of a real system, the official client as its users.
import { receive } from '../support/clients.js';
import { ConsoleWorld } from '../support/console-world.js';
import { admin, createTopic } from '../support/admin.js';

let world: ConsoleWorld;

beforeAll(async () => {
  world = await ConsoleWorld.begin();
}, 180_000);
afterAll(() => world?.end());
afterEach(() => expect(world.faults()).toEqual([]));

it('dead letters are seen by reason and age, replayed one and many, edited and exported; the life of one tells of it', async () => {
  const { page } = world.browser;
  await createTopic(world.broker, { name: 'payments', type: 'normal', writeQueues: 1 });
  await admin(world.broker, 'POST', '/groups', {
    ...{ name: 'ledger', attemptsMax: 1 },
    retryPolicy: { kind: 'customized', nextMs: [10] },
  });
  const producer = await world.clients.producer({ topics: ['payments'] });
  for (let i = 0; i < 3; i += 1) {
    await producer.send({ topic: 'payments', keys: [`pay-${i}`], body: Buffer.from(`{"pay":${i}}`) });
  }
  const consumer = await world.clients.simple('ledger', 'payments');
  await receive(consumer, 3); // Nobody acknowledges: their only attempt ends.
  await world.open('/dead-letters', 'Dead letters');
  await page
    .getByRole('table', { name: 'Dead letters' })
    .getByRole('link', { name: 'ledger' })
    .click({ timeout: 60_000 });
  const table = page.getByRole('table', { name: 'Dead letters: ledger' });
  await table.getByText('pay-2').waitFor({ timeout: 60_000 });
  await page.getByText('Attempts used up · attempt 1').first().waitFor();
  await world.browser.picture('dead-letters');
  expect(await world.browser.accessibility()).toEqual([]);

  const rowOf = (key: string) => table.getByRole('row').filter({ hasText: key });
  await rowOf('pay-0').waitFor({ timeout: 60_000 });
  await rowOf('pay-0').getByRole('button', { name: 'Replay' }).click();
  await page.getByRole('status').getByText('replayed: 1').waitFor();
  const [again] = await receive(consumer, 1);
  expect(Buffer.from(again!.body).toString()).toBe('{"pay":0}');
  await consumer.ack(again!);
  await rowOf('pay-0').getByText('127.0.0.1').waitFor();

  await rowOf('pay-1').getByRole('button', { name: 'Edit' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Body').fill('{"pay":"better"}');
  expect(await world.browser.accessibility()).toEqual([]);
  await world.browser.picture('dead-letter-edit');
  await dialog.getByRole('button', { name: 'Send again' }).click();
  await dialog.waitFor({ state: 'detached' });
  const [better] = await receive(consumer, 1);
  expect(Buffer.from(better!.body).toString()).toBe('{"pay":"better"}');
  await consumer.ack(better!);

  await page.getByRole('button', { name: 'Replay all at a rate' }).click();
  await dialog.getByLabel('Messages a second').fill('50');
  await dialog.getByRole('button', { name: 'Replay', exact: true }).click();
  await page.getByRole('table', { name: 'Replays' }).getByText('done').waitFor();
  const [last] = await receive(consumer, 1);
  expect(Buffer.from(last!.body).toString()).toBe('{"pay":2}');
  await consumer.ack(last!);

  const lines = await (await fetch(`${world.url}/api/v1/dead-letters/ledger/export`)).text();
  expect(lines.trimEnd().split('\n')).toHaveLength(3);
  await rowOf('pay-0').getByRole('link').click();
  await page.getByText('Given to its group again').waitFor();
}, 240_000);

it('a topic that was deleted by mistake is brought back with its messages', async () => {
  const { page } = world.browser;
  await createTopic(world.broker, { name: 'invoices', type: 'normal', writeQueues: 1 });
  const producer = await world.clients.producer({ topics: ['invoices'] });
  for (const body of ['one', 'two']) await producer.send({ topic: 'invoices', body: Buffer.from(body) });
  const consumer = await world.clients.simple('accounts', 'invoices');
  const [first] = await receive(consumer, 1);
  await consumer.ack(first!);
  // Somebody goes on asking: what is deleted is not made again by that, though topics are made by their first use here.
  let stopped = false;
  const asking = (async () => {
    while (!stopped) await consumer.receive(1, 15_000).catch(() => undefined);
  })();
  await world.open('/topics/invoices', 'invoices');
  await page.getByRole('button', { name: 'Delete' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('It holds 2 messages').waitFor();
  await dialog.getByText('It can be brought back for').waitFor();
  await world.browser.picture('topic-delete');
  await dialog.getByLabel('Type “invoices” to confirm').fill('invoices');
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('heading', { level: 1, name: 'Topics' }).waitFor();
  const deleted = page.getByRole('table', { name: 'Deleted' });
  await deleted.getByText('invoices').waitFor();
  await expect(producer.send({ topic: 'invoices', body: Buffer.from('lost') })).rejects.toThrow('was deleted');
  const stranger = await world.clients.producer();
  await expect(stranger.send({ topic: 'invoices', body: Buffer.from('lost') })).rejects.toThrow('was deleted');
  await expect(admin(world.broker, 'GET', '/topics/invoices')).rejects.toThrow('404');
  stopped = true;
  await asking;
  await world.browser.picture('topic-deleted');
  expect(await world.browser.accessibility()).toEqual([]);
  await createTopic(world.broker, { name: 'invoices', type: 'normal', writeQueues: 1 }); // By somebody who asks for it.
  await deleted.getByRole('button', { name: 'Bring back' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Bring back instead' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.getByRole('table', { name: 'Topics' }).getByRole('link', { name: 'invoices' }).click();
  await page.getByRole('heading', { level: 1, name: 'invoices' }).waitFor();
  expect(await admin<{ messages: number }>(world.broker, 'GET', '/topics/invoices')).toMatchObject({ messages: 2 });
  const again = await world.clients.simple('accounts', 'invoices');
  const [second] = await receive(again, 1);
  expect([first, second].map((one) => Buffer.from(one!.body).toString()).sort()).toEqual(['one', 'two']);
  await again.ack(second!);
}, 120_000);
