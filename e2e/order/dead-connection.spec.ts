// Goal: a message that went into a dead connection comes again, though a client of the same id lives. Method: a receive waits
// behind a relay that falls silent without closing anything; the message is sent; the same client asks on a new connection.
import { createServer, connect, type Server, type Socket } from 'node:net';

import { ClientType, Encoding, FilterType, MessageType } from '@cometmq/proto';

import { Wire } from '../conformance/src/wire/wire.js';
import { createTopic } from '../support/admin.js';
import { freePort } from '../support/free-port.js';
import { Standalone } from '../support/standalone.js';

/** Passes bytes on both ways, until it passes none. */
class Relay {
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;
  private silent = false;

  constructor(private readonly toPort: number) {
    this.server = createServer((near) => {
      const far = connect({ port: this.toPort, host: '127.0.0.1' });
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.sockets.add(from);
        from.on('data', (chunk) => this.silent || to.write(chunk));
        from.on('error', () => undefined);
      }
    });
  }

  async listen(): Promise<number> {
    const port = await freePort();
    await new Promise<void>((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    return port;
  }

  fallSilent(): void {
    this.silent = true;
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}

const [topic, group] = [{ name: 'orders' }, { name: 'workers' }];
const headers = {
  'x-mq-client-id': 'worker@1',
  'x-mq-language': 'GO',
  'x-mq-client-version': '5.1.4',
  'x-mq-protocol': 'v2',
};
const poll = (seconds: number) => ({
  group,
  messageQueue: { topic, id: -1 },
  filterExpression: { type: FilterType.TAG, expression: '*' },
  batchSize: 32,
  autoRenew: true,
  longPollingTimeout: { seconds, nanos: 0 },
});

it('gives what it was handed back to the client that lives, as the same attempt', async () => {
  const broker = await new Standalone().start();
  const relay = new Relay(broker.grpcPort);
  const target = (endpoints: string) => ({ endpoints, tls: false, caFile: '' });
  const before = new Wire(target(`127.0.0.1:${await relay.listen()}`), () => headers);
  const after = new Wire(target(broker.endpoints), () => headers);
  try {
    await createTopic(broker, { name: topic.name, type: 'normal', writeQueues: 1 });
    await before.ok('heartbeat', { clientType: ClientType.PUSH_CONSUMER, group });
    const lost = before.receive(poll(20), 90_000).catch(() => undefined);
    await before.ok('heartbeat', { clientType: ClientType.PUSH_CONSUMER, group }); // The receive came before it.
    relay.fallSilent();
    const id = '01AABBCCDDEEFF000100000001';
    const systemProperties = {
      messageId: id,
      messageType: MessageType.NORMAL,
      bodyEncoding: Encoding.IDENTITY,
      bornHost: 'here',
    };
    await after.ok('sendMessage', { messages: [{ topic, body: Buffer.from('work'), systemProperties }] });
    // What is waited for is bounded by the test's own time: without the mend it is hours.
    for (;;) {
      const { messages } = await after.receive(poll(5), 15_000);
      const [message] = messages;
      if (!message) continue;
      expect(message.systemProperties).toMatchObject({ messageId: id, deliveryAttempt: 1 });
      break;
    }
    relay.close();
    await lost;
  } finally {
    before.close();
    after.close();
    relay.close();
    await broker.stop();
  }
}, 60_000);
