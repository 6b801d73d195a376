/** Grafana's boards, from one table of panels: what is shown is written here, and nowhere else. */

interface Query {
  readonly expr: string;
  readonly legend: string;
}
export interface Panel {
  readonly title: string;
  /** Grafana's name of it. */
  readonly unit: string;
  readonly about?: string;
  readonly queries: readonly Query[];
  readonly kind?: 'stat';
}
export interface Board {
  readonly uid: string;
  readonly title: string;
  /** Beside the cluster: labels that are chosen from, each with the metric that has them. */
  readonly choices: Readonly<Record<string, string>>;
  readonly panels: readonly Panel[];
}

/** A metric of the chosen cluster. */
const of = (metric: string, ...matchers: readonly string[]): string =>
  `${metric}{${['cluster="$cluster"', ...matchers].join(',')}}`;
const perSecond = (selector: string): string => `rate(${selector}[$__rate_interval])`;
const sumBy = (labels: string, inner: string): string => `sum by (${labels}) (${inner})`;
const maxBy = (labels: string, inner: string): string => `max by (${labels}) (${inner})`;
/** The quantile of a histogram, by labels. */
const quantile = (q: number, labels: string, metric: string, ...matchers: readonly string[]): string =>
  `histogram_quantile(${q}, ${sumBy(`le, ${labels}`, perSecond(of(`${metric}_bucket`, ...matchers)))})`;
const one = (expr: string, legend: string): readonly Query[] => [{ expr, legend }];

const brokers = 'node_type="broker"';
const topics = 'topic=~"$topic"';
const groups = 'consumer_group=~"$consumer_group"';
const group = '{{consumer_group}}';
const groupAndTopic = '{{consumer_group}} / {{topic}}';
const set = '{{node_id}}';

const everything: Board = {
  uid: 'cometmq-overview',
  title: 'CometMQ: overview',
  choices: {},
  panels: [
    {
      title: 'Broker sets that nobody leads',
      unit: 'none',
      kind: 'stat',
      queries: one(
        `count(${maxBy('broker_set', of('rocketmq_broker_set_led'))} == 0) or vector(0)`,
        'without a leader',
      ),
    },
    {
      title: 'Broker sets with fewer copies than wanted',
      unit: 'none',
      kind: 'stat',
      queries: one(
        `count(${of('rocketmq_sync_state_set_size')} < ${of('rocketmq_broker_set_members_wanted')}) or vector(0)`,
        'too few',
      ),
    },
    {
      title: 'Members that take part',
      unit: 'none',
      kind: 'stat',
      queries: one(`count(${of('rocketmq_broker_fenced')} == 0) or vector(0)`, 'members'),
    },
    {
      title: 'Least free disk',
      unit: 'percentunit',
      kind: 'stat',
      queries: one(
        `min(${of('rocketmq_storage_free_bytes')} / (${of('rocketmq_storage_free_bytes')} + ${of('rocketmq_storage_size')}))`,
        'free',
      ),
    },
    {
      title: 'Messages that wait',
      unit: 'short',
      kind: 'stat',
      queries: one(`sum(${of('rocketmq_consumer_lag_messages')})`, 'lag'),
    },
    {
      title: 'Dead letters in the last hour',
      unit: 'short',
      kind: 'stat',
      queries: one(`sum(increase(${of('rocketmq_send_to_dlq_messages_total')}[1h])) or vector(0)`, 'dead letters'),
    },
    {
      title: 'Messages a second',
      unit: 'mps',
      queries: [
        { expr: `sum(${perSecond(of('rocketmq_messages_in_total'))})`, legend: 'in' },
        { expr: `sum(${perSecond(of('rocketmq_messages_out_total'))})`, legend: 'out' },
      ],
    },
    {
      title: 'Bytes a second',
      unit: 'Bps',
      queries: [
        { expr: `sum(${perSecond(of('rocketmq_throughput_in_total'))})`, legend: 'in' },
        { expr: `sum(${perSecond(of('rocketmq_throughput_out_total'))})`, legend: 'out' },
      ],
    },
    {
      title: 'Topics, the ten busiest',
      unit: 'mps',
      queries: one(`topk(10, ${sumBy('topic', perSecond(of('rocketmq_messages_in_total')))})`, '{{topic}}'),
    },
    {
      title: 'Lag, the ten largest',
      unit: 'short',
      queries: one(`topk(10, ${sumBy('consumer_group', of('rocketmq_consumer_lag_messages'))})`, group),
    },
    {
      title: 'Time to answer a send (p99)',
      unit: 'ms',
      queries: one(quantile(0.99, 'node_type', 'rocketmq_rpc_latency', 'request_code="SendMessage"'), '{{node_type}}'),
    },
    {
      title: 'Calls that failed',
      unit: 'reqps',
      queries: one(
        sumBy('request_code, response_code', perSecond(of('rocketmq_rpc_latency_count', 'result!="success"'))),
        '{{request_code}} {{response_code}}',
      ),
    },
    {
      title: 'Connections',
      unit: 'short',
      queries: one(sumBy('node_id, state', of('rocketmq_connections')), '{{node_id}} {{state}}'),
    },
  ],
};

const ofTopics: Board = {
  uid: 'cometmq-topics',
  title: 'CometMQ: topics',
  choices: { topic: 'rocketmq_messages_in_total' },
  panels: [
    {
      title: 'Messages sent',
      unit: 'mps',
      queries: one(
        sumBy('topic, message_type', perSecond(of('rocketmq_messages_in_total', topics))),
        '{{topic}} ({{message_type}})',
      ),
    },
    {
      title: 'Messages delivered',
      unit: 'mps',
      queries: one(sumBy('topic, consumer_group', perSecond(of('rocketmq_messages_out_total', topics))), groupAndTopic),
    },
    {
      title: 'Bytes sent',
      unit: 'Bps',
      queries: one(sumBy('topic', perSecond(of('rocketmq_throughput_in_total', topics))), '{{topic}}'),
    },
    {
      title: 'Size of messages (p99)',
      unit: 'bytes',
      queries: one(quantile(0.99, 'topic', 'rocketmq_message_size', topics), '{{topic}}'),
    },
    {
      title: 'Delayed messages that wait',
      unit: 'short',
      queries: one(sumBy('topic', of('rocketmq_timing_messages', topics)), '{{topic}}'),
    },
    {
      title: 'Delayed messages, taken and delivered',
      unit: 'mps',
      queries: [
        { expr: sumBy('topic', perSecond(of('rocketmq_timer_enqueue_total', topics))), legend: '{{topic}} taken' },
        { expr: sumBy('topic', perSecond(of('rocketmq_timer_dequeue_total', topics))), legend: '{{topic}} delivered' },
      ],
    },
    {
      title: 'Open transactions',
      unit: 'short',
      queries: one(sumBy('topic', of('rocketmq_half_messages', topics)), '{{topic}}'),
    },
    {
      title: 'Transactions that ended',
      unit: 'mps',
      queries: [
        {
          expr: sumBy('topic', perSecond(of('rocketmq_commit_messages_total', topics))),
          legend: '{{topic}} committed',
        },
        {
          expr: sumBy('topic', perSecond(of('rocketmq_rollback_messages_total', topics))),
          legend: '{{topic}} rolled back',
        },
      ],
    },
    {
      title: 'Time to commit a transaction (p99)',
      unit: 's',
      queries: one(quantile(0.99, 'topic', 'rocketmq_finish_message_latency', topics), '{{topic}}'),
    },
    {
      title: 'Delayed messages that are overdue',
      unit: 'short',
      queries: one(sumBy('node_id', of('rocketmq_timer_dequeue_lag')), set),
    },
  ],
};

const ofGroups: Board = {
  uid: 'cometmq-groups',
  title: 'CometMQ: consumer groups',
  choices: { consumer_group: 'rocketmq_consumer_lag_messages' },
  panels: [
    {
      title: 'Lag',
      unit: 'short',
      about: 'Messages that are not done: ready, delayed by a retry, or delivered and not acknowledged.',
      queries: one(sumBy('consumer_group, topic', of('rocketmq_consumer_lag_messages', groups)), groupAndTopic),
    },
    {
      title: 'Age of the oldest message that is not done',
      unit: 'ms',
      queries: one(maxBy('consumer_group, topic', of('rocketmq_consumer_lag_latency', groups)), groupAndTopic),
    },
    {
      title: 'Ready',
      unit: 'short',
      queries: one(sumBy('consumer_group, topic', of('rocketmq_consumer_ready_messages', groups)), groupAndTopic),
    },
    {
      title: 'In flight',
      unit: 'short',
      queries: one(sumBy('consumer_group, topic', of('rocketmq_consumer_inflight_messages', groups)), groupAndTopic),
    },
    {
      title: 'Age of the oldest message that was not delivered',
      unit: 'ms',
      queries: one(maxBy('consumer_group, topic', of('rocketmq_consumer_queueing_latency', groups)), groupAndTopic),
    },
    {
      title: 'Deliveries, first and again',
      unit: 'mps',
      queries: [
        {
          expr: sumBy('consumer_group', perSecond(of('rocketmq_messages_out_total', groups, 'is_retry="false"'))),
          legend: `${group} first`,
        },
        {
          expr: sumBy('consumer_group', perSecond(of('rocketmq_messages_out_total', groups, 'is_retry="true"'))),
          legend: `${group} again`,
        },
      ],
    },
    {
      title: 'Dead letters',
      unit: 'short',
      queries: one(
        sumBy(
          'consumer_group, topic',
          `increase(${of('rocketmq_send_to_dlq_messages_total', groups)}[$__rate_interval])`,
        ),
        groupAndTopic,
      ),
    },
    {
      title: 'Living consumers',
      unit: 'short',
      about: 'Every broker set hears of every client.',
      queries: one(
        maxBy('consumer_group, language, version', of('rocketmq_consumer_connections', groups)),
        `${group} {{language}} {{version}}`,
      ),
    },
    {
      title: 'Paused',
      unit: 'short',
      queries: one(maxBy('consumer_group', of('rocketmq_consumer_group_paused', groups)), group),
    },
  ],
};

const ofBrokers: Board = {
  uid: 'cometmq-brokers',
  title: 'CometMQ: broker sets and storage',
  choices: { node_id: 'rocketmq_broker_permission' },
  panels: [
    {
      title: 'Led',
      unit: 'short',
      queries: one(maxBy('broker_set', of('rocketmq_broker_set_led')), '{{broker_set}}'),
    },
    {
      title: 'Members in sync, and wanted',
      unit: 'short',
      queries: [
        { expr: maxBy('node_id', of('rocketmq_sync_state_set_size', chosen())), legend: `${set} in sync` },
        { expr: maxBy('node_id', of('rocketmq_broker_set_members_wanted', chosen())), legend: `${set} wanted` },
      ],
    },
    {
      title: 'Followers behind',
      unit: 'bytes',
      queries: one(maxBy('node_id, follower', of('rocketmq_replication_lag_bytes', chosen())), '{{follower}}'),
    },
    {
      title: 'Followers behind, in time',
      unit: 'ms',
      queries: one(maxBy('node_id, follower', of('rocketmq_replication_lag_ms', chosen())), '{{follower}}'),
    },
    {
      title: 'Phases of the last take-over',
      unit: 'ms',
      queries: one(maxBy('node_id, phase', of('rocketmq_broker_failover_ms', chosen())), `${set} {{phase}}`),
    },
    {
      title: 'Epoch',
      unit: 'short',
      queries: one(maxBy('node_id', of('rocketmq_broker_epoch', chosen())), set),
    },
    {
      title: 'Log on disk',
      unit: 'bytes',
      queries: one(maxBy('node_id', of('rocketmq_storage_size', chosen())), set),
    },
    {
      title: 'Free on the data disk',
      unit: 'bytes',
      queries: one(`min by (node_id) (${of('rocketmq_storage_free_bytes', chosen())})`, set),
    },
    {
      title: 'Not on disk, and in no view yet',
      unit: 'bytes',
      queries: [
        { expr: maxBy('node_id', of('rocketmq_storage_flush_behind_bytes', chosen())), legend: `${set} not on disk` },
        { expr: maxBy('node_id', of('rocketmq_storage_dispatch_behind_bytes', chosen())), legend: `${set} in no view` },
      ],
    },
    {
      title: 'Time to write and sync a batch (p50, p99)',
      unit: 'µs',
      queries: [0.5, 0.99].map((q) => ({
        expr: quantile(q, 'node_id', 'rocketmq_fsync_latency', chosen()),
        legend: `${set} p${q * 100}`,
      })),
    },
    {
      title: 'Messages that one sync makes durable',
      unit: 'short',
      queries: [
        {
          expr: `${sumBy('node_id', perSecond(of('rocketmq_group_commit_batch_sum', chosen())))} / ${sumBy('node_id', perSecond(of('rocketmq_group_commit_batch_count', chosen())))}`,
          legend: `${set} mean`,
        },
        { expr: quantile(0.99, 'node_id', 'rocketmq_group_commit_batch', chosen()), legend: `${set} p99` },
      ],
    },
    {
      title: 'Members that take no part',
      unit: 'short',
      queries: one(sumBy('node_id', of('rocketmq_broker_fenced', chosen())), set),
    },
    {
      title: 'Wrong checksums',
      unit: 'short',
      about: 'Above 0 a disk or memory is going bad.',
      queries: one(sumBy('node_id', `increase(${of('rocketmq_checksum_failures_total', chosen())}[1h])`), set),
    },
    {
      title: 'The last start: time to open the log',
      unit: 'ms',
      queries: one(maxBy('node_id', of('rocketmq_recovery_duration_ms', chosen())), set),
    },
    {
      title: 'The last start: cut off the log',
      unit: 'bytes',
      about: 'Written before a crash, and never synced.',
      queries: one(maxBy('node_id', of('rocketmq_recovery_truncated_bytes', chosen())), set),
    },
    {
      title: 'Lost bytes',
      unit: 'bytes',
      about: 'Above 0 an operator is needed.',
      queries: one(maxBy('node_id', of('rocketmq_storage_lost_bytes', chosen())), set),
    },
    {
      title: 'Age of the oldest message kept',
      unit: 'ms',
      queries: one(maxBy('node_id', of('rocketmq_storage_message_reserve_time', chosen())), set),
    },
    {
      title: 'Delayed and half messages, of what they may take',
      unit: 'percentunit',
      queries: one(
        maxBy('node_id', `${of('rocketmq_pending_bytes', chosen())} / ${of('rocketmq_pending_bytes_max', chosen())}`),
        set,
      ),
    },
    {
      title: 'Time to make topics and groups (p99)',
      unit: 'ms',
      queries: [
        { expr: quantile(0.99, 'cluster', 'rocketmq_topic_create_execution_time'), legend: 'topics' },
        { expr: quantile(0.99, 'cluster', 'rocketmq_consumer_group_create_execution_time'), legend: 'groups' },
      ],
    },
  ],
};

function chosen(): string {
  return `${brokers},node_id=~"$node_id"`;
}

const ofProcesses: Board = {
  uid: 'cometmq-processes',
  title: 'CometMQ: clients and processes',
  choices: { node_type: 'rocketmq_process_resident_memory' },
  panels: [
    {
      title: 'Calls',
      unit: 'reqps',
      queries: one(
        sumBy('node_type, request_code', perSecond(of('rocketmq_rpc_latency_count', kind()))),
        '{{node_type}} {{request_code}}',
      ),
    },
    {
      title: 'Time to answer (p99), long polls aside',
      unit: 'ms',
      queries: one(
        quantile(0.99, 'node_type, request_code', 'rocketmq_rpc_latency', kind(), 'is_long_polling="false"'),
        '{{node_type}} {{request_code}}',
      ),
    },
    {
      title: 'Long polls that wait',
      unit: 'short',
      queries: one(sumBy('node_id', of('rocketmq_proxy_waiting_polls')), set),
    },
    {
      title: 'Connections ended and refused',
      unit: 'ops',
      queries: [
        {
          expr: sumBy('reason', perSecond(of('rocketmq_proxy_connections_ended_total'))),
          legend: 'ended: {{reason}}',
        },
        {
          expr: sumBy('reason', perSecond(of('rocketmq_proxy_connections_refused_total'))),
          legend: 'refused: {{reason}}',
        },
      ],
    },
    {
      title: 'Turned away',
      unit: 'reqps',
      about: 'Requests answered TOO_MANY_REQUESTS by proxies.',
      queries: one(sumBy('reason', perSecond(of('rocketmq_throttled_total'))), '{{reason}}'),
    },
    {
      title: 'Not let in',
      unit: 'reqps',
      about: 'Requests and logins of nobody known.',
      queries: one(
        sumBy('node_type, reason', perSecond(of('rocketmq_auth_failures_total'))),
        '{{node_type}} {{reason}}',
      ),
    },
    {
      title: 'Malformed input',
      unit: 'ops',
      queries: one(sumBy('node_id', perSecond(of('rocketmq_proxy_protocol_errors_total'))), set),
    },
    {
      title: 'Bytes held for clients',
      unit: 'bytes',
      queries: one(sumBy('node_id, held', of('rocketmq_proxy_memory_bytes')), `${set} {{held}}`),
    },
    {
      title: 'Living producers',
      unit: 'short',
      queries: one(maxBy('language, version', of('rocketmq_producer_connections')), '{{language}} {{version}}'),
    },
    {
      title: 'Resident memory',
      unit: 'bytes',
      queries: one(sumBy('node_type, node_id', of('rocketmq_process_resident_memory', kind())), `{{node_type}} ${set}`),
    },
    {
      title: 'CPU',
      unit: 'percentunit',
      queries: one(
        sumBy('node_type, node_id', perSecond(of('rocketmq_process_cpu_seconds_total', kind()))),
        `{{node_type}} ${set}`,
      ),
    },
    {
      title: 'Time spent on garbage',
      unit: 'percentunit',
      queries: one(
        sumBy('node_type, node_id', perSecond(of('rocketmq_process_gc_seconds_total', kind()))),
        `{{node_type}} ${set}`,
      ),
    },
    {
      title: 'Delay of the event loop (p50, p99)',
      unit: 'ms',
      queries: one(
        maxBy('node_type, node_id, quantile', of('rocketmq_event_loop_lag', kind())),
        `{{node_type}} ${set} {{quantile}}`,
      ),
    },
  ],
};

function kind(): string {
  return 'node_type=~"$node_type"';
}

const ofEtcd: Board = {
  uid: 'cometmq-etcd',
  title: 'CometMQ: etcd, as name servers see it',
  choices: {},
  panels: [
    {
      title: 'Time to answer (p99)',
      unit: 'ms',
      queries: one(quantile(0.99, 'operation', 'rocketmq_etcd_request_latency'), '{{operation}}'),
    },
    {
      title: 'Requests',
      unit: 'reqps',
      queries: one(
        sumBy('operation, result', perSecond(of('rocketmq_etcd_request_latency_count'))),
        '{{operation}} {{result}}',
      ),
    },
    {
      title: 'Time left of the lease that ends first',
      unit: 'ms',
      about: 'At 0 a broker loses its lead.',
      queries: one(`min by (node_id) (${of('rocketmq_etcd_lease_remaining_ms')})`, set),
    },
    {
      title: 'Broker sets that are led',
      unit: 'short',
      queries: one(maxBy('broker_set', of('rocketmq_broker_set_led')), '{{broker_set}}'),
    },
  ],
};

export const boards: readonly Board[] = [everything, ofTopics, ofGroups, ofBrokers, ofProcesses, ofEtcd];

const source = { type: 'prometheus', uid: '${datasource}' };
/** Of 24 columns: six figures in a row, two curves. */
const small = { w: 4, h: 4 };
const large = { w: 12, h: 8 };

/** As Grafana imports it. */
export function boardJson({ uid, title, choices, panels }: Board): unknown {
  let x = 0;
  let y = 0;
  const placed = panels.map((panel, i) => {
    const { w, h } = panel.kind === 'stat' ? small : large;
    const isBroken = i > 0 && panels[i - 1]?.kind !== panel.kind;
    if (x + w > 24 || isBroken) [x, y] = [0, y + (panels[i - 1]?.kind === 'stat' ? small.h : large.h)];
    const at = { x, y, w, h };
    x += w;
    return panelJson(panel, i + 1, at);
  });
  return {
    uid,
    title,
    tags: ['cometmq'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' },
        choice('cluster', 'label_values(rocketmq_process_resident_memory, cluster)', false),
        ...Object.entries(choices).map(([label, metric]) =>
          choice(label, `label_values(${of(metric)}, ${label})`, true),
        ),
      ],
    },
    panels: placed,
  };
}

function choice(name: string, query: string, isMany: boolean): unknown {
  const many = { multi: true, includeAll: true, allValue: '.*', current: { text: ['All'], value: ['$__all'] } };
  return {
    ...{ name, label: name.replaceAll('_', ' '), type: 'query', datasource: source, refresh: 2, sort: 1 },
    ...{ definition: query, query: { query, refId: name } },
    ...(isMany && many),
  };
}

function panelJson({ title, unit, about, queries, kind }: Panel, id: number, gridPos: unknown): unknown {
  return {
    ...{ id, title, type: kind ?? 'timeseries', datasource: source, gridPos },
    ...(about !== undefined && { description: about }),
    fieldConfig: { defaults: { unit, ...(kind === undefined && { min: 0 }) }, overrides: [] },
    options: kind === 'stat' ? { reduceOptions: { calcs: ['lastNotNull'] } } : { tooltip: { mode: 'multi' } },
    targets: queries.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      datasource: source,
      expr,
      legendFormat: legend,
    })),
  };
}
