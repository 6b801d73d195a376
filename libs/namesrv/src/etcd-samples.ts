import type { OnEtcdRequest } from '@cometmq/metadata';
import { Buckets, metrics, type Sample } from '@cometmq/telemetry';

/** How etcd answers this name server. Plain numbers for metrics. */
export class EtcdFigures {
  private readonly series = new Map<string, Sample & { readonly value: Buckets }>();

  readonly done: OnEtcdRequest = (operation, answered, tookMs) => {
    const key = `${operation}/${answered}`;
    let sample = this.series.get(key);
    if (!sample) {
      const labels = { operation, result: answered ? 'success' : 'failure' };
      const value = new Buckets(metrics.rocketmq_etcd_request_latency.buckets);
      this.series.set(key, (sample = { metric: 'rocketmq_etcd_request_latency', labels, value }));
    }
    sample.value.record(tookMs);
  };

  *samples({ leaseRemainingMs }: { readonly leaseRemainingMs: number | undefined }): Iterable<Sample> {
    yield* this.series.values();
    if (leaseRemainingMs === undefined) return;
    yield { metric: 'rocketmq_etcd_lease_remaining_ms', labels: {}, value: leaseRemainingMs };
  }
}
