import { MessageType } from '@cometmq/model';
import { Code, HeartbeatRequest } from '@cometmq/proto';

import { proxyMetrics } from './metrics.js';
import { openDoor } from './testing.js';

it('shows what the front door counted under the names and labels of RocketMQ', async () => {
  const door = await openDoor();
  door.naming.group('workers');
  const { counters } = door.messaging;
  Object.assign(counters.topicIn('orders', MessageType.normal), { messages: 3, bytes: 30 });
  Object.assign(counters.groupOut('orders', 'workers'), { messages: 2, retries: 1 });
  const request = HeartbeatRequest.encode({ group: { name: 'workers', resourceNamespace: '' }, clientType: 2 });
  await door.call('Heartbeat', request.finish()).untilEnd();

  const samples = [...proxyMetrics(door.messaging)()];
  const find = (metric: string, is: Record<string, string> = {}): unknown =>
    samples.find((s) => s.metric === metric && Object.entries(is).every(([k, v]) => s.labels[k] === v))?.value;
  expect(find('rocketmq_messages_in_total', { topic: 'orders', message_type: 'normal' })).toBe(3);
  expect(find('rocketmq_messages_out_total', { consumer_group: 'workers', is_retry: 'true' })).toBe(1);
  expect(find('rocketmq_consumer_connections', { consumer_group: 'workers', language: 'JAVA' })).toBe(1);
  expect(find('rocketmq_rpc_latency', { request_code: 'Heartbeat', response_code: 'OK' })).toMatchObject({ count: 1 });
  expect(counters.rpc('Heartbeat', Code.OK).latencyMs.counts.length).toBe(10);

  await door.naming.deleteTopic('orders');
  door.naming.topic('orders');
  await door.naming.deleteTopic('orders');
  expect(counters.in.size).toBe(0);
  await door.stop();
});
