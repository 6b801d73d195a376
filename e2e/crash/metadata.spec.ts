// Goal: messages outlive the loss of the metadata, and come back with their topics and the progress of their groups.
// Method: a real process whose metadata is deleted, and the official client.
import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { Producer, SimpleConsumer } from 'rocketmq-client-nodejs';

import { admin, createTopic } from '../support/admin.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const quiet = { info: ignore, warn: ignore, error: ignore, debug: ignore } as never;
function ignore(): void {
  // The client's own log.
}

interface Named {
  readonly name: string;
  readonly id: number;
}

describe('metadata that is lost', () => {
  let broker: Standalone;
  const open: { shutdown(): Promise<void> }[] = [];
  const start = (...args: string[]) => broker.start(['--segment-bytes=16777216', ...args]);
  const metadata = (): string => join(broker.dataDir, 'metadata');

  beforeEach(async () => {
    broker = new Standalone();
    await start();
    await createTopic(broker, { name: 'orders', type: 'normal', writeQueues: 3 });
    const producer = new Producer({ endpoints: broker.endpoints, namespace: '', topics: ['orders'], logger: quiet });
    await producer.startup();
    for (let i = 0; i < 6; i += 1) await producer.send({ topic: 'orders', body: Buffer.from(`m${i}`) });
    await producer.shutdown();
  });
  afterEach(async () => {
    for (const client of open.splice(0)) await client.shutdown();
    await broker.stop();
  });

  async function received(count: number): Promise<string[]> {
    const consumer = new SimpleConsumer({
      endpoints: broker.endpoints,
      namespace: '',
      consumerGroup: 'readers',
      subscriptions: new Map([['orders', '*']]),
      awaitDuration: 1_000,
      logger: quiet,
    });
    await consumer.startup();
    open.push(consumer);
    const found: string[] = [];
    await until(`${count} messages`, async () => {
      for (const message of await consumer.receive(Math.min(16, count - found.length), 15_000)) {
        found.push(message.body.toString());
        await consumer.ack(message);
      }
      return found.length >= count;
    });
    for (const client of open.splice(0)) await client.shutdown();
    return found.sort();
  }

  const names = (path: string): Promise<string[]> =>
    admin<{ items: Named[] }>(broker, 'GET', path).then(({ items }) => items.map(({ name }) => name).sort());
  const idOf = async (path: string): Promise<number> => (await admin<Named>(broker, 'GET', path)).id;

  /** Every byte of the broker's log, in short. */
  function log(): string[] {
    const folder = join(broker.dataDir, 'broker/log');
    return readdirSync(folder)
      .filter((name) => name.endsWith('.log'))
      .sort()
      .map(
        (name) =>
          `${name} ${createHash('sha256')
            .update(readFileSync(join(folder, name)))
            .digest('hex')}`,
      );
  }

  it('is refused, and comes back from the log: topics, groups, progress, ids', async () => {
    const first = await received(2);
    const id = await idOf('/topics/orders');
    await broker.program.stop();
    rmSync(metadata(), { recursive: true });
    const before = log();
    for (let tries = 0; tries < 3; tries += 1) {
      await expect(start()).rejects.toThrow(
        /belongs to cluster .*it is another one, or was emptied.*--adopt-metadata/s,
      );
    }
    expect(log()).toEqual(before);

    await start('--adopt-metadata');
    expect(await names('/topics')).toEqual(['orders']);
    expect(await names('/groups')).toEqual(['readers']);
    expect(await admin(broker, 'GET', '/topics/orders')).toMatchObject({ id, writeQueues: 3 });
    await createTopic(broker, { name: 'new', type: 'normal' });
    expect(await idOf('/topics/new')).toBeGreaterThan(id);
    const rest = await received(4);
    expect([...first, ...rest].sort()).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5']);

    await broker.program.stop();
    await start();
    expect(await names('/topics')).toEqual(['new', 'orders']);
  }, 120_000);

  it('knows an older copy of the broker’s folder, and a folder that is lost', async () => {
    await broker.program.stop();
    const folder = join(broker.dataDir, 'broker');
    const copy = join(broker.dataDir, 'copy-of-broker');
    cpSync(folder, copy, { recursive: true });
    await start();
    await broker.program.stop();
    rmSync(folder, { recursive: true });
    cpSync(copy, folder, { recursive: true });
    await expect(start()).rejects.toThrow(/its data folder is an older copy.*--forget-members/s);
    await start('--forget-members');
    expect(await names('/topics')).toEqual(['orders']);
    await broker.program.stop();
    rmSync(folder, { recursive: true });
    await expect(start()).rejects.toThrow(/not one of those that hold all acknowledged messages.*--forget-members/s);
    await start('--forget-members');
    expect(await names('/topics')).toEqual(['orders']);
  }, 120_000);

  it('is told from an older copy of itself, which deletes nothing', async () => {
    await broker.program.stop();
    const copy = join(broker.dataDir, 'copy');
    cpSync(metadata(), copy, { recursive: true });
    await start();
    await createTopic(broker, { name: 'later', type: 'normal' });
    await broker.program.stop();
    rmSync(metadata(), { recursive: true });
    cpSync(copy, metadata(), { recursive: true });
    await expect(start()).rejects.toThrow(/it is older, probably restored from a backup/);
    await start('--adopt-metadata');
    expect(await names('/topics')).toEqual(['later', 'orders']);
    expect(await received(6)).toHaveLength(6);
  }, 120_000);
});

// Goal: the single process starts on any folder it has ever made. Its member has stood in the metadata at `local` from the
// first release on, and a presence that a crash left behind is taken for another process's where the address differs.
it('is where the member of the single process stands at "local", now as ever', async () => {
  const broker = new Standalone();
  try {
    await broker.start();
    await broker.program.kill();
    expect(journalOf(broker)).toContain(String.raw`\"address\":\"local\"`);
    await broker.start();
    await broker.program.stop();
    await broker.start();
    const { brokerSets } = await admin<{ brokerSets: unknown[] }>(broker, 'GET', '/broker-sets');
    expect(brokerSets).toMatchObject([{ members: [{ address: 'local', leads: true }] }]);
  } finally {
    await broker.stop();
  }
}, 120_000);

function journalOf({ dataDir }: Standalone): string {
  const folder = join(dataDir, 'metadata');
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('');
}
