// Goal: what was acknowledged before a backup is in it, and consumers go on from it exactly where they were then, in a cluster
// that knows nothing of the old one. Method: real processes, a real S3 server, load and acknowledgements all the while; the
// broker is killed in the middle of a backup; what is restored is read to its end and counted.

import { admin, createTopic } from '../support/admin.js';
import { Clients } from '../support/clients.js';
import { S3Server } from '../support/s3-server.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

interface Backup {
  readonly id: string;
  readonly bytes: number;
  readonly newBytes: number;
  readonly takenMs: number;
}
interface Job {
  readonly id: string;
  readonly endedMs?: number;
  readonly bytesDone: number;
  readonly failure?: string;
  readonly problems: readonly string[];
}

const topic = 'orders';
const group = 'billing';
const [later, deals, waiters] = ['reminders', 'deals', 'waiters'];
const small = ['--segment-bytes=1MiB', '--record-bytes-max=512KiB', '--body-bytes-max=256KiB'];

let s3: S3Server | undefined;
const started: World[] = [];
beforeAll(async () => {
  s3 = await S3Server.start();
}, 180_000);
afterAll(async () => {
  for (const each of started) await each.end();
  await s3?.stop();
}, 120_000);

/** One cluster: its process, and clients of it. */
class World {
  readonly broker = new Standalone();
  readonly clients = new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: this.broker.endpoints, tls: false, restUrl: this.api }),
  );

  constructor() {
    started.push(this);
  }

  get api(): string {
    return `http://127.0.0.1:${this.broker.adminPort}`;
  }

  async state(): Promise<{ readonly backups: readonly Backup[]; readonly job?: Job }> {
    const { brokerSets } = await admin<{ brokerSets: { backups: Backup[]; job?: Job }[] }>(
      this.broker,
      'GET',
      '/backups',
    );
    return brokerSets[0] ?? { backups: [] };
  }

  /** @returns its name */
  async begin(path = '/backups'): Promise<string> {
    return (await admin<{ id: string }>(this.broker, 'POST', path, {})).id;
  }

  async over(id: string): Promise<Job> {
    let job: Job | undefined;
    await until(
      `${id} is over`,
      async () => {
        job = (await this.state()).job;
        return job?.id === id && job.endedMs !== undefined;
      },
      60_000,
    );
    return job as Job;
  }

  async backup(): Promise<Backup> {
    const id = await this.begin();
    expect((await this.over(id)).failure).toBeUndefined();
    const found = (await this.state()).backups.find((one) => one.id === id);
    expect(found).toBeDefined();
    return found as Backup;
  }

  /** Clients first: where the broker was away they wait before they connect again, and could not say that they leave. */
  async again(flags: readonly string[], how: 'stop' | 'kill'): Promise<void> {
    await this.clients.end();
    await this.broker.program[how]();
    await this.broker.start(flags);
  }

  async end(): Promise<void> {
    await this.clients.end().catch((caught: unknown) => console.warn(caught));
    await this.broker.stop();
  }
}

type Sender = Awaited<ReturnType<Clients['producer']>>;
type Reader = Awaited<ReturnType<Clients['simple']>>;

const filler = 'x'.repeat(10_000);

async function send(producer: Sender, from: number, to: number): Promise<string[]> {
  const bodies = Array.from({ length: to - from }, (_, i) => `m${from + i}`);
  const workers = Array.from({ length: 8 }, async (_, worker) => {
    for (let i = worker; i < bodies.length; i += 8) {
      await producer.send({ topic, body: Buffer.from(`${bodies[i] ?? ''} ${filler}`) });
    }
  });
  await Promise.all(workers);
  return bodies;
}

/** So many are taken and acknowledged; none comes twice. */
async function take(reader: Reader, count: number): Promise<string[]> {
  const found: string[] = [];
  await until(
    () => `${count} messages, ${found.length} came`,
    async () => {
      const messages = await reader.receive(Math.min(32, count - found.length), 60_000);
      await Promise.all(messages.map((message) => reader.ack(message)));
      found.push(...messages.map(({ body }) => body.toString().split(' ')[0] ?? ''));
      return found.length >= count;
    },
    120_000,
  );
  expect(new Set(found).size).toBe(count);
  return found;
}

const minus = (all: readonly string[], without: readonly string[]): string[] => {
  const gone = new Set(without);
  return all.filter((one) => !gone.has(one)).sort();
};

it('a set is restored with its messages and its consumers, also to a moment between two backups', async () => {
  if (!s3) return;
  const flags = [...s3.flags(`restore-${Date.now()}`), ...small];
  const old = new World();
  await old.broker.start(flags);
  await createTopic(old.broker, { name: later, type: 'delay' });
  await createTopic(old.broker, { name: deals, type: 'transaction' });
  const producer = await old.clients.producer({ requestTimeout: 10_000 });
  const reader = await old.clients.simple(group, topic);
  const waiting = await old.clients.simpleOf(waiters, [later, deals]);
  const sent = await send(producer, 0, 400);
  const done = await take(reader, 120);

  const first = await old.backup();
  expect(first.newBytes).toBe(first.bytes);

  // At the moment that is restored later: one message waits for its time, one transaction for its producer's word.
  const dealer = await old.clients.transactional(deals);
  await producer.send({ topic: later, delay: 3_000, body: Buffer.from('delayed') });
  const transaction = dealer.beginTransaction();
  await dealer.send({ topic: deals, body: Buffer.from('half') }, transaction);
  sent.push(...(await send(producer, 400, 480)));
  done.push(...(await take(reader, 40)));
  const [sentThen, doneThen] = [[...sent], [...done]];
  const thenMs = Date.now() + 10;
  await until('a later moment', () => Date.now() > thenMs + 10, 10_000);
  await transaction.commit();
  await producer.send({ topic: later, delay: 1, body: Buffer.from('after') });
  sent.push(...(await send(producer, 480, 800)));
  done.push(...(await take(reader, 120)));
  expect((await take(waiting, 3)).sort()).toEqual(['after', 'delayed', 'half']);

  const second = await old.backup();
  expect(second.newBytes).toBeLessThan(second.bytes * 0.75); // Sealed segments are there already.

  const page = await (await fetch(`http://127.0.0.1:${old.broker.metricsPort}/metrics`)).text();
  const figure = (name: string): number =>
    Number(new RegExp(`^rocketmq_backup_${name}\\{.*\\} (\\S+)`, 'm').exec(page)?.[1]);
  expect([figure('running'), figure('failures_total')]).toEqual([0, 0]);
  expect(figure('sent_bytes_total')).toBe(first.newBytes + second.newBytes);
  expect(figure('age')).toBeLessThan((Date.now() - second.takenMs) / 1_000 + 60);

  // Killed while the next one is being made: it is none, and the next one is whole.
  await old.again([...flags, '--backup-bytes-per-second=1MiB'], 'stop');
  await old.begin();
  await until('it has begun to read', async () => ((await old.state()).job?.bytesDone ?? 0) > 0, 60_000);
  await old.again(flags, 'kill');
  expect((await old.state()).backups.map(({ id }) => id)).toEqual([second.id, first.id]);
  const third = await old.backup();
  const checked = await old.begin(`/backups/${third.id}/verification`);
  expect(await old.over(checked)).toMatchObject({ problems: [] });
  await old.end();

  // What is left for consumers: all that was sent, but for what they were done with.
  const latest = new World();
  await latest.broker.start([...flags, '--restore-from=latest']);
  const next = await latest.clients.simple(group, topic);
  expect((await take(next, sent.length - done.length)).sort()).toEqual(minus(sent, done));
  const none = await latest.clients.simpleOf(waiters, [later, deals]);
  expect([await next.receive(16, 10_000), await none.receive(16, 10_000)]).toEqual([[], []]);
  // It goes on with the same setting, and takes messages.
  const more = await send(await latest.clients.producer({ requestTimeout: 10_000 }), 5_000, 5_008);
  await latest.again([...flags, '--restore-from=latest'], 'stop');
  expect((await take(await latest.clients.simple(group, topic), 8)).sort()).toEqual(more.sort());
  // Another backup into that folder is refused, and nothing is changed.
  await expect(latest.again([...flags, `--restore-from=${first.id}`], 'stop')).rejects.toThrow(
    'holds what was restored',
  );
  await latest.end();

  const moment = new World();
  await moment.broker.start([...flags, `--restore-from=${new Date(thenMs).toISOString()}`]);
  const then = await moment.clients.simple(group, topic);
  expect((await take(then, sentThen.length - doneThen.length)).sort()).toEqual(minus(sentThen, doneThen));
  // What waited then waits again: one is due by now, of the other the producer is asked.
  const pending = await moment.clients.simpleOf(waiters, [later, deals]);
  expect(await take(pending, 1)).toEqual(['delayed']);
  const { items } = await admin<{ items: { id: string }[] }>(moment.broker, 'GET', `/transactions?topic=${deals}`);
  expect(items).toHaveLength(1);
  await admin(moment.broker, 'POST', `/transactions/${items[0]?.id ?? ''}/commit`, { who: 'ada' });
  expect(await take(pending, 1)).toEqual(['half']);
  expect([await then.receive(16, 10_000), await pending.receive(16, 10_000)]).toEqual([[], []]);
}, 300_000);
