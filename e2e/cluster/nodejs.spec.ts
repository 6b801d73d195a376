// Goal: the unmodified official Node.js client works against separate processes. Method: etcd and all programs for real;
// the proxies' certificate comes from an authority that the client is told to trust.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { certify } from '../support/authority.js';
import { bodiesOf, Clients, receive, type Door } from '../support/clients.js';
import { clientStories, shortPolls } from '../support/client-stories.js';
import { freshCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

/** Longer than any test: what ends it is that nobody is connected. */
const drainMs = 600_000;

describe('a cluster of separate processes', () => {
  let cluster: Awaited<ReturnType<typeof freshCluster>>;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cometmq-tls-'));
    const { caFile, certFile, keyFile } = await certify(folder);
    // Read once, when the client's package is first loaded.
    process.env['GRPC_DEFAULT_SSL_ROOTS_FILE_PATH'] = caFile;
    const tls = [`--tls-cert-file=${certFile}`, `--tls-key-file=${keyFile}`];
    const proxy = [...tls, shortPolls, `--drain-ms=${drainMs}`];
    cluster = await freshCluster({ flags: { proxy } });
  });
  afterAll(async () => {
    await cluster.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const load = () => import('rocketmq-client-nodejs');
  const door = (proxy: number, tls: boolean): Door => ({
    // The certificate is in this name.
    endpoints: (cluster.proxies[proxy]?.address ?? '').replace('127.0.0.1', tls ? 'localhost' : '127.0.0.1'),
    tls,
    restUrl: cluster.restUrl,
  });

  describe('in plain text', () => clientStories(new Clients(load, () => door(0, false)), 'plain'));
  describe('under TLS', () => clientStories(new Clients(load, () => door(1, true)), 'tls'));

  describe('with its proxies', () => {
    const clients = new Clients(load, () => door(0, false));
    afterEach(() => clients.end());

    it('delivers at one what was sent at the other, and lets a handle go from one to the other', async () => {
      const sender = await clients.producer();
      await sender.send({ topic: 'across', body: Buffer.from('hello') });
      const here = await clients.simple('across-readers', 'across', '*', door(1, true));
      const there = await clients.simple('across-readers', 'across');
      const [message] = await receive(here, 1);
      expect(bodiesOf([message!])).toEqual(['hello']);
      await there.ack(message!);
      const { lag } = (await (await fetch(`${cluster.restUrl}/api/v1/groups/across-readers`)).json()) as {
        lag: number;
      };
      expect(lag).toBe(0);
    });

    it('goes on at one that is told to stop, also for who connects only then, until nobody is left', async () => {
      const proxy = cluster.proxies[1]!;
      const other = new Clients(load, () => door(1, true));
      const sender = await other.producer();
      await sender.send({ topic: 'drained', body: Buffer.from('before') });
      const stopped = proxy.stop();
      // Its probes say so, that nobody is led to it any more.
      await until('a proxy that is not ready', () =>
        proxy.ask('/readyz').then(
          () => false,
          ({ message }: Error) => /stop/.test(message),
        ),
      );
      await sender.send({ topic: 'drained', body: Buffer.from('meanwhile') });
      const late = await other.simple('late-readers', 'drained');
      const messages = await receive(late, 2);
      expect(bodiesOf(messages).sort()).toEqual(['before', 'meanwhile']);
      for (const message of messages) await late.ack(message);
      expect(proxy.pid).toBeDefined();
      await other.end();
      expect(await stopped).toBe(false); // By itself.
    });
  });
});
