import type { Clock } from '@cometmq/shared';
import type { Sample } from '@cometmq/telemetry';

import type { BrokerService } from './broker-service.js';

const none = {};
const disk = { storage_type: 'local', storage_medium: 'disk' };

/** A member's log and its disk, whether or not it leads. */
export function* storageSamples({ store, freeBytes, logMeter }: BrokerService, clock: Clock): Iterable<Sample> {
  const sizes = store.sizes;
  const { segments, segmentsCompacted } = sizes;
  const ageMs = sizes.oldestTimestampMs > 0 ? Math.max(0, clock.wallMs() - sizes.oldestTimestampMs) : 0;
  const dispatchBehind = Math.max(0, store.commitEnd - store.foldedEnd); // A leader has folded more.
  yield { metric: 'rocketmq_storage_size', labels: disk, value: sizes.logBytes };
  yield { metric: 'rocketmq_storage_segments', labels: { state: 'whole' }, value: segments - segmentsCompacted };
  yield { metric: 'rocketmq_storage_segments', labels: { state: 'compacted' }, value: segmentsCompacted };
  yield { metric: 'rocketmq_pending_messages', labels: none, value: sizes.pendingMessages };
  yield { metric: 'rocketmq_pending_bytes', labels: none, value: sizes.pendingMessageBytes };
  yield { metric: 'rocketmq_pending_bytes_max', labels: none, value: sizes.pendingMessageBytesMax };
  yield { metric: 'rocketmq_storage_flush_behind_bytes', labels: disk, value: store.appendEnd - store.commitEnd };
  yield { metric: 'rocketmq_storage_dispatch_behind_bytes', labels: disk, value: dispatchBehind };
  yield { metric: 'rocketmq_storage_lost_bytes', labels: disk, value: sizes.lostBytes };
  yield { metric: 'rocketmq_storage_message_reserve_time', labels: disk, value: ageMs };
  if (freeBytes !== undefined) yield { metric: 'rocketmq_storage_free_bytes', labels: disk, value: freeBytes };
  yield { metric: 'rocketmq_fsync_latency', labels: none, value: logMeter.syncMicros };
  yield { metric: 'rocketmq_group_commit_batch', labels: none, value: logMeter.batchMessages };
  yield { metric: 'rocketmq_checksum_failures_total', labels: none, value: sizes.checksumFailures };
  yield { metric: 'rocketmq_recovery_duration_ms', labels: none, value: sizes.openingMs };
  yield { metric: 'rocketmq_recovery_truncated_bytes', labels: none, value: sizes.tailCutBytes };
}
