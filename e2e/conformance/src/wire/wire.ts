/** Calls of the clients' protocol as plain protobuf messages, with any headers and any deadline. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Client, credentials, Metadata, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';

import { Code, MessagingServiceDefinition, type TelemetryCommand, type Message, type Status } from '@cometmq/proto';
import { ClientError } from '../calls.js';
import type { ClientUser, Target } from '../process-driver.js';

type Methods = typeof MessagingServiceDefinition.methods;
type UnaryName = { [K in keyof Methods]: Methods[K]['responseStream'] extends true ? never : K }[keyof Methods];
export type Asked<K extends keyof Methods> = Loose<ReturnType<Methods[K]['requestType']['decode']>>;
export type Answered<K extends keyof Methods> = ReturnType<Methods[K]['responseType']['decode']>;

/** A message of which any part may be left out. */
export type Loose<T> = T extends Uint8Array | ReadonlyMap<unknown, unknown> | string | number | boolean | undefined
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Loose<Item>[]
    : { readonly [K in keyof T]?: Loose<T[K]> | undefined };

export type Headers = Readonly<Record<string, string>>;

export interface Received {
  readonly status: Status;
  readonly messages: readonly Message[];
  /** When the server said it handed them out. */
  readonly sentAtMs: number | undefined;
}

export class Wire {
  private readonly client: Client;
  /** Streams under way: grpc-js would let them go on after `close`. */
  private readonly open = new Set<{ cancel(): void }>();

  private readonly headers: () => Headers;

  constructor(target: Target, headers: () => Headers) {
    const { user } = target;
    this.headers = user === undefined ? headers : () => signed(headers(), user);
    // Nobody shares a connection with another.
    this.client = new Client(target.endpoints, credentialsOf(target), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': -1,
    });
  }

  unary<K extends UnaryName>(name: K, request: Asked<K>, timeoutMs = 10_000, more: Headers = {}): Promise<Answered<K>> {
    const { path, encode, decode } = codecOf(name);
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(
        path,
        encode,
        decode,
        request,
        metadataOf({ ...this.headers(), ...more }),
        { deadline: Date.now() + timeoutMs },
        (error: ServiceError | null, answer?: unknown) => {
          if (error) reject(new ClientError('gRPC', error.message, undefined));
          else resolve(answer as Answered<K>);
        },
      );
    });
  }

  /** The same, and the answer must say OK. @throws ClientError with the protocol's code */
  async ok<K extends UnaryName>(name: K, request: Asked<K>, timeoutMs?: number): Promise<Answered<K>> {
    const answer = await this.unary(name, request, timeoutMs);
    check((answer as { status?: Status | undefined }).status);
    return answer;
  }

  /** All parts of the stream; more than one status, or none, is an error. */
  async receive(request: Asked<'receiveMessage'>, timeoutMs: number): Promise<Received> {
    const messages: Message[] = [];
    const statuses: Status[] = [];
    let sentAtMs: number | undefined;
    await this.parts('receiveMessage', request, timeoutMs, ({ content }) => {
      if (content?.$case === 'message') messages.push(content.value);
      if (content?.$case === 'status') statuses.push(content.value);
      if (content?.$case === 'deliveryTimestamp') sentAtMs = content.value.seconds * 1000 + content.value.nanos / 1e6;
    });
    return { status: only(statuses), messages, sentAtMs };
  }

  async pull(
    request: Asked<'pullMessage'>,
    timeoutMs = 10_000,
  ): Promise<{ status: Status; messages: Message[]; nextOffset: number | undefined }> {
    const messages: Message[] = [];
    const statuses: Status[] = [];
    let nextOffset: number | undefined;
    await this.parts('pullMessage', request, timeoutMs, ({ content }) => {
      if (content?.$case === 'message') messages.push(content.value);
      if (content?.$case === 'status') statuses.push(content.value);
      if (content?.$case === 'nextOffset') nextOffset = content.value;
    });
    return { status: only(statuses), messages, nextOffset };
  }

  private parts<K extends 'receiveMessage' | 'pullMessage'>(
    name: K,
    request: Asked<K>,
    timeoutMs: number,
    take: (part: Answered<K>) => void,
  ): Promise<void> {
    const { path, encode, decode } = codecOf(name);
    const deadline = Date.now() + timeoutMs;
    const metadata = metadataOf(this.headers());
    const call = this.client.makeServerStreamRequest(path, encode, decode, request, metadata, { deadline });
    this.open.add(call);
    const done = (): void => void this.open.delete(call);
    return new Promise<void>((resolve, reject) => {
      call.on('data', (part: Answered<K>) => take(part));
      call.on('error', (error: ServiceError) => reject(new ClientError('gRPC', error.message, undefined)));
      call.on('end', resolve);
    }).finally(done);
  }

  /** @param timeout the header as it stands on the wire, such as "31535999M" */
  telemetry(timeout?: string): Telemetry {
    const { path, encode, decode } = codecOf('telemetry');
    const metadata = metadataOf({ ...this.headers(), ...(timeout !== undefined && { 'grpc-timeout': timeout }) });
    const call = this.client.makeBidiStreamRequest(path, encode, decode, metadata);
    this.open.add(call);
    return new Telemetry(call);
  }

  close(): void {
    for (const call of this.open) call.cancel();
    this.client.close();
  }
}

/** The stream of settings and commands. */
export class Telemetry {
  readonly commands: TelemetryCommand[] = [];
  /** What came, in order: the headers, commands, the end. */
  readonly order: string[] = [];
  ended = false;
  onCommand: (command: TelemetryCommand) => void = () => undefined;

  constructor(private readonly call: ClientDuplexStream<unknown, unknown>) {
    call.on('metadata', () => this.order.push('headers'));
    call.on('data', (command: TelemetryCommand) => {
      this.order.push(command.command?.$case ?? 'status');
      this.commands.push(command);
      this.onCommand(command);
    });
    call.on('error', (error) => this.end(error.message));
    call.on('end', () => this.end('end'));
  }

  write(command: Loose<TelemetryCommand>): void {
    this.call.write(command);
  }

  close(): void {
    this.call.end();
  }

  private end(how: string): void {
    if (!this.ended) this.order.push(how);
    this.ended = true;
  }
}

/** @throws ClientError where it is not OK */
export function check(status: Status | undefined): void {
  if (status === undefined) throw new Error('the answer has no status');
  if (status.code !== Code.OK) throw new ClientError('status', status.message, status.code);
}

function only(statuses: readonly Status[]): Status {
  const [status] = statuses;
  if (status === undefined || statuses.length > 1) throw new Error(`${statuses.length} statuses instead of one`);
  return status;
}

/** As all official clients sign. */
function signed(headers: Headers, { accessKey, secret }: ClientUser): Headers {
  const dateTime = headers['x-mq-date-time'] ?? `${new Date().toISOString().replace(/[-:]|\.\d+Z/g, '')}Z`;
  const signature = createHmac('sha1', secret).update(dateTime).digest('hex').toUpperCase();
  return {
    ...headers,
    'x-mq-date-time': dateTime,
    authorization: `MQv2-HMAC-SHA1 Credential=${accessKey}, SignedHeaders=x-mq-date-time, Signature=${signature}`,
  };
}

interface Codec {
  fromPartial(value: unknown): unknown;
  encode(value: unknown): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

function codecOf(name: keyof Methods): {
  path: string;
  encode: (request: unknown) => Buffer;
  decode: (bytes: Buffer) => unknown;
} {
  const method = MessagingServiceDefinition.methods[name];
  // Each is the codec of its own type; here they are all alike.
  const asked = method.requestType as unknown as Codec;
  const answered = method.responseType as unknown as Codec;
  return {
    path: `/${MessagingServiceDefinition.fullName}/${method.name}`,
    encode: (request) => Buffer.from(asked.encode(asked.fromPartial(request)).finish()),
    decode: (bytes) => answered.decode(bytes),
  };
}

function metadataOf(headers: Headers): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}

function credentialsOf({ tls, caFile }: Target): ReturnType<typeof credentials.createInsecure> {
  return tls ? credentials.createSsl(readFileSync(caFile)) : credentials.createInsecure();
}
