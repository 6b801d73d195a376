// Goal: the order of message groups holds when a broker set comes back to a cluster whose consumers are behind, and groups
// are spread over it once they have caught up. Method: two broker sets, one of them taken out and wanted again while nobody
// consumes; a ledger of every delivery.
import { Clients } from '../support/clients.js';
import { freshCluster } from '../support/cluster.js';
import { OrderLedger, type Member } from '../support/order-ledger.js';
import { until } from '../support/until.js';

interface Topic {
  readonly queues: readonly { readonly brokerSet: string; readonly maxOffset: number }[];
}

describe('a broker set that takes messages again', () => {
  it('has no message of a group that could be overtaken', async () => {
    const cluster = await freshCluster({ size: { sets: 2, proxies: 1 } });
    try {
      const clients = new Clients(
        () => import('rocketmq-client-nodejs'),
        () => ({ endpoints: cluster.proxies[0]?.address ?? '', tls: false, restUrl: cluster.restUrl }),
      );
      const stage = async (): Promise<string> =>
        (await clients.rest<{ stage: string }>('GET', '/broker-sets/broker-1')).stage;
      const storedThere = async (): Promise<number> =>
        (await clients.rest<Topic>('GET', '/topics/steps')).queues
          .filter(({ brokerSet }) => brokerSet === 'broker-1')
          .reduce((sum, { maxOffset }) => sum + maxOffset, 0);
      await clients.rest('POST', '/topics', { name: 'steps', type: 'fifo', writeQueues: 2 });
      await clients.rest('POST', '/groups', { name: 'walkers', fifo: true, attemptsMax: 100 });
      const ledger = new OrderLedger('steps', 16, 250);
      const early = ledger.member(await clients.simple('walkers', 'steps'));
      ledger.send(await clients.producer());
      await ledger.more(50, 'at both sets');
      await clients.rest('PUT', '/broker-sets/broker-1/stage', { stage: 'draining' });
      await until(
        'broker-1 is out',
        () =>
          clients.rest('DELETE', '/broker-sets/broker-1').then(
            () => true,
            () => false, // It still holds some.
          ),
        60_000,
      );
      const before = await storedThere();
      await early.leave();
      await ledger.more(150, 'while nobody consumes');
      await clients.rest('PUT', '/broker-sets/broker-1/stage', { stage: 'serving' });
      await ledger.more(150, 'with a set that may take no groups yet');
      expect([await stage(), await storedThere()]).toEqual(['joining', before]);
      const late: Member[] = [];
      for (let i = 0; i < 4; i += 1) late.push(ledger.member(await clients.simple('walkers', 'steps')));
      await until('broker-1 takes groups', async () => (await stage()) === 'serving', 120_000);
      await until('it has some', async () => (await storedThere()) > before, 60_000);
      await ledger.settle();
      for (const member of late) await member.crash();
      await clients.end();
      expect(ledger.faults).toEqual([]);
    } finally {
      await cluster.end();
    }
  }, 240_000);
});
