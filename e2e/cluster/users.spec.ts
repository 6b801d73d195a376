/**
 * Goal: in a cluster of processes nobody is let in but users, and a change is felt by every proxy within a second; between the
 * processes nobody is let in but themselves. Method: the processes as they are started, two proxies, a client that keeps nothing.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';

import { ownHeaders, Secret } from '@cometmq/auth';
import { PublicClient } from '@cometmq/client';
import { GrpcJsChannel } from '@cometmq/rpc';
import { MqError, Prng, systemClock } from '@cometmq/shared';

import { certificateFiles, renewCertificate, type CertifiedRole } from '../../tools/cluster/certificates.ts';
import { freshCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

let cluster: Awaited<ReturnType<typeof freshCluster>>;
let token = '';
const channels: GrpcJsChannel[] = [];

beforeAll(async () => {
  cluster = await freshCluster({ users: true });
  const [user = '', secret = ''] = readFileSync(join(cluster.home, 'identity/admin'), 'utf8').trim().split(' ');
  token = await until('the admin is there', async () => {
    const answer = await rest('POST', '/login', { user, secret });
    return answer.ok && ((await answer.json()) as { token: string }).token;
  });
});
afterAll(async () => {
  for (const channel of channels) channel.close();
  await cluster.end();
});

function rest(method: string, path: string, body?: object): Promise<Response> {
  return fetch(`${cluster.restUrl}/api/v1${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...(token !== '' && { authorization: `Bearer ${token}` }) },
    ...(body && { body: JSON.stringify(body) }),
  });
}

function clientOf(proxy: number, user?: { name: string; secret: string }): PublicClient {
  const channel = new GrpcJsChannel({ address: cluster.proxies[proxy]?.address ?? '', clock: systemClock });
  channels.push(channel);
  const sign = (path: string, body: Uint8Array): Readonly<Record<string, string>> =>
    user ? ownHeaders(user.name, new Secret(user.secret), { path, body, nowMs: Date.now() }) : {};
  return new PublicClient({ channel, clock: systemClock, chance: new Prng(channels.length), sign });
}

const codeOf = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'OK',
    (caught: unknown) => MqError.from(caught).code,
  );

it('lets in users alone, and feels their changes everywhere within a second', async () => {
  const made = await rest('POST', '/users', { name: 'shop', produce: ['orders'] });
  const user = (await made.json()) as { name: string; secret: string };
  const proxies = [0, 1];
  const clients = proxies.map((proxy) => clientOf(proxy, user));
  const sends = (): Promise<string[]> =>
    Promise.all(clients.map((client) => codeOf(client.send([{ topic: 'orders', body: Buffer.from('x') }]))));
  const within = async (change: object, expected: string): Promise<void> => {
    await rest('PATCH', '/users/shop', change);
    await until(expected, async () => (await sends()).every((code) => code === expected), 1_000);
  };
  let last: string[] = [];
  await until(
    () => `OK, not ${last.join(', ')}`,
    async () => (last = await sends()).every((code) => code === 'OK'),
  );
  await within({ enabled: false }, 'UNAUTHORIZED');
  await within({ enabled: true }, 'OK');
  await within({ newSecret: true }, 'UNAUTHORIZED');

  for (const stranger of [undefined, { name: 'shop', secret: 'a guess' }]) {
    const codes = proxies.map((proxy) =>
      codeOf(clientOf(proxy, stranger).send([{ topic: 'orders', body: Buffer.from('x') }])),
    );
    expect(await Promise.all(codes)).toEqual(['UNAUTHORIZED', 'UNAUTHORIZED']);
  }
});

/** The serial number of the certificate that is shown to one of our processes; undefined: the connection is refused. */
function shownAt(address: string, as: CertifiedRole | undefined): Promise<string | undefined> {
  const [host = '', port = ''] = address.split(':');
  const { ca, cert, key } = certificateFiles(cluster.home, as ?? 'ca');
  const ours = as && { cert: readFileSync(cert), key: readFileSync(key) };
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port: Number(port),
      ca: readFileSync(ca),
      servername: 'localhost',
      ALPNProtocols: ['h2'],
      ...ours,
    });
    let serial: string | undefined;
    socket.on('secureConnect', () => {
      serial = socket.getPeerCertificate().serialNumber;
      socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
    });
    // A server that wants a certificate says so after the handshake; one that is content sends its settings.
    socket.on('data', () => {
      resolve(serial);
      socket.destroy();
    });
    socket.on('error', () => resolve(undefined));
    socket.on('close', () => resolve(undefined));
  });
}

it('between the processes, and at etcd, nobody is let in without a certificate of the cluster’s', async () => {
  for (const { address } of [...cluster.etcds, ...cluster.namesrvs, ...cluster.brokers]) {
    expect(await shownAt(address, undefined)).toBeUndefined();
    expect(await shownAt(address, 'namesrv')).toMatch(/./);
    const channel = new GrpcJsChannel({ address, clock: systemClock });
    channels.push(channel);
    const plain = channel.unary('/cometmq.v1.NamingService/DeleteTopic', Buffer.alloc(0));
    expect(await codeOf(plain)).toBe('UNAVAILABLE');
  }
  for (const { address } of cluster.etcds) expect(await shownAt(address, 'broker')).toBeUndefined();
});

it('renewed certificates are served while messages are sent, and no send fails', async () => {
  const made = await rest('POST', '/users', { name: 'renewal', produce: ['orders'] });
  const client = clientOf(0, (await made.json()) as { name: string; secret: string });
  const send = (): Promise<string> => codeOf(client.send([{ topic: 'orders', body: Buffer.from('x') }]));
  await until('the user is known', async () => (await send()) === 'OK');
  const internal = [...cluster.namesrvs, ...cluster.brokers];
  const serials = (): Promise<(string | undefined)[]> =>
    Promise.all(internal.map(({ address }) => shownAt(address, 'proxy')));
  const before = await serials();
  const roles = ['namesrv', 'broker', 'proxy', 'dashboard-api'] as const;
  for (const role of roles) await renewCertificate(cluster.home, role);
  const failures: string[] = [];
  await until('all show another certificate', async () => {
    const code = await send();
    if (code !== 'OK') failures.push(code);
    return (await serials()).every((serial, i) => serial !== undefined && serial !== before[i]);
  });
  // With the new ones new connections are made, too.
  await cluster.brokers[0]?.kill();
  await cluster.brokers[0]?.start();
  await until('messages are taken again', async () => (await send()) === 'OK');
  expect(failures).toEqual([]);
});

it('no secret is in etcd or in what was said', () => {
  const [, secret = ''] = readFileSync(join(cluster.home, 'identity/admin'), 'utf8').trim().split(' ');
  for (const { name } of cluster.processes) {
    expect(readFileSync(join(cluster.home, 'logs', `${name}.log`), 'utf8')).not.toContain(secret);
  }
});
