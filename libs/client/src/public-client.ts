import { hostname } from 'node:os';

import {
  AckMessageRequest,
  AckMessageResponse,
  Code,
  Encoding,
  FilterType,
  MessageType,
  NotifyClientTerminationRequest,
  QueryRouteRequest,
  QueryRouteResponse,
  ReceiveMessageRequest,
  ReceiveMessageResponse,
  SendMessageRequest,
  SendMessageResponse,
  SystemProperties,
  type Duration,
  type Message,
  type MessageQueue,
  type Status,
  type Timestamp,
} from '@cometmq/proto';
import type { FilterExpression } from '@cometmq/model';
import type { RpcChannel } from '@cometmq/rpc';
import { errorCodes, MqError, type Chance, type Clock, type ErrorCode } from '@cometmq/shared';

export interface PublicClientOptions {
  /** To a proxy, the way any client comes in. Closed by whoever made it. */
  readonly channel: RpcChannel;
  readonly clock: Clock;
  readonly chance: Chance;
  /** Unique among the living clients; made up if left out. */
  readonly clientId?: string;
  /** In message ids. Default: that of this process. */
  readonly processId?: number;
  /** Headers that say whose request it is; left out: nobody's. */
  readonly sign?: ((path: string, request: Uint8Array) => Readonly<Record<string, string>>) | undefined;
  /** How long a call may take, beside what a receive waits. */
  readonly requestMsMax?: number;
}

export interface OutgoingMessage {
  readonly topic: string;
  readonly body: Uint8Array;
  readonly tag?: string;
  readonly keys?: readonly string[];
  readonly properties?: ReadonlyMap<string, string>;
  /** In order with all of this group. */
  readonly messageGroup?: string;
  /** Not delivered before this time, since 1970. */
  readonly deliveryMs?: number;
  readonly priority?: number;
  readonly liteTopic?: string;
}

export interface SentMessage {
  readonly messageId: string;
  readonly offset: number;
  /** Of a delayed message: takes it back. */
  readonly recallHandle?: string;
}

export interface ReceiveOptions {
  readonly group: string;
  readonly topic: string;
  readonly filter?: FilterExpression;
  readonly messagesMax: number;
  /** How long to wait while there is nothing. */
  readonly waitMs: number;
  /** How long what was received is kept from others; the server takes 10 s to 12 h. */
  readonly invisibleMs: number;
  /** Gives the wait up: CANCELLED. What was just handed out goes back. */
  readonly signal?: AbortSignal;
}

export interface ReceivedMessage {
  readonly topic: string;
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly body: Uint8Array;
  /** False: the body is packed (gzip) as its sender packed it. */
  readonly plain: boolean;
  readonly tag: string | undefined;
  readonly keys: readonly string[];
  readonly properties: ReadonlyMap<string, string>;
  readonly messageGroup: string | undefined;
  readonly liteTopic: string | undefined;
  readonly priority: number | undefined;
  readonly queueId: number;
  readonly offset: number;
  /** Which delivery it is, from 1. */
  readonly attempt: number;
  /** When the sender made it and when the broker took it, since 1970. */
  readonly bornMs: number | undefined;
  readonly storedMs: number | undefined;
  /** Of a dead letter: the topic it was sent to. */
  readonly originTopic: string | undefined;
}

const service = '/apache.rocketmq.v2.MessagingService';
/** Message ids count seconds from here: 2021-01-01 UTC. */
const idEpochMs = 1_609_459_200_000;

/** Codes of the protocol that have another name in the system; the rest are called the same. */
const renamed: Readonly<Record<string, ErrorCode>> = {
  MESSAGE_BODY_TOO_LARGE: 'MESSAGE_TOO_LARGE',
  PAYLOAD_TOO_LARGE: 'MESSAGE_TOO_LARGE',
  MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: 'MESSAGE_TYPE_CONFLICT',
  PROXY_TIMEOUT: 'TIMEOUT',
  REQUEST_TIMEOUT: 'TIMEOUT',
  MASTER_PERSISTENCE_TIMEOUT: 'TIMEOUT',
  SLAVE_PERSISTENCE_TIMEOUT: 'TIMEOUT',
  HA_NOT_AVAILABLE: 'UNAVAILABLE',
  NOT_IMPLEMENTED: 'UNSUPPORTED',
  VERSION_UNSUPPORTED: 'UNSUPPORTED',
};
const codeNames = new Map<number, string>(Object.entries(Code).map(([name, code]) => [code, name]));

/**
 * A small client of the clients' own protocol: what the command line, tests and probes send and receive with. It knows
 * one address, keeps no session alive and retries nothing.
 */
export class PublicClient {
  readonly clientId: string;
  private readonly headers: Readonly<Record<string, string>>;
  private readonly requestMsMax: number;
  private readonly routes = new Map<string, readonly MessageQueue[]>();
  private readonly idPrefix: Buffer;
  private sent = 0;
  private asked = 0;

  constructor(private readonly options: PublicClientOptions) {
    const { chance, clock, processId = process.pid } = options;
    const unique = Math.floor(chance.next() * 2 ** 48).toString(36);
    this.clientId = options.clientId ?? `${hostname()}@${processId}@0@${unique}`;
    this.requestMsMax = options.requestMsMax ?? 3_000;
    this.headers = {
      'x-mq-client-id': this.clientId,
      'x-mq-language': 'OTHER',
      'x-mq-client-version': '5.0.0',
      'x-mq-protocol': 'v2',
    };
    this.idPrefix = Buffer.alloc(13);
    this.idPrefix[0] = 1;
    for (let i = 1; i < 7; i += 1) this.idPrefix[i] = Math.floor(chance.next() * 256);
    this.idPrefix.writeUInt16BE(processId & 0xffff, 7);
    this.idPrefix.writeUInt32BE(Math.max(0, Math.floor((clock.wallMs() - idEpochMs) / 1000)) >>> 0, 9);
  }

  /** The queues of a topic as a client sees them; makes the topic where the cluster allows that. */
  async route(topic: string): Promise<readonly MessageQueue[]> {
    const known = this.routes.get(topic);
    if (known) return known;
    const request = QueryRouteRequest.fromPartial({ topic: { name: topic } });
    const answer = QueryRouteResponse.decode(
      await this.unary('QueryRoute', QueryRouteRequest.encode(request).finish()),
    );
    check(answer.status);
    this.routes.set(topic, answer.messageQueues);
    return answer.messageQueues;
  }

  /** Resolves when all are stored, in order. @throws MqError of the first that was refused; others may be stored. */
  async send(messages: readonly OutgoingMessage[]): Promise<readonly SentMessage[]> {
    const outcomes = await this.sendEach(messages);
    return outcomes.map((outcome) => {
      if (outcome instanceof MqError) throw outcome;
      return outcome;
    });
  }

  /** In order, what became of each. @throws MqError where that is not known of any */
  async sendEach(messages: readonly OutgoingMessage[]): Promise<readonly (SentMessage | MqError)[]> {
    const [first] = messages;
    if (!first) return [];
    await this.route(first.topic);
    const request = SendMessageRequest.fromPartial({ messages: messages.map((message) => this.toWire(message)) });
    const bytes = await this.unary('SendMessage', SendMessageRequest.encode(request).finish());
    const answer = SendMessageResponse.decode(bytes);
    if (answer.entries.length === 0) check(answer.status);
    return answer.entries.map(
      ({ status, messageId, offset, recallHandle }) =>
        refusalOf(status) ?? { messageId, offset, ...(recallHandle !== '' && { recallHandle }) },
    );
  }

  /** What is there, at once; else what comes within `waitMs`, which may be nothing. */
  async receive(wanted: ReceiveOptions): Promise<readonly ReceivedMessage[]> {
    const queues = await this.route(wanted.topic);
    const queue = queues[this.asked % queues.length];
    this.asked += 1;
    const request = ReceiveMessageRequest.fromPartial({
      group: { name: wanted.group },
      messageQueue: { ...queue, topic: { name: wanted.topic } },
      filterExpression: {
        type: wanted.filter?.type === 'sql' ? FilterType.SQL : FilterType.TAG,
        expression: wanted.filter?.expression ?? '*',
      },
      batchSize: wanted.messagesMax,
      invisibleDuration: durationOf(wanted.invisibleMs),
      autoRenew: false,
      longPollingTimeout: durationOf(wanted.waitMs),
    });
    return this.receiveStream(ReceiveMessageRequest.encode(request).finish(), wanted);
  }

  /** @throws MqError of the first acknowledgement that was refused; the others count. */
  async ack(
    group: string,
    topic: string,
    messages: readonly Pick<ReceivedMessage, 'messageId' | 'receiptHandle'>[],
  ): Promise<void> {
    if (messages.length === 0) return;
    const request = AckMessageRequest.fromPartial({
      group: { name: group },
      topic: { name: topic },
      entries: messages.map(({ messageId, receiptHandle }) => ({ messageId, receiptHandle })),
    });
    const answer = AckMessageResponse.decode(
      await this.unary('AckMessage', AckMessageRequest.encode(request).finish()),
    );
    for (const entry of answer.entries) check(entry.status);
    check(answer.status);
  }

  /** Says goodbye: what this client holds of the group becomes visible soon. */
  async leave(group: string): Promise<void> {
    const request = NotifyClientTerminationRequest.fromPartial({ group: { name: group } });
    await this.unary('NotifyClientTermination', NotifyClientTerminationRequest.encode(request).finish());
  }

  private receiveStream(request: Uint8Array, { waitMs, signal }: ReceiveOptions): Promise<readonly ReceivedMessage[]> {
    const { channel, clock } = this.options;
    const deadlineMs = clock.monotonicMs() + waitMs + this.requestMsMax;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) throw new MqError('CANCELLED', 'the wait was given up');
      const path = `${service}/ReceiveMessage`;
      const stream = channel.serverStream(path, request, { deadlineMs, headers: this.headersOf(path, request) });
      const messages: ReceivedMessage[] = [];
      let status: Status | undefined;
      const giveUp = (): void => stream.cancel();
      signal?.addEventListener('abort', giveUp, { once: true });
      stream.onMessage((bytes) => {
        const { content } = ReceiveMessageResponse.decode(bytes);
        if (content?.$case === 'status') status = content.value;
        else if (content?.$case === 'message') messages.push(fromWire(content.value));
      });
      stream.onEnd((error) => {
        signal?.removeEventListener('abort', giveUp);
        if (error) reject(error);
        else if (status?.code === Code.MESSAGE_NOT_FOUND) resolve([]);
        else {
          try {
            check(status);
            resolve(messages);
          } catch (caught) {
            reject(MqError.from(caught));
          }
        }
      });
    });
  }

  private headersOf(path: string, request: Uint8Array): Readonly<Record<string, string>> {
    return { ...this.headers, ...this.options.sign?.(path, request) };
  }

  private unary(method: string, request: Uint8Array): Promise<Uint8Array> {
    const { channel, clock } = this.options;
    const deadlineMs = clock.monotonicMs() + this.requestMsMax;
    const path = `${service}/${method}`;
    return channel.unary(path, request, { deadlineMs, headers: this.headersOf(path, request) });
  }

  private toWire(message: OutgoingMessage): Message {
    return {
      topic: { name: message.topic, resourceNamespace: '' },
      userProperties: new Map(message.properties),
      systemProperties: {
        ...noSystemProperties,
        tag: message.tag,
        keys: [...(message.keys ?? [])],
        messageId: this.nextId(),
        bodyEncoding: Encoding.IDENTITY,
        messageType: typeOf(message),
        messageGroup: message.messageGroup,
        deliveryTimestamp: message.deliveryMs === undefined ? undefined : timestampOf(message.deliveryMs),
        priority: message.priority,
        liteTopic: message.liteTopic,
        bornTimestamp: timestampOf(this.options.clock.wallMs()),
        bornHost: hostname(),
      },
      body: message.body,
    };
  }

  /** The clients' own form: 17 bytes in upper-case hexadecimal. */
  private nextId(): string {
    const id = Buffer.alloc(17);
    this.idPrefix.copy(id);
    id.writeUInt32BE(this.sent >>> 0, 13);
    this.sent += 1;
    return id.toString('hex').toUpperCase();
  }
}

/** The first hit counts, as it does for the server. */
function typeOf({ messageGroup, deliveryMs, priority, liteTopic }: OutgoingMessage): MessageType {
  if (deliveryMs !== undefined) return MessageType.DELAY;
  if (messageGroup !== undefined) return MessageType.FIFO;
  if (priority !== undefined) return MessageType.PRIORITY;
  return liteTopic === undefined ? MessageType.NORMAL : MessageType.LITE;
}

/** Every field of a message's system properties, absent. */
const noSystemProperties: SystemProperties = SystemProperties.fromPartial({});

/** @throws MqError with the system's code for what the server said. */
function check(status: Status | undefined): void {
  const refusal = refusalOf(status);
  if (refusal) throw refusal;
}

/** Undefined: all is well. */
function refusalOf(status: Status | undefined): MqError | undefined {
  if (!status) return new MqError('INTERNAL', 'the server answered without a status');
  if (status.code === Code.OK) return undefined;
  const name = codeNames.get(status.code) ?? '';
  const code = renamed[name] ?? errorCodes.find((each) => each === name) ?? 'INTERNAL';
  return new MqError(code, status.message === '' ? `the server answered ${name} (${status.code})` : status.message);
}

function fromWire(message: Message): ReceivedMessage {
  const system = message.systemProperties;
  return {
    topic: message.topic?.name ?? '',
    messageId: system?.messageId ?? '',
    receiptHandle: system?.receiptHandle ?? '',
    body: message.body,
    plain: system?.bodyEncoding !== Encoding.GZIP,
    tag: system?.tag,
    keys: system?.keys ?? [],
    properties: message.userProperties,
    messageGroup: system?.messageGroup,
    liteTopic: system?.liteTopic,
    priority: system?.priority,
    queueId: system?.queueId ?? 0,
    offset: system?.queueOffset ?? 0,
    attempt: system?.deliveryAttempt ?? 1,
    bornMs: msOf(system?.bornTimestamp),
    storedMs: msOf(system?.storeTimestamp),
    originTopic: system?.deadLetterQueue?.topic,
  };
}

function durationOf(ms: number): Duration {
  return { seconds: Math.floor(ms / 1000), nanos: Math.round((ms % 1000) * 1e6) };
}

function timestampOf(ms: number): Timestamp {
  return durationOf(ms);
}

function msOf(timestamp: Timestamp | undefined): number | undefined {
  return timestamp && timestamp.seconds * 1000 + Math.floor(timestamp.nanos / 1e6);
}
