// Goal: what a client leaves unread costs the server a bounded amount, and other clients nothing. Method: hundreds of pulls
// and receives on a connection whose window is closed, each for 16 MiB that are there; then a good client.
import { PullMessageRequest, ReceiveMessageRequest } from '@cometmq/proto';
import {
  flag,
  frame,
  frameType,
  greeting,
  grpcMessage,
  headersFrame,
  RawH2Client,
  requestHeaders,
} from '@cometmq/rpc/testing';

import { bodiesOf, Clients, receive } from '../support/clients.js';
import { Standalone } from '../support/standalone.js';

const MiB = 1_024 * 1_024;
const callsMax = 400;
/** SETTINGS with an initial window of 0. */
const closedWindow = frame(frameType.SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]));

const topic = { name: 'large' };
const group = { name: 'idlers' };
const pull = PullMessageRequest.encode(
  PullMessageRequest.fromPartial({ group, messageQueue: { topic, id: 0 }, batchSize: 32 }),
).finish();
const poll = ReceiveMessageRequest.encode(
  ReceiveMessageRequest.fromPartial({
    group,
    messageQueue: { topic },
    batchSize: 32,
    invisibleDuration: { seconds: 30 },
    longPollingTimeout: { seconds: 10 },
  }),
).finish();

describe('a connection that reads nothing', () => {
  let broker: Standalone;
  const clients = new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: broker.endpoints, tls: false, restUrl: `http://127.0.0.1:${broker.adminPort}` }),
  );
  beforeAll(async () => {
    broker = await new Standalone().start();
    const sender = await clients.producer();
    for (let i = 0; i < 48; i += 1) {
      await sender.send({ topic: topic.name, body: Buffer.alloc(MiB, `message ${i} `) });
    }
  });
  afterAll(async () => {
    await clients.end().catch(() => undefined);
    await broker.stop();
  });

  async function residentBytes(): Promise<number> {
    const page = await (await fetch(`http://127.0.0.1:${broker.metricsPort}/metrics`)).text();
    return Number(/^rocketmq_process_resident_memory\S* ([\d.e+]+)/m.exec(page)?.[1]);
  }

  async function ask(client: RawH2Client, method: string, body: Uint8Array): Promise<void> {
    const headers = requestHeaders(`/apache.rocketmq.v2.MessagingService/${method}`, { 'x-mq-client-id': 'idler' });
    for (let i = 0; i < callsMax; i += 1) {
      const id = 1 + 2 * i;
      client.send(headersFrame(id, headers), frame(frameType.DATA, flag.END_STREAM, id, grpcMessage(body)));
    }
    const mark = Buffer.alloc(8, 0x5a);
    client.send(frame(frameType.PING, 0, 0, mark));
    await client.seen(({ type, payload }) => type === frameType.PING && payload.equals(mark));
  }

  it.each([
    ['PullMessage', pull],
    ['ReceiveMessage', poll],
  ])(`costs a bounded amount, with ${callsMax} of %s, and others are served`, async (method, body) => {
    const before = await residentBytes();
    expect(before).toBeGreaterThan(0);
    const client = await RawH2Client.open(broker.grpcPort);
    client.send(greeting, closedWindow);
    await ask(client, method, body);

    // Whatever would be read for it is read before or beside this.
    const sender = await clients.producer();
    for (let i = 0; i < 20; i += 1) await sender.send({ topic: method, body: Buffer.from(`calm ${i}`) });
    const reader = await clients.simple(`readers-${method}`, method);
    const messages = await receive(reader, 20);
    expect(bodiesOf(messages).length).toBe(20);
    expect((await residentBytes()) - before).toBeLessThan(200 * MiB);
    client.close();
  });
});
