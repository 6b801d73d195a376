// Goal: the order of message groups survives members that join, leave and crash, and kill -9 of the broker. Method: the
// official Node.js client against a real process, and a ledger of every delivery.
import { Clients } from '../support/clients.js';
import { OrderLedger, type Member } from '../support/order-ledger.js';
import { Standalone } from '../support/standalone.js';

describe('an orderly consumer group', () => {
  it('keeps the order of each message group while members come and go and the broker is killed', async () => {
    const broker = await new Standalone().start();
    const clients = new Clients(
      () => import('rocketmq-client-nodejs'),
      () => ({ endpoints: broker.endpoints, tls: false, restUrl: `http://127.0.0.1:${broker.adminPort}` }),
    );
    await clients.rest('POST', '/topics', { name: 'steps', type: 'fifo', writeQueues: 4 });
    await clients.rest('POST', '/groups', { name: 'walkers', fifo: true, attemptsMax: 100 });
    const ledger = new OrderLedger('steps', 24);
    const join = async (): Promise<Member> => ledger.member(await clients.simple('walkers', 'steps'));
    const members: Member[] = [await join(), await join(), await join()];
    ledger.send(await clients.producer({ requestTimeout: 2_000 }));
    for (let round = 0; round < 6; round += 1) {
      await ledger.more(300, `in round ${round}`);
      if (round % 3 === 2) {
        await broker.program.kill();
        await broker.start();
      }
      const goes = members.shift() as Member;
      members.push(await join());
      if (round % 2 === 0) await goes.crash();
      else await goes.leave();
    }
    await ledger.settle();
    for (const member of members) await member.crash();
    await clients.end();
    await broker.stop();
    expect(ledger.faults).toEqual([]);
    expect(ledger.redeliveries).toBeGreaterThan(0);
    expect(ledger.deliveries).toBeGreaterThan(ledger.acknowledgedSends);
  }, 240_000);
});
