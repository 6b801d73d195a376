/**
 * Goal: with users on, the official Node.js client does all it does without, as a user that may just send and receive; nobody else
 * does anything, and who is taken its rights feels it within a second. Method: the program as it is started, over its own ports.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { Clients, type Door } from '../support/clients.js';
import { clientStories, shortPolls } from '../support/client-stories.js';
import { root } from '../support/process.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const broker = new Standalone();
let admin: { user: string; secret: string };
let adminToken = '';
let service: { accessKey: string; accessSecret: string };

const api = (path: string): string => `http://127.0.0.1:${broker.adminPort}/api/v1${path}`;

async function rest(method: string, path: string, body?: object, token = adminToken): Promise<Response> {
  return fetch(api(path), {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
}

async function userOf(draft: object): Promise<{ accessKey: string; accessSecret: string }> {
  const made = (await (await rest('POST', '/users', draft)).json()) as { name: string; secret: string };
  return { accessKey: made.name, accessSecret: made.secret };
}

beforeAll(async () => {
  await broker.start([shortPolls, '--users', '--proxy-host=0.0.0.0']);
  const file = join(broker.dataDir, 'identity/admin');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const [user = '', secret = ''] = readFileSync(file, 'utf8').trim().split(' ');
  admin = { user, secret };
  await until('the admin is there', async () => {
    const answer = await fetch(api('/login'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(admin),
    });
    if (answer.ok) ({ token: adminToken } = (await answer.json()) as { token: string });
    return answer.ok;
  });
  service = await userOf({ name: 'service', produce: ['*'], consume: [{ topics: '*', group: '*' }] });
});
afterAll(() => broker.stop());

/** In a process of its own: what could not start keeps timers that nothing ends. */
function startOf(user: { accessKey: string; accessSecret: string }): Promise<string> {
  return saidBy(user, 'users-plain', `await new Producer({ ...common, topics: [topic] }).startup();`);
}

/** What comes of it: 'done', or why not. @param act sees the package, `common` options of a client, and `topic` */
async function saidBy(user: { accessKey: string; accessSecret: string }, topic: string, act: string): Promise<string> {
  const common = { endpoints: broker.endpoints, namespace: '', sessionCredentials: user };
  const program = `const { Producer, SimpleConsumer } = require('rocketmq-client-nodejs');
    const [common, topic] = ${JSON.stringify([common, topic])};
    (async () => { ${act} })().then(() => 'done', String).then((said) => {
      process.stdout.write(said);
      process.exit();
    });`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], { cwd: root, timeout: 60_000 });
  return stdout;
}

/** The official client in a process of its own, sending to both topics again and again. */
class Sender {
  private last = '';
  private readonly child: ChildProcess;

  constructor(user: { accessKey: string; accessSecret: string }) {
    const options = { endpoints: broker.endpoints, namespace: '', sessionCredentials: user, topics: ['orders'] };
    const program = `const { Producer } = require('rocketmq-client-nodejs');
      const producer = new Producer(${JSON.stringify(options)});
      const send = (topic) => producer.send({ topic, body: Buffer.from('x') }).then(() => topic + ': sent', () => topic + ': refused');
      (async () => {
        await producer.startup();
        for (;;) process.stdout.write((await send('orders')) + ', ' + (await send('others')) + '\\n');
      })();`;
    this.child = spawn(process.execPath, ['-e', program], { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
    this.child.stdout?.on('data', (chunk: Buffer) => (this.last = chunk.toString().trim().split('\n').at(-1) ?? ''));
  }

  async says(...words: string[]): Promise<void> {
    await until(words.join(', '), () => Promise.resolve(this.last === words.join(', ')));
  }

  end(): void {
    this.child.kill('SIGKILL');
  }
}

const door = (user = service): Door => ({
  endpoints: broker.endpoints,
  tls: false,
  restUrl: `http://127.0.0.1:${broker.adminPort}`,
  user: { ...user, adminToken },
});
const clientsOf = (user?: { accessKey: string; accessSecret: string }): Clients =>
  new Clients(
    () => import('rocketmq-client-nodejs'),
    () => door(user),
  );

describe('the official Node.js client, with users on', () => {
  clientStories(clientsOf(), 'users');
});

it('nobody else gets in', async () => {
  const strangers = [
    { accessKey: 'service', accessSecret: 'a guess' },
    { accessKey: 'nobody', accessSecret: service.accessSecret },
  ];
  for (const stranger of strangers) expect(await startOf(stranger)).toContain('Startup the rocketmq client failed');
  expect(await startOf(service)).toBe('done');
  expect((await rest('GET', '/topics', undefined, 'x')).status).toBe(401);
  expect((await fetch(api('/topics'))).status).toBe(401);
  expect((await fetch(api('/health'))).status).toBe(200);
});

it('a user is refused what it may not, and everything once it is disabled, though its client is connected', async () => {
  await rest('POST', '/topics', { name: 'orders' });
  await rest('POST', '/topics', { name: 'others' });
  const sender = new Sender(await userOf({ name: 'shop', produce: ['orders'] }));
  try {
    await sender.says('orders: sent', 'others: refused');
    await rest('PATCH', '/users/shop', { enabled: false });
    await sender.says('orders: refused', 'others: refused');
    await rest('PATCH', '/users/shop', { enabled: true });
    await sender.says('orders: sent', 'others: refused');
  } finally {
    sender.end();
  }
});

describe('the audit log', () => {
  const topic = 'rmq_sys_audit_log';
  let clients: Clients | undefined;
  afterEach(() => clients?.end());

  /** What the official client is given of the audit log, until so much of it is there. */
  async function read(auditor: { accessKey: string; accessSecret: string }, all: (operations: string[]) => boolean) {
    clients = clientsOf(auditor);
    const consumer = await clients.simple('siem', topic);
    const found: { readonly operation: string; readonly user?: string; readonly decision: string }[] = [];
    await until('lines of the audit log', async () => {
      for (const message of await consumer.receive(32, 15_000)) {
        found.push(JSON.parse(message.body.toString()) as (typeof found)[number]);
        await consumer.ack(message);
      }
      return all(found.map(({ operation }) => operation));
    });
    return found;
  }

  it('is read by an auditor, in order, also what was written before the program was killed', async () => {
    const auditor = await userOf({ name: 'siem', audit: ['siem'] });
    await rest('POST', '/topics', { name: 'audited-1' });
    await broker.program.kill();
    await broker.start([shortPolls, '--users', '--proxy-host=0.0.0.0']);
    await until('it lets in', async () => (await rest('POST', '/topics', { name: 'audited-2' })).status === 201);
    const lines = await read(
      auditor,
      (operations) => operations.includes('createUser') && operations.at(-1) === 'createTopic',
    );
    const made = lines.flatMap((line) => {
      const { change } = line as { change?: { name?: string } };
      return line.operation === 'createTopic' && line.decision === 'done' ? [change?.name] : [];
    });
    const ours = made.filter((name) => name?.startsWith('audited-'));
    expect([...new Set(ours)]).toEqual(['audited-1', 'audited-2']);
    expect(lines.find(({ operation }) => operation === 'createUser')).toMatchObject({
      user: 'admin',
      decision: 'done',
    });
  });

  it('is nobody else’s: who may receive from all topics does not, and nobody sends to it or deletes it', async () => {
    const consumer = `new SimpleConsumer({ ...common, consumerGroup: 'others', subscriptions: new Map([[topic, '*']]) })`;
    expect(await saidBy(service, topic, `await ${consumer}.startup();`)).toContain(
      'Startup the rocketmq client failed',
    );
    const send = `const producer = new Producer(common);
      await producer.startup();
      await producer.send({ topic, body: Buffer.from('{}') });`;
    expect(await saidBy({ accessKey: admin.user, accessSecret: admin.secret }, topic, send)).not.toBe('done');
    expect((await rest('DELETE', `/topics/${topic}`)).status).toBe(400);
    const listed = (await (await rest('GET', '/topics?inner=false&limit=1000')).json()) as {
      items: { name: string }[];
    };
    expect(listed.items.map(({ name }) => name)).not.toContain(topic);
  });
});

it('the command line signs what it sends, once logged in', async () => {
  const [file, bundle] = [join(broker.dataDir, 'identity/admin'), join(root, 'dist/apps/cli/main.cjs')];
  const env = { HOME: broker.dataDir, PATH: process.env['PATH'] };
  const at = ['--api', `http://127.0.0.1:${broker.adminPort}`, '--endpoint', broker.endpoints];
  const comet = async (...argv: string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, [bundle, ...argv], { env, timeout: 60_000 })).stdout;
  await expect(comet('send', 'greetings', 'hello', ...at)).rejects.toThrow('access key');
  await comet('login', '--secret-file', file, ...at);
  await comet('send', 'greetings', 'hello');
  expect(await comet('receive', 'greetings', '--group', 'readers', '-o', 'json')).toContain('hello');
});

it('no secret is in what was said, nor in clear on disk but for the file of the admin', async () => {
  await broker.program.stop();
  const secrets = [admin.secret, service.accessSecret];
  for (const secret of secrets) expect(broker.program.said).not.toContain(secret);
  for (const file of ['snapshot', 'journal']) {
    const bytes = readFileSync(join(broker.dataDir, 'metadata', file), { flag: 'a+' });
    for (const secret of secrets) expect(bytes.includes(secret)).toBe(false);
  }
  await broker.start([shortPolls]);
  expect((await fetch(api('/topics'))).status).toBe(401); // Users are there, so they are asked for.
});
