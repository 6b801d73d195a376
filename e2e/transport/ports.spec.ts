// Goal: no port of any program can be kept from others by one address, whatever it leaves unfinished. Method: the real
// programs with few places for each address; connections from other addresses of the loopback that say nothing, or half of
// what they should, on all ports at once; a good caller beside them; and all of theirs are waited for to be closed.
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';

import { greeting, headersFrame, requestHeaders } from '@cometmq/rpc/testing';

import { certificateFiles, nameOfRole } from '../../tools/cluster/certificates.ts';
import { freshCluster } from '../support/cluster.js';
import { freePort } from '../support/free-port.js';
import { root } from '../support/process.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const placesOfAddress = 20;
const bounds = (kind: 'http' | 'internal' | 'client'): string =>
  `--${kind}-connections-per-address-max=${placesOfAddress}`;
const [silent, halfHello, halfRequest, finished, honest] = [2, 3, 4, 5, 1].map((i) => `127.0.0.${i}`);
const clientHello = Buffer.from('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'latin1');
const waitMs = 60_000;

interface Speech {
  readonly whole: Buffer;
  readonly half: Buffer;
}
const grpcHeaders = headersFrame(1, requestHeaders('/spec.Nothing/Nothing'));
const grpc: Speech = { whole: greeting, half: Buffer.concat([greeting, grpcHeaders.subarray(0, -1)]) };
const http: Speech = {
  whole: Buffer.from('GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'),
  half: Buffer.from('GET /healthz HTTP/1.1\r\nho'),
};

interface OpenPort {
  readonly port: number;
  readonly speech: Speech;
  /** Where both ends show a certificate: the role of the one that listens. */
  readonly role?: 'namesrv' | 'broker';
}

/** Each setting that names a port, with where it is open. */
let open: Record<string, OpenPort> = {};
let cluster: Awaited<ReturnType<typeof freshCluster>>;
const standalone = new Standalone();
const sockets = new Set<Socket>();

const portOf = (address: string): number => Number(/:(\d+)$/.exec(address)?.[1]);

beforeAll(async () => {
  const kedaPort = await freePort();
  const internal = [bounds('http'), bounds('internal')];
  [cluster] = await Promise.all([
    freshCluster({
      size: { namesrvs: 1, proxies: 1 },
      flags: {
        ...{ namesrv: internal, broker: internal, proxy: [bounds('http'), bounds('client')] },
        'dashboard-api': [...internal, `--keda-port=${kedaPort}`],
      },
    }),
    standalone.start([bounds('http'), bounds('client')]),
  ]);
  const [namesrv, broker, proxy] = [cluster.namesrvs[0], cluster.brokers[0], cluster.proxies[0]];
  if (!namesrv || !broker || !proxy) throw new Error('a process is missing');
  const { dashboardApi } = cluster;
  open = {
    'broker.port': { port: portOf(broker.address), speech: grpc, role: 'broker' },
    'broker.metricsPort': { port: portOf(broker.watchUrl), speech: http },
    'dashboard-api.adminPort': { port: portOf(dashboardApi.address), speech: http },
    'dashboard-api.kedaPort': { port: kedaPort, speech: grpc },
    'dashboard-api.metricsPort': { port: portOf(dashboardApi.watchUrl), speech: http },
    'namesrv.port': { port: portOf(namesrv.address), speech: grpc, role: 'namesrv' },
    'namesrv.metricsPort': { port: portOf(namesrv.watchUrl), speech: http },
    'proxy.proxyPort': { port: portOf(proxy.address), speech: grpc },
    'proxy.metricsPort': { port: portOf(proxy.watchUrl), speech: http },
    'standalone.proxyPort': { port: standalone.grpcPort, speech: grpc },
    'standalone.adminPort': { port: standalone.adminPort, speech: http },
    'standalone.metricsPort': { port: standalone.metricsPort, speech: http },
  };
}, 120_000);

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all([cluster.end(), standalone.stop()]);
});

function call({ port, role }: OpenPort, from: string | undefined, first: Buffer, isRaw = false): Socket {
  const to = { port, host: '127.0.0.1', ...(from !== undefined && { localAddress: from }) };
  const socket = role && !isRaw ? connectTls({ ...to, ...shown(role) }) : connect(to);
  sockets.add(socket);
  socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
  socket.once(role && !isRaw ? 'secureConnect' : 'connect', () => first.length > 0 && socket.write(first));
  return socket.resume();
}

function shown(role: 'namesrv' | 'broker'): object {
  const { ca, cert, key } = certificateFiles(cluster.home, 'proxy');
  const pem = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
  return { ...pem, servername: nameOfRole(role), ALPNProtocols: ['h2'] };
}

/** @returns whether it was answered before it was closed */
async function isAnswered(at: OpenPort, from: string | undefined): Promise<boolean> {
  const socket = call(at, from, at.speech.whole);
  return new Promise((resolve) => {
    socket.once('data', () => resolve(true));
    socket.once('close', () => resolve(false));
  });
}

it('knows every port that a program can be told', async () => {
  const told: string[] = [];
  for (const app of readdirSync(join(root, 'apps'))) {
    if (!readdirSync(join(root, 'apps', app, 'src')).includes('config.ts')) continue;
    const config = (await import(join(root, 'apps', app, 'src/config.ts'))) as Record<string, { settings?: object }>;
    const names = Object.values(config).flatMap(({ settings }) => Object.keys(settings ?? {}));
    expect(names).not.toEqual([]);
    for (const name of names) if (/^port$|Port$/.test(name)) told.push(`${app}.${name}`);
  }
  expect(told.sort()).toEqual(Object.keys(open).sort());
});

it('gives one address its places, and no more', async () => {
  await Promise.all(
    Object.entries(open).map(([name, at]) =>
      // Those that were answered keep their places for some seconds: time enough, if not at the first try.
      until(
        name,
        async () => {
          const answers = await Promise.all(
            Array.from({ length: placesOfAddress + 3 }, () => isAnswered(at, finished)),
          );
          return answers.filter((isOne) => isOne).length === placesOfAddress;
        },
        waitMs,
      ),
    ),
  );
}, 90_000);

it('answers others beside connections that are left half open, and closes these', async () => {
  const halves = Object.values(open).flatMap((at) =>
    Array.from({ length: placesOfAddress + 3 }, () => [
      call(at, silent, Buffer.alloc(0), true),
      call(at, halfHello, clientHello, true),
      call(at, halfRequest, at.speech.half),
    ]).flat(),
  );
  await until('all to have come', () => halves.every((socket) => !socket.connecting), waitMs);
  for (const [name, at] of Object.entries(open)) {
    if (!(await isAnswered(at, honest))) throw new Error(`${name} did not answer`);
  }
  const left = (): number => halves.filter((socket) => !socket.closed).length;
  await until(
    () => `${left()} half-open connections to be closed`,
    () => left() === 0,
    waitMs,
  );
}, 90_000);
