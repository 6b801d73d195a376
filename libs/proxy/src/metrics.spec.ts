import { connect } from 'node:net';

import { Code, HeartbeatRequest } from '@cometmq/proto';
import { systemClock } from '@cometmq/shared';
import { silentLogger } from '@cometmq/telemetry';

import { clientPort } from './client-port.js';
import { clientPortMetrics, proxyMetrics } from './metrics.js';
import { proxySettings } from './settings.js';
import { openProxy } from './testing.js';

it('shows what the front context counted under the names and labels of RocketMQ', async () => {
  const context = await openProxy();
  context.nameService.putGroup('workers');
  const { counters } = context.messaging;
  const request = HeartbeatRequest.encode({ group: { name: 'workers', resourceNamespace: '' }, clientType: 2 });
  await context.call('Heartbeat', request.finish()).untilEnd();

  const samples = [...proxyMetrics(context.messaging)()];
  const find = (metric: string, is: Record<string, string> = {}): unknown =>
    samples.find((s) => s.metric === metric && Object.entries(is).every(([k, v]) => s.labels[k] === v))?.value;
  const heartbeats = { request_code: 'Heartbeat', response_code: 'OK', result: 'success' };
  expect(find('rocketmq_rpc_latency', heartbeats)).toMatchObject({ count: 1 });
  expect(counters.rpc('Heartbeat', Code.OK).latencyMs.counts.length).toBe(10);
  counters.throttled.polls += 2;
  context.messaging.sessions.refused += 1;
  const throttled = [...proxyMetrics(context.messaging)()].filter((s) => s.metric === 'rocketmq_throttled_total');
  expect(Object.fromEntries(throttled.map(({ labels, value }) => [labels['reason'], value]))).toEqual({
    ...{ sends: 0, polls: 2, calls: 0, streams: 0, quota: 0, rate: 0, clients: 1 },
  });
  await context.stop();
});

it('shows what became of connections, and the settings of the clients’ port have their effect', async () => {
  const context = await openProxy();
  const values = Object.fromEntries(Object.entries(proxySettings).map(([name, each]) => [name, each.default]));
  const warned: object[] = [];
  const server = clientPort({
    config: {
      ...(values as unknown as Parameters<typeof clientPort>[0]['config']),
      proxyHost: '127.0.0.1',
      proxyPort: 0,
      listenMode: 'plaintext-only',
      proxyProtocol: true,
      clientConnectionsPerAddressMax: 2,
    },
    messaging: context.messaging,
    clock: systemClock,
    log: { ...silentLogger, warn: (facts, said) => void warned.push({ said, ...facts }) },
    readFile: () => '',
    unready: () => undefined,
  });
  await server.start();
  const sockets = [1, 2, 3].map((port) => {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`PROXY TCP4 192.0.2.7 192.0.2.9 ${port} 8081\r\n`);
    return socket;
  });
  await Promise.race(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  const samples = [...clientPortMetrics(() => server.seen, 'local')()];
  const find = (metric: string, label: string): unknown =>
    samples.find((s) => s.metric === metric && Object.values(s.labels)[0] === label)?.value;
  expect(find('rocketmq_proxy_up', 'local')).toBe(1);
  // They have said for whom they speak, and no more.
  expect([find('rocketmq_connections', 'opening'), find('rocketmq_connections', 'open')]).toEqual([2, 0]);
  expect(find('rocketmq_proxy_connections_refused_total', 'address')).toBe(1);
  expect(find('rocketmq_proxy_connections_ended_total', 'flood')).toBe(0);
  expect(warned).toEqual([
    {
      said: 'a connection was refused',
      peer: expect.stringMatching(/^192\.0\.2\.7:\d$/) as unknown,
      reason: 'address',
    },
  ]);
  for (const socket of sockets) socket.destroy();
  await server.stop();
  await context.stop();
});
