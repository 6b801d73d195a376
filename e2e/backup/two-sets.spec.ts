// Goal: a cluster of several broker sets is restored whole: each set with its messages, and consumers where they were at each.
// Method: real processes, a real S3 server; what a group has left is counted by the REST API, and then taken.
import { Clients } from '../support/clients.js';
import { freshCluster } from '../support/cluster.js';
import { S3Server } from '../support/s3-server.js';
import { until } from '../support/until.js';

type Restarted = Awaited<ReturnType<typeof freshCluster>>;

const [topic, group] = ['kept', 'auditors'];
/** In one poll, which is served by one set: the other one has never seen the group. */
const taken = 8;
let s3: S3Server | undefined;
const running: Restarted[] = [];

beforeAll(async () => {
  s3 = await S3Server.start();
}, 180_000);
afterAll(async () => {
  for (const each of running) await each.end();
  await s3?.stop();
}, 120_000);

async function clusterOf(flags: readonly string[]): Promise<{ cluster: Restarted; clients: Clients }> {
  const cluster = await freshCluster({ size: { namesrvs: 1, sets: 2, proxies: 1 }, flags: { broker: flags } });
  running.push(cluster);
  const endpoints = cluster.proxies[0]?.address ?? '';
  const door = { endpoints, tls: false, restUrl: cluster.restUrl };
  return {
    cluster,
    clients: new Clients(
      () => import('rocketmq-client-nodejs'),
      () => door,
    ),
  };
}

const take = async (reader: Awaited<ReturnType<Clients['simple']>>, count: number): Promise<string[]> => {
  const found: string[] = [];
  await until(
    () => `${count} messages, ${found.length} came`,
    async () => {
      const messages = await reader.receive(Math.min(16, count - found.length), 60_000);
      await Promise.all(messages.map((message) => reader.ack(message)));
      found.push(...messages.map(({ body }) => body.toString()));
      return found.length >= count;
    },
    60_000,
  );
  return found;
};

it('two sets are restored, each with what consumers had left there', async () => {
  if (!s3) return;
  const flags = s3.flags(`two-${Date.now()}`);
  const old = await clusterOf(flags);
  const producer = await old.clients.producer({ requestTimeout: 10_000 });
  const sent = Array.from({ length: 200 }, (_, i) => `m${i}`);
  for (const body of sent) await producer.send({ topic, body: Buffer.from(body) });
  const done = await take(await old.clients.simple(group, topic), taken);
  const lag = (clients: Clients): Promise<number> =>
    clients.rest<{ lag: number }>('GET', `/groups/${group}`).then(({ lag: found }) => found);
  await until('the lag is told', async () => (await lag(old.clients)) === sent.length - taken);
  await old.clients.rest('POST', '/backups', {});
  interface Sets {
    readonly brokerSets: readonly { readonly brokerSet: string; readonly backups: readonly object[] }[];
  }
  await until('each set has a backup', async () => {
    const { brokerSets } = await old.clients.rest<Sets>('GET', '/backups');
    return brokerSets.length === 2 && brokerSets.every(({ backups }) => backups.length === 1);
  });
  await old.clients.end();
  await old.cluster.stop();

  const restored = await clusterOf([...flags, '--restore-from=latest']);
  expect(await lag(restored.clients)).toBe(sent.length - taken);
  const left = await take(await restored.clients.simple(group, topic), sent.length - taken);
  expect([...done, ...left].sort()).toEqual([...sent].sort());
  expect(await lag(restored.clients)).toBe(0);
  await restored.clients.end();
}, 180_000);
