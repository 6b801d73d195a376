/**
 * The metrics of RocketMQ 5, all of them, as its sources declare them. What is published here has the same name, kind, unit,
 * labels and buckets; what has no counterpart says why.
 */
export interface PublishedName {
  /** Without `rocketmq_`; those in one row are alike. */
  readonly names: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly unit?: 'bytes' | 'ms' | 's';
  /** Beside those that every series has. */
  readonly labels?: string;
  readonly buckets?: readonly number[];
}
export interface UnpublishedName {
  readonly names: string;
  readonly why: string;
}

const ofGroup = 'consumer_group topic is_retry is_system';
const ofDisk = 'storage_type storage_medium';
const creationMs = [10, 100, 1000, 3000, 5000];

export const publishedNames: readonly PublishedName[] = [
  { names: 'broker_permission topic_number consumer_group_number', kind: 'gauge' },
  { names: 'messages_in_total', kind: 'counter', labels: 'topic message_type is_system' },
  { names: 'messages_out_total', kind: 'counter', labels: ofGroup },
  { names: 'throughput_in_total', kind: 'counter', unit: 'bytes', labels: 'topic message_type is_system' },
  { names: 'throughput_out_total', kind: 'counter', unit: 'bytes', labels: ofGroup },
  {
    names: 'message_size',
    ...{ kind: 'histogram', unit: 'bytes', labels: 'topic message_type is_system' },
    buckets: [1024, 4096, 512 * 1024, 1024 * 1024, 2 * 1024 * 1024, 4 * 1024 * 1024],
  },
  {
    names: 'topic_create_execution_time',
    ...{ kind: 'histogram', unit: 'ms', labels: 'invocation_status is_system', buckets: creationMs },
  },
  {
    names: 'consumer_group_create_execution_time',
    ...{ kind: 'histogram', unit: 'ms', labels: 'invocation_status', buckets: creationMs },
  },
  { names: 'producer_connections', kind: 'gauge', labels: 'language version protocol_type' },
  {
    names: 'consumer_connections',
    ...{ kind: 'gauge', labels: 'consumer_group language version consume_mode protocol_type is_system' },
  },
  {
    names: 'consumer_lag_messages consumer_inflight_messages consumer_ready_messages',
    ...{ kind: 'gauge', labels: ofGroup },
  },
  { names: 'consumer_lag_latency consumer_queueing_latency', kind: 'gauge', unit: 'ms', labels: ofGroup },
  { names: 'send_to_dlq_messages_total', kind: 'counter', labels: 'consumer_group topic is_system' },
  { names: 'commit_messages_total rollback_messages_total', kind: 'counter', labels: 'topic' },
  // RocketMQ declares milliseconds; what it records, and its buckets, are seconds.
  {
    names: 'finish_message_latency',
    ...{ kind: 'histogram', unit: 's', labels: 'topic', buckets: [5, 60, 600, 3600, 43200, 86400] },
  },
  { names: 'half_messages', kind: 'gauge', labels: 'topic' },
  {
    names: 'rpc_latency',
    ...{ kind: 'histogram', unit: 'ms' },
    labels: 'protocol_type request_code response_code is_long_polling result',
    buckets: [1, 3, 5, 7, 10, 100, 1000, 2000, 3000],
  },
  {
    names: 'storage_size storage_flush_behind_bytes storage_dispatch_behind_bytes',
    ...{ kind: 'gauge', unit: 'bytes', labels: ofDisk },
  },
  { names: 'storage_message_reserve_time', kind: 'gauge', unit: 'ms', labels: ofDisk },
  { names: 'timer_dequeue_lag', kind: 'gauge' },
  { names: 'timer_dequeue_latency', kind: 'gauge', unit: 'ms' },
  { names: 'timing_messages', kind: 'gauge', labels: 'topic' },
  { names: 'timer_enqueue_total timer_dequeue_total', kind: 'counter', labels: 'topic' },
  {
    names: 'delay_message_latency',
    ...{ kind: 'histogram', unit: 's', buckets: [60, 600, 3600, 43200, 86400, 259200] },
  },
  { names: 'proxy_up', kind: 'gauge', labels: 'proxy_mode' },
];

export const unpublishedNames: readonly UnpublishedName[] = [
  {
    names: 'processor_watermark',
    why: 'There are no pools of threads with queues before them: each process has one event loop. Its delay is `rocketmq_event_loop_lag`, what is held for clients `rocketmq_proxy_memory_bytes`.',
  },
  {
    names: 'pop_buffer_scan_time_consume pop_offset_buffer_size pop_checkpoint_buffer_size',
    why: 'What is in flight is a view of the log, not a buffer that is scanned and flushed: `rocketmq_consumer_inflight_messages`.',
  },
  {
    names:
      'pop_revive_in_message_total pop_revive_out_message_total pop_revive_retry_messages_total pop_revive_lag pop_revive_latency',
    why: 'There is no topic from which unacknowledged messages are revived: they are due again when their time has come. How many are delivered again: `rocketmq_messages_out_total` with `is_retry="true"`.',
  },
  {
    names: 'timer_enqueue_lag timer_enqueue_latency',
    why: 'A delayed message waits in no topic before it is put in order: it is in its place once it is stored, so both would be 0 for ever.',
  },
  {
    names: 'timer_message_snapshot',
    why: 'What is due far ahead is on disk, and would have to be read at every look; the calendar of the console and of `comet delayed` counts it when asked.',
  },
  {
    names:
      'rocksdb_bytes_written rocksdb_bytes_read rocksdb_times_written_self rocksdb_times_written_other rocksdb_times_read rocksdb_times_compressed rocksdb_rate_cache_hit rocksdb_read_amplification_bytes',
    why: 'There is no RocksDB.',
  },
  {
    names:
      'tiered_store_api_latency tiered_store_provider_rpc_latency tiered_store_provider_upload_bytes tiered_store_provider_download_bytes tiered_store_dispatch_behind tiered_store_dispatch_latency tiered_store_messages_dispatch_total tiered_store_messages_out_total tiered_store_get_message_fallback_total tiered_store_read_ahead_cache_count tiered_store_read_ahead_cache_bytes tiered_store_read_ahead_cache_access_total tiered_store_read_ahead_cache_hit_total',
    why: 'There is no tiered storage.',
  },
  {
    names:
      'controller_role controller_dledger_disk_usage controller_active_broker_num controller_request_total controller_dledger_op_total controller_election_total controller_request_latency controller_dledger_op_latency',
    why: 'There is no controller with a log of its own: who leads is kept in etcd, which has metrics of its own, and elections are held by the members of a broker set: `rocketmq_broker_set_led`, `rocketmq_broker_role`, `rocketmq_broker_epoch`, `rocketmq_broker_failover_ms`.',
  },
  {
    names: 'send_cost_time delivery_latency await_time process_time consumer_cached_messages consumer_cached_bytes',
    why: 'Clients measure these and publish them by themselves.',
  },
];
