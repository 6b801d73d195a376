// Goal: a message that carries a sampled trace context has its send, receive and acknowledgement in that trace; others leave
// nothing. Method: the real program, the official client, and a collector of our own that keeps what is pushed to it.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { createTopic } from '../support/admin.js';
import { Clients, receive } from '../support/clients.js';
import { Standalone } from '../support/standalone.js';

const bodies: Buffer[] = [];
const collector = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.url === '/v1/traces') bodies.push(Buffer.concat(chunks));
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
});
const broker = new Standalone();
const clients = new Clients(
  () => import('rocketmq-client-nodejs'),
  () => ({ endpoints: broker.endpoints, tls: false, restUrl: `http://127.0.0.1:${broker.adminPort}` }),
);

beforeAll(async () => {
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const { port } = collector.address() as AddressInfo;
  await broker.start(['--otlp-traces', `--otlp-endpoint=http://127.0.0.1:${port}`]);
});
afterAll(async () => {
  await clients.end();
  await broker.stop();
  await new Promise((resolve) => collector.close(resolve));
});

/** The spans of one trace: where its 16 bytes stand, in OTLP’s protobuf. */
function times(hex: string): number {
  const wanted = Buffer.from(hex, 'hex');
  let count = 0;
  for (const body of bodies) for (let at = body.indexOf(wanted); at >= 0; at = body.indexOf(wanted, at + 1)) count += 1;
  return count;
}

it('spans of a message join the trace of its sender', async () => {
  await createTopic(broker, { name: 'orders', type: 'normal', writeQueues: 1 });
  const [traceId, spanId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
  const unsampled = '1bf7651916cd43dd8448eb211c80319d';
  const producer = await clients.producer({ topics: ['orders'] });
  const send = (traceparent: string | undefined) =>
    producer.send({
      ...{ topic: 'orders', tag: 'paid', body: Buffer.from('x') },
      properties: new Map(traceparent === undefined ? [] : [['traceparent', traceparent]]),
    });
  const { messageId } = await send(`00-${traceId}-${spanId}-01`);
  await send(`00-${unsampled}-${spanId}-00`);
  await send('00-nonsense');
  await send(undefined);
  const consumer = await clients.simple('billing', 'orders');
  for (const message of await receive(consumer, 4)) await consumer.ack(message);
  await clients.end();
  await broker.program.stop(); // What waits is pushed.
  expect(times(traceId)).toBe(3);
  expect(times(spanId)).toBe(3);
  expect(times(unsampled)).toBe(0);
  const all = Buffer.concat(bodies).toString('latin1');
  for (const said of ['send orders', 'receive orders', 'ack orders', messageId, 'billing']) expect(all).toContain(said);
}, 120_000);
