// Goal: a stop in good order loses nothing and repeats nothing. Method: processes stopped with SIGTERM and started again
// under load, and a ledger of every answer.
import { Clients } from '../support/clients.js';
import { freshCluster, type Cluster } from '../support/cluster.js';
import { Ledger } from '../support/ledger.js';

describe('SIGTERM in a cluster', () => {
  let cluster: Cluster & { end(): Promise<void> };
  const clients = new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: cluster.proxies[0]?.address ?? '', tls: false, restUrl: cluster.restUrl }),
  );
  beforeAll(async () => {
    cluster = await freshCluster();
  });
  afterAll(async () => {
    await clients.end();
    await cluster.end();
  });

  it('of all but etcd, one after the other and then at once: the ledger is balanced', async () => {
    const ledger = new Ledger('stopped', 5);
    ledger.send(await clients.producer({ requestTimeout: 2_000 }), 'p', 4);
    ledger.read(await clients.simple('stopped-auditors', 'stopped'));
    const { brokers, proxies, namesrvs } = cluster;
    for (const processes of [proxies.slice(0, 1), brokers, [...brokers, ...proxies, ...namesrvs]]) {
      await ledger.more(50, 'before the next stop');
      await Promise.all(
        processes.map(async (process) => {
          expect([process.name, await process.stop()]).toEqual([process.name, false]); // It did not have to be killed.
          await process.start();
        }),
      );
    }
    await ledger.more(50, 'afterwards');
    await ledger.settle();
    expect(ledger.progress.done).toBeGreaterThan(0);
  });
});
