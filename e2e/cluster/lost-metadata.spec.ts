// Goal: an etcd that is emptied under a set of three takes no message, stops nobody, makes no election, and one verb brings all
// of it back, so that the set survives its leader again. Method: real processes, etcd's folder deleted, load and a ledger all
// the while.
import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { Clients } from '../support/clients.js';
import { freshCluster } from '../support/cluster.js';
import { Ledger } from '../support/ledger.js';
import { until } from '../support/until.js';

interface SetReport {
  readonly protection: string;
  readonly says: string;
  readonly epoch: number;
  readonly members: readonly { readonly member: string; readonly leads: boolean }[];
}

describe('a set of three whose etcd is emptied', () => {
  let cluster: Awaited<ReturnType<typeof freshCluster>>;
  let ledger: Ledger;
  const clients = new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: cluster.proxies[0]?.address ?? '', tls: false, restUrl: cluster.restUrl }),
  );
  const report = async (): Promise<SetReport> => {
    const answer = await fetch(`${cluster.restUrl}/api/v1/broker-sets/broker-0`);
    if (!answer.ok) throw new Error(await answer.text());
    return (await answer.json()) as SetReport;
  };
  const leader = async (): Promise<string> => (await report()).members.find(({ leads }) => leads)?.member ?? '';
  const isProtected = (): Promise<boolean> =>
    report().then(
      ({ protection }) => protection === 'protected',
      () => false,
    );
  let before: SetReport;

  beforeAll(async () => {
    cluster = await freshCluster({ size: { replicas: 3, etcds: 1, namesrvs: 1, proxies: 1 } });
    ledger = new Ledger('survivors');
    ledger.send(await clients.producer({ requestTimeout: 2_000 }), 'p', 2);
    ledger.read(await clients.simple('auditors', 'survivors'));
    await until('all three are in sync', isProtected, 60_000);
    await ledger.more(100, 'before etcd is emptied');
    before = await report();
  }, 180_000);
  afterAll(async () => {
    await clients.end().finally(() => cluster.end());
  });

  it('goes on, with the same leader in the same epoch', async () => {
    const [etcd] = cluster.etcds;
    await etcd!.kill();
    rmSync(join(cluster.home, etcd!.name), { recursive: true });
    await etcd!.start();
    for (const namesrv of cluster.namesrvs) {
      await until(`${namesrv.name} has ended`, () => namesrv.pid === undefined, 30_000);
      await namesrv.start();
    }
    await ledger.more(200, 'with an empty etcd');
    const { epoch, members } = await report();
    expect([epoch, members.map(({ leads }) => leads)]).toEqual([
      before.epoch,
      before.members.map(({ leads }) => leads),
    ]);
  }, 120_000);

  it('has everything back by one verb, and survives its leader again', async () => {
    await clients.rest('POST', '/cluster/adoption');
    await until('a later epoch', async () => (await report()).epoch > before.epoch, 60_000);
    await ledger.more(100, 'with the metadata back');
    await until('all three are in sync again', isProtected, 60_000);
    const old = await leader();
    const process = cluster.brokers.find(({ name }) => old.startsWith(`${name}/`) || name === old.split('/')[0]);
    expect([old, process?.name]).toEqual([old, expect.any(String)]);
    await process!.kill();
    await until('another leads', async () => !['', old].includes(await leader()), 30_000);
    await ledger.more(100, 'with another leader');
    await process!.start();
    await until('all three are in sync at last', isProtected, 60_000);
    await ledger.settle();
    expect(ledger.progress.done).toBeGreaterThan(0);
  }, 240_000);
});
