// Goal: a port for processes of our own has room for them, whoever else opens connections and says nothing more. Method: half
// of a TLS handshake, and whole ones that stay silent, from one address of the loopback; a process of ours from another.
import { createConnection, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { systemClock as clock } from '@cometmq/shared';

import { echoService, newEchoNotes } from '../testing/echo.js';
import { greeting } from '../testing/raw-h2-client.js';
import { until } from '../testing/until.js';
import { certifiedBy, newAuthority, type Certified } from '../tls/authority.js';
import { nameOfRole, ProcessTls } from '../tls/process-tls.js';
import type { TlsIdentity } from '../tls/tls-identity.js';
import { FrontDoorServer } from './front-door-server.js';
import type { FrontDoorLimits } from './limits.js';

const [attacker, honest] = ['127.0.0.3', '127.0.0.2'];
const clientHello = Buffer.from('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'latin1');
let authority: Certified;
let broker: TlsIdentity;
let proxy: TlsIdentity;
let server: FrontDoorServer;
const sockets: Socket[] = [];

const identityOf = async (role: 'broker' | 'proxy'): Promise<TlsIdentity> => ({
  ...(await certifiedBy(authority, { names: [nameOfRole(role)], wallMs: clock.wallMs() })),
  caPem: authority.certPem,
});

beforeAll(async () => {
  authority = await newAuthority('ours', clock.wallMs());
  broker = await identityOf('broker');
  proxy = await identityOf('proxy');
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.stop();
});

async function serve(limits: Partial<FrontDoorLimits>): Promise<void> {
  const process = new ProcessTls({ load: () => broker, clock, tell: () => undefined });
  server = new FrontDoorServer({
    ...{
      host: '127.0.0.1',
      port: 0,
      services: [echoService(newEchoNotes())],
      clock,
      log: () => undefined,
      stopMs: 100,
    },
    ...{ internal: { tls: { process, callers: new Map() } }, limits },
  });
  await server.start();
}

function raw(from: string, first: Uint8Array): Socket {
  const socket = createConnection({ port: server.port, host: '127.0.0.1', localAddress: from });
  sockets.push(socket.on('error', () => undefined));
  socket.on('connect', () => first.length > 0 && socket.write(first));
  return socket.resume();
}

/** Resolves when a process of ours has been greeted in HTTP/2. */
async function greeted(from: string): Promise<void> {
  const socket = connectTls({
    ...{ port: server.port, host: '127.0.0.1', localAddress: from, servername: nameOfRole('broker') },
    ...{ ca: authority.certPem, cert: proxy.certPem, key: proxy.keyPem, ALPNProtocols: ['h2'] },
  });
  sockets.push(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('it was closed')));
    socket.once('secureConnect', () => socket.write(greeting));
    socket.once('data', () => resolve());
  });
}

it.each([
  ['halves of TLS handshakes', clientHello],
  ['connections that say nothing', Buffer.alloc(0)],
])('%s have places as all connections have, and no more', async (_what, first) => {
  await serve({ connectionsMax: 20, addressConnectionsMax: 10 });
  for (let i = 0; i < 30; i += 1) raw(attacker, first);
  await until(() => server.seen.refused.address === 20);
  expect(server.seen.connectionsOpen).toBe(10);
  await greeted(honest);
});

it('halves of TLS handshakes give up their places for others', async () => {
  await serve({ connectionsMax: 10, addressConnectionsMax: 10 });
  for (let i = 0; i < 10; i += 1) raw(attacker, clientHello);
  await until(() => server.seen.connectionsOpen === 10);
  await greeted(honest);
  expect(server.seen.cut.displaced).toBe(1);
});

it('handshakes that take too long are ended, and nothing is left of them', async () => {
  await serve({ greetingMs: 100 });
  const halves = Array.from({ length: 10 }, () => raw(attacker, clientHello));
  await Promise.all(halves.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  await until(() => server.seen.connectionsOpen === 0);
  await greeted(honest);
});

it('plain text, and a certificate of nobody, are ended and counted', async () => {
  await serve({});
  const plain = raw(attacker, greeting);
  await new Promise((resolve) => plain.once('close', resolve));
  const nobody = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  sockets.push(nobody.on('error', () => undefined).resume());
  await new Promise((resolve) => nobody.once('close', resolve));
  await until(() => server.seen.connectionsOpen === 0);
  expect(server.seen.tlsFailures).toBe(2);
});
