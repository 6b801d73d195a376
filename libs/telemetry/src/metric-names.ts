/**
 * The one list of metric names. Those that start with `rocketmq_` and exist in RocketMQ 5 keep its names, labels and
 * buckets byte for byte, so that boards and alerts people already have go on working.
 */
export interface MetricDescription {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly unit: string;
  readonly help: string;
  /** Beside those that all series of a process have: see `commonLabels`. */
  readonly labels?: readonly string[];
  /** Upper bounds, for histograms. */
  readonly buckets?: readonly number[];
}

/** On every series: of which cluster, what kind of process, and which one (of a broker: its set). */
export const commonLabels = ['cluster', 'node_type', 'node_id'] as const;

const describe = <const T extends Readonly<Record<string, MetricDescription>>>(table: T): T => table;

export const metrics = describe({
  rocketmq_messages_in_total: {
    kind: 'counter',
    unit: '',
    help: 'Messages accepted.',
    labels: ['topic', 'message_type', 'is_system'],
  },
  rocketmq_messages_out_total: {
    kind: 'counter',
    unit: '',
    help: 'Messages delivered.',
    labels: ['consumer_group', 'topic', 'is_retry', 'is_system'],
  },
  rocketmq_throughput_in_total: {
    kind: 'counter',
    unit: 'bytes',
    help: 'Bytes accepted.',
    labels: ['topic', 'message_type', 'is_system'],
  },
  rocketmq_throughput_out_total: {
    kind: 'counter',
    unit: 'bytes',
    help: 'Bytes delivered.',
    labels: ['consumer_group', 'topic', 'is_retry', 'is_system'],
  },
  rocketmq_message_size: {
    kind: 'histogram',
    unit: 'bytes',
    help: 'Bytes of accepted messages.',
    buckets: [1024, 4096, 524_288, 1_048_576, 2_097_152, 4_194_304],
    labels: ['topic', 'message_type', 'is_system'],
  },
  rocketmq_timing_messages: { kind: 'gauge', unit: '', help: 'Delayed messages that wait.', labels: ['topic'] },
  rocketmq_timer_enqueue_total: { kind: 'counter', unit: '', help: 'Delayed messages taken.', labels: ['topic'] },
  rocketmq_timer_dequeue_total: { kind: 'counter', unit: '', help: 'Delayed messages delivered.', labels: ['topic'] },
  rocketmq_timer_dequeue_latency: { kind: 'gauge', unit: 'ms', help: 'How long the first delayed message is overdue.' },
  rocketmq_delay_message_latency: {
    kind: 'histogram',
    unit: 's',
    help: 'How far ahead delayed messages are sent.',
    buckets: [60, 600, 3600, 43200, 86400, 259200],
  },
  rocketmq_timer_dequeue_lag: { kind: 'gauge', unit: '', help: 'Delayed messages that are due and not delivered yet.' },
  rocketmq_half_messages: { kind: 'gauge', unit: '', help: 'Half messages nobody has decided on.', labels: ['topic'] },
  rocketmq_commit_messages_total: { kind: 'counter', unit: '', help: 'Transactions committed.', labels: ['topic'] },
  rocketmq_rollback_messages_total: { kind: 'counter', unit: '', help: 'Transactions rolled back.', labels: ['topic'] },
  rocketmq_finish_message_latency: {
    kind: 'histogram',
    unit: 's',
    help: 'From the arrival of a half message to its commit.',
    buckets: [5, 60, 600, 3600, 43200, 86400],
    labels: ['topic'],
  },
  rocketmq_send_to_dlq_messages_total: {
    kind: 'counter',
    unit: '',
    help: 'Messages moved to a dead-letter topic.',
    labels: ['consumer_group', 'topic', 'is_system'],
  },
  rocketmq_consumer_lag_messages: {
    kind: 'gauge',
    unit: '',
    help: 'Messages not yet done.',
    labels: ['consumer_group', 'topic', 'is_retry', 'is_system'],
  },
  rocketmq_consumer_lag_latency: {
    kind: 'gauge',
    unit: 'ms',
    help: 'How long the oldest message that is not done has been there.',
    labels: ['consumer_group', 'topic', 'is_retry', 'is_system'],
  },
  rocketmq_consumer_queueing_latency: {
    kind: 'gauge',
    unit: 'ms',
    help: 'How long the oldest message that was not delivered yet has been there.',
    labels: ['consumer_group', 'topic', 'is_retry', 'is_system'],
  },
  rocketmq_consumer_inflight_messages: {
    kind: 'gauge',
    unit: '',
    help: 'Messages delivered and not yet acknowledged.',
    labels: ['consumer_group', 'topic', 'is_retry', 'is_system'],
  },
  rocketmq_consumer_ready_messages: {
    kind: 'gauge',
    unit: '',
    help: 'Messages visible and not delivered.',
    labels: ['consumer_group', 'topic', 'is_retry', 'is_system'],
  },
  rocketmq_consumer_group_paused: {
    kind: 'gauge',
    unit: '',
    help: '1 while an operator has paused the group.',
    labels: ['consumer_group'],
  },
  rocketmq_consumer_connections: {
    kind: 'gauge',
    unit: '',
    help: 'Living consumers.',
    labels: ['protocol_type', 'language', 'version', 'consumer_group', 'consume_mode', 'is_system'],
  },
  rocketmq_producer_connections: {
    kind: 'gauge',
    unit: '',
    help: 'Living producers.',
    labels: ['protocol_type', 'language', 'version'],
  },
  rocketmq_topic_number: { kind: 'gauge', unit: '', help: 'Topics.' },
  rocketmq_consumer_group_number: { kind: 'gauge', unit: '', help: 'Consumer groups.' },
  rocketmq_topic_create_execution_time: {
    kind: 'histogram',
    unit: 'ms',
    help: 'Time to make a topic, at the name service.',
    buckets: [10, 100, 1000, 3000, 5000],
    labels: ['invocation_status', 'is_system'],
  },
  rocketmq_consumer_group_create_execution_time: {
    kind: 'histogram',
    unit: 'ms',
    help: 'Time to make a consumer group, at the name service.',
    buckets: [10, 100, 1000, 3000, 5000],
    labels: ['invocation_status'],
  },
  rocketmq_lite_topic_number: { kind: 'gauge', unit: '', help: 'Lite topics on this broker, of all LITE topics.' },
  rocketmq_lite_subscription_number: { kind: 'gauge', unit: '', help: 'Lite topics subscribed to, of all clients.' },
  rocketmq_lite_topic_created_total: { kind: 'counter', unit: '', help: 'Lite topics made by a first message.' },
  rocketmq_lite_topic_expired_total: { kind: 'counter', unit: '', help: 'Idle lite topics removed.' },
  rocketmq_broker_permission: { kind: 'gauge', unit: '', help: '6: takes sends and receives, 4: receives only.' },
  rocketmq_storage_size: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'Bytes of the log on disk.',
    labels: ['storage_type', 'storage_medium'],
  },
  rocketmq_storage_flush_behind_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'Bytes of the log that are not on disk yet.',
    labels: ['storage_type', 'storage_medium'],
  },
  rocketmq_storage_dispatch_behind_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'Committed bytes of the log that are in no view yet.',
    labels: ['storage_type', 'storage_medium'],
  },
  rocketmq_storage_message_reserve_time: {
    kind: 'gauge',
    unit: 'ms',
    help: 'Age of the oldest message kept.',
    labels: ['storage_type', 'storage_medium'],
  },
  rocketmq_fsync_latency: {
    kind: 'histogram',
    unit: 'us',
    help: 'Time to write a batch of the log and sync it, in µs.',
    buckets: [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000],
  },
  rocketmq_group_commit_batch: {
    kind: 'histogram',
    unit: '',
    help: 'Messages that one sync of the log made durable; syncs without any are not counted.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096],
  },
  rocketmq_checksum_failures_total: {
    kind: 'counter',
    unit: '',
    help: 'Times that something of the log, on the disk or sent by another member, was not what had been written.',
  },
  rocketmq_recovery_duration_ms: {
    kind: 'gauge',
    unit: 'ms',
    help: 'How long the last start took to find the end of the log and to fold what was newer than the checkpoint.',
  },
  rocketmq_recovery_truncated_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'Bytes cut off the end of the log at the last start: written before a crash, and never synced.',
  },
  rocketmq_storage_lost_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'Bytes of the log that are lost and not given up. Above 0 an operator is needed.',
    labels: ['storage_type', 'storage_medium'],
  },
  rocketmq_storage_segments: {
    kind: 'gauge',
    unit: '',
    help: 'Segments of the log, by state: whole or compacted.',
    labels: ['state'],
  },
  rocketmq_pending_messages: { kind: 'gauge', unit: '', help: 'Delayed and half messages that wait.' },
  rocketmq_pending_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'Bytes on disk of delayed and half messages that wait.',
  },
  rocketmq_pending_bytes_max: { kind: 'gauge', unit: 'bytes', help: 'The most they may take (pendingBytesMax).' },
  rocketmq_storage_free_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'Free bytes on the data disk.',
    labels: ['storage_type', 'storage_medium'],
  },
  rocketmq_broker_epoch: {
    kind: 'gauge',
    unit: '',
    help: 'The epoch this broker leads under, or of its newest record.',
  },
  rocketmq_broker_role: {
    kind: 'gauge',
    unit: '',
    help: '1 for what this member of its broker set does now.',
    labels: ['role'],
  },
  rocketmq_broker_fenced: {
    kind: 'gauge',
    unit: '',
    help: '1 while this member takes no part: it neither leads and commits nor follows a leader.',
  },
  rocketmq_broker_set_members: { kind: 'gauge', unit: '', help: 'Members of the broker set, as its leader has it.' },
  rocketmq_broker_set_members_wanted: {
    kind: 'gauge',
    unit: '',
    help: 'Members that the set is to have (membersWanted), as its leader is set up.',
  },
  rocketmq_broker_set_led: {
    kind: 'gauge',
    unit: '',
    help: '1 while somebody leads the set, 0 while nobody does, at the name service.',
    labels: ['broker_set'],
  },
  rocketmq_sync_state_set_size: {
    kind: 'gauge',
    unit: '',
    help: 'Members that have all that is committed, the leader counted.',
  },
  rocketmq_replication_lag_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'Of the log, not on a follower’s disk yet.',
    labels: ['follower'],
  },
  rocketmq_replication_lag_ms: {
    kind: 'gauge',
    unit: 'ms',
    help: 'Since when a follower has lacked something.',
    labels: ['follower'],
  },
  rocketmq_follower_reads_total: {
    kind: 'counter',
    unit: '',
    help: 'Messages that this member has read for consumers in place of its leader.',
  },
  rocketmq_follower_read_bytes_total: { kind: 'counter', unit: 'bytes', help: 'Their size.' },
  rocketmq_broker_failover_ms: {
    kind: 'gauge',
    unit: 'ms',
    help: 'How long each phase of this member’s last take-over took.',
    labels: ['phase'],
  },
  rocketmq_etcd_request_latency: {
    kind: 'histogram',
    unit: 'ms',
    help: 'Time in which etcd answers a name server. operation: range, txn, lease_grant, lease_keep, lease_revoke',
    buckets: [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_000],
    labels: ['operation', 'result'],
  },
  rocketmq_etcd_lease_remaining_ms: {
    kind: 'gauge',
    unit: 'ms',
    help: 'How long the lease in etcd lasts that ends first, of those that a name server renews for brokers.',
  },
  rocketmq_backup_age: {
    kind: 'gauge',
    unit: 's',
    help: 'Since the newest whole backup of this set was begun; where there is none, since its leader was started.',
  },
  rocketmq_backup_running: { kind: 'gauge', unit: '', help: '1 while one is made, or looked through.' },
  rocketmq_backup_failures_total: { kind: 'counter', unit: '', help: 'Backups, and looks through one, that failed.' },
  rocketmq_backup_sent_bytes_total: { kind: 'counter', unit: 'bytes', help: 'Sent to the bucket.' },
  rocketmq_proxy_up: {
    kind: 'gauge',
    unit: '',
    help: '1 while the proxy serves. proxy_mode: cluster, or local where all parts are one process',
    labels: ['proxy_mode'],
  },
  rocketmq_rpc_latency: {
    kind: 'histogram',
    unit: 'ms',
    help: 'Time to answer a call.',
    buckets: [1, 3, 5, 7, 10, 100, 1000, 2000, 3000],
    labels: ['protocol_type', 'request_code', 'response_code', 'is_long_polling', 'result'],
  },
  rocketmq_proxy_waiting_polls: { kind: 'gauge', unit: '', help: 'Long polls waiting.' },
  rocketmq_connections: {
    kind: 'gauge',
    unit: '',
    help: 'Client connections. state: opening (in their handshake), open',
    labels: ['state'],
  },
  rocketmq_throttled_total: {
    kind: 'counter',
    unit: '',
    help: 'Requests answered TOO_MANY_REQUESTS by a proxy. reason: sends, polls, calls, streams, clients (too many at once on this node), quota (of a user), rate (of a topic, group or address)',
    labels: ['reason'],
  },
  rocketmq_auth_failures_total: {
    kind: 'counter',
    unit: '',
    help: 'Requests and logins of nobody known; none where there are no users. reason: missing (no credentials), wrong, time (signed too long ago), token (ended or revoked), too_many (not looked at after many wrong ones)',
    labels: ['reason'],
  },
  rocketmq_proxy_protocol_errors_total: {
    kind: 'counter',
    unit: '',
    help: 'Connections and streams ended for malformed input.',
  },
  rocketmq_proxy_connections_ended_total: {
    kind: 'counter',
    unit: '',
    help: 'Client connections ended by the server. reason: protocol, flood, unread, slow, silent, displaced',
    labels: ['reason'],
  },
  rocketmq_proxy_connections_refused_total: {
    kind: 'counter',
    unit: '',
    help: 'Client connections not taken. reason: full, address, rate, stopping, tls',
    labels: ['reason'],
  },
  rocketmq_proxy_memory_bytes: {
    kind: 'gauge',
    unit: 'bytes',
    help: 'Bytes held for clients. held: requests (on their way in), answers (on their way out)',
    labels: ['held'],
  },
  rocketmq_process_resident_memory: { kind: 'gauge', unit: 'bytes', help: 'Resident memory of the process.' },
  rocketmq_process_cpu_seconds_total: { kind: 'counter', unit: '', help: 'CPU time of the process, user and system.' },
  rocketmq_process_gc_seconds_total: {
    kind: 'counter',
    unit: '',
    help: 'Time in which the process collected garbage and did nothing else.',
  },
  rocketmq_event_loop_lag: {
    kind: 'gauge',
    unit: 'ms',
    help: 'Delay of the event loop since the last look: half of its turns (quantile 0.5) or 99 % (0.99) had less.',
    labels: ['quantile'],
  },
});
export type MetricName = keyof typeof metrics;
