// Goal: a message that carries a sampled trace context has its way in that trace, through proxy and broker; others leave
// nothing, and nobody pushes anything where it is not asked for. Method: the real programs, the official client, and a
// collector of our own that reads what is pushed to it.
import { createTopic } from '../support/admin.js';
import { Clients, receive } from '../support/clients.js';
import { freshCluster } from '../support/cluster.js';
import { OtlpReceiver } from '../support/otlp-receiver.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

const [traceId, spanId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
const unsampled = '1bf7651916cd43dd8448eb211c80319d';

let collector: OtlpReceiver;
let stop: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  collector = await new OtlpReceiver().start();
  stop = [() => collector.stop()];
});
afterEach(async () => {
  for (const act of stop.reverse()) await act();
});

/** Four messages, one of which carries a sampled context; all of them are consumed. Answers the id of that one. */
async function goAllTheWay(clients: Clients, topic: string): Promise<string> {
  const producer = await clients.producer({ topics: [topic] });
  const send = (traceparent: string | undefined) =>
    producer.send({
      ...{ topic, tag: 'paid', body: Buffer.from('x') },
      properties: new Map(traceparent === undefined ? [] : [['traceparent', traceparent]]),
    });
  const { messageId } = await send(`00-${traceId}-${spanId}-01`);
  await send(`00-${unsampled}-${spanId}-00`);
  await send('00-nonsense');
  await send(undefined);
  const consumer = await clients.simple('billing', topic);
  for (const message of await receive(consumer, 4)) await consumer.ack(message);
  return messageId;
}

const clientsOf = (endpoints: () => string, restUrl: () => string): Clients =>
  new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: endpoints(), tls: false, restUrl: restUrl() }),
  );

function checkTrace(messageId: string, services: Readonly<Record<string, string>>): void {
  const spans = collector.ofTrace(traceId).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const kinds = { ack: 2, deliver: 1, receive: 2, send: 2, store: 1 };
  expect(spans).toMatchObject(
    Object.entries(kinds).map(([operation, kind]) => ({
      ...{ name: `${operation} orders`, parentSpanId: spanId, kind },
      attributes: {
        ...{ 'messaging.system': 'rocketmq', 'messaging.operation.name': operation },
        ...{ 'messaging.destination.name': 'orders', 'messaging.message.id': messageId },
      },
      resource: { 'service.name': services[operation] },
    })),
  );
  for (const { startNs, endNs } of spans) expect(endNs).toBeGreaterThanOrEqual(startNs);
  for (const { attributes, name } of spans) {
    if (name === 'deliver orders' || name === 'ack orders')
      expect(attributes['messaging.consumer.group.name']).toBe('billing');
    if (name === 'store orders') expect(attributes['cometmq.broker_set']).toBe('broker-0');
  }
  expect(collector.ofTrace(unsampled)).toEqual([]);
  expect(collector.spans.length).toBe(spans.length);
}

it('spans of a message join the trace of its sender', async () => {
  const broker = new Standalone();
  stop.push(() => broker.stop());
  await broker.start(['--otlp-traces', `--otlp-endpoint=${collector.url}`]);
  const clients = clientsOf(
    () => broker.endpoints,
    () => `http://127.0.0.1:${broker.adminPort}`,
  );
  stop.push(() => clients.end());
  await createTopic(broker, { name: 'orders', type: 'normal', writeQueues: 1 });
  const messageId = await goAllTheWay(clients, 'orders');
  await clients.end();
  await broker.program.stop(); // What waits is pushed.
  const all = 'cometmq';
  checkTrace(messageId, { ack: all, deliver: all, receive: all, send: all, store: all });
}, 120_000);

it('also where proxy and broker are processes of their own', async () => {
  const flags = ['--otlp-traces', `--otlp-endpoint=${collector.url}`];
  const size = { etcds: 1, namesrvs: 1, proxies: 1 };
  const cluster = await freshCluster({ size, flags: { broker: flags, proxy: flags } });
  stop.push(() => cluster.end());
  const clients = clientsOf(
    () => cluster.proxies[0]?.address ?? '',
    () => cluster.restUrl,
  );
  stop.push(() => clients.end());
  const messageId = await goAllTheWay(clients, 'orders');
  await until('all five steps were pushed', async () => collector.ofTrace(traceId).length === 5, 60_000);
  const [proxy, broker] = ['proxy', 'broker'];
  checkTrace(messageId, { ack: proxy, deliver: broker, receive: proxy, send: proxy, store: broker });
}, 180_000);

it('nothing is pushed where only the endpoint is named, for metrics', async () => {
  const broker = new Standalone();
  stop.push(() => broker.stop());
  await broker.start([`--otlp-endpoint=${collector.url}`]);
  const clients = clientsOf(
    () => broker.endpoints,
    () => `http://127.0.0.1:${broker.adminPort}`,
  );
  stop.push(() => clients.end());
  await createTopic(broker, { name: 'orders', type: 'normal', writeQueues: 1 });
  await goAllTheWay(clients, 'orders');
  await clients.end();
  await broker.program.stop();
  expect(collector.spans).toEqual([]);
  expect(collector.others).toContain('/v1/metrics');
}, 120_000);
