import { Buckets, metrics } from '@cometmq/telemetry';

/** What syncs of the log take and bring, since the process began. One look into each table a sync, none a message. */
export class LogMeter {
  readonly syncMicros = new Buckets(metrics.rocketmq_fsync_latency.buckets);
  /** Messages that one sync made durable; syncs of decisions alone are not in it. */
  readonly batchMessages = new Buckets(metrics.rocketmq_group_commit_batch.buckets);

  synced(tookMs: number, messages: number): void {
    this.syncMicros.record(tookMs * 1_000);
    if (messages > 0) this.batchMessages.record(messages);
  }
}
