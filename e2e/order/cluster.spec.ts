// Goal: the order of message groups survives the death of a proxy and of a broker, and takes no harm from there being
// several. Method: the processes apart, two broker sets, clients at two proxies, and a ledger of every delivery.
import { Clients } from '../support/clients.js';
import { freshCluster } from '../support/cluster.js';
import { OrderLedger, type Member } from '../support/order-ledger.js';

describe('an orderly consumer group in a cluster', () => {
  it('keeps the order of each message group while proxies and brokers are killed', async () => {
    const cluster = await freshCluster({ size: { sets: 2 } });
    try {
      const clients = [0, 1].map(
        (proxy) =>
          new Clients(
            () => import('rocketmq-client-nodejs'),
            () => ({ endpoints: cluster.proxies[proxy]?.address ?? '', tls: false, restUrl: cluster.restUrl }),
          ),
      );
      await clients[0]!.rest('POST', '/topics', { name: 'steps', type: 'fifo', writeQueues: 2 });
      await clients[0]!.rest('POST', '/groups', { name: 'walkers', fifo: true, attemptsMax: 100 });
      const ledger = new OrderLedger('steps', 16);
      const members: Member[] = [];
      for (const made of [...clients, ...clients]) members.push(ledger.member(await made.simple('walkers', 'steps')));
      ledger.send(await clients[1]!.producer({ requestTimeout: 2_000 }));
      await ledger.more(100, 'before anything dies');
      for (const victim of [cluster.proxies[0], cluster.brokers[0], cluster.proxies[1], cluster.brokers[1]]) {
        await victim!.kill();
        await victim!.start();
        await ledger.more(100, `after ${victim!.name} was killed`);
      }
      await ledger.settle();
      for (const member of members) await member.crash();
      await Promise.all(clients.map((made) => made.end()));
      expect(ledger.faults).toEqual([]);
    } finally {
      await cluster.end();
    }
  }, 240_000);
});
