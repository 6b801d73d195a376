// Goal: what was acknowledged survives kill -9. Method: a real process killed in a loop while producers send and a
// consumer acknowledges, and a ledger of every answer.
import { Clients } from '../support/clients.js';
import { Ledger } from '../support/ledger.js';
import { Standalone } from '../support/standalone.js';

describe('kill -9', () => {
  const broker = new Standalone();
  const clients = new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: broker.endpoints, tls: false, restUrl: `http://127.0.0.1:${broker.adminPort}` }),
  );
  beforeAll(() => broker.start());
  afterAll(async () => {
    await clients.end().finally(() => broker.stop());
  });

  it('loses no acknowledged message, and delivers none that was never sent or is done with', async () => {
    const kills = 4;
    const ledger = new Ledger('survivors');
    ledger.send(await clients.producer({ requestTimeout: 2_000 }), 'p', 8);
    ledger.read(await clients.simple('auditors', 'survivors'));
    for (let kill = 0; kill < kills; kill += 1) {
      await ledger.more(200, `before kill ${kill + 1}`);
      await broker.program.kill();
      await broker.start();
    }
    await ledger.settle();
    expect(ledger.progress.sent).toBeGreaterThanOrEqual(200 * kills);
    expect(ledger.progress.done).toBeGreaterThan(0);
  }, 240_000);
});
