import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Attributes } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Component, Values } from '@cometmq/shared';

import type { telemetrySettings, traceSettings } from './settings.js';

export interface MessageTracesOptions {
  readonly service: string;
  readonly version: string;
  readonly cluster: string;
  /** Which of several processes of the same service it is. */
  readonly instance?: string;
  /** Base URL of an OTLP collector. */
  readonly otlpEndpoint: string;
}

type MessageTracesConfig = Pick<Values<typeof telemetrySettings>, 'clusterName' | 'otlpEndpoint'> &
  Values<typeof traceSettings>;

/** One step of a message's way. */
export interface MessageSpan {
  /** The first three are asked for by clients, and told by proxies; the others are decided by brokers. */
  readonly operation: 'send' | 'receive' | 'ack' | 'store' | 'deliver' | 'deadLetter';
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

/** OpenTelemetry has types for what clients do, and none for what goes on between them. */
const typeOf = { send: 'send', receive: 'receive', ack: 'settle' } as const;
const asked = (operation: MessageSpan['operation']): operation is keyof typeof typeOf => operation in typeOf;

/** Sampled, by its sender's word: https://www.w3.org/TR/trace-context/ */
const sampled = /^[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f][13579bdf]$/;

/** The context that spans may join; undefined: there is none, or it is not sampled. */
export function sampledContext(given: string | undefined): string | undefined {
  return given !== undefined && sampled.test(given) ? given : undefined;
}

/** Undefined: no traces are wanted, and nobody shall look for any. */
export function messageTracesOf(
  { otlpTraces, otlpEndpoint, clusterName }: MessageTracesConfig,
  of: Pick<MessageTracesOptions, 'service' | 'version' | 'instance'>,
): MessageTraces | undefined {
  return otlpTraces && otlpEndpoint !== ''
    ? new MessageTraces({ ...of, cluster: clusterName, otlpEndpoint })
    : undefined;
}

/** Spans of messages, pushed as OTLP over HTTP in batches. What no collector takes is lost: it holds nothing up. */
export class MessageTraces implements Component {
  readonly name = 'traces';
  private readonly provider: TracerProvider;

  constructor({ service, version, cluster, instance, otlpEndpoint }: MessageTracesOptions) {
    const exporter = new OTLPTraceExporter({ url: `${otlpEndpoint.replace(/\/$/, '')}/v1/traces` });
    this.provider = new TracerProvider({
      resource: resourceFromAttributes({
        'service.name': service,
        'service.version': version,
        'service.namespace': cluster,
        ...(instance !== undefined && { 'service.instance.id': instance }),
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
      ...(asked(operation) && { 'messaging.operation.type': typeOf[operation] }),
      'messaging.destination.name': topic,
      ...attributes,
      ...(error !== undefined && { 'error.type': error }),
    };
    const span = this.provider
      .getTracer('cometmq')
      .startSpan(
        `${operation} ${topic}`,
        { kind: asked(operation) ? SpanKind.SERVER : SpanKind.INTERNAL, startTime: startMs, attributes: all },
        trace.setSpanContext(ROOT_CONTEXT, from),
      );
    if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
    span.end(endMs);
  }
}
