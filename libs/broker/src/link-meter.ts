import { Buckets, metrics } from '@cometmq/telemetry';

/** Calls of one kind that ended with one code. */
export interface LinkSeries {
  readonly request: string;
  readonly code: string;
  readonly latencyMs: Buckets;
}

/** How long calls of proxies took here, by call and code. Plain numbers for metrics. */
export class LinkMeter {
  private readonly requests = new Map<string, Map<string, LinkSeries>>();

  done(request: string, code: string, tookMs: number): void {
    let codes = this.requests.get(request);
    if (!codes) this.requests.set(request, (codes = new Map<string, LinkSeries>()));
    let series = codes.get(code);
    if (!series) {
      series = { request, code, latencyMs: new Buckets(metrics.rocketmq_rpc_latency.buckets) };
      codes.set(code, series);
    }
    series.latencyMs.record(tookMs);
  }

  *series(): Iterable<LinkSeries> {
    for (const codes of this.requests.values()) yield* codes.values();
  }
}
