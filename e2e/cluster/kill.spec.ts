// Goal: any process may die at any time; the others go on as far as they can without it, and nothing acknowledged is
// lost. Method: each kind of process killed with -9 and started again under load, and a ledger of every answer.
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { bodiesOf, Clients, receive } from '../support/clients.js';
import { freshCluster } from '../support/cluster.js';
import { Ledger } from '../support/ledger.js';
import { until } from '../support/until.js';

describe('kill -9 in a cluster', () => {
  let cluster: Awaited<ReturnType<typeof freshCluster>>;
  let ledger: Ledger;
  const clients = [0, 1].map(
    (proxy) =>
      new Clients(
        () => import('rocketmq-client-nodejs'),
        () => ({ endpoints: cluster.proxies[proxy]?.address ?? '', tls: false, restUrl: cluster.restUrl }),
      ),
  );

  beforeAll(async () => {
    cluster = await freshCluster();
    ledger = new Ledger('survivors');
    for (const [i, made] of clients.entries()) {
      ledger.send(await made.producer({ requestTimeout: 2_000 }), `p${i}`, 3);
      ledger.read(await made.simple('auditors', 'survivors'));
    }
    await ledger.more(100, 'before anything dies');
  });
  afterAll(async () => {
    await Promise.all(clients.map((made) => made.end())).finally(() => cluster.end());
  });

  it('of a proxy: clients of the other go on, its own come back', async () => {
    const [proxy] = cluster.proxies;
    await proxy!.kill();
    await ledger.more(100, 'through the other proxy');
    await proxy!.start();
    const clientsBefore = [...ledger.sent].filter((body) => body.startsWith('p0')).length;
    await until(
      'more sends through the proxy that was dead',
      () => [...ledger.sent].filter((body) => body.startsWith('p0')).length > clientsBefore,
      60_000,
    );
  });

  it('of a name server: messages flow, and topics are made through the other', async () => {
    const [namesrv] = cluster.namesrvs;
    await namesrv!.kill();
    await ledger.more(100, 'while one name server is dead');
    await until('a topic made through the other name server', () =>
      clients[0]!.rest('POST', '/topics', { name: 'made-meanwhile' }).then(
        () => true,
        () => false, // Who called the dead one finds the other on the next call.
      ),
    );
    await namesrv!.start();
    await ledger.more(100, 'with both name servers again');
  });

  it('of the broker: it comes back with all it had acknowledged', async () => {
    const [broker] = cluster.brokers;
    for (let kill = 0; kill < 2; kill += 1) {
      await broker!.kill();
      await broker!.start();
      await ledger.more(100, `after the broker's kill ${kill + 1}`);
    }
  });

  it('of etcd: what is known goes on', async () => {
    await cluster.etcd.kill();
    await ledger.more(100, 'while etcd is dead');
    await cluster.etcd.start();
    await clients[0]!.rest('POST', '/topics', { name: 'made-afterwards' });
    await ledger.more(100, 'with etcd again');
  });

  it('and a stop in good order of all but etcd, at once: each ends by itself', async () => {
    const stopped = [...cluster.brokers, ...cluster.proxies, ...cluster.namesrvs];
    await Promise.all(
      stopped.map(async (process) => {
        expect([process.name, await process.stop()]).toEqual([process.name, false]); // It did not have to be killed.
        await process.start();
      }),
    );
    await ledger.more(100, 'after the stop of all');
  });

  it('and in the end the ledger is balanced', async () => {
    await ledger.settle();
    expect(ledger.progress.done).toBeGreaterThan(0);
  });

  it('of the broker with its disk: it begins anew only when an operator gives the old messages up', async () => {
    const [broker] = cluster.brokers;
    await broker!.kill();
    rmSync(join(cluster.home, 'broker-0'), { recursive: true });
    await expect(broker!.start()).rejects.toThrow(/comet broker forget broker-0/);
    // The dead leader's presence ends with its lease.
    await until('the members to be given up', () =>
      clients[0]!.rest('DELETE', '/broker-sets/broker-0/members').then(
        () => true,
        () => false,
      ),
    );
    await broker!.start();
    const sender = await clients[1]!.producer();
    await sender.send({ topic: 'survivors', body: Buffer.from('anew') });
    const reader = await clients[1]!.simple('newcomers', 'survivors');
    expect(bodiesOf(await receive(reader, 1))).toEqual(['anew']);
  });
});
