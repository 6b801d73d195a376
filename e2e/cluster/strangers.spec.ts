/**
 * Goal: who has no credentials, or none that are good for what it asks, gets nothing at any port of a cluster with users, and what was
 * begun ends within a second when they are taken away. Method: the processes as they are started; every method of every service and
 * every page at every port, with nothing, with garbage, with a program's token of a user without policies, and with the certificate
 * of each of our processes at the calls that are for another one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';

import { ownHeaders, Secret } from '@cometmq/auth';
import { processCallers, PublicClient } from '@cometmq/client';
import { GrpcJsChannel } from '@cometmq/rpc';
import { Prng, systemClock } from '@cometmq/shared';

import { certificateFiles } from '../../tools/cluster/certificates.ts';
import type { ClusterProcess } from '../../tools/cluster/process.ts';
import { freshCluster } from '../support/cluster.js';
import { root } from '../support/process.js';
import { until } from '../support/until.js';
import { methodsIn, tooMuch, tryDoors, type Brought, type Door } from '../kubernetes/stranger-calls.ts';

let cluster: Awaited<ReturnType<typeof freshCluster>>;
let admin: { readonly name: string; readonly secret: string };
let token = '';
let methods: string[];
let doors: Door[];

const doorOf = ({ name }: ClusterProcess, url: string): Door => ({
  ...{ name, host: '127.0.0.1', port: Number(url.split(':').at(-1)) },
});

beforeAll(async () => {
  cluster = await freshCluster({ users: true });
  const [name = '', secret = ''] = readFileSync(join(cluster.home, 'identity/admin'), 'utf8').trim().split(' ');
  admin = { name, secret };
  token = await until('the admin is there', async () => {
    const answer = await rest('POST', '/login', { user: name, secret });
    return answer.ok && ((await answer.json()) as { token: string }).token;
  });
  const files = readdirSync(join(root, 'proto'), { recursive: true, encoding: 'utf8' });
  methods = methodsIn(
    files.filter((each) => each.endsWith('.proto')).map((each) => readFileSync(join(root, 'proto', each), 'utf8')),
  );
  doors = cluster.processes.flatMap((one) => [doorOf(one, one.address), doorOf(one, one.watchUrl)]);
}, 180_000);
afterAll(() => cluster.end());

function rest(method: string, path: string, body?: object): Promise<Response> {
  return fetch(`${cluster.restUrl}/api/v1${path}`, {
    method,
    headers: {
      ...(body && { 'content-type': 'application/json' }),
      ...(token !== '' && { authorization: `Bearer ${token}` }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
}
async function made<T>(path: string, body: object): Promise<T> {
  const answer = await rest('POST', path, body);
  expect(answer.status).toBe(201);
  return (await answer.json()) as T;
}
const readsOrders = [{ resource: 'Topic:orders', actions: ['get'] }];

async function sendMany(): Promise<void> {
  const channel = new GrpcJsChannel({ address: cluster.proxies[0]?.address ?? '', clock: systemClock });
  const sign = (path: string, body: Uint8Array): Readonly<Record<string, string>> =>
    ownHeaders(admin.name, new Secret(admin.secret), { path, body, nowMs: Date.now() });
  const client = new PublicClient({ channel, clock: systemClock, chance: new Prng(1), sign });
  const message = { topic: 'orders', body: Buffer.alloc(65_536, 'x') };
  // Several times what one part of a search looks at.
  for (let i = 0; i < 40; i += 1) await client.send(Array.from({ length: 40 }, () => message));
  channel.close();
}

interface Stream {
  text: string;
  readonly status: number | undefined;
  readonly closed: Promise<void>;
}
function searched(bearer?: string): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const url = `${cluster.restUrl}/api/v1/messages/search?topic=orders&text=nowhere`;
    const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
    const asked = request(url, { headers }, (answer: IncomingMessage) => {
      const closed = new Promise<void>((over) => answer.once('close', over));
      const stream: Stream = { text: '', status: answer.statusCode, closed };
      answer.on('data', (piece: Buffer) => (stream.text += piece.toString())).on('error', () => undefined);
      resolve(stream);
    });
    asked.on('error', reject).end();
  });
}

// A broker that stands still keeps each search open, however fast the machine is.
it('a stream of the REST API ends within a second of the token or the user it was asked by', async () => {
  await rest('POST', '/topics', { name: 'orders' });
  await until(
    'orders takes messages',
    () =>
      sendMany().then(
        () => true,
        () => false,
      ),
    60_000,
  );
  for (const bearer of [undefined, 'comet1.e30.x', 'garbage']) expect((await searched(bearer)).status).toBe(401);

  const ends = [
    ['a token is revoked', (id: string, name: string) => rest('DELETE', `/users/${name}/tokens/${id}`)],
    ['a user is disabled', (_: string, name: string) => rest('PATCH', `/users/${name}`, { enabled: false })],
    ['a user has another secret', (_: string, name: string) => rest('PATCH', `/users/${name}`, { newSecret: true })],
    ['a user may no more', (_: string, name: string) => rest('PUT', `/users/${name}/policies`, { policies: [] })],
    ['a user is deleted', (_: string, name: string) => rest('DELETE', `/users/${name}`)],
  ] as const;
  const { pid } = cluster.brokers[0] ?? {};
  if (pid === undefined) throw new Error('the broker runs');
  for (const [at, [what, end]] of ends.entries()) {
    const { name } = await made<{ name: string }>('/users', { name: `reader-${at}`, policies: readsOrders });
    const { id, token: own } = await made<{ id: string; token: string }>(`/users/${name}/tokens`, { name: 'reader' });
    const stream = await searched(own);
    expect(stream.status).toBe(200);
    process.kill(pid, 'SIGSTOP');
    try {
      await until('it goes on', () => stream.text.includes('event: progress'));
      expect(stream.text).not.toContain('event: end');
      const answer = await end(id, name);
      expect({ what, status: answer.ok }).toEqual({ what, status: true });
      const fromMs = Date.now();
      await stream.closed;
      expect({ what, inTime: Date.now() - fromMs < 1_000 }).toEqual({ what, inTime: true });
      expect(stream.text).toMatch(/event: problem\ndata: [^\n]*(UNAUTHORIZED|FORBIDDEN)[^\n]*\n\n$/);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  }
}, 180_000);

/** For all but name servers. */
const watch = '/cometmq.v1.NamingService/Watch';

it('a certificate is good for the calls of its role, and for no other', async () => {
  const internal = [...cluster.namesrvs, ...cluster.brokers].map((one) => doorOf(one, one.address));
  for (const role of ['namesrv', 'broker', 'proxy', 'dashboard-api', 'etcd'] as const) {
    const { cert, key } = certificateFiles(cluster.home, role);
    const brought = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
    const ofOthers = methods.filter((path) => processCallers.get(path)?.some((one) => one === role) !== true);
    expect(ofOthers.length).toBeGreaterThan(20);
    const tried = await tryDoors(internal, [...ofOthers, watch], brought);
    const given = tooMuch(tried).map((line) => line.replace(/:\d+ /, ' '));
    // What it may hear it hears: it was let in.
    const own = cluster.namesrvs.map(({ name }) => `${name} grpcs ${watch}`);
    const isListener = processCallers.get(watch)?.some((one) => one === role) === true;
    expect({ role, given, open: tried.open }).toEqual({ role, given: isListener ? own : [], open: internal.length });
    const etcd = cluster.etcds.map((one) => doorOf(one, one.address));
    if (role !== 'namesrv' && role !== 'etcd') expect(tooMuch(await tryDoors(etcd, methods, brought))).toEqual([]);
  }
}, 180_000);

it('a user without policies is given lists that are empty, and nothing of anybody', async () => {
  await made('/users', { name: 'nobody' });
  const { token: own } = await made<{ token: string }>('/users/nobody/tokens', { name: 'all' });
  const tried = await tryDoors(doors, methods, { headers: { authorization: `Bearer ${own}` } });
  const beside = [/ GET \/api\/v1\/(topics|groups)$/];
  expect(tooMuch(tried).filter((line) => !beside.some((open) => open.test(line)))).toEqual([]);
  const answer = await fetch(`${cluster.restUrl}/api/v1/topics`, { headers: { authorization: `Bearer ${own}` } });
  expect(await answer.json()).toMatchObject({ items: [] });
}, 120_000);

it.each<[string, Brought]>([
  ['nothing', {}],
  ['garbage', { headers: { authorization: 'Bearer comet1.e30.x', cookie: `cometmq-session=${'='.repeat(900)}` } }],
  [
    'a signature that is wrong',
    {
      headers: {
        authorization: `MQv2-HMAC-SHA1 Credential=admin, SignedHeaders=x-mq-date-time, Signature=${'0'.repeat(40)}`,
        'x-mq-date-time': '20261201T000000Z',
      },
    },
  ],
])(
  'who brings %s is given nothing at any port but what the documents list as open',
  async (_, brought) => {
    expect(methods).toEqual(
      expect.arrayContaining(['/cometmq.v1.BrokerService/AppendAudit', '/etcdserverpb.KV/Range']),
    );
    const tried = await tryDoors(doors, methods, brought);
    expect(tooMuch(tried)).toEqual([]);
    expect(tried.shut).toBe(0);
    // It does hear what is open, so it would hear what should not be.
    expect(tried.given).toContainEqual(
      expect.objectContaining({ door: 'proxy-0', what: '/grpc.health.v1.Health/Check' }),
    );
    expect(tried.given).toContainEqual(expect.objectContaining({ door: 'dashboard-api', what: 'GET /api/v1/health' }));
    expect(tried.given).toContainEqual(expect.objectContaining({ door: 'broker-0', what: 'GET /metrics' }));
  },
  120_000,
);
