// Goal: every metric that is declared is published, and says what was done. Method: known traffic of every kind through a
// real system, then one look at its metrics; and the same names by kind of node where the processes are apart.
import {
  Code,
  Encoding,
  EndTransactionRequest,
  EndTransactionResponse,
  MessageType,
  SendMessageRequest,
  SendMessageResponse,
  TransactionResolution,
  TransactionSource,
} from '@cometmq/proto';
import { GrpcJsChannel } from '@cometmq/rpc';
import { systemClock } from '@cometmq/shared';
import { commonLabels, metrics, type MetricDescription } from '@cometmq/telemetry';

import { admin, createTopic } from '../support/admin.js';
import { Clients } from '../support/clients.js';
import { freshCluster } from '../support/cluster.js';
import { publicClient } from '../support/public-client.js';
import { Standalone } from '../support/standalone.js';
import { until } from '../support/until.js';

type Labels = Readonly<Record<string, string>>;

/** What a process publishes at a time. */
class Scrape {
  private readonly series: { readonly name: string; readonly labels: Labels; readonly value: number }[] = [];

  constructor(page: string) {
    for (const line of page.split('\n')) {
      const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
      if (name === undefined || value === undefined) continue;
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text = '']) => [key, text]);
      this.series.push({ name, labels: Object.fromEntries(pairs) as Labels, value: Number(value) });
    }
  }

  static async of(url: string): Promise<Scrape> {
    return new Scrape(await (await fetch(url)).text());
  }

  names(): string[] {
    return [...new Set(this.series.map(({ name }) => name))];
  }

  /** The sum of all series that have these labels; undefined: there is none. */
  sum(name: string, wanted: Labels = {}): number | undefined {
    const found = this.series.filter(
      (each) => each.name === name && Object.entries(wanted).every(([key, value]) => each.labels[key] === value),
    );
    return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
  }

  /** Names whose series have other labels than are declared. */
  mislabelled(): string[] {
    const ours = this.series.filter(({ name }) => name !== 'target_info'); // OpenTelemetry's own.
    const found = ours.flatMap(({ name, labels }) => {
      const [metric, about] = declaredAs(name);
      const wanted = [...commonLabels, ...(about?.labels ?? [])].sort();
      const has = Object.keys(labels).filter((label) => label !== 'le' || about?.kind !== 'histogram');
      return String(has.sort()) === String(wanted) ? [] : [`${metric}: ${has.join(' ')}`];
    });
    return [...new Set(found)];
  }

  /** No two series of one name have the same labels. */
  twins(): string[] {
    const seen = new Set<string>();
    return this.series
      .map(({ name, labels }) => `${name} ${JSON.stringify(Object.entries(labels).sort())}`)
      .filter((key) => seen.size === seen.add(key).size);
  }
}

function declaredAs(series: string): [name: string, about: MetricDescription | undefined] {
  const all: Readonly<Record<string, MetricDescription>> = metrics;
  const name = series in all ? series : series.replace(/_(bucket|sum|count)$/, '');
  return [name, all[name]];
}

const bodyOf = (bytes: number): Buffer => Buffer.alloc(bytes, 'x');

/** Of members of a broker set: there are none where all is one process. */
const ofBrokerSets = new Set([
  'rocketmq_broker_role',
  'rocketmq_broker_set_members',
  'rocketmq_broker_set_members_wanted',
  'rocketmq_sync_state_set_size',
  'rocketmq_broker_failover_ms',
  'rocketmq_replication_lag_bytes',
  'rocketmq_replication_lag_ms',
]);
/** Of name servers that keep their metadata in etcd: not those of one process. */
const isOfEtcd = (name: string): boolean => name.startsWith('rocketmq_etcd_');
/** Of a system with users: libs/auth looks at them. */
const ofUsers = new Set(['rocketmq_auth_failures_total']);
/** Of a broker that has a bucket: e2e/backup looks at them. */
const isOfBackups = (name: string): boolean => name.startsWith('rocketmq_backup_');
/** Every two minutes: longer than this waits. */
const sampledSeldom = new Set(['rocketmq_consumer_lag_latency', 'rocketmq_consumer_queueing_latency']);

describe('a system in one process', () => {
  const broker = new Standalone();
  const clients = new Clients(
    () => import('rocketmq-client-nodejs'),
    () => ({ endpoints: broker.endpoints, tls: false, restUrl: `http://127.0.0.1:${broker.adminPort}` }),
  );
  const scrape = (): Promise<Scrape> => Scrape.of(`http://127.0.0.1:${broker.metricsPort}/metrics`);
  beforeAll(() => broker.start());
  afterAll(async () => {
    await clients.end().finally(() => broker.stop());
  });

  it('publishes every declared metric, with the values of what was done', async () => {
    for (const type of ['normal', 'fifo', 'delay', 'transaction', 'lite'])
      await createTopic(broker, { name: type, type });
    await admin(broker, 'POST', '/groups', { name: 'readers' });
    await admin(broker, 'POST', '/groups', {
      name: 'mortals',
      attemptsMax: 1,
      retryPolicy: { kind: 'customized', nextMs: [100] },
    });
    const sender = await clients.producer();
    await sender.send({ topic: 'normal', body: bodyOf(1_000) });
    await clients.simple('readers', 'normal');
    const client = publicClient(broker);

    // 10 normal ones of 1,000 bytes, the first by the official client, and one of 100,000; 6 received by one group, 4 acknowledged; one given up by another.
    for (let i = 1; i < 10; i += 1) await client.send([{ topic: 'normal', body: bodyOf(1_000) }]);
    await client.send([{ topic: 'normal', body: bodyOf(100_000) }]);
    await client.send([{ topic: 'fifo', body: bodyOf(10), messageGroup: 'g' }]);
    await client.send([{ topic: 'delay', body: bodyOf(10), deliveryMs: Date.now() + 3_600_000 }]);
    await client.send([{ topic: 'delay', body: bodyOf(10), deliveryMs: Date.now() + 200 }]);
    await client.send([{ topic: 'lite', body: bodyOf(10), liteTopic: 'one' }]);
    const receive = { topic: 'normal', messagesMax: 6, waitMs: 5_000, invisibleMs: 60_000 };
    const found: Awaited<ReturnType<typeof client.receive>>[number][] = [];
    while (found.length < 6) {
      found.push(...(await client.receive({ ...receive, group: 'readers', messagesMax: 6 - found.length })));
    }
    await client.ack('readers', 'normal', found.slice(0, 4));
    const dying = await client.receive({ ...receive, group: 'mortals', messagesMax: 1, invisibleMs: 10_000 });
    expect(dying).toHaveLength(1);
    await expect(client.send([{ topic: 'no such topic', body: bodyOf(1) }])).rejects.toThrow();
    await transactions(broker);
    await until(
      'the dead letter, the delayed message and the members',
      async () => {
        const seen = await scrape();
        return (
          seen.sum('rocketmq_send_to_dlq_messages_total') === 1 &&
          seen.sum('rocketmq_timer_dequeue_total', { topic: 'delay' }) === 1 &&
          (seen.sum('rocketmq_consumer_connections', { consumer_group: 'readers' }) ?? 0) >= 1 &&
          (seen.sum('rocketmq_producer_connections') ?? 0) >= 1
        );
      },
      60_000,
    );

    const seen = await scrape();
    expect(seen.twins()).toEqual([]);
    expect(seen.mislabelled()).toEqual([]);
    const declared = Object.entries(metrics).map(([name, { kind }]) => (kind === 'histogram' ? `${name}_count` : name));
    const missing = declared.filter((name) => !seen.names().includes(name));
    const isElsewhere = (name: string): boolean =>
      ofBrokerSets.has(name) || sampledSeldom.has(name) || isOfBackups(name) || isOfEtcd(name) || ofUsers.has(name);
    expect(missing.filter((name) => !isElsewhere(name))).toEqual([]);

    const normal = { topic: 'normal', message_type: 'normal', is_system: 'false', node_type: 'broker' };
    const readers = { topic: 'normal', consumer_group: 'readers', is_system: 'false' };
    const first = { ...readers, is_retry: 'false' };
    const values: [string, Labels, number][] = [
      ['rocketmq_messages_in_total', normal, 11],
      ['rocketmq_message_size_count', normal, 11],
      ['rocketmq_message_size_bucket', { ...normal, le: '4096' }, 10],
      ['rocketmq_messages_in_total', { topic: 'fifo', message_type: 'fifo' }, 1],
      ['rocketmq_messages_in_total', { topic: 'delay', message_type: 'delay' }, 2],
      ['rocketmq_messages_in_total', { topic: 'transaction', message_type: 'transaction' }, 3],
      ['rocketmq_messages_in_total', { topic: 'lite', message_type: 'lite' }, 1],
      ['rocketmq_messages_out_total', first, 6],
      ['rocketmq_messages_out_total', { ...readers, is_retry: 'true' }, 0],
      ['rocketmq_messages_out_total', { topic: 'normal', consumer_group: 'mortals', is_retry: 'false' }, 1],
      ['rocketmq_consumer_lag_messages', readers, 7],
      ['rocketmq_consumer_inflight_messages', readers, 2],
      ['rocketmq_consumer_ready_messages', readers, 5],
      ['rocketmq_send_to_dlq_messages_total', { topic: 'normal', consumer_group: 'mortals' }, 1],
      ['rocketmq_timing_messages', { topic: 'delay' }, 1],
      ['rocketmq_timer_enqueue_total', { topic: 'delay' }, 2],
      ['rocketmq_timer_dequeue_total', { topic: 'delay' }, 1],
      ['rocketmq_delay_message_latency_count', {}, 2],
      ['rocketmq_half_messages', { topic: 'transaction' }, 1],
      ['rocketmq_commit_messages_total', { topic: 'transaction' }, 1],
      ['rocketmq_rollback_messages_total', { topic: 'transaction' }, 1],
      ['rocketmq_finish_message_latency_count', { topic: 'transaction' }, 1],
      ['rocketmq_timer_dequeue_lag', {}, 0],
      ['rocketmq_topic_create_execution_time_count', { invocation_status: 'success', is_system: 'false' }, 5],
      ['rocketmq_topic_create_execution_time_count', { invocation_status: 'success', is_system: 'true' }, 1],
      ['rocketmq_consumer_group_create_execution_time_count', { invocation_status: 'success' }, 2],
      ['rocketmq_consumer_group_paused', { consumer_group: 'readers' }, 0],
      ['rocketmq_broker_set_led', {}, 1],
      ['rocketmq_lite_topic_number', {}, 1],
      ['rocketmq_lite_topic_created_total', {}, 1],
      ['rocketmq_broker_permission', {}, 6],
      ['rocketmq_proxy_up', {}, 1],
      ['rocketmq_broker_fenced', {}, 0],
      ['rocketmq_checksum_failures_total', {}, 0],
      ['rocketmq_recovery_truncated_bytes', {}, 0],
      ['rocketmq_group_commit_batch_sum', {}, 18],
      ['rocketmq_rpc_latency_count', { request_code: 'AckMessage', response_code: 'OK', result: 'success' }, 1],
      ['rocketmq_rpc_latency_count', { request_code: 'EndTransaction', response_code: 'OK', result: 'success' }, 2],
    ];
    expect(values.map(([name, labels]) => [name, labels, seen.sum(name, labels)])).toEqual(values);
    // One that was refused is none.
    const failed = seen.sum('rocketmq_rpc_latency_count', {
      request_code: 'QueryRoute',
      result: 'process_request_failed',
    });
    expect(failed).toBe(1);
    // Whole messages both ways: what went out of these came in.
    const bytesIn = seen.sum('rocketmq_throughput_in_total', normal) ?? 0;
    const bytesOut = seen.sum('rocketmq_throughput_out_total', first) ?? 0;
    expect(bytesIn).toBeGreaterThan(110_000);
    expect(bytesIn).toBeLessThan(110_000 + 11 * 300);
    expect(bytesOut).toBeGreaterThan(6_000);
    expect(bytesOut).toBeLessThanOrEqual(bytesIn);
    expect(seen.sum('rocketmq_storage_free_bytes')).toBeGreaterThan(0);
    expect(seen.sum('rocketmq_fsync_latency_count')).toBeGreaterThanOrEqual(18);
    expect(seen.sum('rocketmq_recovery_duration_ms')).toBeGreaterThan(0);
    expect(seen.sum('rocketmq_connections', { state: 'open' })).toBeGreaterThan(0);
    client.close();
  }, 120_000);
});

/** Three half messages: one is committed, one rolled back, one left. */
async function transactions(broker: Standalone): Promise<void> {
  const channel = new GrpcJsChannel({ address: broker.endpoints, clock: systemClock });
  const service = '/apache.rocketmq.v2.MessagingService';
  const headers = { 'x-mq-client-id': 'transactor', 'x-mq-language': 'OTHER', 'x-mq-protocol': 'v2' };
  const call = (method: string, bytes: Uint8Array): Promise<Uint8Array> =>
    channel.unary(`${service}/${method}`, bytes, { deadlineMs: systemClock.monotonicMs() + 10_000, headers });
  const topic = { name: 'transaction', resourceNamespace: '' };
  for (const resolution of [TransactionResolution.COMMIT, TransactionResolution.ROLLBACK, undefined]) {
    const messageId = `01AABBCCDDEEFF0011223344556677880${resolution ?? 9}`;
    const systemProperties = { messageId, messageType: MessageType.TRANSACTION, bodyEncoding: Encoding.IDENTITY };
    const request = SendMessageRequest.fromPartial({ messages: [{ topic, systemProperties, body: bodyOf(10) }] });
    const sent = SendMessageResponse.decode(await call('SendMessage', SendMessageRequest.encode(request).finish()));
    const [entry] = sent.entries;
    expect(entry?.status?.code).toBe(Code.OK);
    if (resolution === undefined) continue;
    const end = EndTransactionRequest.fromPartial({
      topic,
      messageId,
      transactionId: entry?.transactionId ?? '',
      resolution,
      source: TransactionSource.SOURCE_CLIENT,
    });
    const ended = EndTransactionResponse.decode(
      await call('EndTransaction', EndTransactionRequest.encode(end).finish()),
    );
    expect(ended.status?.code).toBe(Code.OK);
  }
  channel.close();
}

describe('a system whose processes are apart', () => {
  it('has what goes through a broker under node_type broker, and the clients’ port under proxy', async () => {
    const cluster = await freshCluster();
    const pages = async (nodes: readonly { readonly watchUrl: string }[]): Promise<string> =>
      (await Promise.all(nodes.map(async ({ watchUrl }) => (await fetch(`${watchUrl}/metrics`)).text()))).join('\n');
    const clients = new Clients(
      () => import('rocketmq-client-nodejs'),
      () => ({ endpoints: cluster.proxies[0]?.address ?? '', tls: false, restUrl: cluster.restUrl }),
    );
    try {
      const sender = await clients.producer();
      for (let i = 0; i < 5; i += 1) await sender.send({ topic: 'apart', body: bodyOf(100) });
      const brokers = new Scrape(await pages(cluster.brokers));
      const node = { node_type: 'broker' };
      expect(brokers.sum('rocketmq_messages_in_total', { ...node, topic: 'apart' })).toBe(5);
      expect(brokers.sum('rocketmq_throughput_in_total', { ...node, topic: 'apart' })).toBeGreaterThan(500);
      expect(brokers.sum('rocketmq_broker_role', { role: 'leading' })).toBe(1);
      expect(brokers.sum('rocketmq_broker_set_members')).toBe(1);
      expect(brokers.sum('rocketmq_sync_state_set_size')).toBe(1);
      const sends = { ...node, request_code: 'SendMessage', response_code: 'OK', result: 'success' };
      expect(brokers.sum('rocketmq_rpc_latency_count', sends)).toBe(5);
      expect(brokers.sum('rocketmq_broker_set_members_wanted')).toBe(1);
      expect(brokers.mislabelled()).toEqual([]);
      await until('every name server knows who leads the broker set', async () => {
        const names = new Scrape(await pages(cluster.namesrvs));
        return names.sum('rocketmq_broker_set_led', { node_type: 'namesrv' }) === cluster.namesrvs.length;
      });
      const names = new Scrape(await pages(cluster.namesrvs));
      for (const operation of ['range', 'txn', 'lease_grant', 'lease_keep']) {
        const answered = { node_type: 'namesrv', operation, result: 'success' };
        expect(names.sum('rocketmq_etcd_request_latency_count', answered)).toBeGreaterThan(0);
      }
      expect(names.sum('rocketmq_etcd_lease_remaining_ms')).toBeGreaterThan(0);
      expect(names.mislabelled()).toEqual([]);
      const proxies = new Scrape(await pages(cluster.proxies));
      expect(proxies.sum('rocketmq_messages_in_total')).toBeUndefined();
      expect(proxies.sum('rocketmq_proxy_up', { node_type: 'proxy' })).toBeGreaterThan(0);
      expect(proxies.sum('rocketmq_connections', { node_type: 'proxy', state: 'open' })).toBeGreaterThan(0);
      await until('brokers have heard of the producer', async () => {
        return (new Scrape(await pages(cluster.brokers)).sum('rocketmq_producer_connections', node) ?? 0) > 0;
      });
    } finally {
      await clients.end().finally(() => cluster.end());
    }
  }, 180_000);
});
