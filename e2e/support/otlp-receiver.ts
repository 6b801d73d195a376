import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as it was pushed. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  /** A number of OTLP's SpanKind: 1 internal, 2 server. */
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** Of the process that pushed it. */
  readonly resource: Readonly<Record<string, string | number>>;
}

/** A collector: takes traces as OTLP over HTTP, in protobuf, and keeps them. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** Requests that were no traces: other paths, or what can't be read. */
  readonly others: string[] = [];
  private readonly server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.url === '/v1/traces') this.spans.push(...spansOf(Buffer.concat(chunks)));
      else this.others.push(request.url ?? '');
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  });

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  ofTrace(traceId: string): readonly ReceivedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId);
  }
}

/** ExportTraceServiceRequest: https://github.com/open-telemetry/opentelemetry-proto */
function spansOf(request: Buffer): ReceivedSpan[] {
  return parts(request, 1).flatMap((resourceSpans) => {
    const resource = attributesOf(parts(parts(resourceSpans, 1)[0] ?? nothing, 1));
    return parts(resourceSpans, 2)
      .flatMap((scope) => parts(scope, 2))
      .map((span) => ({
        traceId: parts(span, 1)[0]?.toString('hex') ?? '',
        spanId: parts(span, 2)[0]?.toString('hex') ?? '',
        parentSpanId: parts(span, 4)[0]?.toString('hex') ?? '',
        name: parts(span, 5)[0]?.toString() ?? '',
        kind: Number(number(span, 6)),
        startNs: number(span, 7),
        endNs: number(span, 8),
        attributes: attributesOf(parts(span, 9)),
        resource,
      }));
  });
}

function attributesOf(pairs: readonly Buffer[]): Record<string, string | number> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const value = parts(pair, 2)[0] ?? nothing;
      const text = parts(value, 1)[0];
      return [parts(pair, 1)[0]?.toString() ?? '', text ? text.toString() : Number(number(value, 3))];
    }),
  );
}

const nothing = Buffer.alloc(0);

/** The values of a field that are bytes: texts and messages. */
function parts(message: Buffer, field: number): Buffer[] {
  return [...fields(message)].flatMap(({ number: is, value }) =>
    is === field && typeof value === 'object' ? [value] : [],
  );
}

function number(message: Buffer, field: number): bigint {
  for (const { number: is, value } of fields(message)) if (is === field && typeof value === 'bigint') return value;
  return 0n;
}

function* fields(message: Buffer): Iterable<{ readonly number: number; readonly value: bigint | Buffer }> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    const type = tag & 7;
    let value: bigint | Buffer;
    if (type === 0) value = varint();
    else if (type === 2) {
      const length = Number(varint());
      value = message.subarray(at, (at += length));
    } else {
      const length = type === 1 ? 8 : 4;
      value = length === 8 ? message.readBigUInt64LE(at) : BigInt(message.readUInt32LE(at));
      at += length;
    }
    yield { number: tag >> 3, value };
  }
}
