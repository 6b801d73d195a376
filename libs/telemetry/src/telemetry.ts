import type { IncomingMessage, ServerResponse } from 'node:http';
import { PerformanceObserver } from 'node:perf_hooks';

import { ValueType, type HrTime } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  DataPointType,
  MeterProvider,
  PeriodicExportingMetricReader,
  type CollectionResult,
  type DataPoint,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import type { Clock, Component } from '@cometmq/shared';

import { HttpListener, type HttpConnections } from './http-listener.js';
import { LoopLag } from './loop-lag.js';
import { metrics, type MetricName } from './metric-names.js';
import { Buckets, type MetricSource, type Sample } from './metric-source.js';
import { noMetricsPort } from './settings.js';

export interface TelemetryOptions {
  readonly service: string;
  readonly version: string;
  /** Labels on every series: cluster, node_type, node_id. */
  readonly labels: Readonly<Record<string, string>>;
  readonly host: string;
  /** Prometheus' /metrics, /healthz and /readyz. 65536: no such port is opened. */
  readonly port: number;
  /** Default: as the settings say. */
  readonly connections?: HttpConnections;
  /** Where to push metrics as OTLP over HTTP; empty: nowhere. */
  readonly otlpEndpoint: string;
  readonly clock: Clock;
}

/**
 * The window into a process: /metrics for Prometheus, /healthz (the event loop turns) and /readyz (the part may serve
 * its role) on one port, and OTLP by configuration.
 */
export class Telemetry implements Component {
  readonly name = 'telemetry';
  private readonly sources: MetricSource[] = [];
  private readonly readiness: (() => string | undefined)[] = [];
  private readonly degradations: (() => string | undefined)[] = [];
  private listener: HttpListener | undefined;
  private provider: MeterProvider | undefined;
  private readonly loopLag = new LoopLag();
  private gcMs = 0;
  private readonly gc = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) this.gcMs += duration;
  });

  constructor(private readonly options: TelemetryOptions) {
    this.addSource(() => this.processFigures());
  }

  addSource(source: MetricSource): void {
    this.sources.push(source);
  }

  /** `check` answers undefined when its part may serve, else why not, in a few words. */
  addReadiness(check: () => string | undefined): void {
    this.readiness.push(check);
  }

  /** `check` answers undefined while all is well, else what its part does not do although it serves. */
  addDegradation(check: () => string | undefined): void {
    this.degradations.push(check);
  }

  get port(): number {
    return this.listener?.port ?? this.options.port;
  }

  async start(): Promise<void> {
    const producers = [this.producer()];
    const exporter = new PrometheusExporter({
      preventServerStart: true,
      withoutScopeInfo: true,
      metricProducers: producers,
    });
    const readers = [exporter, ...this.otlpReaders(producers)];
    const resource = resourceFromAttributes({
      'service.name': this.options.service,
      'service.version': this.options.version,
    });
    this.provider = new MeterProvider({ resource, readers });
    this.loopLag.start();
    this.gc.observe({ entryTypes: ['gc'] });
    if (this.options.port !== noMetricsPort) await this.listen(exporter);
  }

  async stop(): Promise<void> {
    this.loopLag.stop();
    this.gc.disconnect();
    const { listener } = this;
    this.listener = undefined;
    const closed = listener?.close();
    listener?.cut();
    await closed;
    await this.provider?.shutdown().catch(() => undefined); // An unreachable collector must not hold up the stop.
  }

  private otlpReaders(metricProducers: MetricProducer[]): PeriodicExportingMetricReader[] {
    if (this.options.otlpEndpoint === '') return [];
    const exporter = new OTLPMetricExporter({ url: `${this.options.otlpEndpoint.replace(/\/$/, '')}/v1/metrics` });
    return [new PeriodicExportingMetricReader({ exporter, metricProducers })];
  }

  private async listen(exporter: PrometheusExporter): Promise<void> {
    const { host, port, connections, clock } = this.options;
    this.listener = new HttpListener({
      ...{ what: 'metrics', host, port, connections, clock },
      answer: (request, response) => this.answer(exporter, request, response),
    });
    await this.listener.start();
  }

  private answer(exporter: PrometheusExporter, request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '').split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end('here is nothing to change\n');
    } else if (path === '/metrics') exporter.getMetricsRequestHandler(request, response);
    else if (path === '/healthz') response.end('ok\n');
    else if (path === '/readyz') {
      const why = this.unready();
      response.statusCode = why === undefined ? 200 : 503;
      response.end(`${why ?? this.degraded() ?? 'ok'}\n`);
    } else {
      response.statusCode = 404;
      response.end('here are /metrics, /healthz and /readyz\n');
    }
  }

  /** Why this process may not serve its role yet; undefined when it may. */
  unready(): string | undefined {
    for (const check of this.readiness) {
      const why = check();
      if (why !== undefined) return why;
    }
    return undefined;
  }

  private degraded(): string | undefined {
    const found = this.degradations.flatMap((check) => check() ?? []);
    return found.length === 0 ? undefined : `degraded: ${found.join('; ')}`;
  }

  private producer(): MetricProducer {
    const startTime = this.hrTime();
    return {
      collect: (): Promise<CollectionResult> => {
        const byName = new Map<MetricName, Sample[]>();
        for (const source of this.sources) {
          for (const sample of source()) {
            const known = byName.get(sample.metric);
            if (known) known.push(sample);
            else byName.set(sample.metric, [sample]);
          }
        }
        const endTime = this.hrTime();
        const data = [...byName].map(([name, samples]) => this.family(name, samples, startTime, endTime));
        const scopeMetrics = [{ scope: { name: 'cometmq' }, metrics: data }];
        return Promise.resolve({ resourceMetrics: { resource: resourceFromAttributes({}), scopeMetrics }, errors: [] });
      },
    };
  }

  private family(name: MetricName, samples: readonly Sample[], startTime: HrTime, endTime: HrTime): MetricData {
    const { kind, unit, help } = metrics[name];
    const descriptor = { name, description: help, unit, valueType: ValueType.DOUBLE };
    const aggregationTemporality = AggregationTemporality.CUMULATIVE;
    const point = <T>(sample: Sample, value: T): DataPoint<T> => ({
      startTime,
      endTime,
      attributes: { ...this.options.labels, ...sample.labels },
      value,
    });
    if (kind === 'histogram') {
      const dataPoints = samples.map((sample) => point(sample, histogram(sample.value)));
      return { descriptor, aggregationTemporality, dataPointType: DataPointType.HISTOGRAM, dataPoints };
    }
    const dataPoints = samples.map((sample) => point(sample, Number(sample.value)));
    return kind === 'counter'
      ? { descriptor, aggregationTemporality, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
      : { descriptor, aggregationTemporality, dataPointType: DataPointType.GAUGE, dataPoints };
  }

  private hrTime(): HrTime {
    const nowMs = this.options.clock.wallMs();
    return [Math.floor(nowMs / 1000), (nowMs % 1000) * 1_000_000];
  }

  private *processFigures(): Iterable<Sample> {
    const cpu = process.cpuUsage();
    const labels = {};
    yield { metric: 'rocketmq_process_resident_memory', labels, value: process.memoryUsage.rss() };
    yield { metric: 'rocketmq_process_cpu_seconds_total', labels, value: (cpu.user + cpu.system) / 1e6 };
    yield { metric: 'rocketmq_process_gc_seconds_total', labels, value: this.gcMs / 1_000 };
    for (const [quantile, value] of this.loopLag.take([0.5, 0.99])) {
      yield { metric: 'rocketmq_event_loop_lag', labels: { quantile: String(quantile) }, value };
    }
  }
}

function histogram(value: number | Buckets): {
  buckets: { boundaries: number[]; counts: number[] };
  sum: number;
  count: number;
} {
  const filled = value instanceof Buckets ? value : new Buckets([]);
  return {
    buckets: { boundaries: [...filled.bounds], counts: [...filled.counts] },
    sum: filled.sum,
    count: filled.count,
  };
}
