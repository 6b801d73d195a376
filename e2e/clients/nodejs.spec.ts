// Goal: the unmodified official Node.js client works. Method: the published package against a real process.
import { Clients } from '../support/clients.js';
import { clientStories, shortPolls } from '../support/client-stories.js';
import { Standalone } from '../support/standalone.js';

describe('the official Node.js client', () => {
  let broker: Standalone;
  beforeAll(async () => {
    broker = await new Standalone().start([shortPolls]);
  });
  afterAll(() => broker.stop());

  clientStories(
    new Clients(
      () => import('rocketmq-client-nodejs'),
      () => ({ endpoints: broker.endpoints, tls: false, restUrl: `http://127.0.0.1:${broker.adminPort}` }),
    ),
    'node',
  );
});
