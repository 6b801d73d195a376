import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Attributes } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Component } from '@cometmq/shared';

export interface MessageTracesOptions {
  readonly service: string;
  readonly version: string;
  readonly cluster: string;
  /** Base URL of an OTLP collector. */
  readonly otlpEndpoint: string;
}

/** One step of a message's way. */
export interface MessageSpan {
  readonly operation: 'send' | 'receive' | 'ack';
  readonly topic: string;
  /** W3C `traceparent` of the message. */
  readonly parent: string;
  readonly startMs: number;
  readonly endMs: number;
  /** The protocol's word for what went wrong; undefined: nothing. */
  readonly error: string | undefined;
  /** In the words of OpenTelemetry's conventions for messaging. */
  readonly attributes: Readonly<Record<string, string | number>>;
}

const typeOf = { send: 'send', receive: 'receive', ack: 'settle' } as const;

/** Spans of messages, pushed as OTLP over HTTP in batches. What no collector takes is lost: it holds nothing up. */
export class MessageTraces implements Component {
  readonly name = 'traces';
  private readonly provider: TracerProvider;

  constructor({ service, version, cluster, otlpEndpoint }: MessageTracesOptions) {
    const exporter = new OTLPTraceExporter({ url: `${otlpEndpoint.replace(/\/$/, '')}/v1/traces` });
    this.provider = new TracerProvider({
      resource: resourceFromAttributes({
        'service.name': service,
        'service.version': version,
        'service.namespace': cluster,
      }),
      spanProcessors: [new BatchSpanProcessor({ exporter })],
    });
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    await this.provider.shutdown().catch(() => undefined); // An unreachable collector must not hold up the stop.
  }

  add({ operation, topic, parent, startMs, endMs, error, attributes }: MessageSpan): void {
    const [, traceId = '', spanId = '', flags = '00'] = parent.split('-');
    const from = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
    const all: Attributes = {
      'messaging.system': 'rocketmq',
      'messaging.operation.name': operation,
      'messaging.operation.type': typeOf[operation],
      'messaging.destination.name': topic,
      ...attributes,
      ...(error !== undefined && { 'error.type': error }),
    };
    const span = this.provider
      .getTracer('cometmq')
      .startSpan(
        `${operation} ${topic}`,
        { kind: SpanKind.SERVER, startTime: startMs, attributes: all },
        trace.setSpanContext(ROOT_CONTEXT, from),
      );
    if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
    span.end(endMs);
  }
}
