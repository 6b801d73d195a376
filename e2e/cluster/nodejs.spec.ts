// Goal: the unmodified official Node.js client works against separate processes. Method: etcd and all programs for real;
// the proxies' certificate comes from an authority that the client is told to trust.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { certify } from '../support/authority.js';
import { bodiesOf, Clients, receive, type Door } from '../support/clients.js';
import { clientStories, shortPolls } from '../support/client-stories.js';
import { freshCluster } from '../support/cluster.js';

describe('a cluster of separate processes', () => {
  let cluster: Awaited<ReturnType<typeof freshCluster>>;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cometmq-tls-'));
    const { caFile, certFile, keyFile } = await certify(folder);
    // Read once, when the client's package is first loaded.
    process.env['GRPC_DEFAULT_SSL_ROOTS_FILE_PATH'] = caFile;
    const proxy = [`--tls-cert-file=${certFile}`, `--tls-key-file=${keyFile}`, shortPolls];
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
  });
});
