// Goal: an etcd that is emptied under a running cluster takes no message with it, stops nobody who sends or consumes, and
// gets everything back. Method: real processes, etcd's folder deleted, load and a ledger all the while.
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { Clients } from '../support/clients.js';
import { freshCluster } from '../support/cluster.js';
import { Ledger } from '../support/ledger.js';
import { until } from '../support/until.js';

interface Named {
  readonly name: string;
  readonly id: number;
}

describe('a cluster whose etcd is emptied', () => {
  let cluster: Awaited<ReturnType<typeof freshCluster>>;
  let ledger: Ledger;
  let topic: Named;
  const clients = new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: cluster.proxies[0]?.address ?? '', tls: false, restUrl: cluster.restUrl }),
  );
  const named = async (path: string): Promise<Named> => {
    const answer = await fetch(`${cluster.restUrl}/api/v1${path}`);
    if (!answer.ok) throw new Error(await answer.text());
    const { name, id } = (await answer.json()) as Named;
    return { name, id };
  };

  beforeAll(async () => {
    cluster = await freshCluster();
    ledger = new Ledger('survivors');
    ledger.send(await clients.producer({ requestTimeout: 2_000 }), 'p', 3);
    ledger.read(await clients.simple('auditors', 'survivors'));
    await ledger.more(100, 'before etcd is emptied');
    topic = await named('/topics/survivors');
  });
  afterAll(async () => {
    await clients.end().finally(() => cluster.end());
  });

  it('serves on', async () => {
    await cluster.etcd.kill();
    rmSync(join(cluster.home, 'etcd'), { recursive: true });
    await cluster.etcd.start();
    // They hold nothing of their own: they end when they see it, and whoever runs them starts them again.
    for (const namesrv of cluster.namesrvs) {
      await until(`${namesrv.name} has ended`, () => namesrv.pid === undefined, 30_000);
      await namesrv.start();
    }
    await ledger.more(200, 'with an empty etcd');
    expect(await named('/topics/survivors')).toEqual(topic);
  }, 120_000);

  it('lets no broker start on it, which writes nothing', async () => {
    const [broker] = cluster.brokers;
    await broker!.kill();
    await expect(broker!.start()).rejects.toThrow(/comet cluster adopt/);
  }, 60_000);

  it('gets its metadata back when an operator says so', async () => {
    await clients.rest('POST', '/cluster/adoption');
    await cluster.brokers[0]!.start();
    await ledger.more(100, 'with the metadata back');
    expect(await named('/topics/survivors')).toEqual(topic);
    await until('a new topic', () =>
      clients.rest('POST', '/topics', { name: 'new' }).then(
        () => true,
        () => false,
      ),
    );
    expect((await named('/topics/new')).id).toBeGreaterThan(topic.id);
    for (const process of [...cluster.namesrvs, ...cluster.proxies]) {
      await process.stop();
      await process.start();
    }
    await ledger.more(100, 'with all of it read anew');
    await ledger.settle();
    expect(ledger.progress.done).toBeGreaterThan(0);
  }, 180_000);
});
