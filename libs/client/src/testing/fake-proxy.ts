import {
  AckMessageRequest,
  AckMessageResponse,
  Code,
  NotifyClientTerminationResponse,
  Permission,
  QueryRouteRequest,
  QueryRouteResponse,
  ReceiveMessageRequest,
  ReceiveMessageResponse,
  SendMessageRequest,
  SendMessageResponse,
  type Message,
} from '@cometmq/proto';
import { answering, type CallContext, type GrpcService, type MessageSink } from '@cometmq/rpc';
import { GrpcJsServer } from '@cometmq/rpc/testing';
import { systemClock } from '@cometmq/shared';

interface Waiting {
  readonly key: string;
  readonly out: MessageSink;
  readonly batchSize: number;
}

/**
 * The clients' protocol over a broker that is a list for each topic: enough to send, wait, receive and acknowledge.
 * Every group starts at a topic's first message, and nothing is handed out twice.
 */
export class FakeProxy {
  readonly messages = new Map<string, Message[]>();
  /** "group topic messageId", in order. */
  readonly acked: string[] = [];
  readonly clients = new Set<string>();
  readonly gone: string[] = [];
  /** Topics that are refused with this code and text. */
  readonly refused = new Map<string, { readonly code: Code; readonly message: string }>();
  /** Messages with these bodies are, whatever else is sent with them. */
  readonly refusedBodies = new Map<string, { readonly code: Code; readonly message: string }>();
  private readonly next = new Map<string, number>();
  private waiting: Waiting[] = [];
  private readonly server = new GrpcJsServer({
    ...{ host: '127.0.0.1', port: 0, clock: systemClock, log: () => undefined, stopMs: 10 },
    services: [this.service()],
  });

  get address(): string {
    return `127.0.0.1:${this.server.port}`;
  }
  /** How many receives wait for a message. */
  get polls(): number {
    return this.waiting.length;
  }

  start(): Promise<void> {
    return this.server.start();
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  private service(): GrpcService {
    const unary = (act: (request: Uint8Array, call: CallContext) => Uint8Array) => ({
      kind: 'unary' as const,
      handler: answering(async (request, call) => act(request, call)),
    });
    return {
      name: 'apache.rocketmq.v2.MessagingService',
      methods: {
        QueryRoute: unary((bytes, call) => this.route(QueryRouteRequest.decode(bytes), call)),
        SendMessage: unary((bytes) => this.send(SendMessageRequest.decode(bytes))),
        AckMessage: unary((bytes) => this.ack(AckMessageRequest.decode(bytes))),
        NotifyClientTermination: unary((_bytes, call) => {
          this.gone.push(call.headers.get('x-mq-client-id') ?? '');
          const status = { code: Code.OK, message: 'OK' };
          return NotifyClientTerminationResponse.encode({ status }).finish();
        }),
        ReceiveMessage: {
          kind: 'serverStream',
          handler: (bytes, call, out) => this.receive(ReceiveMessageRequest.decode(bytes), call, out),
        },
      },
    };
  }

  private route({ topic }: QueryRouteRequest, call: CallContext): Uint8Array {
    this.clients.add(call.headers.get('x-mq-client-id') ?? '');
    const refused = this.refused.get(topic?.name ?? '');
    if (refused) return QueryRouteResponse.encode({ status: refused, messageQueues: [] }).finish();
    const queue = { topic, id: 0, permission: Permission.READ_WRITE, broker: { name: 'broker-0', id: 0 } };
    const response = { status: { code: Code.OK, message: 'OK' }, messageQueues: [queue] };
    return QueryRouteResponse.encode(QueryRouteResponse.fromPartial(response)).finish();
  }

  private send({ messages }: SendMessageRequest): Uint8Array {
    const ok = { code: Code.OK, message: 'OK' };
    const entries = messages.map((message) => {
      const refused = this.refusedBodies.get(message.body.toString());
      if (refused) return { status: refused };
      const topic = message.topic?.name ?? '';
      const all = this.messages.get(topic) ?? [];
      this.messages.set(topic, all);
      all.push(message);
      return { status: ok, messageId: message.systemProperties?.messageId ?? '', offset: all.length - 1 };
    });
    setImmediate(() => this.wake());
    return SendMessageResponse.encode(SendMessageResponse.fromPartial({ status: ok, entries })).finish();
  }

  private ack({ group, topic, entries }: AckMessageRequest): Uint8Array {
    const ok = { code: Code.OK, message: 'OK' };
    const invalid = { code: Code.INVALID_RECEIPT_HANDLE, message: 'not a handle of mine' };
    const results = entries.map(({ messageId, receiptHandle }) => {
      const known = receiptHandle.startsWith('handle-');
      if (known) this.acked.push(`${group?.name} ${topic?.name} ${messageId}`);
      return { messageId, receiptHandle, status: known ? ok : invalid };
    });
    return AckMessageResponse.encode({ status: results[0]?.status ?? ok, entries: results }).finish();
  }

  private receive(request: ReceiveMessageRequest, call: CallContext, out: MessageSink): void {
    const topic = request.messageQueue?.topic?.name ?? '';
    const poll = { key: `${request.group?.name} ${topic}`, out, batchSize: request.batchSize };
    if (this.answer(poll)) return;
    this.waiting.push(poll);
    const forget = (): void => void (this.waiting = this.waiting.filter((other) => other !== poll));
    const { seconds = 0, nanos = 0 } = request.longPollingTimeout ?? {};
    const timer = systemClock.after(seconds * 1000 + nanos / 1e6, () => {
      if (!this.waiting.includes(poll)) return;
      forget();
      say(out, { $case: 'status', value: { code: Code.MESSAGE_NOT_FOUND, message: 'no new message' } });
      out.end();
    });
    call.onCancel(() => {
      timer.cancel();
      forget();
    });
  }

  private wake(): void {
    this.waiting = this.waiting.filter((poll) => !this.answer(poll));
  }

  private answer({ key, out, batchSize }: Waiting): boolean {
    const all = this.messages.get(key.slice(key.indexOf(' ') + 1)) ?? [];
    const from = this.next.get(key) ?? 0;
    const batch = all.slice(from, from + batchSize);
    if (batch.length === 0) return false;
    this.next.set(key, from + batch.length);
    say(out, { $case: 'status', value: { code: Code.OK, message: 'OK' } });
    batch.forEach((message, i) => {
      const delivered = { receiptHandle: `handle-${from + i}`, queueOffset: from + i, deliveryAttempt: 1 };
      const storeTimestamp = { seconds: 1_700_000_000, nanos: 500_000_000 };
      const systemProperties = { ...message.systemProperties, ...delivered, storeTimestamp };
      say(out, { $case: 'message', value: { ...message, systemProperties } as Message });
    });
    out.end();
    return true;
  }
}

function say(out: MessageSink, content: NonNullable<ReceiveMessageResponse['content']>): void {
  out.write(ReceiveMessageResponse.encode({ content }).finish());
}
