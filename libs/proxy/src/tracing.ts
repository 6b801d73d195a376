/**
 * What becomes of single messages, told to whoever keeps traces: a span for each message sent, received and acknowledged, as
 * a child of the context that its sender put into it. Methods are wrapped where traces are wanted and left alone elsewhere,
 * so that they cost nothing where they are off; messages without a sampled context cost no more than to look for one.
 */
import {
  AckMessageRequest,
  AckMessageResponse,
  Code,
  decodeCounted,
  ReceiveMessageRequest,
  ReceiveMessageResponse,
  SendMessageRequest,
  SendMessageResponse,
  type Message,
} from '@cometmq/proto';
import type { GrpcMethod, MessageBytes, MessageSink, ServerStreamHandler, UnaryHandler } from '@cometmq/rpc';
import type { Clock } from '@cometmq/shared';
import { type MessageSpan, sampledContext } from '@cometmq/telemetry';

/** Whoever keeps traces. */
export interface MessageTraces {
  add(span: MessageSpan): void;
}

type Decode = <T>(codec: Parameters<typeof decodeCounted<T>>[0], bytes: Uint8Array) => T | undefined;

/** The contexts of messages that were handed out and may be acknowledged here. */
const handedMax = 20_000;

/** The methods, with those that move messages telling of them. */
export function tracedMethods(
  methods: Readonly<Record<string, GrpcMethod>>,
  traces: MessageTraces,
  clock: Clock,
  fieldsMax: number,
): Readonly<Record<string, GrpcMethod>> {
  /** Nothing is made of a request that its method would refuse: what can't be read, or has too many fields. */
  const decoded: Decode = (codec, bytes) => readable(() => decodeCounted(codec, bytes, fieldsMax));
  const handed = new Map<string, string>();
  return Object.fromEntries(
    Object.entries(methods).map(([name, method]) => {
      if (name === 'SendMessage' && method.kind === 'unary') {
        return [name, { ...method, handler: tracedSend(method.handler, traces, clock, decoded) }];
      }
      if (name === 'ReceiveMessage' && method.kind === 'serverStream') {
        return [name, { ...method, handler: tracedReceive(method.handler, traces, clock, decoded, handed) }];
      }
      if (name === 'AckMessage' && method.kind === 'unary') {
        return [name, { ...method, handler: tracedAck(method.handler, traces, clock, decoded, handed) }];
      }
      return [name, method];
    }),
  );
}

function tracedSend(handler: UnaryHandler, traces: MessageTraces, clock: Clock, decoded: Decode): UnaryHandler {
  return (request, call, reply) => {
    const messages = decoded(SendMessageRequest, request)?.messages ?? [];
    const parents = messages.map(contextOf);
    if (!parents.some((parent) => parent !== undefined)) return handler(request, call, reply);
    const startMs = clock.wallMs();
    const tell = (errorOf: (index: number) => string | undefined): void => {
      const endMs = clock.wallMs();
      messages.forEach((message, i) => {
        const parent = parents[i];
        if (parent === undefined) return;
        const attributes = { ...messageFacts(message), 'messaging.client.id': clientOf(call.headers) };
        const topic = message.topic?.name ?? '';
        traces.add({ operation: 'send', topic, parent, startMs, endMs, error: errorOf(i), attributes });
      });
    };
    handler(request, call, {
      send: (answer) => {
        const said = SendMessageResponse.decode(whole(answer));
        tell((i) => wordOf(said.entries[i]?.status?.code ?? said.status?.code));
        reply.send(answer);
      },
      fail: (status, message, code) => {
        tell(() => code ?? 'INTERNAL');
        reply.fail(status, message, code);
      },
    });
  };
}

function tracedReceive(
  handler: ServerStreamHandler,
  traces: MessageTraces,
  clock: Clock,
  decoded: Decode,
  handed: Map<string, string>,
): ServerStreamHandler {
  return (request, call, out) => {
    const group = decoded(ReceiveMessageRequest, request)?.group?.name ?? '';
    const sink: MessageSink = {
      write: (bytes) => {
        const content = readable(() => ReceiveMessageResponse.decode(whole(bytes)).content);
        const message = content?.$case === 'message' ? content.value : undefined;
        const parent = message && contextOf(message);
        if (message && parent !== undefined) {
          const { receiptHandle = '', deliveryAttempt } = message.systemProperties ?? {};
          if (handed.size >= handedMax) handed.delete(handed.keys().next().value ?? '');
          handed.set(receiptHandle, parent);
          const attributes = {
            ...messageFacts(message),
            'messaging.client.id': clientOf(call.headers),
            'messaging.consumer.group.name': group,
            ...(deliveryAttempt !== undefined && { 'messaging.rocketmq.delivery_attempt': deliveryAttempt }),
          };
          // How long the poll waited for it is no part of its way.
          const nowMs = clock.wallMs();
          const topic = message.topic?.name ?? '';
          const times = { startMs: nowMs, endMs: nowMs };
          traces.add({ operation: 'receive', topic, parent, ...times, error: undefined, attributes });
        }
        return out.write(bytes);
      },
      onDrain: (act) => out.onDrain(act),
      onArrival: (act) => out.onArrival(act),
      end: () => out.end(),
      fail: (status, message, code) => out.fail(status, message, code),
      get open() {
        return out.open;
      },
    };
    handler(request, call, sink);
  };
}

function tracedAck(
  handler: UnaryHandler,
  traces: MessageTraces,
  clock: Clock,
  decoded: Decode,
  handed: Map<string, string>,
): UnaryHandler {
  return (request, call, reply) => {
    const asked = handed.size === 0 ? undefined : decoded(AckMessageRequest, request);
    if (!asked?.entries.some(({ receiptHandle }) => handed.has(receiptHandle))) return handler(request, call, reply);
    const startMs = clock.wallMs();
    const tell = (errorOf: (index: number) => string | undefined): void => {
      asked.entries.forEach(({ receiptHandle, messageId }, i) => {
        const parent = handed.get(receiptHandle);
        if (parent === undefined) return;
        const error = errorOf(i);
        if (error === undefined) handed.delete(receiptHandle);
        const attributes = {
          'messaging.message.id': messageId,
          'messaging.client.id': clientOf(call.headers),
          'messaging.consumer.group.name': asked.group?.name ?? '',
        };
        const topic = asked.topic?.name ?? '';
        traces.add({ operation: 'ack', topic, parent, startMs, endMs: clock.wallMs(), error, attributes });
      });
    };
    handler(request, call, {
      send: (answer) => {
        const said = AckMessageResponse.decode(whole(answer));
        tell((i) => wordOf(said.entries[i]?.status?.code ?? said.status?.code));
        reply.send(answer);
      },
      fail: (status, message, code) => {
        tell(() => code ?? 'INTERNAL');
        reply.fail(status, message, code);
      },
    });
  };
}

/** The property that OpenTelemetry's instrumentations set, or RocketMQ's own field; undefined: none, or not sampled. */
function contextOf({ userProperties, systemProperties }: Message): string | undefined {
  return sampledContext(userProperties.get('traceparent') ?? systemProperties?.traceContext);
}

function messageFacts({ systemProperties, body }: Message): Record<string, string | number> {
  const { messageId = '', tag = '', keys = [], messageGroup = '', queueId } = systemProperties ?? {};
  return {
    'messaging.message.id': messageId,
    'messaging.message.body.size': body.length,
    ...(tag !== '' && { 'messaging.rocketmq.message.tag': tag }),
    ...(keys.length > 0 && { 'messaging.rocketmq.message.keys': keys.join(' ') }),
    ...(messageGroup !== '' && { 'messaging.rocketmq.message.group': messageGroup }),
    ...(queueId !== undefined && { 'messaging.destination.partition.id': String(queueId) }),
  };
}

function clientOf(headers: { get(name: string): string | undefined }): string {
  return headers.get('x-mq-client-id') ?? '';
}

function wordOf(code: Code | undefined): string | undefined {
  if (code === undefined || code === Code.OK) return undefined;
  return Object.entries(Code).find(([, number]) => number === code)?.[0] ?? String(code);
}

function whole(bytes: MessageBytes): Uint8Array {
  return bytes instanceof Uint8Array ? bytes : Buffer.concat(bytes);
}

/** What a client sent that can't be read is for the handler to refuse. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
