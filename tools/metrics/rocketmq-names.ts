/**
 * The metrics of RocketMQ 5, all of them. Those without a word are published here under the same name; the others have
 * no counterpart, and say why.
 */
export const rocketmqNames: readonly (readonly [names: string, why?: string])[] = [
  [
    'processor_watermark',
    'There are no pools of threads with queues before them: each process has one event loop. Its delay is `rocketmq_event_loop_lag`, what is held for clients `rocketmq_proxy_memory_bytes`.',
  ],
  ['broker_permission topic_number consumer_group_number'],
  ['messages_in_total messages_out_total throughput_in_total throughput_out_total message_size'],
  ['topic_create_execution_time consumer_group_create_execution_time'],
  ['producer_connections consumer_connections'],
  [
    'consumer_lag_messages consumer_lag_latency consumer_inflight_messages consumer_queueing_latency consumer_ready_messages',
  ],
  ['send_to_dlq_messages_total commit_messages_total rollback_messages_total finish_message_latency half_messages'],
  [
    'pop_buffer_scan_time_consume pop_offset_buffer_size pop_checkpoint_buffer_size',
    'What is in flight is a view of the log, not a buffer that is scanned and flushed: `rocketmq_consumer_inflight_messages`.',
  ],
  [
    'pop_revive_in_message_total pop_revive_out_message_total pop_revive_retry_messages_total pop_revive_lag pop_revive_latency',
    'There is no topic from which unacknowledged messages are revived: they are due again when their time has come. How many are delivered again: `rocketmq_messages_out_total` with `is_retry="true"`.',
  ],
  ['rpc_latency'],
  ['storage_size storage_flush_behind_bytes storage_dispatch_behind_bytes storage_message_reserve_time'],
  [
    'timer_enqueue_lag timer_enqueue_latency',
    'A delayed message waits in no topic before it is put in order: it is in its place once it is stored, so both would be 0 for ever.',
  ],
  [
    'timer_dequeue_lag timer_dequeue_latency timing_messages timer_enqueue_total timer_dequeue_total delay_message_latency',
  ],
  [
    'timer_message_snapshot',
    'What is due far ahead is on disk, and would have to be read at every look; the calendar of the console and of `comet delayed` counts it when asked.',
  ],
  [
    'rocksdb_bytes_written rocksdb_bytes_read rocksdb_times_written_self rocksdb_times_written_other rocksdb_times_read rocksdb_times_compressed rocksdb_rate_cache_hit rocksdb_read_amplification_bytes',
    'There is no RocksDB.',
  ],
  ['proxy_up'],
  [
    'tiered_store_api_latency tiered_store_provider_rpc_latency tiered_store_provider_upload_bytes tiered_store_provider_download_bytes tiered_store_dispatch_behind tiered_store_dispatch_latency tiered_store_messages_dispatch_total tiered_store_messages_out_total tiered_store_get_message_fallback_total tiered_store_read_ahead_cache_count tiered_store_read_ahead_cache_bytes tiered_store_read_ahead_cache_access_total tiered_store_read_ahead_cache_hit_total',
    'There is no tiered storage.',
  ],
  [
    'controller_role controller_dledger_disk_usage controller_active_broker_num controller_request_total controller_dledger_op_total controller_election_total controller_request_latency controller_dledger_op_latency',
    'There is no controller with a log of its own: who leads is kept in etcd, which has metrics of its own, and elections are held by the members of a broker set: `rocketmq_broker_set_led`, `rocketmq_broker_role`, `rocketmq_broker_epoch`, `rocketmq_broker_failover_ms`.',
  ],
  [
    'send_cost_time delivery_latency await_time process_time consumer_cached_messages consumer_cached_bytes',
    'Clients measure these and publish them by themselves.',
  ],
];
